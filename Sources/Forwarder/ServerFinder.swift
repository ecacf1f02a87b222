import Mail
package import NIOCore
package import Resolver

/// Finds the servers behind next hops.
package struct ServerFinder: Sendable {
    private let names: any NameService
    private let identity: OwnIdentity
    private let loop: any EventLoop

    /// Of more names in MX records the most preferred are looked up.
    private static let maximumHosts = 50

    package init(names: any NameService, identity: OwnIdentity, loop: any EventLoop) {
        self.names = names
        self.identity = identity
        self.loop = loop
    }

    /// The servers of all next hops, in order; those of one that cannot be looked up are left out if others remain.
    package func servers(of hops: [NextHop]) -> EventLoopFuture<MXPlan.Result> {
        EventLoopFuture.whenAllSucceed(hops.map { self.servers(of: $0) }, on: self.loop).map(Self.joined)
    }

    private static func joined(_ results: [MXPlan.Result]) -> MXPlan.Result {
        var servers: [ServerAddress] = []
        var failures: [MXPlan.Result] = []
        for result in results {
            if case .servers(let some) = result { servers += some } else { failures.append(result) }
        }
        guard servers.isEmpty else { return .servers(servers) }
        // While one of several may come back the mail waits.
        let temporary = failures.first { if case .temporary = $0 { true } else { false } }
        return temporary ?? failures.first ?? .temporary(Reply(451, .init(4, 4), "no next hop"))
    }

    private func servers(of hop: NextHop) -> EventLoopFuture<MXPlan.Result> {
        switch hop.host {
        case .address(let address):
            self.loop.makeSucceededFuture(
                self.fixed(
                    [
                        ServerAddress(
                            name: "\(address)", address: address, port: hop.port, origin: ServerOrigin(hop: hop))
                    ], hop))
        case .name(let name):
            hop.usesMX
                ? self.viaMX(name, hop)
                : self.addresses(of: name).map { self.named(name, $0, hop) }
        }
    }

    /// A next hop that the administrator named. If its name is gone that is a mistake to be found, not a reason to
    /// return mail, so everything here is temporary.
    private func named(_ name: String, _ host: FoundHost, _ hop: NextHop) -> MXPlan.Result {
        switch host.addresses {
        case .found(let list):
            self.fixed(
                list.map {
                    ServerAddress(
                        name: name, address: $0, port: hop.port,
                        origin: ServerOrigin(hop: hop).leading(to: host.security, at: $0))
                }, hop)
        case .none: .temporary(Reply(451, .init(4, 4), "Host \(name) has no address"))
        case .unknown(let why): .temporary(Reply(451, .init(4, 3), "Host lookup error for \(name): \(why)"))
        }
    }

    private func fixed(_ servers: [ServerAddress], _ hop: NextHop) -> MXPlan.Result {
        let others = servers.filter { !self.identity.listens(at: $0.address, port: $0.port) }
        return others.isEmpty
            ? .temporary(Reply(451, .init(4, 6), "next hop \(hop.text) is this server itself")) : .servers(others)
    }

    private func viaMX(_ domain: String, _ hop: NextHop) -> EventLoopFuture<MXPlan.Result> {
        self.lookUp(domain, .mx).flatMap { result in
            switch result {
            case .success(let answer):
                let way = Self.way(hop, domain, answer.canonicalName, answer.security)
                return self.plan(domain, way, hop, Self.exchanges(answer.records))
            case .failure(.noData(let none)):
                return self.plan(domain, Self.way(hop, domain, none.canonicalName, none.security), hop, [(0, domain)])
            case .failure(let failure): return self.loop.makeSucceededFuture(Self.failed(domain, failure))
            }
        }
    }

    private static func way(
        _ hop: NextHop, _ domain: String, _ canonicalName: DNSName, _ security: DNSSecurity
    ) -> ServerOrigin {
        let names = [domain.asciiLowercased, canonicalName.text]
        return ServerOrigin(
            hop: hop, domains: names[0] == names[1] ? [names[0]] : names, isMXSecure: security == .secure)
    }

    private func plan(
        _ domain: String, _ way: ServerOrigin, _ hop: NextHop, _ exchanges: [(preference: Int, name: String)]
    ) -> EventLoopFuture<MXPlan.Result> {
        // RFC 7505 §3; among others the root means nothing.
        if exchanges.allSatisfy({ $0.name == "." }) {
            return self.loop.makeSucceededFuture(
                .permanent(Reply(556, .init(1, 10), "Domain \(domain) does not accept mail (nullMX)")))
        }
        let named = exchanges.filter { $0.name != "." }.shuffled().sorted { $0.preference < $1.preference }
        let hosts = named.prefix(Self.maximumHosts).map { exchange in
            self.addresses(of: exchange.name).map {
                MXPlan.Host(
                    preference: exchange.preference, name: exchange.name, addresses: $0.addresses,
                    security: $0.security)
            }
        }
        return EventLoopFuture.whenAllSucceed(hosts, on: self.loop).map {
            MXPlan(domain: domain, port: hop.port, identity: self.identity, way: way).servers($0)
        }
    }

    private static func exchanges(_ records: [DNSRecord]) -> [(preference: Int, name: String)] {
        records.compactMap { record in
            if case .mx(let preference, let exchange) = record { (Int(preference), exchange.text) } else { nil }
        }
    }

    private static func failed(_ domain: String, _ failure: DNSFailure) -> MXPlan.Result {
        switch failure {
        case .noSuchName: .permanent(Reply(550, .init(1, 2), "Domain \(domain) not found"))
        case .invalidName: .permanent(Reply(550, .init(1, 2), "\(domain) is not a domain name"))
        case .noData, .serverFailure, .timeout, .bogus, .tooManyQueries, .closed, .cancelled:
            .temporary(Reply(451, .init(4, 3), "Name service error for \(domain): \(failure)"))
        }
    }

    private struct FoundHost: Sendable {
        let addresses: MXPlan.Addresses
        let security: HostSecurity
    }

    private func addresses(of name: String) -> EventLoopFuture<FoundHost> {
        self.lookUp(name, .a).and(self.lookUp(name, .aaaa)).map { v4, v6 in
            let answers = [v4, v6].map { try? $0.get() }
            let canonicalName = answers.lazy.compactMap { $0?.canonicalName.text }.first
            let security = HostSecurity(
                isIPv4Secure: answers[0]?.security == .secure, isIPv6Secure: answers[1]?.security == .secure,
                canonicalName: canonicalName == name.asciiLowercased ? nil : canonicalName)
            return FoundHost(addresses: Self.addresses(v4, v6), security: security)
        }
    }

    /// IPv4 first: many hosts that have an IPv6 address have no way out with it.
    private static func addresses(_ v4: DNSResult, _ v6: DNSResult) -> MXPlan.Addresses {
        let found = [v4, v6].flatMap { (try? $0.get().records) ?? [] }.compactMap(Self.address)
        if !found.isEmpty { return .found(found) }
        for case .failure(let failure) in [v4, v6] where failure.negative == nil { return .unknown("\(failure)") }
        return .none
    }

    private static func address(_ record: DNSRecord) -> IPAddress? {
        switch record {
        case .a(let value): .v4(value)
        case .aaaa(let high, let low): .v6(high: high, low: low)
        default: nil
        }
    }

    private func lookUp(_ name: String, _ type: DNSType) -> EventLoopFuture<DNSResult> {
        let promise = self.loop.makePromise(of: DNSResult.self)
        guard let question = try? DNSQuestion(name, type) else {
            return self.loop.makeSucceededFuture(.failure(.invalidName))
        }
        self.names.resolve(question, on: self.loop) { promise.succeed($0) }
        return promise.futureResult
    }
}
