import Forwarder
import Foundation
import MTASTS
import Mail
import NIOPosix
package import Resolver

/// What `postern tls` finds out: how mail to a next hop would be secured, by the configuration and without the daemon.
package struct TransportLookup {
    package struct BadDestination: Error, CustomStringConvertible {
        package let description: String
    }

    private let hop: NextHop
    private let configuration: Configuration
    private let hostname: String
    private let security: ForwarderSecurity
    private let contexts: TLSContexts
    private let resolver: ResolverOptions
    private let limit: Duration

    /// Passwords are not read: not everybody may, and we log in nowhere.
    ///
    /// - Parameters:
    ///   - destination: a domain, or a next hop as in the transport table.
    ///   - configuration: nil where Postern is not set up, for the defaults.
    ///   - file: where it was read, for errors.
    ///   - limit: for each step of a session, and for a policy.
    /// - Throws: what is wrong with the table of levels or the authorities; ``BadDestination``.
    package init(
        destination: String, _ configuration: Configuration?, file: String, resolver: ResolverOptions, limit: Duration
    ) throws {
        do throws(RouteError) { self.hop = try NextHop(text: destination) } catch {
            throw BadDestination(description: error.message)
        }
        var configuration = configuration ?? Configuration()
        configuration.forwarder.sasl.passwords = nil
        configuration.mtaSTS.timeout = min(limit, configuration.mtaSTS.timeout)
        let loader = TableLoader(folder: configuration.rules)
        let tables = ForwarderTables(configuration.forwarder, file: file, loader)
        guard loader.errors.isEmpty else { throw FileErrors(loader.errors) }
        self.security = ForwarderSecurity(
            configuration.forwarder, policies: tables.policies, webAuthorities: configuration.mtaSTS.authorities)
        self.contexts = TLSContexts(self.security)
        self.hostname = (configuration.hostname ?? MachineName.full())?.ascii ?? "localhost"
        self.configuration = configuration
        self.resolver = resolver
        self.limit = limit
    }

    package func report() async throws -> TransportReport {
        let names = try UnboundResolver(self.resolver)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let fetch = TransportPolicies.fetch(self.configuration.mtaSTS, self.contexts, names)
        var policy = STSInquiry.Answer(.none)
        if let domain = ServerOrigin(hop: self.hop).domain {
            policy = try await STSInquiry(names: names, loop: loop, fetch: fetch).ask(domain).get()
        }
        let options = self.configuration.forwarder
        let identity = OwnIdentity(
            hostname: self.hostname, addresses: PosternDaemon.interfaces() + options.ownAddresses,
            listeners: self.configuration.listen + self.configuration.tls.listen, allowsLoopback: options.loopbackMX)
        let probe = ServerProbe(
            loop: loop, names: names, identity: identity, security: self.security, contexts: self.contexts,
            limit: self.limit)
        let result = try await probe.probe(self.hop, policy.finding).get()
        await names.shutdown()
        try await group.shutdownGracefully()
        return TransportReport(self.hop, result, policy)
    }
}
