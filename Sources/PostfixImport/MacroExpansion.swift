import Mail

/// Puts values in for `$name`, `${name}`, `$(name)`, `${name?text}`, `${name:text}`, `${name?{text}:{text}}` and
/// `${{text} == {text} ? {text} : {text}}` (postconf(5)).
///
/// Values are expanded in turn. `$$` is a dollar.
package struct MacroExpansion {
    /// What is wrong in a text; Postfix does not start with it.
    package struct Problem: Error, Hashable, Sendable {
        package let message: String

        init(_ message: String) {
            self.message = message
        }
    }

    /// The value of a parameter, not expanded; nil if there is no such parameter.
    private let lookup: (String) -> String?
    /// Names that have no value, in the order in which they were met.
    package private(set) var undefined: [String] = []
    private var depth = 0
    private var steps = 0

    /// So deep may names lead to names; a parameter that names itself gets there.
    private static let deepest = 40
    /// So often may something be put in, so that what doubles itself at each level ends.
    private static let most = 5000

    package init(lookup: @escaping (String) -> String?) {
        self.lookup = lookup
    }

    package mutating func expand(_ text: String) throws(Problem) -> String {
        self.depth += 1
        defer { self.depth -= 1 }
        guard self.depth <= Self.deepest else { throw Problem("names lead to themselves or too deep") }
        var result: [UInt8] = []
        var scanner = ByteScanner(text)
        while let byte = scanner.next() {
            guard byte == UInt8(ascii: "$") else {
                result.append(byte)
                continue
            }
            if scanner.skip("$") {
                result.append(byte)
            } else {
                result += Array(try self.reference(&scanner, in: text).utf8)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private mutating func reference(_ scanner: inout ByteScanner, in text: String) throws(Problem) -> String {
        self.steps += 1
        guard self.steps <= Self.most else { throw Problem("too much is put in") }
        let body: [UInt8]
        if scanner.peek == UInt8(ascii: "{") {
            body = try Self.payload(&scanner, "{", "}", text)
        } else if scanner.peek == UInt8(ascii: "(") {
            body = try Self.payload(&scanner, "(", ")", text)
        } else {
            body = Array(scanner.read(while: Self.isNameByte))
        }
        guard !body.isEmpty else { throw Problem("'$' without a name in '\(Words.oneLine(text))'") }
        return try self.value(of: ByteScanner(body[...]))
    }

    private static func isNameByte(_ byte: UInt8) -> Bool { ASCII.isAlphanumeric(byte) || byte == UInt8(ascii: "_") }

    /// What stands between brackets, others of the kind in it.
    private static func payload(
        _ scanner: inout ByteScanner, _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ text: String
    ) throws(Problem) -> [UInt8] {
        _ = scanner.skip(open)
        var depth = 1
        var bytes: [UInt8] = []
        while let byte = scanner.next() {
            if byte == UInt8(ascii: open) { depth += 1 }
            if byte == UInt8(ascii: close) { depth -= 1 }
            if depth == 0 { return bytes }
            bytes.append(byte)
        }
        throw Problem("'\(close)' is missing in '\(Words.oneLine(text))'")
    }
}

// MARK: - What stands in braces

extension MacroExpansion {
    private mutating func value(of expression: ByteScanner) throws(Problem) -> String {
        var scanner = expression
        _ = scanner.read(while: LogicalText.isSpace)
        if scanner.peek == UInt8(ascii: "{") {
            let isTrue = try self.comparison(&scanner)
            guard !scanner.isAtEnd else { return isTrue ? "true" : "" }
            return try self.choice(isTrue, &scanner)
        }
        let name = String(decoding: scanner.read(while: Self.isNameByte), as: UTF8.self)
        _ = scanner.read(while: LogicalText.isSpace)
        guard !name.isEmpty else { throw Problem("no name in '\(Self.text(expression))'") }
        if scanner.isAtEnd {
            guard let value = self.lookup(name) else {
                self.undefined.append(name)
                return ""
            }
            return try self.expand(value)
        }
        guard scanner.peek == UInt8(ascii: "?") || scanner.peek == UInt8(ascii: ":") else {
            throw Problem("'\(Self.text(expression))' is not a name, nor one with '?' or ':' behind it")
        }
        // The value itself is tried, not what it expands to.
        return try self.choice(!(self.lookup(name) ?? "").isEmpty, &scanner)
    }

    /// `?text`, `:text`, `?{text}`, `?{text}:{text}`.
    private mutating func choice(_ isTrue: Bool, _ scanner: inout ByteScanner) throws(Problem) -> String {
        var result = ""
        if scanner.skip("?") {
            let (text, isGrouped) = try Self.operand(&scanner)
            if isTrue { result = try self.expand(text) }
            if scanner.isAtEnd || !isGrouped { return result }
        }
        guard scanner.skip(":") else { throw Problem("':' is expected before '\(Self.text(scanner))'") }
        let (text, _) = try Self.operand(&scanner)
        if !isTrue { result = try self.expand(text) }
        guard scanner.isAtEnd else { throw Problem("'\(Self.text(scanner))' is too much") }
        return result
    }

    /// A text in braces, or all that is left.
    private static func operand(_ scanner: inout ByteScanner) throws(Problem) -> (text: String, isGrouped: Bool) {
        var ahead = scanner
        _ = ahead.read(while: LogicalText.isSpace)
        guard ahead.peek == UInt8(ascii: "{") else {
            return (String(decoding: scanner.readAll(), as: UTF8.self), false)
        }
        let bytes = try Self.payload(&ahead, "{", "}", Self.text(scanner))
        _ = ahead.read(while: LogicalText.isSpace)
        scanner = ahead
        return (String(decoding: bytes, as: UTF8.self), true)
    }

    /// `{left} == {right}`, and `{left} >=level {right}` for levels of compatibility.
    private mutating func comparison(_ scanner: inout ByteScanner) throws(Problem) -> Bool {
        let left = try self.expand(try Self.operand(&scanner).text)
        let sign = String(decoding: scanner.read { "<>!=".utf8.contains($0) }, as: UTF8.self)
        guard let holds = Self.relations[sign] else {
            throw Problem("'==', '!=', '<', '<=', '>' or '>=' is expected before '\(Self.text(scanner))'")
        }
        let kind = String(decoding: scanner.read(while: ASCII.isAlphanumeric), as: UTF8.self)
        let (text, isGrouped) = try Self.operand(&scanner)
        guard isGrouped else { throw Problem("'{' is expected behind '\(sign)'") }
        let right = try self.expand(text)
        switch kind {
        case "": return holds(Self.order(left, right))
        case "level":
            guard let left = CompatibilityLevel(left), let right = CompatibilityLevel(right) else {
                throw Problem("'\(left)' or '\(right)' is not a level of compatibility")
            }
            return holds(left < right ? -1 : left == right ? 0 : 1)
        case let other: throw Problem("there is no comparison '\(sign)\(other)'")
        }
    }

    private static let relations: [String: @Sendable (Int) -> Bool] = [
        "==": { $0 == 0 }, "!=": { $0 != 0 }, "<": { $0 < 0 }, "<=": { $0 <= 0 }, ">": { $0 > 0 }, ">=": { $0 >= 0 },
    ]

    /// As numbers where both are; else as octets.
    private static func order(_ left: String, _ right: String) -> Int {
        if !left.isEmpty, !right.isEmpty, (left + right).utf8.allSatisfy(ASCII.isDigit),
            let left = Int(left), let right = Int(right)
        {
            return left < right ? -1 : left == right ? 0 : 1
        }
        return left == right ? 0 : left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
    }

    private static func text(_ scanner: ByteScanner) -> String {
        Words.oneLine(String(decoding: scanner.rest, as: UTF8.self))
    }
}

/// Postfix's `compatibility_level`: `2`, `3.6`, `3.7.1`.
package struct CompatibilityLevel: Comparable, Sendable {
    private let numbers: [Int]

    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { $0.utf8.allSatisfy(ASCII.isDigit) ? Int($0) : nil }
        guard (1...3).contains(parts.count), numbers.count == parts.count else { return nil }
        self.numbers = numbers + Array(repeating: 0, count: 3 - numbers.count)
    }

    package static func < (left: Self, right: Self) -> Bool { left.numbers.lexicographicallyPrecedes(right.numbers) }
}
