package import MTASTS
package import Mail
package import NIOCore
package import Resolver
import SMTP
package import TLS

/// What became of a server that mail might go to.
package struct ProbedServer: Sendable {
    package let server: ServerAddress
    /// What the administrator wants of it.
    package let level: TLSLevel
    package let associations: AssociationFinding
    package let plan: ServerPlan
    package let visit: Visit

    /// What came of a session with it.
    package struct Visit: Sendable {
        /// Mail would go to it.
        package var isUsable = false
        /// Why not; or what else there is to say.
        package var reason: String?
        /// Nil where there was no TLS.
        package var session: TLSSession?
        /// Inside TLS; nil if it did not come to that.
        package var offersRequireTLS: Bool?
    }
}

/// Finds out how mail to a next hop would be secured: looks servers up and plans as for mail, and has a session with each
/// of them, without mail.
package struct ServerProbe: Sendable {
    private let finder: ServerFinder
    private let planner: ConnectionPlanner
    private let contexts: TLSContexts
    private let hostname: String
    private let timeouts: ClientTimeouts
    private let loop: any EventLoop

    /// - Parameters:
    ///   - identity: who we are, so that we do not ask ourselves.
    ///   - limit: for each step of a session.
    package init(
        loop: any EventLoop, names: any NameService, identity: OwnIdentity, security: ForwarderSecurity,
        contexts: TLSContexts, limit: Duration
    ) {
        self.loop = loop
        self.hostname = identity.hostname
        self.finder = ServerFinder(names: names, identity: identity, loop: loop)
        self.planner = ConnectionPlanner(
            security: security, associations: AssociationFinder(names: names, loop: loop),
            policies: { _ in loop.makeSucceededFuture(.none) }, loop: loop)
        self.contexts = contexts
        var timeouts = ClientTimeouts()
        (timeouts.connect, timeouts.greeting, timeouts.helo, timeouts.quit) = (limit, limit, limit, limit)
        self.timeouts = timeouts
    }

    package enum Result: Sendable {
        /// In the order in which they are tried.
        case servers([ProbedServer])
        /// There is none; what a message would be told.
        case none(Reply)
    }

    /// - Parameter finding: the policy of the next hop's domain.
    /// - Returns: on the loop; never fails.
    package func probe(_ hop: NextHop, _ finding: STSFinding) -> EventLoopFuture<Result> {
        self.finder.servers(of: [hop]).flatMap { found in
            switch found {
            case .temporary(let reply), .permanent(let reply): return self.loop.makeSucceededFuture(.none(reply))
            case .servers(let servers):
                let probes = servers.map { self.probe($0, of: hop.text, finding) }
                return EventLoopFuture.whenAllSucceed(probes, on: self.loop).map { .servers($0) }
            }
        }
    }

    private func probe(
        _ server: ServerAddress, of destination: String, _ finding: STSFinding
    ) -> EventLoopFuture<ProbedServer> {
        self.planner.examine(server, of: destination, finding).flatMap { level, associations, plan in
            self.visit(server, plan).map { visit in
                ProbedServer(server: server, level: level, associations: associations, plan: plan, visit: visit)
            }
        }
    }

    private func visit(_ server: ServerAddress, _ plan: ServerPlan) -> EventLoopFuture<ProbedServer.Visit> {
        switch plan {
        case .skip(let reply): return self.loop.makeSucceededFuture(ProbedServer.Visit(reason: reply.text))
        case .connect(let plan):
            let visitor = ServerVisitor(
                server, contexts: self.contexts, hostname: self.hostname, timeouts: self.timeouts, loop: self.loop)
            visitor.connect(plan)
            return visitor.answer
        }
    }
}
