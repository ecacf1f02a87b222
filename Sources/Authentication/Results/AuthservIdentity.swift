import Mail

/// Our authserv-id, and whether a field claims to have it.
struct AuthservIdentity: Sendable {
    /// In lower case, with A-labels if it is a domain.
    private let key: String

    init(_ authservID: String) {
        self.key = Self.key(authservID)
    }

    private static func key(_ text: String) -> String {
        let name = text.hasSuffix(".") ? text.dropLast() : text[...]
        return DomainName(name)?.ascii ?? name.asciiLowercased
    }

    /// Whether any reader could take the field for ours.
    ///
    /// Readers differ in what they do with comments, quotation marks and what is broken. To take out a field of nobody
    /// costs nothing, to leave one that a reader believes is what this is for.
    ///
    /// - Parameter rest: of the field, from behind its name.
    func isClaimed(by rest: ArraySlice<UInt8>) -> Bool {
        let value = rest.drop { $0 != UInt8(ascii: ":") }
        let isBlank = { (byte: UInt8) in ASCII.isBlank(byte) || byte == ASCII.carriageReturn || byte == ASCII.lineFeed }
        guard !value.isEmpty, rest[..<value.startIndex].allSatisfy(isBlank) else { return false }
        var reader = ResultsReader(Array(value.dropFirst()))
        if let text = reader.readValue(), Self.key(text) == self.key { return true }
        let name = Self.firstName(value.dropFirst(), commentsEnd: true)
        return Self.key(name.isEmpty ? Self.firstName(value.dropFirst(), commentsEnd: false) : name) == self.key
    }

    /// The first run of octets that a domain may have, as if comments, quotation marks and backslashes were not there.
    ///
    /// - Parameter commentsEnd: comments are skipped; otherwise an opening parenthesis is a blank.
    private static func firstName(_ bytes: ArraySlice<UInt8>, commentsEnd: Bool) -> String {
        var name: [UInt8] = []
        var depth = 0
        for byte in bytes {
            if commentsEnd, byte == UInt8(ascii: "(") {
                depth += 1
            } else if depth > 0 {
                if byte == UInt8(ascii: ")") { depth -= 1 }
            } else if ASCII.isAlphanumeric(byte) || byte >= 0x80 || "-._".utf8.contains(byte) {
                name.append(byte)
            } else if !name.isEmpty, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                break
            }
            if name.count > 1024 { break }
        }
        return String(decoding: name, as: UTF8.self)
    }
}
