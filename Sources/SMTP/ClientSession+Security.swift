import Mail

/// What TLS a client's session is to have.
package enum SecurityLevel: Hashable, Sendable {
    /// STARTTLS is never said.
    case none
    /// If it is offered; whoever the server is.
    case opportunistic
    /// Needed; whoever the server is.
    case encrypted
    /// Needed, and the server must be who it should be.
    case authenticated
}

/// Whether the server is who it should be.
package enum TLSAuthentication: Hashable, Sendable {
    /// Nothing was asked of it.
    case notAsked
    case passed
    /// Why not, for log and notices.
    case failed(String)
}

/// Why a session does not have the security that it must have.
package enum SecurityProblem: Hashable, Sendable {
    /// STARTTLS was not offered.
    case notOffered
    /// STARTTLS was offered and then refused.
    case refused
    /// TLS did not come about, or the server sent in plain text where the handshake had to be; where TLS need not be,
    /// also if it broke off before anything was heard through it.
    case handshakeFailed
    /// The server is not who it should be.
    case notAuthenticated
    /// The server does not promise to keep what REQUIRETLS asks for.
    case requireTLSNotOffered
    /// The server did not take our credentials, or did not prove that it knows them.
    case authenticationRefused
    /// The server offers no mechanism of SASL that we may use.
    case mechanismMissing
}

// MARK: - TLS

extension ClientSession {
    /// What is wrong where octets were received in plain text that were not read when the handshake begins.
    ///
    /// Somebody in the middle may have put them there, to have them taken for what the server says inside TLS: what
    /// CVE-2011-0411 is to a server. They end the session whatever its level.
    package static let injection = "the server sent plain text behind STARTTLS"

    /// The level that holds: credentials are not said in plain text, and REQUIRETLS goes to nobody who is not who they
    /// should be (RFC 8689 §4.2.1).
    private var level: SecurityLevel {
        if self.permissions.isRequireTLS { return .authenticated }
        switch self.permissions.security {
        case .none, .opportunistic: return self.permissions.credentials == nil ? self.permissions.security : .encrypted
        case .encrypted, .authenticated: return self.permissions.security
        }
    }

    private var needsTLS: Bool {
        switch self.level {
        case .none, .opportunistic: false
        case .encrypted, .authenticated: true
        }
    }

    /// A message with REQUIRETLS may go over this session.
    var keepsRequireTLS: Bool { self.permissions.isRequireTLS && self.isSecured && self.extensions.requireTLS }

    /// RFC 8689 §4.2.1. For good: another server of the domain may do it, but time will not help.
    static let requireTLSReply = Reply(550, .init(7, 30), "REQUIRETLS support required")

    /// After EHLO or HELO: begins TLS if it is wanted, once.
    mutating func secure(_ delivery: Delivery?) -> [Action] {
        // With a delivery this is behind XCLIENT, in which TLS is kept, or stays away.
        guard !self.isSecured, delivery == nil, self.level != .none else { return self.prepare(delivery) }
        if self.extensions.starttls {
            self.state = .securing
            return [.expect(.hello), .send(Array("STARTTLS\r\n".utf8))]
        }
        guard self.needsTLS else { return self.prepare(nil) }
        return self.beInsecure(.notOffered, .init(7, 4), "TLS is required, but the server does not offer it")
    }

    mutating func answeredSTARTTLS(_ reply: Reply) -> [Action] {
        if reply.outcome == .accepted { return self.startTLS() }
        if self.needsTLS {
            let text = "TLS is required, but the server refused to start it: \(reply.oneLine)"
            return self.beInsecure(.refused, .init(7, 4), text)
        }
        return reply.code == 421 ? self.fail(reply) : self.prepare(nil)
    }

    mutating func startTLS() -> [Action] {
        self.state = .startingTLS
        return [.expect(.hello), .startTLS]
    }

    mutating func secured(_ authentication: TLSAuthentication) -> [Action] {
        guard case .startingTLS = self.state else { return [] }
        self.isSecured = true
        // What was announced in plain text may have been anybody's words (RFC 3207 §4.2).
        self.extensions = Extensions()
        if self.level == .authenticated, authentication != .passed {
            let reason = if case .failed(let reason) = authentication { reason } else { "nothing to verify it by" }
            return self.beInsecure(.notAuthenticated, .init(7, 5), "Server certificate not verified: \(reason)")
        }
        guard self.permissions.isImplicit else { return self.hello(isExtended: true, nil) }
        self.state = .greeting
        return [.expect(.greeting)]
    }

    mutating func handshakeFailed(_ reason: String) -> [Action] {
        let what: String
        switch self.state {
        case .startingTLS: what = "TLS handshake failed"
        case .hello(isExtended: true, nil) where self.isUnusedTLS: what = "TLS broke off behind the handshake"
        case .greeting, .hello, .securing, .authenticating, .idle, .xclient, .envelope, .content, .termination,
            .resetting, .quitting, .closed:
            return []
        }
        self.state = .closed
        let reply = Reply(451, .init(7, 5), "\(what): \(reason)")
        return [.unusable(.insecure(.handshakeFailed, reply)), .close]
    }

    /// TLS that nothing was heard through yet, and that need not be there: if it ends now, it is as if it had not come
    /// about. With TLS 1.3 a server may dislike the handshake when the client has taken it for done (RFC 8446 §2).
    private var isUnusedTLS: Bool {
        self.isSecured && !self.permissions.isImplicit && self.level == .opportunistic
    }

    mutating func disconnected(_ reply: Reply) -> [Action] {
        if case .hello(isExtended: true, nil) = self.state, self.isUnusedTLS {
            return self.handshakeFailed(reply.lines.joined(separator: " "))
        }
        return self.fail(reply)
    }

    /// All TLS that there will be is there: the rest of what is due in front of mail.
    private mutating func prepare(_ delivery: Delivery?) -> [Action] {
        if self.permissions.isRequireTLS, !self.extensions.requireTLS, delivery == nil {
            return self.beInsecure(.requireTLSNotOffered, Self.requireTLSReply)
        }
        if let credentials = self.permissions.credentials { return self.authenticate(credentials, delivery) }
        return self.becomeReady(delivery)
    }

    mutating func becomeReady(_ delivery: Delivery?) -> [Action] {
        delivery.map { self.begin($0) } ?? self.becomeIdle()
    }

    /// Leaves a server that is not as secure as it must be. Another may be, and this one later: as a rule nothing
    /// fails for good.
    private mutating func beInsecure(
        _ problem: SecurityProblem, _ detail: Reply.Detail, _ text: String
    ) -> [Action] {
        self.beInsecure(problem, Reply(451, detail, text))
    }

    private mutating func beInsecure(_ problem: SecurityProblem, _ reply: Reply) -> [Action] {
        // A server that has not greeted yet is not talked to.
        let hasGreeted = if case .startingTLS = self.state { !self.permissions.isImplicit } else { true }
        self.state = .closed
        let goodbye: [Action] = hasGreeted ? [.send(Array("QUIT\r\n".utf8))] : []
        return [.unusable(.insecure(problem, reply))] + goodbye + [.close]
    }
}
