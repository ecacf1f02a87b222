package import Mail

/// A mailbox that reports can go to.
package struct ReportDestination: Hashable, Sendable {
    package let mailbox: Mailbox
    package let limitBytes: Int?
    /// The domain of the mailbox.
    let domain: DomainName

    /// Nil for what is no `mailto:` URI of one ASCII mailbox at a domain (RFC 6068 §2): no other scheme is in use.
    package init?(_ uri: ReportURI) {
        guard let colon = uri.text.firstIndex(of: ":"), uri.text[..<colon].equalsIgnoringCase("mailto") else {
            return nil
        }
        let address = uri.text[uri.text.index(after: colon)...].prefix { $0 != "?" }
        // `%2C` could hide a second mailbox, but no mailbox has a comma outside of quotes.
        guard let decoded = Self.percentDecoded(address), decoded.isASCII, let mailbox = Mailbox(decoded),
            case .name(let domain) = mailbox.domain
        else { return nil }
        self.mailbox = mailbox
        self.limitBytes = uri.limitBytes
        self.domain = domain
    }

    private static func percentDecoded(_ text: Substring) -> String? {
        var scanner = ByteScanner(text)
        var bytes: [UInt8] = []
        while let byte = scanner.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = scanner.next(), let low = scanner.next(), ASCII.isHexDigit(high), ASCII.isHexDigit(low),
                let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
        }
        return String(validatingUTF8: bytes[...])
    }
}

/// Reads a list of `rua`: URIs with `!` and a size behind them (RFC 7489 §6.2).
package struct ReportURIList: Hashable, Sendable {
    package let uris: [ReportURI]

    /// What cannot be read is left out.
    package init(_ text: some StringProtocol) {
        self.uris = text.split(separator: ",").compactMap { part in
            let blanks: (Character) -> Bool = { $0 == " " || $0 == "\t" }
            let trimmed = part.drop(while: blanks).reversed().drop(while: blanks).reversed()
            let pieces = String(trimmed).split(separator: "!", omittingEmptySubsequences: false)
            guard let uri = pieces.first, uri.contains(":"), pieces.count <= 2 else { return nil }
            guard pieces.count == 2 else { return ReportURI(String(uri)) }
            return Self.bytes(pieces[1]).map { ReportURI(String(uri), limitBytes: $0) }
        }
    }

    /// Powers of two, as the RFC says; nil for what is no size.
    private static func bytes(_ text: Substring) -> Int? {
        let digits = text.utf8.prefix(while: ASCII.isDigit)
        guard let count = Int(Substring(digits)) else { return nil }
        let shift: Int
        switch text.utf8.dropFirst(digits.count).map(ASCII.lowercased) {
        case []: shift = 0
        case [UInt8(ascii: "k")]: shift = 10
        case [UInt8(ascii: "m")]: shift = 20
        case [UInt8(ascii: "g")]: shift = 30
        case [UInt8(ascii: "t")]: shift = 40
        default: return nil
        }
        // Above that it is no limit to us.
        return count > Int.max >> shift ? Int.max : count << shift
    }
}
