import MTASTS
import Mail
import SMTP
import TLS

/// One run of a ``SecurityPlanner``.
struct SecurityDecision {
    let server: ServerAddress
    let demand: SecurityPlanner.Demand
    let options: ForwarderTLSOptions
    private(set) var noticed: [PlannedServer.Notice] = []

    init(server: ServerAddress, demand: SecurityPlanner.Demand, options: ForwarderTLSOptions) {
        self.server = server
        self.demand = demand
        self.options = options
    }

    private var host: String { self.server.name.asciiLowercased }

    private var domain: String { self.server.origin.domain ?? self.host }

    private var isAddress: Bool { if case .address? = self.server.origin.hop?.host { true } else { false } }

    mutating func plan(_ associations: AssociationFinding, _ finding: STSFinding) -> ServerPlan {
        self.notice(finding)
        guard self.demand.requirement == .required else { return self.ordinary(associations, finding) }
        return self.requiringTLS(associations, finding)
    }

    // MARK: What the level says

    private mutating func ordinary(_ associations: AssociationFinding, _ finding: STSFinding) -> ServerPlan {
        switch self.demand.policy.level {
        case .none: .connect(self.make(.none, .none))
        case .may: self.policy(finding, else: self.make(.may, .opportunistic))
        case .encrypt: .connect(self.make(.encrypt, .encrypted))
        case .dane, .daneOnly: self.dane(associations, finding)
        case .fingerprint, .verify, .secure: .connect(self.named)
        }
    }

    /// By what the administrator says that the certificate must be.
    private var named: ConnectionPlan {
        let policy = self.demand.policy
        var plan: ConnectionPlan
        if policy.level == .fingerprint {
            plan = self.make(.fingerprint, .authenticated, .fingerprints(policy.fingerprints))
        } else {
            let names = policy.names(of: self.host, behind: self.server.origin.hop)
            plan = self.make(
                policy.level == .verify ? .verify : .secure, .authenticated, .names(names),
                serverName: self.serverName)
        }
        // What the domain's servers have to do with our own demands is no news for it.
        plan.policy = nil
        return plan
    }

    /// The host's name, if it has one.
    private var serverName: String? { self.isAddress ? nil : self.host }

    private mutating func dane(_ associations: AssociationFinding, _ finding: STSFinding) -> ServerPlan {
        let isOnly = self.demand.policy.level == .daneOnly
        let isInsecure = !self.server.isWayProven
        // Postfix does the same; what a host is worth that anybody may have named is for the administrator to say.
        if isInsecure, isOnly { return self.withoutRecords("its MX records are not proven") }
        if isInsecure, self.options.insecureMX == .may {
            return self.policy(finding, else: self.make(.may, .opportunistic))
        }
        switch associations {
        case .failed(let base, let isBogus, let why): return self.failed(base, isBogus, why)
        case .none:
            guard !isOnly else { return self.withoutRecords("there are no TLSA records") }
            return self.policy(finding, else: self.make(.may, .opportunistic))
        case .unusable(let base, let records):
            let policy = Self.policy(records, base)
            self.notice(policy, .tlsaInvalid, "none of the TLSA records can be used")
            guard !isOnly else { return self.withoutRecords("none of its TLSA records can be used") }
            return self.policy(finding, else: self.make(.encrypt, .encrypted, policy: policy))
        case .usable(let usable, let base, let records):
            guard isInsecure else { return .connect(self.matching(usable, base, records)) }
            guard self.options.insecureMX == .dane else {
                return self.policy(
                    finding, else: self.make(.encrypt, .encrypted, policy: Self.policy(records, base)))
            }
            // A policy still says which hosts there are; who they are the records say better (RFC 8461 §2).
            if case .policy(let policy, _) = finding, policy.mode == .enforce, !policy.allows(self.host) {
                return self.policy(finding, else: self.make(.none, .none))
            }
            return .connect(self.matching(usable, base, records))
        }
    }

