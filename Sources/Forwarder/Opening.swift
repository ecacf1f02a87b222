import Mail
import SMTP
import TLS

/// A session on its way: the servers that have not been tried, and what the others came to.
struct Opening {
    /// As the options name it.
    let destination: String
    let requirement: TLSRequirement
    let excluded: [String]
    var servers: [ServerAddress] = []
    private(set) var failure: Dispatcher.OpenFailure?
    /// The server that is being tried.
    var attempt: Attempt?
    /// What is wrong with the domain's policy has been reported; once is enough.
    var hasReportedDomain = false

    init(destination: String, requirement: TLSRequirement, excluded: [String]) {
        self.destination = destination
        self.requirement = requirement
        self.excluded = excluded
    }

    struct Attempt {
        let server: ServerAddress
        let plan: ConnectionPlan
        /// Ours, once there is a connection.
        var sendingAddress: IPAddress?
        /// Once there is TLS.
        var session: TLSSession?

        /// For the log: `dane TLSv1.3/TLS_AES_256_GCM_SHA384/256`, `none`.
        var summary: String {
            guard let session else { return "none" }
            return "\(self.plan.basis.rawValue) \(session.version.rawValue)/\(session.cipher)/\(session.bits)"
        }
    }

    /// One server less. For good only if none of them may change its mind.
    mutating func fail(_ reply: Reply) {
        guard reply.outcome == .permanent else { return self.failure = .temporary(reply) }
        if self.failure == nil { self.failure = .permanent(reply) }
    }
}

extension TransportObservation.Result {
    /// What RFC 8460 §4.3 calls what was found out about a certificate.
    init(_ verdict: TLSVerdict) {
        switch verdict {
        case .notVerified, .verified: self = .success
        case .failed(let failure): self = .failure(failure.reported, reason: failure.reason)
        }
    }
}

extension TLSVerificationFailure {
    fileprivate var reported: TransportObservation.Failure {
        switch self {
        case .expired: .certificateExpired
        case .wrongName: .certificateHostMismatch
        case .untrusted, .noMatchingAssociation: .certificateNotTrusted
        case .notYetValid, .wrongFingerprint, .noCertificate, .other: .validationFailure
        }
    }

    fileprivate var reason: String? {
        switch self {
        case .expired, .wrongName: nil
        case .untrusted(let text), .other(let text): text
        case .noMatchingAssociation: "no TLSA record matches the certificate"
        case .notYetValid: "the certificate is not valid yet"
        case .wrongFingerprint: "neither certificate nor key has one of the fingerprints"
        case .noCertificate: "the server showed no certificate"
        }
    }
}

extension SecurityProblem {
    /// What it is called in a report; nil if it is no failure of TLS, or was reported with the certificate.
    var reported: TransportObservation.Failure? {
        switch self {
        case .notOffered, .refused: .startTLSNotSupported
        case .handshakeFailed: .validationFailure
        case .notAuthenticated, .requireTLSNotOffered, .authenticationRefused, .mechanismMissing: nil
        }
    }

    /// The server will not be fit for REQUIRETLS tomorrow either. A certificate that is wrong, or a handshake that
    /// fails, may be mended; and where TLS is promised, whoever stands between may have taken away the offer of it. For
    /// that the mail can wait. What a server says of REQUIRETLS it says after it has proved who it is.
    func isLasting(for plan: ConnectionPlan) -> Bool {
        switch self {
        case .notOffered: plan.isRequireTLS && !plan.isTLSPromised
        case .requireTLSNotOffered: plan.isRequireTLS
        case .refused, .handshakeFailed, .notAuthenticated, .authenticationRefused, .mechanismMissing: false
        }
    }
}
