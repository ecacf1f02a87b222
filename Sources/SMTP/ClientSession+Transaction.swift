import Mail

extension ClientSession {
    /// A delivery under way.
    struct Transaction {
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

    mutating func deliver(_ delivery: Delivery) -> [Action] {
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
    mutating func begin(_ delivery: Delivery) -> [Action] {
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
        // Whoever chose this session should have known.
        if delivery.envelope.parameters.tls == .required, !self.keepsRequireTLS { return Self.requireTLSReply }
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

    mutating func answeredEnvelope(_ reply: Reply, _ transaction: consuming Transaction) -> [Action] {
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

    mutating func contentSent() -> [Action] {
        guard case .content(let transaction) = self.state else { return [] }
        self.state = .termination(transaction)
        return [.expect(.dataTermination)]
    }

    mutating func answeredContent(_ reply: Reply, _ transaction: Transaction) -> [Action] {
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
    func outcome(of transaction: Transaction, content: Reply) -> Outcome {
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