    /// By TLSA records. For usage 2 the names are the base domain and, where the way from it is proven, the domain that
    /// mail is for (RFC 7672 §3.2.2).
    private func matching(_ usable: [TLSAssociation], _ base: String, _ records: [TLSAssociation]) -> ConnectionPlan {
        var names = [base]
        if self.server.origin.isMXSecure { names += self.server.origin.domains.filter { $0 != base } }
        return self.make(
            .dane, .authenticated, .dane(usable, names: names), serverName: base, policy: Self.policy(records, base))
    }

    /// What a domain's policy makes of a plan that TLSA records do not decide.
    private mutating func policy(_ finding: STSFinding, else plan: ConnectionPlan) -> ServerPlan {
        guard case .policy(let policy, _) = finding else { return .connect(plan) }
        let published = self.published(policy)
        switch policy.mode {
        case .none: return .connect(plan)
        case .enforce:
            guard policy.allows(self.host) else {
                self.notice(published, .validationFailure, "the policy does not name the host")
                return .skip(self.reply("the MTA-STS policy of \(self.domain) does not name it"))
            }
            return .connect(
                self.make(.sts, .authenticated, .names([self.host]), serverName: self.host, policy: published))
        case .testing:
            // Nothing is lost but a report (RFC 8461 §5).
            var plan = plan
            plan.policy = published
            guard policy.allows(self.host) else {
                self.notice(published, .validationFailure, "the policy does not name the host")
                plan.policy = nil
                return .connect(plan)
            }
            plan.verification = .names([self.host])
            plan.serverName = self.host
            return .connect(plan)
        }
    }

    // MARK: What REQUIRETLS says

    private mutating func requiringTLS(_ associations: AssociationFinding, _ finding: STSFinding) -> ServerPlan {
        switch self.demand.policy.level {
        case .none: return .skip(self.needed("no TLS is used with it"))
        // These bind the certificate to what the administrator says: no record can lead astray.
        case .fingerprint, .secure: return .connect(self.requiring(self.named, isPromised: true))
        case .verify:
            return self.proof(finding).map { .skip($0) } ?? .connect(self.requiring(self.named, isPromised: true))
        case .may, .encrypt, .dane, .daneOnly: break
        }
        if let reply = self.proof(finding) { return .skip(reply) }
        var isPromised = finding.promisesTLS || self.demand.isEncryptionExplicit
        switch associations {
        case .failed(let base, let isBogus, let why): return self.failed(base, isBogus, why)
        case .usable(let usable, let base, let records):
            return .connect(self.requiring(self.matching(usable, base, records), isPromised: true))
        case .unusable(let base, let records):
            isPromised = true
            self.notice(Self.policy(records, base), .tlsaInvalid, "none of the TLSA records can be used")
        case .none: break
        }
        if self.demand.policy.level == .daneOnly { return self.withoutRecords("no TLSA records can be used") }
        guard !self.isAddress else { return .skip(self.needed("it has no name that a certificate could prove")) }
        var (basis, published) = (ConnectionPlan.Basis.verify, TransportObservation.Policy?.none)
        if case .policy(let policy, _) = finding, policy.mode != .none, policy.allows(self.host) {
            (basis, published) = (.sts, self.published(policy))
        }
        return .connect(
            self.requiring(
                self.make(basis, .authenticated, .names([self.host]), serverName: self.host, policy: published),
                isPromised: isPromised))
    }

    /// Why the way to the server is not proven; nil if it is (RFC 8689 §4.2.1, 1).
    private func proof(_ finding: STSFinding) -> Reply? {
        guard !self.server.isWayProven else { return nil }
        switch finding {
        case .policy(let policy, _) where policy.mode != .none:
            return policy.allows(self.host) ? nil : self.needed("the MTA-STS policy of \(self.domain) does not name it")
        // It may be there tomorrow.
        case .unavailable(let fault):
            return self.reply("no proof that it is a server of \(self.domain): \(fault.reason)")
        case .unknown(let why): return self.reply("no proof that it is a server of \(self.domain): \(why)")
        case .none, .policy: return self.needed("nothing proves that it is a server of \(self.domain)")
        }
    }

