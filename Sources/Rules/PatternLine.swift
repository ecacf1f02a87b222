import Mail

/// The pattern of a line with its flags, as it is written.
struct PatternText: Hashable, Sendable {
    let pattern: String
    /// The flags that stand there an odd number of times: each turns one option over.
    let flags: Set<UInt8>
    let isNegated: Bool
}

/// A line of a ``PatternTable``, taken apart.
enum PatternLine {
    /// In a `regexp:` table a second pattern may follow the first: `/one/!/other/`.
    case entry(first: PatternText, second: PatternText?, rule: String, result: String)
    case condition(PatternText)
    case end

    /// - Throws: what makes the line unreadable. The patterns themselves are not looked into.
    init(_ line: String, _ kind: PatternTable.Kind) throws(PatternSyntaxError) {
        var scanner = ByteScanner(line)
        if scanner.skipKeyword("endif") {
            guard scanner.isAtEnd else { throw PatternSyntaxError("text behind 'endif'") }
            self = .end
        } else if scanner.skipKeyword("if") {
            let pattern = try PatternText(&scanner, kind, endsAtNegation: false)
            let rest = scanner.readResult()
            guard rest.isEmpty else {
                throw PatternSyntaxError(
                    "an 'if' takes a pattern and no result: '\(rest)' (lines that begin with a blank continue it)")
            }
            self = .condition(pattern)
        } else {
            self = try Self.entry(&scanner, kind)
        }
    }

    private static func entry(
        _ scanner: inout ByteScanner, _ kind: PatternTable.Kind
    ) throws(PatternSyntaxError) -> PatternLine {
        let start = scanner.position
        let first = try PatternText(&scanner, kind, endsAtNegation: kind == .regexp)
        let second =
            scanner.peek == UInt8(ascii: "!") ? try PatternText(&scanner, kind, endsAtNegation: true) : nil
        if scanner.peek == UInt8(ascii: "!") {
            throw PatternSyntaxError("more than two patterns, or a '!' behind the flags")
        }
        let rule = String(decoding: scanner.bytes[start..<scanner.position], as: UTF8.self)
        return .entry(first: first, second: second, rule: rule, result: scanner.readResult())
    }

    /// Whether a text that was put behind another line would be one of its own.
    static func looksLikeRule(_ text: String, _ kind: PatternTable.Kind) -> Bool {
        guard let line = try? PatternLine(text, kind) else { return false }
        switch line {
        case .entry(_, _, let rule, let result):
            return rule.drop { $0 == "!" || $0 == " " }.hasPrefix("/") && !result.isEmpty
        case .condition, .end: return true
        }
    }
}

extension PatternText {
    /// - Parameter endsAtNegation: whether another pattern may follow the flags.
    fileprivate init(
        _ scanner: inout ByteScanner, _ kind: PatternTable.Kind, endsAtNegation: Bool
    ) throws(PatternSyntaxError) {
        self.isNegated = scanner.readNegation()
        guard let delimiter = scanner.next() else { throw PatternSyntaxError("a pattern is missing") }
        guard delimiter < 0x80, !ASCII.isAlphanumeric(delimiter) else {
            throw PatternSyntaxError(
                "neither a pattern nor 'if' nor 'endif'; patterns stand between two '/' or other ASCII signs")
        }
        let start = scanner.position
        while let byte = scanner.peek, byte != delimiter {
            // What is escaped does not end the pattern.
            if byte == UInt8(ascii: "\\") { _ = scanner.next() }
            _ = scanner.next()
        }
        self.pattern = String(decoding: scanner.bytes[start..<scanner.position], as: UTF8.self)
        guard scanner.next() != nil else {
            throw PatternSyntaxError("the '\(Character(Unicode.Scalar(delimiter)))' behind the pattern is missing")
        }
        var flags: Set<UInt8> = []
        for flag in scanner.read(while: { !ASCII.isBlank($0) && !(endsAtNegation && $0 == UInt8(ascii: "!")) }) {
            guard kind.flags.contains(flag) else {
                let shown = flag < 0x80 ? String(Character(Unicode.Scalar(flag))) : "not ASCII"
                throw PatternSyntaxError("unknown flag '\(shown)'; there are \(kind.flagNames)")
            }
            flags.formSymmetricDifference([flag])
        }
        self.flags = flags
    }

    func has(_ flag: Unicode.Scalar) -> Bool { self.flags.contains(UInt8(ascii: flag)) }
}

extension PatternTable.Kind {
    /// X is one of PCRE1's, which Postfix ignores with PCRE2.
    fileprivate var flags: [UInt8] {
        switch self {
        case .pcre: Array("imsxAEUX".utf8)
        case .regexp: Array("imx".utf8)
        }
    }

    fileprivate var flagNames: String {
        switch self {
        case .pcre: "i, m, s, x, A, E and U"
        case .regexp: "i, m and x"
        }
    }
}

extension ByteScanner {
    /// Reads a keyword in any letters, if it is not the beginning of a longer word.
    mutating func skipKeyword(_ keyword: StaticString) -> Bool {
        var scanner = self
        guard scanner.skip(ignoringCase: keyword), scanner.peek.map(ASCII.isAlphanumeric) != true else { return false }
        self = scanner
        return true
    }

    /// Reads `!` and blanks; each `!` takes the one before it back.
    mutating func readNegation() -> Bool {
        self.read { $0 == UInt8(ascii: "!") || ASCII.isBlank($0) }.count { $0 == UInt8(ascii: "!") } % 2 == 1
    }

    /// Reads what stands behind a pattern.
    fileprivate mutating func readResult() -> String {
        _ = self.read(while: ASCII.isBlank)
        return String(decoding: self.readAll(), as: UTF8.self)
    }
}

/// What is wrong in a line of a ``PatternTable``.
struct PatternSyntaxError: Error {
    let message: String

    init(_ message: String) {
        self.message = message
    }
}
