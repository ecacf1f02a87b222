import Mail

/// Whether a domain may have its reports sent to somebody else (RFC 7489 §7.1).
package struct DestinationCheck: Sendable {
    /// The domain that a registry has given somebody, such as `example.co.uk` for what is below it.
    package typealias Organization = @Sendable (String) -> String
    /// The TXT records of a name, each with its strings joined; empty if there are none, nil if nobody knows.
    package typealias Texts = @Sendable (String) async -> [String]?

    private let organization: Organization
    private let texts: Texts

    package init(organizationalDomain: @escaping Organization, texts: @escaping Texts) {
        self.organization = organizationalDomain
        self.texts = texts
    }

    package enum Verdict: Hashable, Sendable {
        /// To these.
        case allowed([ReportDestination])
        /// Whoever it is does not want them. The text is for the log.
        case refused(String)
        /// A name server did not answer: to be asked again.
        case unknown
    }

    /// - Parameter domain: where the policy was found, in lower case.
    package func verdict(on destination: ReportDestination, for domain: String) async -> Verdict {
        let host = destination.domain.ascii
        if self.organization(host) == self.organization(domain) { return .allowed([destination]) }
        let name = "\(domain)._report._dmarc.\(host)"
        guard name.utf8.count <= 253 else { return .refused("the name to ask is too long") }
        guard let texts = await self.texts(name) else { return .unknown }
        let records = texts.compactMap { ExternalReportRecord($0) }
        guard !records.isEmpty else { return .refused("\(host) does not want reports on \(domain)") }
        let others = records.flatMap(\.uris)
        guard !others.isEmpty else { return .allowed([destination]) }
        // They replace it, but only within the same host, and not by as many as somebody likes.
        let replaced = others.compactMap { ReportDestination($0) }.filter { $0.domain == destination.domain }
            .prefix(DMARCObservation.PublishedPolicy.maximumDestinations)
        return replaced.isEmpty ? .allowed([destination]) : .allowed(Array(replaced))
    }
}

/// `v=DMARC1; rua=mailto:…` at a name below `_report._dmarc`.
package struct ExternalReportRecord: Hashable, Sendable {
    /// In place of those that the policy names; empty if it names none.
    package let uris: [ReportURI]

    /// Nil for another record.
    package init?(_ text: String) {
        let tags = text.split(separator: ";").map { part in
            part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { $0.trimmed }
        }
        guard let first = tags.first, first.count == 2, first[0].equalsIgnoringCase("v"), first[1] == "DMARC1" else {
            return nil
        }
        let list = tags.first { $0.count == 2 && $0[0].equalsIgnoringCase("rua") }
        self.uris = list.map { ReportURIList($0[1]).uris } ?? []
    }
}

extension Substring {
    /// Without white space at both ends.
    fileprivate var trimmed: Substring {
        let front = self.drop(while: \.isWhitespace)
        return front.lastIndex { !$0.isWhitespace }.map { front[...$0] } ?? ""
    }
}