    private func requiring(_ plan: ConnectionPlan, isPromised: Bool) -> ConnectionPlan {
        var plan = plan
        plan.isRequireTLS = true
        plan.isTLSPromised = isPromised
        return plan
    }

    // MARK: Plans and replies

    private func make(
        _ basis: ConnectionPlan.Basis, _ security: SecurityLevel, _ verification: TLSVerification = .none,
        serverName: String? = nil, policy: TransportObservation.Policy? = nil
    ) -> ConnectionPlan {
        let minimum = self.demand.policy.minimumVersion ?? self.options.minimumVersion.version
        var plan = ConnectionPlan(basis, security, minimumVersion: minimum)
        plan.verification = verification
        // SNI goes with what is checked: a server that does not know the name may break off, and for nothing.
        plan.serverName = self.demand.policy.serverName ?? serverName
        if security != .none { plan.policy = policy ?? .init(type: .none, domain: self.domain) }
        return plan
    }

    private mutating func failed(_ base: String, _ isBogus: Bool, _ why: String) -> ServerPlan {
        if isBogus { self.notice(.init(type: .tlsa, domain: base), .dnssecInvalid, why) }
        return .skip(self.reply("TLSA look-up error: \(why)"))
    }

    /// `dane-only`, and nothing to go by.
    private mutating func withoutRecords(_ why: String) -> ServerPlan {
        self.notice(.init(type: .none, domain: self.domain), .daneRequired, why)
        return .skip(self.reply(why))
    }

    private func reply(_ why: String) -> Reply { Reply(451, .init(7, 5), "\(self.server) is not used: \(why)") }

    private func needed(_ why: String) -> Reply {
        Reply(550, .init(7, 10), "Encryption needed; \(self.server) is not used: \(why)")
    }

    // MARK: Reports

    private func published(_ policy: STSPolicy) -> TransportObservation.Policy {
        .init(type: .sts, strings: policy.lines, domain: self.domain, mxPatterns: policy.mxPatterns)
    }

    private static func policy(_ records: [TLSAssociation], _ base: String) -> TransportObservation.Policy {
        .init(type: .tlsa, strings: records.map(\.zoneText), domain: base)
    }

    private mutating func notice(
        _ policy: TransportObservation.Policy, _ failure: TransportObservation.Failure, _ reason: String?
    ) {
        self.noticed.append(.init(policy: policy, failure: failure, reason: reason, isOfDomain: false))
    }

    /// A policy that could not be had, or not be had anew (RFC 8460 §4.3.2.1).
    private mutating func notice(_ finding: STSFinding) {
        let (fault, policy): (STSFault?, TransportObservation.Policy)
        switch finding {
        case .none, .unknown: return
        case .policy(let present, let problem): (fault, policy) = (problem, self.published(present))
        case .unavailable(let problem): (fault, policy) = (problem, .init(type: .sts, domain: self.domain))
        }
        guard let fault else { return }
        self.noticed.append(.init(policy: policy, failure: fault.failure, reason: fault.reason, isOfDomain: true))
    }
}

extension STSFinding {
    /// The domain says that its servers have TLS, or may say so.
    fileprivate var promisesTLS: Bool {
        switch self {
        case .policy(let policy, _): policy.mode != .none
        case .unavailable, .unknown: true
        case .none: false
        }
    }
}

extension TLSAssociation {
    /// The data as in a zone file: `3 1 1 0123…`.
    package var zoneText: String {
        let digits = self.data.map { byte in
            let text = String(byte, radix: 16, uppercase: true)
            return byte < 16 ? "0\(text)" : text
        }
        return "\(self.usage) \(self.selector) \(self.matching) \(digits.joined())"
    }
}
