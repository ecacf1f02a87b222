/// A parameter as it stands in a field, with what clients may take for its value.
struct ParameterOccurrence {
    /// `name`, `filename` or `boundary`.
    let key: ParameterKey
    /// The number of a continuation (RFC 2231 §3).
    let section: Int?
    /// The key ends in `*`, so that the value has a charset and escapes (RFC 2231 §4).
    let isExtended: Bool
    /// The first by the standard.
    let values: [[UInt8]]
}

enum ParameterKey: String, CaseIterable {
    case filename
    case name
    case boundary

    var isName: Bool { self != .boundary }
}

/// Finds parameters wherever a client may see one: not only where the grammar has them, but also in comments, in
/// quotes, and behind other parameters without `;`.
struct ParameterScanner {
    /// A longer value is cut at its beginning, as a name's end tells what a file is.
    static let valueBytes = 4096
    /// Of a value, once those before it have used up what a header may cost.
    private static let leastValueBytes = 64
    /// The longest gap between a key and its `=`, unless it is blank.
    private static let gapBytes = 256

    private let field: [UInt8]
    private let small: [UInt8]
    private let limit: Int
    /// Octets of values that may still be read. Values without an end lie in each other; read each to its end, they
    /// would take time with the square of the header.
    private var budget: Int
    private(set) var occurrences: [ParameterOccurrence] = []
    private(set) var isMalformed = false
    private(set) var hasTooMany = false
    private(set) var isCut = false

    /// - Parameter limit: the number of parameters that are read.
    init(_ field: [UInt8], limit: Int) {
        self.field = field
        self.small = field.map(ASCII.lowercased)
        self.limit = limit
        self.budget = 4 * field.count + 4096
        self.scan()
    }

    private mutating func scan() {
        var index = 0
        while index < self.field.count {
            guard let key = self.key(at: index) else {
                index += 1
                continue
            }
            let end = index + key.rawValue.utf8.count
            if let (section, isExtended, valueStart) = self.section(from: end) {
                guard self.occurrences.count < self.limit else { return self.hasTooMany = true }
                let values = self.values(from: valueStart)
                self.occurrences.append(
                    ParameterOccurrence(key: key, section: section, isExtended: isExtended, values: values))
            }
            index = end
        }
    }

    private func key(at index: Int) -> ParameterKey? {
        guard [0x66, 0x6E, 0x62].contains(self.small[index]) else { return nil }
        if index > 0 {
            let before = self.small[index - 1]
            guard !ASCII.isAlphanumeric(before), !"-_.%*'/\\".utf8.contains(before) else { return nil }
        }
        return ParameterKey.allCases.first { self.small[index...].starts(with: $0.rawValue.utf8) }
    }

    /// Reads what stands between a key and the value: `*0*=`, blanks and comments.
    private func section(from start: Int) -> (section: Int?, isExtended: Bool, valueStart: Int)? {
        var scanner = ByteScanner(self.field[start...])
        var section: Int?
        var isExtended = false
        self.skipGap(&scanner)
        if scanner.skip("*") {
            self.skipGap(&scanner)
            let digits = scanner.read(while: ASCII.isDigit)
            section = Int(String(decoding: digits.prefix(9), as: UTF8.self))
            isExtended = section == nil
            self.skipGap(&scanner)
            if scanner.skip("*") { isExtended = true }
            self.skipGap(&scanner)
        }
        guard scanner.skip("=") else { return nil }
        return (section, isExtended, scanner.position)
    }

    private func skipGap(_ scanner: inout ByteScanner) {
        while let byte = scanner.peek {
            if byte == UInt8(ascii: "(") {
                let comment = scanner.rest.prefix(Self.gapBytes).prefix { $0 != UInt8(ascii: ")") }
                for _ in 0...comment.count { _ = scanner.next() }
            } else if byte <= ASCII.space || byte == UInt8(ascii: "\\") {
                _ = scanner.next()
            } else {
                return
            }
        }
    }

    private mutating func values(from start: Int) -> [[UInt8]] {
        let region = self.field[start...].drop { $0 <= ASCII.space }
        var reader = ValueReadings(region.prefix(max(self.budget, Self.leastValueBytes)))
        let values = reader.read()
        self.budget -= values.map(\.count).max() ?? 0
        if reader.isMalformed { self.isMalformed = true }
        return values.map { value in
            guard value.count > Self.valueBytes else { return value }
            self.isCut = true
            return value.suffix(Self.valueBytes)
        }
    }

    /// The field without its comments (RFC 5322 §3.2.2), quoted strings left alone; nil if it has none.
    static func withoutComments(_ field: [UInt8]) -> [UInt8]? {
        guard field.contains(UInt8(ascii: "(")) else { return nil }
        var result: [UInt8] = []
        var depth = 0
        var isQuoted = false
        var isEscaped = false
        for byte in field {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\""), depth == 0 {
                isQuoted.toggle()
            } else if byte == UInt8(ascii: "("), !isQuoted {
                depth += 1
            } else if byte == UInt8(ascii: ")"), !isQuoted, depth > 0 {
                depth -= 1
                continue
            }
            if depth == 0 { result.append(byte) }
        }
        return result
    }
}

