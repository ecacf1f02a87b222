package import MTASTS
import Mail
package import NIOCore
package import SMTP
import Synchronization
package import TLS

/// What of a generation decides how connections are secured. Connections that were made under another are given up.
package struct ForwarderSecurity: Hashable, Sendable {
    package let tls: ForwarderTLSOptions
    /// In order of preference.
    package let mechanisms: [SASLMechanism]
    package let policies: TLSPolicyTable
    package let passwords: SASLPasswordTable
    /// Destinations where TLS begins with the connection.
    package let implicit: Set<String>
    /// A PEM file with the authorities of the web; nil for the system's.
    package let webAuthorities: String?

    package init(
        _ options: ForwarderOptions, policies: TLSPolicyTable = .empty, passwords: SASLPasswordTable = .empty,
        webAuthorities: String? = nil
    ) {
        self.webAuthorities = webAuthorities
        self.tls = options.tls
        self.mechanisms = options.sasl.mechanisms
        self.policies = policies
        self.passwords = passwords
        self.implicit = Set(options.destinations.values.filter(\.value.implicitTLS).keys)
    }
}

/// What OpenSSL needs for connections of a generation: one context for each lowest version and each set of authorities,
/// made when it is first needed.
package final class TLSContexts: Sendable {
    private struct Kind: Hashable {
        let trust: ConnectionPlan.Trust
        let minimum: TLSVersion
    }

    private let authorities: String?
    private let webAuthorities: String?
    private let contexts = Mutex<[Kind: TLSClientContext]>([:])

    package init(_ security: ForwarderSecurity) {
        self.authorities = security.tls.authorities
        self.webAuthorities = security.webAuthorities
    }

    /// From any thread. The first time for a kind the authorities are read, which takes some milliseconds.
    ///
    /// - Throws: what is wrong with the authorities.
    package func context(_ minimum: TLSVersion, _ trust: ConnectionPlan.Trust) throws(TLSError) -> TLSClientContext {
        let kind = Kind(trust: trust, minimum: minimum)
        if let context = self.contexts.withLock({ $0[kind] }) { return context }
        let authorities =
            switch trust {
            case .administrator: self.authorities
            case .web: self.webAuthorities
            }
        let context = try TLSClientContext(TLSClientOptions(authorities: authorities, minimumVersion: minimum))
        self.contexts.withLock { $0[kind] = context }
        return context
    }
}

/// Asks for what a plan needs, and plans.
struct ConnectionPlanner: Sendable {
    let security: ForwarderSecurity
    let associations: AssociationFinder
    let policies: PolicyLookup
    let loop: any EventLoop

    /// What becomes of a server, on `loop`. It does not fail.
    ///
    /// - Parameter destination: as the options name it.
    func plan(
        for server: ServerAddress, of destination: String, _ requirement: TLSRequirement
    ) -> EventLoopFuture<PlannedServer> {
        let planner = SecurityPlanner(
            options: self.security.tls, policies: self.security.policies, passwords: self.security.passwords)
        let demand = planner.demand(of: server, for: requirement)
        return self.findAssociations(server, demand).flatMap { associations in
            self.findPolicy(planner.domain(for: server, demand, associations)).map { finding in
                let planned = planner.plan(for: server, demand, associations: associations, finding: finding)
                return self.finish(planned, server, destination)
            }
        }
    }

    /// The same of mail that asks for nothing, with all that there is to know, also what does not matter for the plan.
    ///
    /// - Parameter finding: the policy of the server's domain.
    func examine(
        _ server: ServerAddress, of destination: String, _ finding: STSFinding
    ) -> EventLoopFuture<(level: TLSLevel, associations: AssociationFinding, plan: ServerPlan)> {
        let planner = SecurityPlanner(options: self.security.tls, policies: self.security.policies)
        let demand = planner.demand(of: server, for: .unspecified)
        return self.associations.find(for: server).map { associations in
            let counting = demand.wantsAssociations ? associations : .none
            let isAsked = planner.domain(for: server, demand, counting) != nil
            let planned = planner.plan(
                for: server, demand, associations: counting, finding: isAsked ? finding : .none)
            return (demand.policy.level, associations, self.finish(planned, server, destination).plan)
        }
    }

    private func findAssociations(
        _ server: ServerAddress, _ demand: SecurityPlanner.Demand
    ) -> EventLoopFuture<AssociationFinding> {
        demand.wantsAssociations ? self.associations.find(for: server) : self.loop.makeSucceededFuture(.none)
    }

    private func findPolicy(_ domain: String?) -> EventLoopFuture<STSFinding> {
        guard let domain else { return self.loop.makeSucceededFuture(.none) }
        // A look-up does not fail; if one did, it would be no fault of the domain.
        return self.policies(domain).hop(to: self.loop).flatMapErrorThrowing { .unknown("\($0)") }
    }

    /// What the destination adds to a plan: TLS from the start, and who we are.
    private func finish(_ planned: PlannedServer, _ server: ServerAddress, _ destination: String) -> PlannedServer {
        guard case .connect(var plan) = planned.plan else { return planned }
        plan.credentials = self.security.passwords.password(of: server).flatMap {
            SASLCredentials(user: $0.user, password: $0.password, mechanisms: self.security.mechanisms)
        }
        plan.isImplicit = self.security.implicit.contains(destination)
        if plan.isImplicit || plan.credentials != nil {
            // Nothing goes to it without TLS.
            switch plan.security {
            case .none, .opportunistic: plan.security = .encrypted
            case .encrypted, .authenticated: break
            }
            plan.mayGoWithout = false
        }
        if plan.credentials != nil { self.authenticate(&plan, server) }
        return PlannedServer(plan: .connect(plan), noticed: planned.noticed)
    }

    /// A password is for the server that it is meant for: PLAIN and LOGIN say it to whoever is at the other end. Where
    /// the plan would take anybody, the server has to be as at the level `secure`, unless the administrator says for
    /// this next hop that anybody will do. What the sender takes back with `TLS-Required: No` is not about our password.
    private func authenticate(_ plan: inout ConnectionPlan, _ server: ServerAddress) {
        guard plan.security != .authenticated else { return }
        switch server.origin.hop.flatMap({ self.security.policies.policy(for: $0) })?.level {
        case .none?, .may?, .encrypt?: return
        case nil, .dane?, .daneOnly?, .fingerprint?, .verify?, .secure?: break
        }
        plan.basis = .secure
        plan.security = .authenticated
        plan.verification = .names(TLSPolicy(.secure).names(of: server.name, behind: server.origin.hop))
        if case .name? = server.origin.hop?.host { plan.serverName = plan.serverName ?? server.name.asciiLowercased }
        // As everywhere that the demand is our own.
        plan.policy = nil
    }
}

/// What is known of a domain's policy for mail to it, fetched if need be (RFC 8461).
package typealias PolicyLookup = @Sendable (_ domain: String) -> EventLoopFuture<STSFinding>
