import Mail

/// A part of the key that a `pgsql:` file puts into its query, or into its result.
package enum PgsqlPlaceholder: Hashable, Sendable {
    /// `%s`, `%S`
    case key
    /// `%u`, `%U`
    case local
    /// `%d`, `%D`
    case domain
    /// `%1` to `%9`: labels of the domain from its end.
    case label(Int)

    init?(_ letter: UInt8) {
        switch letter {
        case UInt8(ascii: "s"), UInt8(ascii: "S"): self = .key
        case UInt8(ascii: "u"), UInt8(ascii: "U"): self = .local
        case UInt8(ascii: "d"), UInt8(ascii: "D"): self = .domain
        case UInt8(ascii: "1")...UInt8(ascii: "9"): self = .label(Int(letter & 15))
        default: return nil
        }
    }

    /// What it stands for in a key; nil if the key does not have it, so that nothing is asked (pgsql_table(5)).
    func value(in key: String) -> String? {
        let bytes = Array(key.utf8)
        let at = bytes.lastIndex(of: UInt8(ascii: "@"))
        switch self {
        case .key: return key.isEmpty ? nil : key
        case .local:
            guard let at else { return key.isEmpty ? nil : key }
            return at == 0 ? nil : String(decoding: bytes[..<at], as: UTF8.self)
        case .domain:
            guard let at, at + 1 < bytes.count else { return nil }
            return String(decoding: bytes[(at + 1)...], as: UTF8.self)
        case .label(let number):
            guard let at else { return nil }
            let labels = bytes[(at + 1)...].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            // Also those behind it, as Postfix has it.
            guard labels.count >= number, labels.suffix(number).allSatisfy({ !$0.isEmpty }) else { return nil }
            return String(decoding: labels[labels.count - number], as: UTF8.self)
        }
    }
}

/// A query as the server is asked to prepare it, with the parts of the key that are its parameters.
///
/// What stands in the file is a text into which values were pasted. Here each becomes a parameter of its own: `'%s'` is
/// `$1`, and within a longer literal it is joined, `'%%%s'` as `('%' || $1::text)`.
package struct PgsqlQuery: Hashable, Sendable {
    package let statement: String
    package let parameters: [PgsqlPlaceholder]

    /// The values for a key; nil if the query is not to be made for it.
    package func values(for key: String) -> [String]? {
        guard !key.isEmpty, !key.utf8.contains(0) else { return nil }
        var values: [String] = []
        for placeholder in self.parameters {
            guard let value = placeholder.value(in: key) else { return nil }
            values.append(value)
        }
        return values
    }
}

/// What is wrong with a query.
package struct PgsqlQueryError: Error, Hashable, Sendable {
    package let message: String
}

extension PgsqlQuery {
    /// Reads a query of pgsql_table(5).
    package init(template: String) throws(PgsqlQueryError) {
        var parser = PgsqlQueryParser(template)
        try parser.parse()
        guard parser.output.contains(where: { !ASCII.isBlank($0) }) else {
            throw PgsqlQueryError(message: "the query is empty")
        }
        self.init(statement: String(decoding: parser.output, as: UTF8.self), parameters: parser.parameters)
    }
}

/// Goes through a query as PostgreSQL's scanner does, as far as quotes and comments go.
private struct PgsqlQueryParser {
    private let input: [UInt8]
    private var place = 0
    private(set) var output: [UInt8] = []
    private(set) var parameters: [PgsqlPlaceholder] = []

    /// A piece of a literal.
    private enum Piece {
        /// As it stands between the quotes, `%%` aside.
        case text([UInt8])
        case placeholder(PgsqlPlaceholder)
    }

    init(_ text: String) {
        self.input = Array(text.utf8)
    }

    private func byte(_ offset: Int = 0) -> UInt8? {
        self.place + offset < self.input.count ? self.input[self.place + offset] : nil
    }

    private func starts(with text: StaticString) -> Bool {
        text.withUTF8Buffer { self.input[self.place...].starts(with: $0) }
    }

    mutating func parse() throws(PgsqlQueryError) {
        while let byte = self.byte() {
            switch byte {
            case UInt8(ascii: "%"):
                if let placeholder = try self.placeholder() {
                    guard self.isApart else {
                        throw PgsqlQueryError(message: "a placeholder within a name or a number")
                    }
                    self.output += self.parameter(placeholder).utf8
                } else {
                    self.output.append(UInt8(ascii: "%"))
                }
            case UInt8(ascii: "'"): try self.literal()
            case UInt8(ascii: "\""): try self.verbatim(to: "\"", "a quoted name")
            // `$1` would be a parameter of ours, and `$tag$` a kind of quote that nobody needs here.
            case UInt8(ascii: "$"): throw PgsqlQueryError(message: "a $ outside of quotes")
            case UInt8(ascii: "-") where self.starts(with: "--"), UInt8(ascii: "/") where self.starts(with: "/*"):
                throw PgsqlQueryError(message: "a comment within the query")
            default: self.copy()
            }
        }
    }

    private mutating func copy() {
        self.output.append(self.input[self.place])
        self.place += 1
    }

