package import Forwarder
import Greylist
package import Mail
import Queue
package import Receiver
import Rules
package import Screener

/// Configuration and tables of one moment, read and checked completely, and used or refused as a whole.
package struct Generation: Sendable {
    /// Counted from 1 at the start of the daemon.
    package let number: Int
    package let configuration: Configuration
    package let screener: ScreenerPolicy
    package let receiver: ReceiverGeneration
    package let forwarder: ForwarderGeneration
    package let hostname: String
    let domainName: DomainName
    /// Nil where TLS is not offered, or with a certificate of our own making.
    let tls: ServerTLS?
    let greylist: GreylistPolicy
    /// Data bases of recipients.
    let databases: [RecipientDatabase]
    /// What is allowed and probably not meant.
    package let warnings: [FileError]
    /// What sorts recipients into lanes; if it changes, the queue's lanes have to be named anew.
    package let laneFingerprint: [String]

    /// Reads the file and all it names, and runs the administrator's cases.
    package init(file: String, number: Int) throws(FileErrors) {
        try self.init(configuration: try Configuration(file: file), file: file, number: number)
        let failures = self.failedCases()
        guard failures.isEmpty else { throw FileErrors(failures) }
    }

    package init(configuration: Configuration, file: String, number: Int) throws(FileErrors) {
        guard let hostname = configuration.hostname ?? MachineName.full() else {
            throw FileErrors([
                FileError(
                    file: file, message: "hostname is missing, and the machine has no full name (hostname --fqdn)")
            ])
        }
        let loader = TableLoader(folder: configuration.rules)
        let delimiter = configuration.recipientDelimiter?.first
        let transport = TransportTable(
            loader.table(configuration.transport) ?? TextTable(entries: [:], keys: []), delimiter: delimiter)
        loader.checkRoutes(transport, configuration.transport)
        let recipients = configuration.relayRecipients.tables.compactMap { loader.table($0) }
        let databases = configuration.relayRecipients.databases.compactMap { loader.database($0) }
        let domains = loader.domains(configuration.relayDomains)
        let access = configuration.screener.access.elements.compactMap { loader.step($0) }
        loader.checkReadable(configuration.resolver.trustAnchor)
        let tables = ForwarderTables(configuration.forwarder, file: file, loader)
        ForwarderTables.checkAuthorities(configuration.mtaSTS.authorities, loader)
        guard loader.errors.isEmpty else { throw FileErrors(loader.errors) }
        let relay = RelayPolicy(
            relayDomains: DomainSet(keys: domains), relayNetworks: configuration.relayNetworks, recipients: recipients,
            unverified: configuration.acceptUnverified.policy,
            postmaster: configuration.postmaster ?? Self.postmaster(of: domains), delimiter: delimiter)
        let (policy, services) = try Self.policy(configuration, file, relay, transport, databases, loader)
        let content = try Self.content(configuration, file, loader)
        let authentication = try AuthenticationLoader(configuration, file: file, hostname: hostname, tables: loader)
            .policy()
        let tls = configuration.tls
        self.tls =
            tls.enabled && !tls.certificates.isEmpty ? try ServerTLS(tls, file: file, hostname: hostname) : nil
        self.greylist = try GreylistPolicy(configuration, file, loader)
        self.number = number
        self.configuration = configuration
        self.hostname = hostname.ascii
        self.domainName = hostname
        self.databases = databases
        self.screener = ScreenerPolicy(
            options: configuration.screener, limits: configuration.limits, proxy: configuration.proxy, access: access,
            isTrusted: { relay.trusts($0) })
        self.receiver = ReceiverGeneration(
            number: number, limits: configuration.limits, policy: policy, lanes: LaneNaming { transport.lane($0) },
            content: content, probeSender: configuration.callout.sender.reversePath(hostname: hostname.ascii).mailbox,
            services: services, givesReferences: configuration.replyReference, authentication: authentication,
            requiresTLS: configuration.tls.required)
        self.forwarder = ForwarderGeneration(
            options: configuration.forwarder, lifetimes: configuration.queue,
            routes: RouteTable { Self.route(ofLane: $0, transport) }, lanes: LaneNaming { transport.lane($0) },
            policies: tables.policies, passwords: tables.passwords,
            webAuthorities: configuration.mtaSTS.authorities,
            sign: { try authentication.keys.sign($0, at: WallClock.system.now()) })
        self.laneFingerprint = transport.laneFingerprint
        for (table, reference) in zip(recipients, configuration.relayRecipients.tables) {
            loader.warn(table.recipientWarnings, reference)
        }
        loader.warn(transport.transportWarnings(relayDomains: DomainSet(keys: domains)), configuration.transport)
        self.warnings =
            loader.warnings + (self.tls?.warnings ?? []) + Self.warningWithoutProof(configuration, tables, file)
            + configuration.screener.warnings.map { FileError(file: file, message: $0) }
            + relay.domainsWithoutRecipients.filter { !Self.asksElsewhere(configuration, databases, $0) }.map {
                FileError(
                    file: file,
                    message:
                        "relay domain \($0) has no recipients: all its mail will be refused; list them, or set accept_unverified"
                )
            }
    }

    private static func policy(
        _ configuration: Configuration, _ file: String, _ relay: RelayPolicy, _ transport: TransportTable,
        _ databases: [RecipientDatabase], _ tables: TableLoader
    ) throws(FileErrors) -> (RestrictionPolicy, [String: PolicyService]) {
        var loader = PolicyLoader(configuration, file: file) { (name) throws(OptionProblem) in
            try tables.ruleTable(name)
        }
        let policy = loader.policy(
            relay: relay,
            routeRefusal: { mailbox in
                switch Self.route(ofLane: transport.lane(mailbox), transport) {
                case .fail(let reply): reply
                case .retry(let reply): Reply(code: 450, detail: reply.detail, lines: reply.lines)
                case .nextHops, .discard: nil
                }
            }, asksElsewhere: { Self.asksElsewhere(configuration, databases, $0.ascii) },
            listNames: configuration.screener.dnsblNames.values)
        let errors = tables.errors + loader.errors
        guard errors.isEmpty else { throw FileErrors(errors) }
        tables.warnings += loader.warnings
        return (policy, loader.services)
    }

    /// Levels that wait for proofs which nobody can give.
    private static func warningWithoutProof(
        _ configuration: Configuration, _ tables: ForwarderTables, _ file: String
    ) -> [FileError] {
        guard configuration.resolver.trustAnchor == nil else { return [] }
        guard configuration.forwarder.tls.level == .daneOnly || tables.policies.wantsProof else { return [] }
        return [
            FileError(
                file: file,
                message: "levels dane and dane-only of next hops find no proof without resolver.trust_anchor, such as "
                    + "/usr/share/dns/root.key")
        ]
    }

    /// Whether recipients of a domain may be known where no table has them.
    private static func asksElsewhere(
        _ configuration: Configuration, _ databases: [RecipientDatabase], _ domain: String
    ) -> Bool {
        guard databases.isEmpty else { return true }
        return DomainName(domain).map { configuration.callout.options(for: $0) != nil } ?? false
    }

    private static func content(
        _ configuration: Configuration, _ file: String, _ tables: TableLoader
    ) throws(FileErrors) -> ContentPolicy {
        let loader = ContentLoader(configuration, file: file, tables: tables)
        let content = loader.policy()
        guard tables.errors.isEmpty else { throw FileErrors(tables.errors) }
        return content
    }

    private static func postmaster(of domains: [String]) -> Mailbox? {
        domains.lazy.compactMap { $0.hasPrefix(".") || $0.contains("@") ? nil : Mailbox("postmaster@\($0)") }.first
    }

    /// Routes were checked when the table was read.
    private static func route(ofLane lane: String, _ transport: TransportTable) -> Route {
        if let (destination, domain) = LaneNaming.destination(ofFiltered: lane), let name = Domain(domain) {
            return (try? Route(destination, recipientDomain: name))  // A way that is none any more.
                .flatMap { $0 } ?? .retry(Reply(451, .init(3, 5), "there is no way '\(destination)'"))
        }
        let domain = lane.lastIndex(of: "@").map { lane[lane.index(after: $0)...] } ?? lane[...]
        guard let name = Domain(domain) else { return .retry(Reply(451, .init(3, 0), "no route")) }
        let entry = transport.lookup(lane: lane)
        return (try? entry.flatMap { try Route($0.value, recipientDomain: name) }) ?? .direct(name)
    }
}

extension UnverifiedSetting {
    fileprivate var policy: RelayPolicy.Unverified {
        switch self {
        case .none: .refused
        case .all: .accepted
        case .domains(let names): .acceptedFor(Set(names.map(\.ascii)))
        }
    }
}
