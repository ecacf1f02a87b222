import Mail

/// Whose mail is taken, and for whom.
extension Importer {
    /// What Postfix calls the classes of addresses, as far as mail for them goes on.
    struct Destinations {
        var relay: [NamedDomain] = []
        /// Of `virtual_alias_domains`: who has no alias does not exist.
        var alias: [NamedDomain] = []
        /// Of `mydestination` and `virtual_mailbox_domains`, where they are handed on all the same.
        var forwarded: [NamedDomain] = []
        /// `transport:nexthop` for the domains of a class.
        var routes: [(domain: String, route: String, place: SourcePlace)] = []

        var all: [NamedDomain] {
            var seen: Set<String> = []
            return (self.relay + self.alias + self.forwarded).filter { seen.insert($0.name).inserted }
        }
    }

    mutating func convertRelay() {
        self.convertNetworks()
        let aliases = self.entries(self.value("virtual_alias_maps"))
        let transports = self.transportEntries()
        var destinations = Destinations()
        self.findRelayDomains(&destinations)
        self.findAliasDomains(aliases, transports, &destinations)
        self.findMailboxDomains(transports, &destinations)
        self.findLocalDomains(transports, &destinations)
        self.writeDomains(destinations)
        self.convertRecipients(destinations, aliases)
        self.convertTransport(transports, destinations)
        self.convertPostmaster(aliases)
    }

    // MARK: Networks

    private mutating func convertNetworks() {
        let value = self.value("mynetworks", in: self.services.smtpd)
        let style = self.value("mynetworks_style")
        guard value.isSet else { return self.convertNetworkStyle(value, style) }
        if style.isSet { self.mark(style, .ignored, why: "mynetworks is set, which counts instead") }
        var networks: [String] = []
        for word in value.words {
            guard let network = MatchList.network(word) else {
                self.warn(
                    value, word: word, "mynetworks: '\(word)' is not a network, and is left out: it relays no more")
                continue
            }
            let isHuge = network.prefixLength < (network.base.width == 32 ? 16 : 32) && !network.base.isLoopback
            if isHuge {
                self.warn(value, word: word, "mynetworks: \(network) are very many hosts, and each may send to anybody")
            }
            if !networks.contains(network.description) { networks.append(network.description) }
        }
        self.set("relay_networks", .list(networks.map { .init(text: $0) }), from: value)
    }

    private mutating func convertNetworkStyle(_ value: Value, _ style: Value) {
        let text = style.text.lowercased()
        self.yaml.set(
            "relay_networks", .list([.init(text: "127.0.0.0/8"), .init(text: "::1/128")]),
            comments: ["\(style.name) = \(text): add this machine's own addresses, or its networks, if they may relay."]
        )
        self.mark(style, .converted, key: "relay_networks")
        self.warn(
            style.isSet ? style : value,
            "mynetworks is not set: with mynetworks_style = \(text) "
                + (text == "host" ? "this machine itself may relay" : "every host of this machine's networks may relay")
                + "; relay_networks has the loopback only: add what is meant")
    }

    // MARK: Domains

    private func matchesSubdomains(_ name: String) -> Bool {
        self.value("parent_domain_matches_subdomains").words.contains(name)
    }

    private mutating func findRelayDomains(_ destinations: inout Destinations) {
        let value = self.value("relay_domains")
        let hasParents = self.matchesSubdomains("relay_domains")
        let named = self.domains(value, hasParents: hasParents)
        let ownNames = Set(self.localNames())
        // The default of old levels is $mydestination.
        destinations.relay =
            value.isSet ? named : named.filter { !ownNames.contains($0.name.drop { $0 == "." }.description) }
        self.mark(value, .converted, key: "relay_domains")
        let first = destinations.relay.first { !$0.name.hasPrefix(".") }
        guard hasParents, let first, value.isSet else { return }
        self.ownRelayedNames = ownNames.filter { name in
            destinations.relay.contains { name.hasSuffix($0.name.hasPrefix(".") ? $0.name : ".\($0.name)") }
        }.sorted()
        self.mark("parent_domain_matches_subdomains", .converted, key: "relay_domains")
        let open = self.value("relay_recipient_maps").isEmpty
        self.warn(
            value,
            "relay_domains stands in parent_domain_matches_subdomains, so that \(first.name) also takes mail for every "
                + "name below it" + (open ? ", to any address, which goes where its MX records say" : "")
                + "; here as .\(first.name), which can go if you have no such names")
    }

    func localNames() -> [String] {
        self.value("mydestination").words.compactMap { DomainName($0)?.ascii }
    }

