import Mail

/// A token of a structured header field (RFC 5322 §3.2), with whether blanks or a comment stand before it.
struct AddressToken {
    enum Kind: Equatable {
        /// Octets that mean nothing by themselves, above 127 too (RFC 6532).
        case atom([UInt8])
        /// Its content does not matter: a local part or a display name.
        case quoted
        /// `[192.0.2.1]`, with its brackets.
        case literal([UInt8])
        /// One of `< > @ , ; : .`
        case special(UInt8)
    }

    let kind: Kind
    let followsBlank: Bool

    func isSpecial(_ character: Unicode.Scalar) -> Bool { self.kind == .special(UInt8(ascii: character)) }
}

/// Cuts a field's value into tokens. Every octet is looked at once, or twice after a quotation mark without its other.
struct AddressTokens {
    private(set) var list: [AddressToken] = []
    /// A quotation, comment or literal without its end, or control characters.
    private(set) var isMalformed = false

    private let bytes: [UInt8]
    private var position = 0
    private var followsBlank = false
    /// Where one has no end, it and all behind it are taken for blanks, so that nothing hides in them.
    private var quotesEnd = true
    private var commentsEnd = true
    private var literalsEnd = true

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        while self.position < bytes.count { self.readToken(bytes[self.position]) }
    }

    private mutating func readToken(_ byte: UInt8) {
        switch byte {
        case ASCII.space, ASCII.tab, ASCII.carriageReturn, ASCII.lineFeed: self.skipBlank()
        case UInt8(ascii: "("): self.readComment()
        case UInt8(ascii: "\""): self.readQuoted()
        case UInt8(ascii: "["): self.readLiteral()
        case UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "@"), UInt8(ascii: ","), UInt8(ascii: ";"),
            UInt8(ascii: ":"), ASCII.dot:
            self.position += 1
            self.append(.special(byte))
        case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "\\"), 0..<0x20, 0x7F:
            self.isMalformed = true
            self.skipBlank()
        default:
            let start = self.position
            while self.position < self.bytes.count, Self.isAtomText(self.bytes[self.position]) { self.position += 1 }
            self.append(.atom(Array(self.bytes[start..<self.position])))
        }
    }

    private static func isAtomText(_ byte: UInt8) -> Bool {
        byte > ASCII.space && byte != 0x7F && !"()<>[]:;@\\,.\"".utf8.contains(byte)
    }

    private mutating func append(_ kind: AddressToken.Kind) {
        self.list.append(AddressToken(kind: kind, followsBlank: self.followsBlank))
        self.followsBlank = false
    }

    private mutating func skipBlank() {
        self.position += 1
        self.followsBlank = true
    }

    /// The place behind the closing octet; nil if there is none.
    private func end(closing: UInt8, opening: UInt8?) -> Int? {
        var depth = 1
        var place = self.position + 1
        while place < self.bytes.count {
            switch self.bytes[place] {
            case UInt8(ascii: "\\"): place += 1
            case closing: depth -= 1
            case opening: depth += 1
            default: break
            }
            place += 1
            if depth == 0 { return min(place, self.bytes.count) }
        }
        return nil
    }

    private mutating func readComment() {
        let end = self.commentsEnd ? self.end(closing: UInt8(ascii: ")"), opening: UInt8(ascii: "(")) : nil
        self.commentsEnd = end != nil
        self.isMalformed = self.isMalformed || end == nil
        self.position = end ?? self.position + 1
        self.followsBlank = true
    }

    private mutating func readQuoted() {
        let end = self.quotesEnd ? self.end(closing: UInt8(ascii: "\""), opening: nil) : nil
        self.quotesEnd = end != nil
        guard let end else {
            self.isMalformed = true
            return self.skipBlank()
        }
        self.position = end
        self.append(.quoted)
    }

    private mutating func readLiteral() {
        let end = self.literalsEnd ? self.end(closing: UInt8(ascii: "]"), opening: nil) : nil
        self.literalsEnd = end != nil
        guard let end else {
            self.isMalformed = true
            return self.skipBlank()
        }
        let start = self.position
        self.position = end
        self.append(.literal(Array(self.bytes[start..<end])))
    }
}
