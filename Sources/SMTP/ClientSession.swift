import Mail

/// The client's side of SMTP (RFC 5321) as a value, for one connection and any number of deliveries over it.
///
/// Commands go out in groups where the server announced PIPELINING (RFC 2920); replies are told apart by their
/// order, so that each recipient gets its own and nothing of an old reply can stick to a new one.
package struct ClientSession: Sendable {
    /// What of the protocol may be used with this server, besides what it announces.
    package struct Permissions: Hashable, Sendable {
        package var chunking = true
        package var xforward = false
        package var xclient = false
        package var security = SecurityLevel.none
        /// TLS begins before the greeting, without STARTTLS.
        package var isImplicit = false
        /// Only mail with REQUIRETLS goes over it: the server must be authenticated and offer that too (RFC 8689 §4.2.1).
        package var isRequireTLS = false
        /// TLS is then needed under every level: they are never said in plain text, nor is mail of one who has them
        /// sent without.
        package var credentials: SASLCredentials?

        package init() {}
    }

    enum State {
        /// Waiting for 220. Next: `hello`, `closed`; `startingTLS` where TLS comes before it.
        case greeting
        /// Waiting for the answer to EHLO, or HELO where that failed; behind XCLIENT with the delivery that waits.
        /// Next: `securing`, `authenticating`, `idle`, `envelope`, `closed`.
        case hello(isExtended: Bool, Delivery?)
        /// Waiting for the answer to STARTTLS. Next: `startingTLS`, `idle`, `closed`.
        case securing
        /// Waiting for the end of the handshake. Next: `hello`, or `greeting` where that is still to come; `closed`.
        case startingTLS
        /// Waiting for the answer to AUTH, a challenge, or a key. Next: `idle`, `envelope`, `closed`.
        case authenticating(SASLExchange, Delivery?)
        /// Next: `envelope`, `xclient`, `quitting`, `closed`.
        case idle
        /// Waiting for the 220 behind XCLIENT, after which the session begins anew. Next: `hello`, `closed`.
        case xclient(Delivery)
        /// Commands of a transaction are sent or waiting. Next: `content`, `termination`, `resetting`, `idle`,
        /// `closed`.
        case envelope(Transaction)
        /// Content is being written. Next: `termination`, `closed`.
        case content(Transaction)
        /// Waiting for the answer to the content. Next: `idle`, `closed`.
        case termination(Transaction)
        /// Waiting for the answer to RSET, perhaps with the next delivery. Next: `idle`, `envelope`, `xclient`, `closed`.
        case resetting(Delivery?)
        /// Next: `closed`.
        case quitting
        /// Next: none.
        case closed
    }

    private let hostname: String
    let permissions: Permissions
    var state = State.greeting
    /// What the server announced last.
    package internal(set) var extensions = Extensions()
    /// Whom the server takes us for, since XCLIENT.
    var presented: ClientIdentity?
    /// All that is sent and received goes through TLS, and will until the end.
    var isSecured = false

    package init(hostname: String, permissions: Permissions = Permissions()) {
        self.hostname = hostname
        self.permissions = permissions
    }

    package mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .connected: self.connected()
        case .reply(let reply): self.received(reply)
        case .malformed(let error): self.malformed(error)
        case .challenge(let text): self.challenged(text)
        case .derived(let key): self.derived(key)
        case .tlsEstablished(let authentication): self.secured(authentication)
        case .tlsFailed(let reason): self.handshakeFailed(reason)
        case .deliver(let delivery): self.deliver(delivery)
        case .contentSent: self.contentSent()
        case .timedOut: self.timedOut()
        case .disconnected: self.disconnected(Reply(451, .init(4, 2), "Lost connection \(self.place)"))
        case .quit: self.quit()
        }
    }

    private mutating func received(_ reply: Reply) -> [Action] {
        switch self.state {
        case .greeting: return self.greeted(reply)
        case .hello(let isExtended, let delivery): return self.answeredHello(reply, isExtended, delivery)
        case .securing: return self.answeredSTARTTLS(reply)
        case .startingTLS: return self.handshakeFailed(Self.injection)
        case .authenticating(let exchange, let delivery): return self.answeredAUTH(reply, exchange, delivery)
        case .xclient(let delivery):
            guard reply.outcome == .accepted else { return self.fail(reply, delivery) }
            return self.hello(isExtended: true, delivery)
        case .envelope(let transaction):
            // Given up before the transaction changes, so that its arrays are not copied for each recipient.
            self.state = .closed
            return self.answeredEnvelope(reply, transaction)
        case .content(let transaction):
            // The server does not want to hear the rest. Whatever it says, the content was not taken whole.
            let isRefusal = reply.outcome == .temporary || reply.outcome == .permanent
            return self.end(transaction, undecided: isRefusal ? reply : Self.nonsense(reply))
        case .termination(let transaction): return self.answeredContent(reply, transaction)
        case .resetting(let delivery):
            guard reply.outcome == .accepted else { return self.fail(reply, delivery) }
            guard let delivery else { return self.becomeIdle() }
            self.state = .idle
            return self.deliver(delivery)
        // The server closes an idle session with 421, and after QUIT there is nothing to hear.
        case .idle, .quitting:
            self.state = .closed
            return [.close]
        case .closed: return []
        }
    }

    private mutating func quit() -> [Action] {
        guard case .idle = self.state else { return [] }
        self.state = .quitting
        return [.expect(.quit), .send(Array("QUIT\r\n".utf8))]
    }
}