    private mutating func findAliasDomains(
        _ aliases: [TableEntry], _ transports: [TableEntry], _ destinations: inout Destinations
    ) {
        let value = self.value("virtual_alias_domains")
        var named: [NamedDomain] = []
        if value.isSet {
            named = self.domains(value, hasParents: false)
        } else {
            // The default: keys of the aliases that are domains.
            for entry in aliases where !entry.key.contains("@") && entry.key.contains(".") {
                if let name = DomainName(entry.key) { named.append(NamedDomain(name: name.ascii, place: entry.place)) }
            }
        }
        let relayed = Set(destinations.relay.map(\.name))
        for domain in named {
            if relayed.contains(domain.name) {
                self.warn(
                    domain.place,
                    "\(domain.name) is listed in virtual_alias_domains and in relay_domains: the first wins, so that "
                        + "only addresses with an alias exist")
                destinations.alias.append(domain)
            } else if transports.contains(where: { $0.key == domain.name }) {
                destinations.alias.append(domain)
            } else {
                self.warn(
                    domain.place,
                    "unsupported: \(domain.name) is a domain of aliases only. Postern rewrites no addresses: its mail "
                        + "is refused; let the primary have the aliases, and relay the domain")
            }
        }
        guard value.isSet else { return }
        if destinations.alias.isEmpty, !named.isEmpty {
            self.mark(value, .unsupported, why: "Postern rewrites no addresses: mail for these domains is refused")
        } else {
            self.mark(
                value, named.isEmpty ? .ignored : .converted, key: named.isEmpty ? nil : "relay_domains",
                why: named.isEmpty ? "it names no domains" : "addresses without an alias are refused")
        }
    }

    private mutating func findMailboxDomains(_ transports: [TableEntry], _ destinations: inout Destinations) {
        let value = self.value("virtual_mailbox_domains")
        guard value.isSet, !value.isEmpty else { return }
        let transport = self.value("virtual_transport")
        let route = self.smtpRoute(transport.text)
        let named = self.domains(value, hasParents: false)
        let handedOn = named.filter { domain in route != nil || transports.contains { $0.key == domain.name } }
        destinations.forwarded += handedOn
        if let route {
            destinations.routes += handedOn.map { ($0.name, route, $0.place) }
            self.mark(transport, .converted, key: "transport")
        }
        guard handedOn.isEmpty else { return self.mark(value, .converted, key: "relay_domains") }
        self.mark(
            value, .unsupported,
            why:
                "Postern has no mailboxes: mail for these domains is refused; make this machine a relay in front of "
                + "the server that has them, and list them in relay_domains")
        self.warn(value, "unsupported: virtual_mailbox_domains: mail for mailboxes of this machine is refused")
    }

    private mutating func findLocalDomains(_ transports: [TableEntry], _ destinations: inout Destinations) {
        let value = self.value("mydestination")
        let transport = self.value("local_transport")
        let route = self.smtpRoute(transport.text)
        let relayed = Set(destinations.relay.map(\.name))
        var lost: [String] = []
        for domain in self.domains(value, hasParents: false) where !relayed.contains(domain.name) {
            if let route {
                destinations.routes.append((domain.name, route, domain.place))
                destinations.forwarded.append(domain)
            } else if transports.contains(where: { $0.key == domain.name && self.smtpRoute($0.value) != nil }) {
                destinations.forwarded.append(domain)
            } else {
                lost.append(domain.name)
            }
        }
        guard !lost.isEmpty else {
            return value.isEmpty ? self.mark(value, .default) : self.mark(value, .converted, key: "relay_domains")
        }
        self.mark(
            value, .unsupported,
            why: "Postern delivers nothing on this machine: mail for \(lost.joined(separator: ", ")) is refused")
        self.warn(
            value,
            "unsupported: mail for \(lost.joined(separator: ", ")) is delivered on this machine (mydestination); here "
                + "it is refused with 'Relay access denied'. Send cron's and root's mail to the primary instead")
        if self.isSet("local_recipient_maps"), self.value("local_recipient_maps").isEmpty {
            self.warn(
                self.value("local_recipient_maps"),
                "local_recipient_maps is empty: mail for every address of mydestination is taken, and what nobody has "
                    + "is returned to forged senders")
        }
    }

    private mutating func writeDomains(_ destinations: Destinations) {
        let value = self.value("relay_domains")
        let names = destinations.all.map(\.name)
        guard names.count > 40 else {
            self.yaml.set(
                "relay_domains", .list(names.map { .init(text: $0) }),
                comments: [self.comment(value)]
                    + (names.contains { $0.hasPrefix(".") } ? ["'.example.com' is what is below example.com."] : []))
            return
        }
        let text =
            "# Domains whose mail is taken; .example.com is what is below example.com.\n"
            + names.map { "\($0) OK\n" }.joined()
        let file = self.tables.add("relay_domains", text)
        self.yaml.set("relay_domains", .scalar("texthash:\(file)"), comments: [self.comment(value)])
    }
}
