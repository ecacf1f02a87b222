import Mail

/// The right-hand side of a pattern: text, and what the pattern's groups have captured where `$1`, `${1}` or `$(1)`
/// stand. `$$` is a `$`.
struct PatternResult: Sendable {
    private enum Piece: Sendable {
        case text([UInt8])
        case group(Int)
    }

    private let pieces: [Piece]
    /// What the result always is; nil if it depends on groups.
    let constant: String?
    /// 0 without any.
    let highestGroup: Int

    init(_ text: String) throws(PatternSyntaxError) {
        var scanner = ByteScanner(text)
        var pieces: [Piece] = []
        var literal: [UInt8] = []
        var highest = 0
        while let byte = scanner.next() {
            guard byte == UInt8(ascii: "$") else {
                literal.append(byte)
                continue
            }
            if scanner.skip("$") {
                literal.append(byte)
                continue
            }
            let number = try Self.number(&scanner, in: text)
            if !literal.isEmpty { pieces.append(.text(literal)) }
            literal = []
            pieces.append(.group(number))
            highest = max(highest, number)
        }
        if !literal.isEmpty { pieces.append(.text(literal)) }
        self.pieces = pieces
        self.constant = highest == 0 ? String(decoding: literal, as: UTF8.self) : nil
        self.highestGroup = highest
    }

    private static func number(_ scanner: inout ByteScanner, in text: String) throws(PatternSyntaxError) -> Int {
        let name: ArraySlice<UInt8>
        if scanner.skip("{") {
            name = try Self.name(&scanner, upTo: "}", in: text)
        } else if scanner.skip("(") {
            name = try Self.name(&scanner, upTo: ")", in: text)
        } else {
            name = scanner.read { ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "_") }
        }
        // No pattern has more groups than PCRE2 can count.
        guard name.allSatisfy(ASCII.isDigit), let number = Int(String(decoding: name, as: UTF8.self)),
            (1...65_535).contains(number)
        else {
            throw PatternSyntaxError("'$' stands before a number from 1, or before another '$': '\(text)'")
        }
        return number
    }

    private static func name(
        _ scanner: inout ByteScanner, upTo end: Unicode.Scalar, in text: String
    ) throws(PatternSyntaxError) -> ArraySlice<UInt8> {
        let name = scanner.read { $0 != UInt8(ascii: end) }
        guard scanner.next() != nil else { throw PatternSyntaxError("'\(end)' is missing in '\(text)'") }
        return name
    }

    /// - Parameter capture: what a group has captured; nil if it took no part.
    func expanded(_ capture: (Int) -> UnsafeRawBufferPointer?) -> String {
        if let constant { return constant }
        var octets: [UInt8] = []
        for piece in self.pieces {
            switch piece {
            case .text(let text): octets += text
            case .group(let number): if let captured = capture(number) { octets += captured }
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }
}
