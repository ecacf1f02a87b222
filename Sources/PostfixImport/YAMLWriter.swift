import Mail

/// A configuration in the order in which it was made, with comments.
struct YAMLWriter {
    enum Value: Hashable {
        case scalar(String)
        /// Written `[a, b]` if it is short and without comments, else an element a line.
        case list([Item])
        /// YAML that stands as it is, in one line.
        case flow(String)
        /// YAML that stands there as a comment, for people to take in.
        case suggestion(String)
    }

    struct Item: Hashable {
        let text: String
        var comment: String?
        /// It is YAML already.
        var isFlow = false
    }

    private indirect enum Node {
        case value(Value, comments: [String])
        case group([(key: String, node: Node)], comments: [String])
    }

    private var root: [(key: String, node: Node)] = []

    /// Puts a value under a path such as `queue.lifetime`, or in the place of the one that is there.
    mutating func set(_ path: String, _ value: Value, comments: [String]) {
        Self.set(path.split(separator: ".").map(String.init)[...], value, comments, in: &self.root)
    }

    mutating func set(path: [String], _ value: Value, comments: [String]) {
        Self.set(path[...], value, comments, in: &self.root)
    }

    private static func set(
        _ path: ArraySlice<String>, _ value: Value, _ comments: [String], in nodes: inout [(key: String, node: Node)]
    ) {
        guard let key = path.first else { return }
        let index = nodes.firstIndex { $0.key == key }
        guard path.count > 1 else {
            let node = Node.value(value, comments: comments)
            if let index { nodes[index].node = node } else { nodes.append((key, node)) }
            return
        }
        var inner: [(key: String, node: Node)] = []
        var about: [String] = []
        if let index, case .group(let nodes, let comments) = nodes[index].node { (inner, about) = (nodes, comments) }
        Self.set(path.dropFirst(), value, comments, in: &inner)
        let node = Node.group(inner, comments: about)
        if let index { nodes[index].node = node } else { nodes.append((key, node)) }
    }

    /// - Parameter order: keys of the first level that come first, in this order.
    func text(order: [String]) -> String {
        let ranks = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($0.element, $0.offset) })
        let sorted = self.root.enumerated().sorted {
            let left = ranks[$0.element.key] ?? order.count + $0.offset
            return left < ranks[$1.element.key] ?? order.count + $1.offset
        }
        var lines: [String] = []
        for (_, (key, node)) in sorted {
            if case .group = node { lines.append("") }
            Self.write(key, node, indent: 0, to: &lines)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(_ key: String, _ node: Node, indent: Int, to lines: inout [String]) {
        let blanks = String(repeating: " ", count: indent)
        switch node {
        case .group(let nodes, let comments):
            lines += comments.map { "\(blanks)# \($0)" }
            // A group of nothing but comments would be no group.
            let hasValues = nodes.contains { Self.isValue($0.node) }
            lines.append(hasValues ? "\(blanks)\(Self.quoted(key)):" : "\(blanks)# \(key):")
            for (key, node) in nodes { Self.write(key, node, indent: indent + 2, to: &lines) }
        case .value(let value, let comments):
            lines += comments.flatMap { Self.wrapped($0) }.map { "\(blanks)# \($0)" }
            switch value {
            case .suggestion(let text): lines.append("\(blanks)# \(Self.quoted(key)): \(text)")
            case .scalar(let text): lines.append("\(blanks)\(Self.quoted(key)): \(Self.quoted(text))")
            case .flow(let text): lines.append("\(blanks)\(Self.quoted(key)): \(text)")
            case .list(let items): Self.write(key, items, blanks, to: &lines)
            }
        }
    }

    private static func isValue(_ node: Node) -> Bool {
        switch node {
        case .group(let nodes, _): nodes.contains { Self.isValue($0.node) }
        case .value(.suggestion, _): false
        case .value: true
        }
    }

    private static func write(_ key: String, _ items: [Item], _ blanks: String, to lines: inout [String]) {
        let texts = items.map { $0.isFlow ? $0.text : Self.quoted($0.text) }
        let short = "\(blanks)\(Self.quoted(key)): [\(texts.joined(separator: ", "))]"
        // A comma would end an element there.
        let isPlain = items.allSatisfy { $0.comment == nil && !$0.isFlow && !$0.text.contains(where: ",[]{}".contains) }
        if items.isEmpty || (isPlain && short.utf8.count <= 100 && items.allSatisfy { !$0.text.contains(" ") }) {
            lines.append(short)
            return
        }
        lines.append("\(blanks)\(Self.quoted(key)):")
        for (item, text) in zip(items, texts) {
            lines += (item.comment.map { Self.wrapped($0) } ?? []).map { "\(blanks)  # \($0)" }
            lines.append("\(blanks)  - \(text)")
        }
    }

    /// A comment in lines of at most about a hundred signs.
    private static func wrapped(_ text: String) -> [String] {
        var lines: [String] = []
        var line = ""
        // YAML has no control characters, not even there.
        let shown = String(String.UnicodeScalarView(text.unicodeScalars.map { Self.isAllowed($0) ? $0 : "?" }))
        for word in Words.oneLine(shown).split(separator: " ") {
            if !line.isEmpty, line.utf8.count + word.utf8.count > 100 {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " \(word)"
        }
        return lines + [line]
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0xA0...0x2027, 0x202A...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD,
            0x10000...0x10FFFF:
            true
        default: false
        }
    }

    /// A text as a scalar that YAML reads as that text.
    static func quoted(_ text: String) -> String {
        if Self.isPlain(text) { return text }
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\t": result += "\\t"
            case "\n": result += "\\n"
            case _ where scalar.value < 0x20 || (0x7F...0xA0).contains(scalar.value):
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.count < 2 ? "0" : "") + digits
            case _ where !Self.isAllowed(scalar) && scalar.value <= 0xFFFF:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        guard ASCII.isAlphanumeric(first) || first == UInt8(ascii: "/") || first == ASCII.dot,
            last != UInt8(ascii: ":"), last != ASCII.space, !text.contains(": "), !text.contains(" #")
        else { return false }
        return text.utf8.allSatisfy { ASCII.isAlphanumeric($0) || " ./:_-=+@;~$()".utf8.contains($0) }
    }
}
