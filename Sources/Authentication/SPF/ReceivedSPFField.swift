import Mail

/// The trace field that tells what came of a check (RFC 7208 §9.1).
///
/// What a peer said stands in it only as printable ASCII, cut, and quoted where it must be.
package struct ReceivedSPFField: Sendable {
    private let result: SPFResult
    private let check: SPFCheck

    /// Octets of one value.
    private static let maximumValueBytes = 320
    /// Octets of a line without its end (RFC 5322 §2.1.1).
    private static let lineBytes = 78

    package init(_ result: SPFResult, of check: SPFCheck) {
        self.result = result
        self.check = check
    }

    /// The field with its line ends. A line is longer than 78 octets only where a value alone is.
    package var text: String {
        var lines: [String] = []
        var line = "Received-SPF:"
        for word in self.words {
            if line.utf8.count + 1 + word.utf8.count > Self.lineBytes {
                lines.append(line)
                line = "\t\(word)"
            } else {
                line += " \(word)"
            }
        }
        lines.append(line)
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    /// What may stand on lines of its own.
    private var words: [String] {
        [self.result.result.rawValue] + "(\(Self.commented(self.comment)))".split(separator: " ").map(String.init)
            + self.pairs.map { "\($0)=\($1);" }
    }

    private var comment: String {
        let (domain, client) = ("the domain \(self.result.domain)", "\(self.check.client)")
        let claim =
            switch self.result.result {
            case .pass: "\(domain) designates \(client) as permitted sender"
            case .fail: "\(domain) does not permit \(client) to send"
            case .softfail: "\(domain) would rather not have \(client) send"
            case .neutral: "\(domain) says neither yes nor no to \(client)"
            case .none: "\(domain) has no policy"
            case .temperror: "the policy of \(domain) could not be looked up"
            case .permerror: "the policy of \(domain) cannot be understood"
            }
        return "\(self.check.receiver): \(claim)"
    }

    private var pairs: [(String, String)] {
        let sender = self.check.sender(of: self.result.identity)
        var pairs = [
            ("receiver", Self.value(self.check.receiver)), ("client-ip", Self.value("\(self.check.client)")),
            ("envelope-from", Self.quoted("\(sender.localPart)@\(sender.domain)")),
            ("helo", Self.value(self.check.helo)), ("identity", self.result.identity.rawValue),
        ]
        if let mechanism = self.result.mechanism { pairs.append(("mechanism", Self.value(mechanism))) }
        switch self.result.result {
        case .temperror, .permerror: pairs.append(("problem", Self.quoted(self.result.why ?? "unknown")))
        case .none, .neutral, .pass, .fail, .softfail: break
        }
        return pairs
    }

    /// A dot-atom, or else a quoted string (RFC 5322 §3.2.3, §3.2.4).
    private static func value(_ text: String) -> String {
        let atoms = text.utf8.split(separator: ASCII.dot, omittingEmptySubsequences: false)
        let isDotAtom =
            text.utf8.count <= Self.maximumValueBytes
            && atoms.allSatisfy { atom in
                !atom.isEmpty
                    && atom.allSatisfy { ASCII.isAlphanumeric($0) || "!#$%&'*+-/=?^_`{|}~".utf8.contains($0) }
            }
        return isDotAtom ? text : Self.quoted(text)
    }

    private static func quoted(_ text: String) -> String {
        var output: [UInt8] = []
        for byte in Self.printable(text) {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
            output.append(byte)
        }
        return "\"\(String(decoding: output, as: UTF8.self))\""
    }

    /// A comment ends, nests and escapes with characters of its own (RFC 5322 §3.2.2).
    private static func commented(_ text: String) -> String {
        String(decoding: Self.printable(text).map { "()\\".utf8.contains($0) ? UInt8(ascii: "?") : $0 }, as: UTF8.self)
    }

    private static func printable(_ text: String) -> [UInt8] {
        text.utf8.prefix(Self.maximumValueBytes).map { 0x20...0x7E ~= $0 ? $0 : UInt8(ascii: "?") }
    }
}
