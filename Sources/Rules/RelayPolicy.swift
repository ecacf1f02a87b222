package import Mail

/// Which domains a list names: a domain itself, and with a leading dot the domains below it.
///
/// Unlike Postfix's `relay_domains`, `example.com` does not stand for `www.example.com`: nobody who writes it
/// means to take mail for names that have no route and no recipients.
package struct DomainSet: Sendable {
    private let names: Set<String>

    /// - Parameter keys: domains, `.domains`; addresses and `*`, which a transport table has too, are no domains.
    package init(keys: some Sequence<String>) {
        self.names = Set(keys.lazy.filter { $0 != "*" && !$0.contains("@") })
    }

    package func contains(_ domain: DomainName) -> Bool {
        AddressKeys.domain(domain.ascii).contains(where: self.names.contains)
    }

    package var isEmpty: Bool { self.names.isEmpty }

    package var sorted: [String] { self.names.sorted() }
}

/// Who may send what to whom: the list that makes an open relay or none, and that nothing else touches (STYLE §13).
package struct RelayPolicy: Sendable {
    /// What is accepted for domains of which no recipient is known; it makes backscatter.
    package enum Unverified: Sendable, Equatable {
        case refused
        case accepted
        case acceptedFor(Set<String>)
    }

    private let relayDomains: DomainSet
    private let relayNetworks: [IPNetwork]
    private let recipients: [TextTable]
    private let recipientDomains: Set<String>
    private let unverified: Unverified
    private let postmaster: Mailbox?
    package let keys: AddressKeys
    /// Recipients that are taken for ours without standing anywhere, for trying rules out.
    private var assumed: Set<Mailbox> = []

    /// - Parameters:
    ///   - recipients: the addresses that exist, in any of these.
    ///   - postmaster: who gets mail to `postmaster` without a domain.
    package init(
        relayDomains: DomainSet, relayNetworks: [IPNetwork], recipients: [TextTable], unverified: Unverified,
        postmaster: Mailbox?, delimiter: Character?
    ) {
        self.relayDomains = relayDomains
        self.relayNetworks = relayNetworks
        self.recipients = recipients
        self.recipientDomains = recipients.reduce(into: []) { $0.formUnion($1.domains) }
        self.unverified = unverified
        self.postmaster = postmaster
        self.keys = AddressKeys(delimiter: delimiter)
    }

    /// Whether a client may send to anybody.
    package func trusts(_ client: IPAddress) -> Bool { self.relayNetworks.contains { $0.contains(client) } }

    /// The same with some recipients more.
    package func assuming(_ recipients: [Mailbox]) -> RelayPolicy {
        var policy = self
        policy.assumed.formUnion(recipients)
        return policy
    }

    private func isOurs(_ domain: DomainName) -> Bool {
        self.relayDomains.contains(domain) || self.assumed.contains { $0.domain == .name(domain) }
    }

    /// Whose mail it is; nil if nobody is the postmaster.
    package func mailbox(for path: ForwardPath) -> Mailbox? {
        switch path {
        case .mailbox(let mailbox): mailbox
        case .postmaster: self.postmaster
        }
    }

    /// Whether anybody may send there: a domain of ours, and no address that asks to be sent onwards.
    package func relays(_ mailbox: Mailbox) -> Bool {
        guard case .name(let domain) = mailbox.domain else { return false }
        return self.isOurs(domain) && !mailbox.localPart.routesOnward
    }

    /// Whether an address exists; nil if its domain is none of ours.
    package func knows(_ mailbox: Mailbox) -> Bool? {
        guard case .name(let domain) = mailbox.domain, self.isOurs(domain) else { return nil }
        return self.isKnown(mailbox, domain)
    }

    /// Whether a table has the address, or its domain for all of them.
    package func lists(_ mailbox: Mailbox) -> Bool {
        if self.assumed.contains(mailbox) { return true }
        let keys = self.keys.recipient(mailbox)
        return self.recipients.contains { table in keys.contains { table[$0] != nil } }
    }

    private func isKnown(_ mailbox: Mailbox, _ domain: DomainName) -> Bool {
        if self.lists(mailbox) { return true }
        guard !self.assumed.contains(where: { $0.domain == mailbox.domain }) else { return false }
        guard !self.recipientDomains.contains(domain.ascii) else { return false }
        switch self.unverified {
        case .refused: return false
        case .accepted: return true
        case .acceptedFor(let domains): return domains.contains(domain.ascii)
        }
    }

    /// Relay domains of which no recipient is known and none will be accepted, for a warning.
    package var domainsWithoutRecipients: [String] {
        self.relayDomains.sorted.filter { name in
            guard !name.hasPrefix("."), !self.recipientDomains.contains(name) else { return false }
            switch self.unverified {
            case .refused: return true
            case .accepted: return false
            case .acceptedFor(let domains): return !domains.contains(name)
            }
        }
    }
}