// MARK: - Beginning a session

extension ClientSession {
    private mutating func connected() -> [Action] {
        guard case .greeting = self.state else { return [] }
        if self.permissions.isImplicit, !self.isSecured { return self.startTLS() }
        return [.expect(.greeting)]
    }

    private mutating func greeted(_ reply: Reply) -> [Action] {
        // A server may not want us (554) or not now (421): another may.
        guard reply.code == 220 else { return self.fail(reply) }
        return self.hello(isExtended: true, nil)
    }

    mutating func hello(isExtended: Bool, _ delivery: Delivery?) -> [Action] {
        self.state = .hello(isExtended: isExtended, delivery)
        // Behind XCLIENT it is the client that greets: the server's rules are to see its name, not ours.
        let name = self.presented?.helo ?? self.hostname
        return [.expect(.hello), .send(Array("\(isExtended ? "EHLO" : "HELO") \(name)\r\n".utf8))]
    }

    private mutating func answeredHello(_ reply: Reply, _ isExtended: Bool, _ delivery: Delivery?) -> [Action] {
        if isExtended, reply.outcome == .permanent { return self.hello(isExtended: false, delivery) }
        guard reply.outcome == .accepted else { return self.fail(reply, delivery) }
        let name = reply.lines[0].prefix { $0 != " " }
        if name.equalsIgnoringCase(self.hostname), delivery == nil {
            self.state = .closed
            return [.unusable(.isOurselves), .close]
        }
        self.extensions = isExtended ? Extensions(reply) : Extensions()
        return self.secure(delivery)
    }

    mutating func becomeIdle() -> [Action] {
        self.state = .idle
        return [.expect(.nothing), .ready]
    }
}

// MARK: - When things go wrong

extension ClientSession {
    /// Ends the session in the middle of a transaction: who has been refused stays refused, all others are tried again.
    mutating func end(_ transaction: Transaction, undecided reply: Reply) -> [Action] {
        self.state = .closed
        var outcome = self.outcome(of: transaction, content: reply)
        outcome.standing = transaction.recipients.contains { $0 != nil } ? .broken : .brokenEarly
        return [.finished(outcome), .close]
    }

    private mutating func malformed(_ error: ReplyParser.Malformed) -> [Action] {
        if case .startingTLS = self.state { return self.handshakeFailed(Self.injection) }
        return self.fail(Self.reply(to: error))
    }

    /// Ends the session wherever it is.
    mutating func fail(_ reply: Reply, _ waiting: Delivery? = nil) -> [Action] {
        switch self.state {
        case .greeting, .hello(_, nil), .securing, .authenticating(_, nil):
            self.state = .closed
            return [.unusable(.failed(reply)), .close]
        case .startingTLS: return self.handshakeFailed(reply.lines.joined(separator: " "))
        case .hello(_, let delivery?), .authenticating(_, let delivery?), .xclient(let delivery),
            .resetting(let delivery?):
            let outcome = Outcome(
                replies: delivery.envelope.recipients.map { _ in Self.temporary(reply) }, passedNoticeRequests: false,
                standing: .brokenEarly)
            self.state = .closed
            return [.finished(outcome), .close]
        case .envelope(let transaction), .content(let transaction), .termination(let transaction):
            return self.end(transaction, undecided: reply)
        case .idle, .resetting(nil), .quitting:
            self.state = .closed
            return [.close]
        case .closed: return []
        }
    }

    private mutating func timedOut() -> [Action] {
        self.fail(Reply(451, .init(4, 2), "Timed out \(self.place)"))
    }

    private var place: String {
        switch self.state {
        case .greeting: "while waiting for the greeting"
        case .hello, .xclient: "while performing the EHLO handshake"
        case .securing: "after STARTTLS"
        case .startingTLS: "while performing the TLS handshake"
        case .authenticating: "after AUTH"
        case .envelope(let transaction):
            switch transaction.unanswered[transaction.nextAnswer] {
            case .xforward: "after XFORWARD"
            case .mail: "after MAIL"
            case .recipient: "after RCPT"
            case .data: "after DATA"
            }
        case .content: "while sending content"
        case .termination: "after the end of content; the message may be delivered twice"
        case .idle, .resetting, .quitting, .closed: "between messages"
        }
    }

    /// A next hop that is not understood has not refused: the recipients are tried again.
    static func nonsense(_ reply: Reply?) -> Reply {
        Reply(451, .init(5, 0), "Unexpected reply of the next hop: \(reply?.oneLine ?? "none")")
    }

    static func understandable(_ reply: Reply) -> Reply {
        reply.outcome == .intermediate ? Self.nonsense(reply) : reply
    }

    /// The server's words under a temporary code, for what must not fail for good.
    private static func temporary(_ reply: Reply) -> Reply {
        reply.outcome == .temporary ? reply : Self.nonsense(reply)
    }

    private static func reply(to error: ReplyParser.Malformed) -> Reply {
        switch error {
        case .noCode(let text): Reply(451, .init(5, 0), "The next hop sent no reply code: \(text)")
        case .endless: Reply(451, .init(5, 0), "The next hop sent a reply without end")
        }
    }
}
