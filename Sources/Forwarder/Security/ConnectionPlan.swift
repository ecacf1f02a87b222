package import Mail
package import SMTP
package import TLS

/// What a connection to a server must have.
package struct ConnectionPlan: Hashable, Sendable {
    /// What was decided by; the log has it.
    package enum Basis: String, Hashable, Sendable {
        case none, may, encrypt, dane, fingerprint, verify, secure
        /// A policy that came over HTTPS and is enforced (RFC 8461).
        case sts
    }

    /// By whose authorities a certificate is verified.
    package enum Trust: Hashable, Sendable {
        case administrator
        /// What everybody trusts, which is what a domain can count on that publishes a policy (RFC 8461 §4.2).
        case web
    }

    package var basis: Basis
    package var security: SecurityLevel
    /// Whom the session should be with, where there may be TLS. At a level that is not `authenticated` it is only
    /// looked at, and reported.
    package var verification = TLSVerification.none
    /// What the server is told that we came for.
    package var serverName: String?
    package var minimumVersion: TLSVersion
    /// A failed handshake may be followed by a session in plain text with the same server.
    package var mayGoWithout = false
    package var isImplicit = false
    package var isRequireTLS = false
    /// The domain or the administrator says that the server has TLS, or it is not known whether the domain does. Told of
    /// mail with REQUIRETLS only.
    package var isTLSPromised = false
    package var credentials: SASLCredentials?
    /// Under what its outcome is reported; nil if it is not.
    package var policy: TransportObservation.Policy?

    init(_ basis: Basis, _ security: SecurityLevel, minimumVersion: TLSVersion) {
        self.basis = basis
        self.security = security
        self.minimumVersion = minimumVersion
        self.mayGoWithout = security == .opportunistic
    }

    /// A policy that is only tested is looked at like one that binds.
    package var trust: Trust { self.basis == .sts || self.policy?.type == .sts ? .web : .administrator }

    /// The same server once more after a handshake that failed. It has been reported already.
    package var withoutTLS: ConnectionPlan {
        var plan = ConnectionPlan(self.basis, .none, minimumVersion: self.minimumVersion)
        plan.mayGoWithout = false
        return plan
    }
}

/// What is to be done about a server.
package enum ServerPlan: Hashable, Sendable {
    case connect(ConnectionPlan)
    /// It must not be used: for now with 4yz, for this message for good with 5yz.
    case skip(Reply)
}

/// The plan with what was noticed on the way to it, for reports (RFC 8460 §4.3.2).
package struct PlannedServer: Hashable, Sendable {
    package let plan: ServerPlan
    package let noticed: [Notice]

    package struct Notice: Hashable, Sendable {
        package let policy: TransportObservation.Policy
        package let failure: TransportObservation.Failure
        package let reason: String?
        /// It is about the domain and not about this server.
        package let isOfDomain: Bool
    }
}
