import Mail

/// `v=TLSRPTv1; rua=…` at `_smtp._tls` below a domain: that it wants reports, and where (RFC 8460 §3).
package struct TLSReportRecord: Hashable, Sendable {
    /// In the order in which they stand there. Some may be of no use.
    package let uris: [ReportURI]

    /// The record of a domain, from all TXT records of the name, each with its strings joined; nil if it has none or more
    /// than one.
    package init?(among texts: [String]) {
        let candidates = texts.filter { $0.hasPrefix(Self.version) && Self.fields(of: $0).dropFirst().first != nil }
        guard candidates.count == 1 else { return nil }
        self.init(candidates[0])
    }

    /// Nil for another record, and for what is none. Fields that we do not know are passed over.
    package init?(_ text: String) {
        var fields = Self.fields(of: text)[...]
        guard text.utf8.count <= Self.maximumBytes, text.hasPrefix(Self.version), fields.popFirst() == Self.version
        else {
            return nil
        }
        // The last delimiter may be the end.
        if fields.last?.isEmpty == true { fields.removeLast() }
        var uris: [ReportURI] = []
        for field in fields {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, Self.isName(parts[0]), !parts[1].isEmpty else { return nil }
            guard parts[0] == "rua" else { continue }
            let texts = parts[1].split(separator: ",", omittingEmptySubsequences: false).map { $0.withoutBlanks }
            // What has no scheme, or what would have to be encoded in a URI, is none.
            guard texts.allSatisfy({ $0.contains(":") && $0.utf8.allSatisfy(Self.isPlain) }) else { return nil }
            uris += texts.map { ReportURI(String($0)) }
        }
        guard !uris.isEmpty else { return nil }
        self.uris = uris
    }

    /// Whether an octet may stand in a URI of the list.
    private static func isPlain(_ byte: UInt8) -> Bool { byte != UInt8(ascii: "!") && HTTPSDestination.isURIByte(byte) }

    private static let version: Substring = "v=TLSRPTv1"
    /// As much as a TXT record has room for in an answer that is worth while.
    private static let maximumBytes = 8192

    private static func fields(of text: String) -> [Substring] {
        text.split(separator: ";", omittingEmptySubsequences: false).map(\.withoutBlanks)
    }

    /// `tlsrpt-ext-name`, which `rua` is, too.
    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 32 else { return false }
        return ASCII.isAlphanumeric(first)
            && text.utf8.allSatisfy { ASCII.isAlphanumeric($0) || "_-.".utf8.contains($0) }
    }
}

extension Substring {
    /// Without blanks at both ends.
    fileprivate var withoutBlanks: Substring {
        let front = self.drop { $0 == " " || $0 == "\t" }
        return front.lastIndex { $0 != " " && $0 != "\t" }.map { front[...$0] } ?? ""
    }
}

/// Where a report on TLS can go.
package enum TLSReportDestination: Hashable, Sendable {
    case mailbox(ReportDestination)
    case server(HTTPSDestination)

    /// Nil for what is neither `mailto:` nor `https:` as they are usable here.
    package init?(_ uri: ReportURI) {
        if let destination = ReportDestination(uri) {
            self = .mailbox(destination)
        } else if let destination = HTTPSDestination(uri.text) {
            self = .server(destination)
        } else {
            return nil
        }
    }
}
