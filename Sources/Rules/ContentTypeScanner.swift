import Mail

/// Takes the value of a Content-Type field apart (RFC 2045 §5.1): items between semicolons, each of which is a list of
/// words, quoted strings and single special characters; comments and white space are left out.
struct ContentTypeScanner {
    enum Token: Hashable {
        case word([UInt8])
        /// Unquoted and unfolded.
        case quoted([UInt8])
        case special(UInt8)

        var text: [UInt8] {
            switch self {
            case .word(let text), .quoted(let text): text
            case .special(let byte): [byte]
            }
        }

        /// It is this word, given in lower case.
        func isWord(_ text: StaticString) -> Bool {
            guard case .word(let word) = self, word.count == text.utf8CodeUnitCount else { return false }
            return text.withUTF8Buffer { $0.elementsEqual(word.lazy.map(ASCII.lowercased)) }
        }
    }

    /// No item needs more: `boundary`, `=` and its value.
    private static let limit = 3

    private var scanner: ByteScanner

    /// - Parameter value: an unfolded field behind its colon. It ends at a NUL, as it does for others.
    init(_ value: ArraySlice<UInt8>) {
        self.scanner = ByteScanner(value.prefix { $0 != 0 })
    }

    /// The first tokens of the next item; nil if there is none, or nothing behind the last semicolon.
    mutating func nextItem() -> [Token]? {
        var tokens: [Token] = []
        while let byte = self.scanner.peek {
            if byte == UInt8(ascii: ";") {
                _ = self.scanner.next()
                return tokens
            }
            guard let token = self.nextToken(), tokens.count < Self.limit else { continue }
            tokens.append(token)
        }
        return tokens.isEmpty ? nil : tokens
    }

    /// Nil for white space and comments.
    private mutating func nextToken() -> Token? {
        if self.scanner.skip("\"") { return .quoted(self.readQuoted()) }
        if self.scanner.skip("(") {
            self.skipComment()
            return nil
        }
        let word = self.scanner.read { !Self.endsWord($0) }
        if !word.isEmpty { return .word(Array(word)) }
        guard let byte = self.scanner.next(), !Self.isSpace(byte) else { return nil }
        return .special(byte)
    }

    /// Comments nest.
    private mutating func skipComment() {
        var depth = 1
        while depth > 0, let byte = self.scanner.next() {
            switch byte {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"): depth -= 1
            case UInt8(ascii: "\\"): _ = self.scanner.next()
            default: break
            }
        }
    }

    /// A line end goes, with the white space before it.
    private mutating func readQuoted() -> [UInt8] {
        var text: [UInt8] = []
        while let byte = self.scanner.next(), byte != UInt8(ascii: "\"") {
            switch byte {
            case ASCII.lineFeed:
                while let last = text.last, Self.isSpace(last) { text.removeLast() }
            case UInt8(ascii: "\\"):
                if let quoted = self.scanner.next() { text.append(quoted) }
            default: text.append(byte)
            }
        }
        return text
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        ASCII.isBlank(byte) || byte == ASCII.lineFeed || byte == ASCII.carriageReturn
    }

    /// White space, controls and the tspecials of RFC 2045 §5.1.
    private static func endsWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "@"),
            UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: ":"), UInt8(ascii: "\\"), UInt8(ascii: "\""),
            UInt8(ascii: "/"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "?"), UInt8(ascii: "="):
            true
        default: byte <= ASCII.space || byte == 0x7F
        }
    }
}
