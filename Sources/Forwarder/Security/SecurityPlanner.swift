package import MTASTS
package import Mail

/// Decides what a connection to a server must have: the administrator's levels, TLSA records (RFC 7672), policies of the
/// domain (RFC 8461), and what the message asks for (RFC 8689). No I/O: what is asked for first, and then with the
/// answers the plan.
///
/// - TLSA records come before a domain's policy where they can be checked against (RFC 8461 §2), and a policy before
///   `may`. Explicitly stronger levels stand above both, and `none` in the table means none.
/// - `TLS-Required: No` takes back what the recipient's side publishes, and the level that holds for everybody. Where the
///   table has this next hop, or it gets a password of ours, it takes back nothing: RFC 8689 §4.1 lets the sender speak
///   about the policies of recipients' domains, not about what the administrator owes to a partner, nor about who may
///   have our password.
/// - REQUIRETLS wants a proven way to the server (MX records proven, or named by the domain's policy, or a host that the
///   administrator named) and a server that proves its name (RFC 8689 §4.2.1).
package struct SecurityPlanner: Sendable {
    let options: ForwarderTLSOptions
    private let policies: TLSPolicyTable
    private let passwords: SASLPasswordTable

    package init(options: ForwarderTLSOptions, policies: TLSPolicyTable, passwords: SASLPasswordTable = .empty) {
        self.options = options
        self.policies = policies
        self.passwords = passwords
    }

    /// What is asked of a server before anything is looked up.
    package struct Demand: Hashable, Sendable {
        let policy: TLSPolicy
        /// What the message may ask for, and does.
        let requirement: TLSRequirement
        /// Whether the domain hears what becomes of it: not of mail that asked not to be protected, above all not of
        /// reports (RFC 8460 §3).
        let isReported: Bool
        /// The administrator says of this next hop, and not of all, that it has TLS; a password says so too.
        let isEncryptionExplicit: Bool
        /// Whether TLSA records must be known.
        package let wantsAssociations: Bool
        /// Whose policy counts where TLSA records do not decide; nil if none does.
        package let domain: String?
    }

    package func demand(of server: ServerAddress, for asked: TLSRequirement) -> Demand {
        let explicit = server.origin.hop.flatMap { self.policies.policy(for: $0) }
        let hasPassword = self.passwords.password(of: server) != nil
        let requirement = asked == .optional && (explicit != nil || hasPassword) ? .unspecified : asked
        let policy = explicit ?? TLSPolicy(self.level(for: requirement))
        var wantsAssociations = false
        var wantsPolicy = false
        switch policy.level {
        case .none, .fingerprint, .verify, .secure: break
        case .may:
            wantsAssociations = requirement == .required
            wantsPolicy = requirement != .optional
        case .encrypt:
            wantsAssociations = requirement == .required
            wantsPolicy = requirement == .required
        case .dane:
            wantsAssociations = requirement == .required || server.isWayProven || self.options.insecureMX != .may
            wantsPolicy = true
        case .daneOnly:
            wantsAssociations = requirement == .required || server.isWayProven
            wantsPolicy = requirement == .required
        }
        if requirement == .required, policy.level == .verify { wantsPolicy = true }
        return Demand(
            policy: policy, requirement: requirement, isReported: server.origin.domain != nil && asked != .optional,
            isEncryptionExplicit: explicit?.level == .encrypt || hasPassword,
            wantsAssociations: wantsAssociations,
            domain: wantsPolicy && self.options.mtaSTS ? server.origin.domain : nil)
    }

    /// For a next hop that is not in the table.
    private func level(for requirement: TLSRequirement) -> TLSLevel {
        requirement == .optional && self.options.level != .none ? .may : self.options.level
    }

    /// Whose policy is looked at beside these TLSA records; nil for none. Where MX records are not proven, TLSA records
    /// say who the host is, but not that it is a server of the domain: a policy that says so still counts.
    package func domain(for server: ServerAddress, _ demand: Demand, _ associations: AssociationFinding) -> String? {
        switch associations {
        case .none, .unusable: demand.domain
        case .usable: server.isWayProven ? nil : demand.domain
        case .failed: nil
        }
    }

    /// - Parameters:
    ///   - associations: if they were wanted.
    ///   - finding: the policy of ``domain(for:_:_:)``.
    package func plan(
        for server: ServerAddress, _ demand: Demand, associations: AssociationFinding, finding: STSFinding
    ) -> PlannedServer {
        var decision = SecurityDecision(server: server, demand: demand, options: self.options)
        let plan = decision.plan(associations, finding)
        return PlannedServer(
            plan: demand.isReported ? plan : plan.unreported, noticed: demand.isReported ? decision.noticed : [])
    }
}

extension ServerPlan {
    fileprivate var unreported: ServerPlan {
        switch self {
        case .skip: return self
        case .connect(var plan):
            plan.policy = nil
            return .connect(plan)
        }
    }
}

extension ServerAddress {
    /// Nobody but the administrator or, with proof, the domain has named it.
    var isWayProven: Bool { self.origin.domain == nil || self.origin.isMXSecure }
}
