package import Forwarder
import Mail
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
    /// What is allowed and probably not meant.
    package let warnings: [FileError]
    /// What sorts recipients into lanes; if it changes, the queue's lanes have to be named anew.
    package let laneFingerprint: [String]

    /// Reads the file and all it names.
    package init(file: String, number: Int) throws(FileErrors) {
        try self.init(configuration: try Configuration(file: file), file: file, number: number)
    }

    package init(configuration: Configuration, file: String, number: Int) throws(FileErrors) {
        guard let hostname = configuration.hostname else {
            throw FileErrors([FileError(file: file, message: "hostname is missing")])
        }
        let loader = TableLoader(folder: configuration.rules)
        let delimiter = configuration.recipientDelimiter?.first
        let transport = TransportTable(
            loader.table(configuration.transport) ?? TextTable(entries: [:], keys: []), delimiter: delimiter)
        loader.checkRoutes(transport, configuration.transport)
        let recipients = loader.table(configuration.relayRecipients)
        let domains = loader.domains(configuration.relayDomains)
        let access = configuration.screener.access.elements.compactMap { loader.step($0) }
        loader.checkReadable(configuration.resolver.trustAnchor)
        guard loader.errors.isEmpty else { throw FileErrors(loader.errors) }
        let relay = RelayPolicy(
            relayDomains: DomainSet(keys: domains), relayNetworks: configuration.relayNetworks, recipients: recipients,
            unverified: configuration.acceptUnverified.policy,
            postmaster: configuration.postmaster ?? Self.postmaster(of: domains), delimiter: delimiter)
        let (policy, services) = try Self.policy(configuration, file, relay, transport, loader)
        self.number = number
        self.configuration = configuration
        self.hostname = hostname.ascii
        self.screener = ScreenerPolicy(
            options: configuration.screener, limits: configuration.limits, proxy: configuration.proxy, access: access,
            isTrusted: { relay.trusts($0) })
        self.receiver = ReceiverGeneration(
            number: number, limits: configuration.limits, policy: policy, lanes: LaneNaming { transport.lane($0) },
            services: services, givesReferences: configuration.replyReference)
        self.forwarder = ForwarderGeneration(
            options: configuration.forwarder, lifetimes: configuration.queue,
            routes: RouteTable { Self.route(ofLane: $0, transport) }, lanes: LaneNaming { transport.lane($0) })
        self.laneFingerprint = transport.laneFingerprint
        self.warnings =
            loader.warnings + configuration.screener.warnings.map { FileError(file: file, message: $0) }
            + relay.domainsWithoutRecipients.map {
                FileError(
                    file: file,
                    message:
                        "relay domain \($0) has no recipients: all its mail will be refused; list them, or set accept_unverified"
                )
            }
    }

    private static func policy(
        _ configuration: Configuration, _ file: String, _ relay: RelayPolicy, _ transport: TransportTable,
        _ tables: TableLoader
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
            }, asksElsewhere: { _ in false }, listNames: [:])
        let errors = tables.errors + loader.errors
        guard errors.isEmpty else { throw FileErrors(errors) }
        tables.warnings += loader.warnings
        return (policy, loader.services)
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

/// Reads the tables of a generation and gathers what is wrong in them.
private final class TableLoader {
    let folder: String
    private(set) var errors: [FileError] = []
    var warnings: [FileError] = []
    /// One file may serve several purposes and is read once. nil is one with errors.
    private var tables: [String: TextTable?] = [:]

    init(folder: String) {
        self.folder = folder
    }

    func path(of reference: TableReference) -> String { self.path(reference.path) }

    private func path(_ name: String) -> String { name.hasPrefix("/") ? name : "\(self.folder)/\(name)" }

    /// nil for a table with errors.
    func step(_ element: AccessElement) -> ScreenerPolicy.AccessStep? {
        switch element {
        case .relayNetworks: return .relayNetworks
        case .permit: return .permit
        case .reject: return .reject
        case .dunno: return .dunno
        case .cidr(let name):
            let path = self.path(name)
            do {
                let table = try CIDRTable(file: path)
                self.warnings += table.warnings.map {
                    FileError(file: path, line: $0.line, message: $0.message)
                }
                let actions = try ClientActions(table, file: path)
                return .table { actions.action(for: $0) }
            } catch {
                self.errors += error.list
                return nil
            }
        }
    }

    /// A table of any type for restrictions; an empty one if its text has errors, which are gathered.
    func ruleTable(_ name: String) throws(OptionProblem) -> RuleTable {
        let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { throw OptionProblem("'\(name)' is not a table such as texthash:access") }
        let path = self.path(parts[1])
        switch parts[0] {
        case "static": return RuleTable(name: name, file: nil, content: .fixed(parts[1]))
        case "hash", "texthash", "lmdb":
            do { return RuleTable(name: name, file: path, content: .text(try TextTable(file: path))) } catch {
                self.errors += error.list
            }
        case "cidr":
            do { return RuleTable(name: name, file: path, content: .cidr(try CIDRTable(file: path))) } catch {
                self.errors += error.list
            }
        default: throw OptionProblem("there is no table type '\(parts[0])'")
        }
        return RuleTable(name: name, file: path, content: .text(TextTable(entries: [:], keys: [])))
    }

    func table(_ reference: TableReference?) -> TextTable? {
        guard let reference else { return nil }
        let path = self.path(of: reference)
        if let table = self.tables[path] { return table }
        var table: TextTable?
        do {
            let read = try TextTable(file: path)
            self.warnings += read.warnings.map { FileError(file: path, line: $0.line, message: $0.message) }
            table = read
        } catch {
            self.errors += error.list
        }
        self.tables[path] = .some(table)
        return table
    }

    func domains(_ source: DomainSource) -> [String] {
        switch source {
        case .list(let names): names
        case .table(let reference): self.table(reference)?.keys ?? []
        }
    }

    func checkReadable(_ path: String?) {
        guard let path else { return }
        do { _ = try FileText.read(path) } catch { self.errors.append(error) }
    }

    func checkRoutes(_ transport: TransportTable, _ reference: TableReference?) {
        guard let reference, let sample = Domain("example.com") else { return }
        for (_, value, line) in transport.all {
            do {
                _ = try Route(value, recipientDomain: sample)
            } catch {
                self.errors.append(FileError(file: self.path(of: reference), line: line, message: error.message))
            }
        }
    }
}

/// A table of clients with its results read, so that a misspelt one is an error when the table is.
private struct ClientActions: Sendable {
    private let table: CIDRTable

    init(_ table: CIDRTable, file: String) throws(FileErrors) {
        let errors = table.entries.filter { Self.action($0.value) == nil }.map {
            FileError(
                file: file, line: $0.line, message: "'\($0.value)' is not permit, reject or dunno")
        }
        guard errors.isEmpty else { throw FileErrors(errors) }
        self.table = table
    }

    /// OK is what access(5) calls it, and what tables that move here may have.
    private static func action(_ value: String) -> ScreenerPolicy.Access? {
        switch value.lowercased() {
        case "permit", "ok": .permit
        case "reject": .reject
        case "dunno": .dunno
        default: nil
        }
    }

    func action(for address: IPAddress) -> ScreenerPolicy.Access {
        self.table.lookup(address).flatMap { Self.action($0.value) } ?? .dunno
    }
}
