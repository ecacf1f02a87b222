package import Mail

/// One restriction of a list, by Postfix's name for it (SEMANTICS §2).
package indirect enum Restriction: Sendable {
    case permit, reject, `defer`, deferIfPermit, deferIfReject
    case sleep(Duration)
    /// `permit_mynetworks`: clients of `relay_networks`.
    case permitNetworks
    /// `permit_inet_interfaces`: this machine itself.
    case permitLocalClient
    case permitAuthorizedDestination
    case rejectUnauthorizedDestination(isTemporary: Bool)
    case rejectUnauthorizedPipelining
    case rejectPlaintextSession
    /// `permit_tls_clientcerts`: clients whose certificates are listed (Postfix's `relay_clientcerts`).
    case permitListedCertificate
    /// `permit_tls_all_clientcerts`: clients whose certificates lead to an authority that is trusted.
    case permitTrustedCertificate
    case rejectMultiRecipientNotice
    case rejectUnknownClientName
    case rejectUnknownReverseClientName
    case rejectInvalidHELO, rejectNonFQDNHELO, rejectUnknownHELO
    case rejectNonFQDN(AddressClass)
    case rejectUnknownDomain(AddressClass)
    case rejectUnlisted(AddressClass)
    case rejectUnverified(AddressClass)
    case access(NameSubject, RuleTable)
    case certificateAccess(RuleTable)
    case serverAccess(NameSubject, ServerRecord, RuleTable)
    /// `reject_rbl_client`, and `permit_dnswl_client` if it permits.
    case addressList(DNSList, permits: Bool)
    /// `reject_rhsbl_...`, and `permit_rhswl_client` if it permits.
    case domainList(NameSubject, DNSList, permits: Bool)
    case policyService(String)
    case checkSPF
    case greylist
    case list(RestrictionList)
    /// Accepted because files have it, and without any effect here; the text says why.
    case nothing(String)

    /// Whose name or address is looked up.
    package enum NameSubject: Sendable { case client, reverseClient, helo, sender, recipient }

    /// Which of a domain's servers are looked up.
    package enum ServerRecord: Sendable { case a, mx, ns }
}

/// Restrictions that are tried in their order until one of them decides.
package struct RestrictionList: Sendable {
    /// `recipient`, or the name of a restriction class.
    package let name: String
    package let items: [Item]

    package struct Item: Sendable {
        package let restriction: Restriction
        /// As it is written: `check_sender_access pcre:senders`.
        package let text: String
        /// `warn_if_reject` stands before it.
        package let onlyWarns: Bool
        package let file: String?
        package let line: Int?

        package init(_ restriction: Restriction, text: String, onlyWarns: Bool, file: String?, line: Int?) {
            self.restriction = restriction
            self.text = text
            self.onlyWarns = onlyWarns
            self.file = file
            self.line = line
        }
    }

    package init(name: String, items: [Item]) {
        self.name = name
        self.items = items
    }

    /// Every table that is asked, those of classes included.
    package var tables: [RuleTable] {
        self.items.flatMap { item -> [RuleTable] in
            switch item.restriction {
            case .access(_, let table), .serverAccess(_, _, let table), .certificateAccess(let table): [table]
            case .list(let list): list.tables
            case .permit, .reject, .defer, .deferIfPermit, .deferIfReject, .sleep, .permitNetworks,
                .permitLocalClient, .permitAuthorizedDestination, .rejectUnauthorizedDestination,
                .rejectUnauthorizedPipelining, .rejectPlaintextSession, .permitListedCertificate,
                .permitTrustedCertificate, .rejectMultiRecipientNotice, .rejectUnknownClientName,
                .rejectUnknownReverseClientName, .rejectInvalidHELO, .rejectNonFQDNHELO,
                .rejectUnknownHELO, .rejectNonFQDN, .rejectUnknownDomain, .rejectUnlisted, .rejectUnverified,
                .addressList, .domainList, .policyService, .checkSPF, .greylist, .nothing:
                []
            }
        }
    }

    /// Whether a table of patterns is asked.
    var hasPatterns: Bool { self.tables.contains { $0.hasPatterns } }
}