    /// Reads what begins with `%`; nil for `%%`.
    private mutating func placeholder() throws(PgsqlQueryError) -> PgsqlPlaceholder? {
        guard let letter = self.byte(1) else { throw PgsqlQueryError(message: "a % at the end") }
        self.place += 2
        if letter == UInt8(ascii: "%") { return nil }
        guard let placeholder = PgsqlPlaceholder(letter) else {
            throw PgsqlQueryError(
                message: "unknown placeholder %\(String(decoding: [letter], as: UTF8.self)); there are "
                    + "%s, %u, %d, %1 to %9 and %%")
        }
        return placeholder
    }

    /// Whether nothing stands directly beside a placeholder that has just been read.
    private var isApart: Bool {
        !(self.output.last.map(Self.isOfWord) ?? false) && !(self.byte().map(Self.isOfWord) ?? false)
    }

    private mutating func parameter(_ placeholder: PgsqlPlaceholder) -> String {
        self.parameters.append(placeholder)
        return "$\(self.parameters.count)"
    }

    /// A `'literal'`; behind `E` with backslashes.
    private mutating func literal() throws(PgsqlQueryError) {
        let prefix = self.takePrefix()
        let hasBackslashes = prefix == "e"
        self.place += 1
        var pieces: [Piece] = []
        var text: [UInt8] = []
        while let byte = self.byte() {
            switch byte {
            case UInt8(ascii: "'") where self.byte(1) == UInt8(ascii: "'"):
                text += "''".utf8
                self.place += 2
            case UInt8(ascii: "'"):
                self.place += 1
                if !text.isEmpty { pieces.append(.text(text)) }
                return try self.append(pieces, prefix)
            case UInt8(ascii: "\\") where hasBackslashes:
                guard let next = self.byte(1), next != UInt8(ascii: "%") else {
                    throw PgsqlQueryError(message: "a backslash before a placeholder")
                }
                text += [byte, next]
                self.place += 2
            case UInt8(ascii: "%"):
                guard let placeholder = try self.placeholder() else {
                    text.append(byte)
                    continue
                }
                if !text.isEmpty { pieces.append(.text(text)) }
                text = []
                pieces.append(.placeholder(placeholder))
            default:
                text.append(byte)
                self.place += 1
            }
        }
        throw PgsqlQueryError(message: "a ' without its end")
    }

    /// The letters directly before a quote that belong to it, such as E; they are taken back from the output.
    private mutating func takePrefix() -> String {
        var start = self.output.endIndex
        while start > 0, Self.isOfWord(self.output[start - 1]) { start -= 1 }
        let word = String(decoding: self.output[start...], as: UTF8.self).lowercased()
        guard ["e", "b", "x", "n", "u&"].contains(word) else { return "" }
        self.output.removeSubrange(start...)
        return word
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        ASCII.isLetter(byte) || ASCII.isDigit(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "&")
            || byte == UInt8(ascii: "$") || byte >= 0x80
    }

    private mutating func append(_ pieces: [Piece], _ prefix: String) throws(PgsqlQueryError) {
        let hasPlaceholder = pieces.contains { if case .placeholder = $0 { true } else { false } }
        guard hasPlaceholder else {
            self.output += prefix.utf8
            self.output += Self.quoted(pieces)
            return
        }
        guard prefix.isEmpty || prefix == "e" else {
            throw PgsqlQueryError(message: "a placeholder within \(prefix)'…'")
        }
        if pieces.count == 1, case .placeholder(let placeholder) = pieces[0] {
            let space = Array(" ".utf8)
            let before = self.output.last.map(Self.isOfWord) ?? false
            let behind = self.byte().map(Self.isOfWord) ?? false
            self.output += (before ? space : []) + self.parameter(placeholder).utf8 + (behind ? space : [])
            return
        }
        var parts: [[UInt8]] = []
        for piece in pieces {
            switch piece {
            case .text: parts.append(Array(prefix.utf8) + Self.quoted([piece]))
            case .placeholder(let placeholder): parts.append(Array("\(self.parameter(placeholder))::text".utf8))
            }
        }
        self.output += [UInt8(ascii: "(")] + parts.joined(separator: Array(" || ".utf8)) + [UInt8(ascii: ")")]
    }

    private static func quoted(_ pieces: [Piece]) -> [UInt8] {
        var text: [UInt8] = []
        for case .text(let bytes) in pieces { text += bytes }
        return [UInt8(ascii: "'")] + text + [UInt8(ascii: "'")]
    }

    /// Copies what is quoted in another way, in which no value can stand.
    private mutating func verbatim(to end: StaticString, _ what: String) throws(PgsqlQueryError) {
        self.copy()
        while let byte = self.byte() {
            if self.starts(with: end) { return self.copy() }
            guard byte == UInt8(ascii: "%") else {
                self.copy()
                continue
            }
            guard try self.placeholder() == nil else { throw PgsqlQueryError(message: "a placeholder within \(what)") }
            self.output.append(byte)
        }
        throw PgsqlQueryError(message: "\(what) without its end")
    }
}
