import Mail

/// What an `https:` URI names: to whom to connect, and what to ask them for (RFC 3986, RFC 9110 §4.2.2).
///
/// Somebody whom nobody here knows has written it. Therefore it has no user, and a name that a certificate can be for: a
/// server within our own network has none for a name of theirs.
package struct HTTPSDestination: Hashable, Sendable, CustomStringConvertible {
    /// To whom to connect.
    package struct Server: Hashable, Sendable, CustomStringConvertible {
        /// In lower case and ASCII, without a dot at the end, with one within.
        package let host: String
        package let port: Int

        package var description: String { "\(self.host):\(self.port)" }
    }

    package let server: Server
    /// Path and query, as they stand in a request.
    package let target: String

    package static let maximumBytes = 1000

    /// Nil for another URI.
    package init?(_ text: some StringProtocol) {
        var scanner = ByteScanner(text)
        guard text.utf8.count <= Self.maximumBytes, scanner.skip(ignoringCase: "https://"),
            scanner.rest.allSatisfy(Self.isURIByte)
        else { return nil }
        let name = scanner.read { ASCII.isAlphanumeric($0) || $0 == ASCII.dot || $0 == UInt8(ascii: "-") }
        guard let host = DomainName(String(decoding: name, as: UTF8.self)), Self.isName(host),
            let port = Self.port(&scanner)
        else { return nil }
        let target = scanner.read { $0 != UInt8(ascii: "#") }
        switch target.first {
        case UInt8(ascii: "/"): self.target = String(decoding: target, as: UTF8.self)
        case nil: self.target = "/"
        case UInt8(ascii: "?"): self.target = "/\(String(decoding: target, as: UTF8.self))"
        default: return nil
        }
        self.server = Server(host: host.ascii, port: port)
    }

    package var description: String { "https://\(self.server)\(self.target)" }

    /// No address, and not only a label.
    private static func isName(_ host: DomainName) -> Bool {
        guard host.ascii.utf8.count <= 253, host.labelCount > 1, let last = host.ascii.split(separator: ".").last else {
            return false
        }
        // What ends in a number would be an address to others (WHATWG URL §3.5).
        return !last.utf8.allSatisfy(ASCII.isDigit) && !last.hasPrefix("0x")
    }

    /// Nil for what is no port.
    private static func port(_ scanner: inout ByteScanner) -> Int? {
        guard scanner.skip(":") else { return 443 }
        let digits = scanner.read(while: ASCII.isDigit)
        guard !digits.isEmpty else { return 443 }
        return Int(String(decoding: digits, as: UTF8.self)).flatMap { 1...65_535 ~= $0 ? $0 : nil }
    }

    static func isURIByte(_ byte: UInt8) -> Bool {
        0x21...0x7E ~= byte && !"\"<>\\^`{|}".utf8.contains(byte)
    }
}