/// What clients may take for the value that begins a piece of a field.
struct ValueReadings {
    private static let quote = UInt8(ascii: "\"")
    private static let escape = UInt8(ascii: "\\")
    private static let semicolon = UInt8(ascii: ";")

    private let region: ArraySlice<UInt8>
    private var values: [[UInt8]] = []
    private(set) var isMalformed = false

    init(_ region: ArraySlice<UInt8>) {
        self.region = region
    }

    mutating func read() -> [[UInt8]] {
        if self.region.first == Self.quote { self.readQuoted() } else { self.readPlain() }
        return self.values
    }

    private mutating func add(_ bytes: some Collection<UInt8>) {
        let trimmed = Array(bytes)
        guard !trimmed.isEmpty, !self.values.contains(trimmed) else { return }
        self.values.append(trimmed)
    }

    private mutating func readQuoted() {
        let inside = self.region.dropFirst()
        let (content, end) = Self.quoted(inside)
        self.add(content)
        if let end {
            // Something behind the closing quote: `"file".zip`.
            let tail = inside[(end + 1)...].prefix { $0 != Self.semicolon }
            if tail.contains(where: { $0 > ASCII.space }) {
                self.isMalformed = true
                let whole = Self.trimmed(inside[..<tail.endIndex])
                self.add(whole.filter { $0 != Self.quote })
                self.add(whole.last == Self.quote ? whole.dropLast() : whole)
                self.add(self.region[..<tail.endIndex])
            }
        } else {
            self.isMalformed = true
            self.add(Self.trimmed(inside.prefix { $0 != Self.semicolon }))
        }
        let raw = inside[..<(end ?? inside.endIndex)]
        if raw.contains(Self.escape) {
            self.add(raw)
            self.add(inside.prefix { $0 != Self.quote })
        }
        self.addWithoutApostrophes(content[...])
    }

    /// - Returns: the content without escapes, and where the closing quote stands.
    private static func quoted(_ inside: ArraySlice<UInt8>) -> ([UInt8], end: Int?) {
        var content: [UInt8] = []
        var index = inside.startIndex
        while index < inside.endIndex {
            if inside[index] == Self.quote { return (content, index) }
            if inside[index] == Self.escape, index + 1 < inside.endIndex { index += 1 }
            content.append(inside[index])
            index += 1
        }
        return (content, nil)
    }

    private mutating func readPlain() {
        let short = self.region.prefix { $0 != Self.semicolon }
        let long = self.region[..<self.plainEnd]
        for text in [Self.trimmed(long), Self.trimmed(short)] {
            self.add(text)
            self.addVariants(of: text)
        }
        // `file;.zip`: what is no parameter may belong to the one before.
        let joined = self.region[..<self.joinedEnd]
        if joined.count > long.count { self.add(Self.trimmed(joined)) }
    }

    private mutating func addVariants(of text: ArraySlice<UInt8>) {
        let token = text.prefix { $0 > ASCII.space && $0 != 0x7F && !"()<>@,;:\\\"/[]?=".utf8.contains($0) }
        guard token.count < text.count else { return self.addWithoutApostrophes(text) }
        self.isMalformed = true
        if text.contains(Self.escape) { self.add(text.filter { $0 != Self.escape }) }
        if text.contains(Self.quote) {
            self.add(text.filter { $0 != Self.quote && $0 != Self.escape })
            for piece in text.split(separator: Self.quote).prefix(3) {
                self.add(piece)
                if piece.last == Self.escape { self.add(piece.dropLast()) }
            }
        }
        if let plain = ParameterScanner.withoutComments(Array(text)) { self.add(Self.trimmed(plain[...])) }
        self.addWithoutApostrophes(text)
        self.add(token)
    }

    private mutating func addWithoutApostrophes(_ text: ArraySlice<UInt8>) {
        let apostrophe = UInt8(ascii: "'")
        guard text.count > 1, text.first == apostrophe, text.last == apostrophe else { return }
        self.add(text.dropFirst().dropLast())
    }

    /// The first `;` that is neither escaped nor in quotes or a comment.
    private var plainEnd: Int {
        var index = self.region.startIndex
        var isQuoted = false
        var depth = 0
        while index < self.region.endIndex {
            switch self.region[index] {
            case Self.escape: index += 1
            case Self.quote: isQuoted.toggle()
            case UInt8(ascii: "(") where !isQuoted: depth += 1
            case UInt8(ascii: ")") where !isQuoted: depth -= 1
            case Self.semicolon where !isQuoted && depth <= 0: return index
            default: break
            }
            index += 1
        }
        return min(index, self.region.endIndex)
    }

    /// The end of the pieces that have no `=`.
    private var joinedEnd: Int {
        var end = self.region.prefix { $0 != Self.semicolon }.endIndex
        while end < self.region.endIndex {
            let piece = self.region[(end + 1)...].prefix { $0 != Self.semicolon }
            if piece.contains(UInt8(ascii: "=")) || !piece.contains(where: { $0 > ASCII.space }) { break }
            end = piece.endIndex
        }
        return end
    }

    static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var rest = bytes.drop { $0 <= ASCII.space }
        while let last = rest.last, last <= ASCII.space { rest.removeLast() }
        return rest
    }
}
