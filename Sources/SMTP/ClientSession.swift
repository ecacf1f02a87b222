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

    private enum State {
        /// Waiting for 220. Next: `hello`, `closed`.
        case greeting
        /// Waiting for the answer to EHLO, or HELO where that failed. Next: `idle`, `envelope`, `closed`.
        case hello(isExtended: Bool, Delivery?)
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
    private let permissions: Permissions
    private var state = State.greeting
    private var extensions = Extensions()
    /// Whom the server takes us for, since XCLIENT.
    private var presented: ClientIdentity?

    package init(hostname: String, permissions: Permissions = Permissions()) {
        self.hostname = hostname
        self.permissions = permissions
    }

    package mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .connected: [.expect(.greeting)]
        case .reply(let reply): self.received(reply)
        case .malformed(let error): self.fail(Self.reply(to: error))
        case .deliver(let delivery): self.deliver(delivery)
        case .contentSent: self.contentSent()
        case .timedOut: self.timedOut()
        case .disconnected: self.fail(Reply(451, .init(4, 2), "Lost connection \(self.place)"))
        case .quit: self.quit()
        case .tlsEstablished, .tlsFailed, .challenge: []
        }
    }

    private mutating func received(_ reply: Reply) -> [Action] {
        switch self.state {
        case .greeting: return self.greeted(reply)
        case .hello(let isExtended, let delivery): return self.answeredHello(reply, isExtended, delivery)
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
    private mutating func greeted(_ reply: Reply) -> [Action] {
        // A server may not want us (554) or not now (421): another may.
        guard reply.code == 220 else { return self.fail(reply) }
        return self.hello(isExtended: true, nil)
    }

    private mutating func hello(isExtended: Bool, _ delivery: Delivery?) -> [Action] {
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
        if let delivery { return self.begin(delivery) }
        return self.becomeIdle()
    }

    private mutating func becomeIdle() -> [Action] {
        self.state = .idle
        return [.expect(.nothing), .ready]
    }
}

// MARK: - A transaction

extension ClientSession {
    /// A delivery under way.
    private struct Transaction {
        enum Step { case xforward, mail, recipient(Int), data }

        let delivery: Delivery
        var sender: Reply?
        /// For each recipient, once it has come.
        var recipients: [Reply?]
        var data: Reply?
        /// What is still to be sent, last first.
        var unsent: [Step]
        /// What has been sent and not been answered, in order, from `nextAnswer` on.
        var unanswered: [Step] = []
        var nextAnswer = 0

        init(_ delivery: Delivery, steps: [Step]) {
            self.delivery = delivery
            self.recipients = Array(repeating: nil, count: delivery.envelope.recipients.count)
            self.unsent = steps.reversed()
        }

        var isAnswered: Bool { self.nextAnswer == self.unanswered.count }

        var hasRecipient: Bool { self.recipients.contains { $0?.outcome == .accepted } }
    }

    private mutating func deliver(_ delivery: Delivery) -> [Action] {
        if case .resetting(nil) = self.state {
            self.state = .resetting(delivery)
            return []
        }
        guard case .idle = self.state else { return [] }
        if self.presented != nil, delivery.client == nil {
            // A notice of ours must not go out in the name of a client; what XCLIENT said cannot be taken back.
            let reply = Reply(421, .init(0, 0), "session speaks for a client")
            let outcome = Outcome(
                replies: delivery.envelope.recipients.map { _ in reply }, passedNoticeRequests: false,
                standing: .brokenEarly)
            self.state = .closed
            return [.finished(outcome), .send(Array("QUIT\r\n".utf8)), .close]
        }
        if self.permissions.xclient, !self.extensions.xclient.isEmpty, let client = delivery.client,
            client != self.presented
        {
            self.presented = client
            self.state = .xclient(delivery)
            let command = client.xclientCommand(supported: self.extensions.xclient)
            return [.expect(.hello), .send(Array(command.utf8))]
        }
        return self.begin(delivery)
    }

    /// Refuses what this server cannot take, then sends as much as may be sent at once.
    private mutating func begin(_ delivery: Delivery) -> [Action] {
        if let reply = self.obstacle(to: delivery) {
            let outcome = Outcome(
                replies: delivery.envelope.recipients.map { _ in reply }, passedNoticeRequests: false,
                standing: .unsuitable)
            return [.finished(outcome)] + self.becomeIdle()
        }
        var steps: [Transaction.Step] = []
        if self.permissions.xforward, !self.extensions.xforward.isEmpty, delivery.client != nil {
            steps.append(.xforward)
        }
        steps.append(.mail)
        steps += delivery.envelope.recipients.indices.map { .recipient($0) }
        if !self.usesChunking, delivery.extent == .message { steps.append(.data) }
        return self.proceed(Transaction(delivery, steps: steps))
    }

    private var usesChunking: Bool { self.permissions.chunking && self.extensions.chunking }

    private func obstacle(to delivery: Delivery) -> Reply? {
        if delivery.needsSMTPUTF8, !self.extensions.smtputf8 {
            return Reply(550, .init(6, 7), "The next hop does not offer SMTPUTF8, which this message needs")
        }
        if let limit = self.extensions.sizeLimitBytes, delivery.contentBytes > limit {
            return Reply(
                552, .init(3, 4), "The message has \(delivery.contentBytes) octets, the next hop takes \(limit)")
        }
        return nil
    }

    /// Sends the next command, or with PIPELINING all up to DATA, which must come last (RFC 2920 §3.1).
    private mutating func proceed(_ transaction: Transaction) -> [Action] {
        var transaction = transaction
        var output: [UInt8] = []
        while let step = transaction.unsent.popLast() {
            self.append(step, transaction.delivery, to: &output)
            transaction.unanswered.append(step)
            if !self.extensions.pipelining { break }
        }
        let stage = Self.stage(transaction.unanswered[transaction.nextAnswer])
        self.state = .envelope(transaction)
        return [.expect(stage), .send(output)]
    }

    private static func stage(_ step: Transaction.Step) -> Stage {
        switch step {
        case .xforward, .mail: .mail
        case .recipient: .recipient
        case .data: .dataInitiation
        }
    }

    private func append(_ step: Transaction.Step, _ delivery: Delivery, to output: inout [UInt8]) {
        switch step {
        case .xforward:
            output +=
                delivery.client?.xforwardCommand(supported: self.extensions.xforward, id: delivery.id).utf8 ?? "".utf8
        case .mail: output += delivery.mailCommand(self.extensions).utf8
        case .recipient(let index): output += delivery.envelope.recipients[index].rcptCommand(self.extensions).utf8
        case .data: output += "DATA\r\n".utf8
        }
    }

    private mutating func answeredEnvelope(_ reply: Reply, _ transaction: consuming Transaction) -> [Action] {
        switch transaction.unanswered[transaction.nextAnswer] {
        case .xforward: break  // What the server makes of it is its own affair.
        case .mail: transaction.sender = reply
        case .recipient(let index): transaction.recipients[index] = Self.understandable(reply)
        case .data: transaction.data = reply
        }
        transaction.nextAnswer += 1
        if reply.code == 421 { return self.end(transaction, undecided: reply) }
        if !transaction.isAnswered {
            self.state = .envelope(transaction)
            return [.expect(Self.stage(transaction.unanswered[transaction.nextAnswer]))]
        }
        // Without PIPELINING a refused sender, or the last of the recipients refused, saves the rest.
        if transaction.sender.map({ $0.outcome != .accepted }) ?? false { transaction.unsent = [] }
        if case .data? = transaction.unsent.last, !transaction.hasRecipient { transaction.unsent = [] }
        return transaction.unsent.isEmpty ? self.envelopeDone(transaction) : self.proceed(transaction)
    }

    /// All commands are answered: content follows, or there is nobody to send it to.
    private mutating func envelopeDone(_ transaction: Transaction) -> [Action] {
        let mayDeliver = transaction.sender?.outcome == .accepted && transaction.hasRecipient
        if let data = transaction.data {
            guard data.outcome == .intermediate else {
                return self.giveUp(transaction, because: data.outcome == .accepted ? Self.nonsense(data) : data)
            }
            guard mayDeliver else {
                // The server said 354 although it accepted nobody: it gets no content (RFC 2920 §3.1).
                self.state = .termination(transaction)
                return [.expect(.dataTermination), .send(Array(".\r\n".utf8))]
            }
            self.state = .content(transaction)
            return [.expect(.dataTransfer), .sendContent(.data)]
        }
        guard mayDeliver, transaction.delivery.extent == .message else {
            return self.giveUp(transaction, because: transaction.sender ?? Self.nonsense(nil))
        }
        self.state = .content(transaction)
        let command = "BDAT \(transaction.delivery.contentBytes) LAST\r\n"
        return [.expect(.dataTransfer), .send(Array(command.utf8)), .sendContent(.bdat)]
    }

    private mutating func contentSent() -> [Action] {
        guard case .content(let transaction) = self.state else { return [] }
        self.state = .termination(transaction)
        return [.expect(.dataTermination)]
    }

    private mutating func answeredContent(_ reply: Reply, _ transaction: Transaction) -> [Action] {
        if reply.code == 421 { return self.end(transaction, undecided: reply) }
        let reply = reply.outcome == .intermediate ? Self.nonsense(reply) : reply
        return [.finished(self.outcome(of: transaction, content: reply))] + self.becomeIdle()
    }

    /// Leaves a transaction in which nothing is sent, with what is known.
    private mutating func giveUp(_ transaction: Transaction, because reply: Reply) -> [Action] {
        let outcome = self.outcome(of: transaction, content: reply)
        // A refused MAIL has left no transaction behind.
        guard transaction.sender?.outcome == .accepted else { return [.finished(outcome)] + self.becomeIdle() }
        self.state = .resetting(nil)
        return [.finished(outcome), .expect(.reset), .send(Array("RSET\r\n".utf8))]
    }

    /// What each recipient gets: the refusal of MAIL, else its own, else what came of the content if there is one.
    private func outcome(of transaction: Transaction, content: Reply) -> Outcome {
        let sender = transaction.sender.flatMap { $0.outcome == .accepted ? nil : Self.understandable($0) }
        let isProbe = transaction.delivery.extent == .recipients
        let replies = transaction.recipients.map { reply in
            if let sender { return sender }
            guard let reply, isProbe || reply.outcome != .accepted else { return content }
            return reply
        }
        var outcome = Outcome(replies: replies, passedNoticeRequests: self.extensions.dsn, standing: .decided)
        outcome.refusedSender = isProbe && sender != nil
        return outcome
    }
}

// MARK: - When things go wrong

extension ClientSession {
    /// Ends the session in the middle of a transaction: who has been refused stays refused, all others are tried again.
    private mutating func end(_ transaction: Transaction, undecided reply: Reply) -> [Action] {
        self.state = .closed
        var outcome = self.outcome(of: transaction, content: reply)
        outcome.standing = transaction.recipients.contains { $0 != nil } ? .broken : .brokenEarly
        return [.finished(outcome), .close]
    }

    /// Ends the session wherever it is.
    private mutating func fail(_ reply: Reply, _ waiting: Delivery? = nil) -> [Action] {
        switch self.state {
        case .greeting, .hello(_, nil):
            self.state = .closed
            return [.unusable(.failed(reply)), .close]
        case .hello(_, let delivery?), .xclient(let delivery), .resetting(let delivery?):
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
    private static func nonsense(_ reply: Reply?) -> Reply {
        Reply(451, .init(5, 0), "Unexpected reply of the next hop: \(reply?.oneLine ?? "none")")
    }

    private static func understandable(_ reply: Reply) -> Reply {
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