/// `domain` or `domain=filter`, as `reject_rbl_client` takes it.
package struct DNSList: Hashable, Sendable, CustomStringConvertible {
    /// Lower case.
    package let zone: String
    package let filter: DNSBLFilter?

    package init(_ text: String) throws(OptionProblem) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let zone = parts.first, HostSyntax.isHostName(zone) else {
            throw OptionProblem("'\(text)' is not a list such as zen.spamhaus.org=127.0.0.[2..11]")
        }
        guard !text.contains("*") else { throw OptionProblem("'\(text)': a weight belongs into screener.dnsbl") }
        self.zone = zone.asciiLowercased
        do { self.filter = try parts.count == 2 ? DNSBLFilter(parts[1]) : nil } catch {
            throw OptionProblem("'\(text)': \(error)")
        }
    }

    package var description: String { "\(self.zone)\(self.filter.map { "=\($0)" } ?? "")" }
}

/// The lists of a transaction, by what is known when they are asked.
package enum Stage: String, CaseIterable, Sendable {
    case client, helo, sender, relay, recipient, data
    case endOfData = "end_of_data"
}

/// Everything that decides who may send what to whom, of one generation.
package struct RestrictionPolicy: Sendable {
    package var lists: [Stage: RestrictionList]
    package var classes: [String: RestrictionList]
    package var relay: RelayPolicy
    package let options: RestrictionOptions
    /// What a transport table says of a recipient that is never taken: `error:`, `retry:`.
    package let routeRefusal: @Sendable (Mailbox) -> Reply?
    /// Relay domains whose recipients are asked for elsewhere when the tables do not have them.
    package let asksElsewhere: @Sendable (DomainName) -> Bool
    /// What a DNS list is called in replies, where its zone holds a key.
    package let listNames: [String: String]
    /// Fingerprints of certificates, or of their keys, whose clients `permit_tls_clientcerts` permits; what a table
    /// says of them does not matter. Nil permits nobody.
    package let clientCertificates: RuleTable?
    /// Whether HELO and MAIL are accepted whatever their lists say, and their refusals come at RCPT.
    package let delaysRefusals: Bool
    /// Whether a table of patterns is asked, which may take time.
    package let hasPatterns: Bool

    package init(
        lists: [Stage: RestrictionList], classes: [String: RestrictionList] = [:], relay: RelayPolicy,
        options: RestrictionOptions = RestrictionOptions(),
        routeRefusal: @escaping @Sendable (Mailbox) -> Reply? = { _ in nil },
        asksElsewhere: @escaping @Sendable (DomainName) -> Bool = { _ in false }, listNames: [String: String] = [:],
        clientCertificates: RuleTable? = nil, delaysRefusals: Bool = true
    ) {
        self.lists = lists
        self.classes = classes
        self.relay = relay
        self.options = options
        self.routeRefusal = routeRefusal
        self.asksElsewhere = asksElsewhere
        self.listNames = listNames
        self.clientCertificates = clientCertificates
        self.delaysRefusals = delaysRefusals
        self.hasPatterns =
            (Array(lists.values) + Array(classes.values)).contains(where: \.hasPatterns)
            || clientCertificates?.hasPatterns ?? false
    }
}

extension RestrictionPolicy {
    /// The lists that hold where none are configured: who may relay, and nothing else.
    package static func relayOnly(_ relay: RelayPolicy) -> RestrictionPolicy {
        let items = [
            RestrictionList.Item(
                .permitNetworks, text: "permit_mynetworks", onlyWarns: false, file: nil, line: nil),
            RestrictionList.Item(
                .rejectUnauthorizedDestination(isTemporary: false), text: "reject_unauth_destination",
                onlyWarns: false, file: nil, line: nil),
        ]
        return RestrictionPolicy(lists: [.relay: RestrictionList(name: "relay", items: items)], relay: relay)
    }
}
