import Mail
import NIOCore
import Queue
import Rules
import SMTP

/// What a session's rules have come to so far.
struct SessionPolicy {
    /// Of the transaction.
    var effects = Effects()
    /// Of the session, where refusals are not delayed.
    var carried = Evaluation.Carried()
    /// The question that is being decided.
    var decision: Task<Void, Never>?
    /// Why the reply that comes next refuses.
    var refusal: (reference: String?, reason: Reason)?
    var clientName: ClientName?
}

extension SessionHandler {
    /// Answers a question of the session: at once if nothing has to be waited for, else when it is known.
    func decide(_ question: ServerSession.Question) {
        self.facts.hasPipelined = self.hasPipelinedUnasked
        switch question.subject {
        case .greeting:
            guard self.generation.policy.delaysRefusals else { return self.evaluate(.helo, question) }
            self.accept(question)
        case .mail(_, let parameters): self.decideMail(parameters, question)
        case .recipient(let path, _):
            guard self.isWithin(.recipients) else { return self.refuse(question, .recipientRate) }
            self.facts.forwardPath = path
            if let sender = self.generation.probeSender, path == .mailbox(sender) {
                return self.answer(question, .accept(sender))
            }
            self.evaluate(.recipient, question)
        case .content(let envelope):
            self.facts.recipientCount = envelope.recipients.count
            self.facts.forwardPath = envelope.recipients.count == 1 ? .mailbox(envelope.recipients[0].mailbox) : nil
            self.evaluate(.data, question)
        }
    }

    private func decideMail(_ parameters: MailParameters, _ question: ServerSession.Question) {
        self.policy.effects = Effects()
        self.facts.forwardPath = nil
        self.facts.recipientCount = 0
        self.facts.bytes = parameters.declaredBytes ?? 0
        self.facts.queueID = ""
        self.facts.instance = "\(self.sessionID).\(question.number)"
        guard self.shared.queue.hasRoom(forBytes: self.facts.bytes) else {
            return self.refuse(question, .insufficientStorage)
        }
        guard self.isWithin(.messages) else { return self.refuse(question, .messageRate) }
        guard self.generation.policy.delaysRefusals else { return self.evaluate(.mail, question) }
        self.accept(question)
    }

    private func isWithin(_ rate: ClientLimits.Rate) -> Bool {
        let client = self.facts.client.address
        return self.generation.policy.relay.trusts(client)
            || self.shared.clients.count(rate, client, limits: self.generation.limits, now: Self.now)
    }

    // MARK: Asking the rules

    private func evaluate(_ command: Evaluation.Command, _ question: ServerSession.Question) {
        self.run(command) { handler, outcome in handler.decided(question, outcome) }
    }

    /// Patterns are tried on another thread than the event loop's, and so is everything that has to be waited for.
    ///
    /// - Parameter completion: called on the event loop, possibly before this returns; not after the connection is
    ///   gone.
    func run(_ command: Evaluation.Command, _ completion: @escaping @Sendable (SessionHandler, Outcome) -> Void) {
        var run = PolicyRun(
            command, policy: self.generation.policy, facts: self.facts, before: self.policy.effects,
            carried: self.policy.carried)
        let performer = self.generation.performer(self.shared)
        if !self.generation.policy.hasPatterns, let outcome = run.finishNow(performer) {
            return self.finished(run, outcome, completion)
        }
        let (loop, handler) = (self.loop, NIOLoopBound(self, eventLoop: self.loop))
        let start = run
        self.policy.decision = Task {
            var run = start
            let outcome = await run.finish(performer, on: loop)
            guard !Task.isCancelled else { return }
            let finished = run
            loop.execute {
                handler.value.policy.decision = nil
                handler.value.finished(finished, outcome, completion)
                handler.value.advance()
            }
        }
    }

    private func finished(
        _ run: PolicyRun, _ outcome: Outcome, _ completion: (SessionHandler, Outcome) -> Void
    ) {
        guard self.isOpen else { return }
        self.policy.carried = run.carried
        self.policy.clientName = outcome.clientName ?? self.policy.clientName
        self.policy.effects.add(outcome.effects)
        for note in outcome.notes { self.log(note) }
        completion(self, outcome)
    }

    private func decided(_ question: ServerSession.Question, _ outcome: Outcome) {
        if let refusal = outcome.refusal { return self.refuse(question, self.reply(for: refusal)) }
        guard case .recipient(let path, _) = question.subject else { return self.accept(question) }
        guard let mailbox = self.generation.policy.relay.mailbox(for: path) else {
            return self.refuse(question, .unknownRecipient)
        }
        self.facts.recipientCount += 1
        self.answer(question, .accept(mailbox))
    }

    /// The reply to a refusal, with the reference by which its log line is found.
    func reply(for refusal: Refused) -> Reply {
        let reference = self.generation.givesReferences ? Reply.newReference() : nil
        self.policy.refusal = (reference, refusal.reason)
        return reference.map { refusal.reply.referring(to: $0) } ?? refusal.reply
    }

    private func accept(_ question: ServerSession.Question) { self.answer(question, .accept()) }

    private func refuse(_ question: ServerSession.Question, _ reply: Reply) { self.answer(question, .refuse(reply)) }

    private func answer(_ question: ServerSession.Question, _ verdict: ServerSession.Decision.Verdict) {
        self.handle(.decided(ServerSession.Decision(question: question.number, verdict: verdict)))
    }

    /// What the primary and the trace field may say of the client.
    var identity: ClientIdentity {
        ClientIdentity(
            address: self.facts.client.address, port: self.facts.client.port,
            hostname: self.policy.clientName?.verified, helo: self.facts.helo ?? "", proto: self.facts.proto)
    }
}

extension Reply {
    /// Without letters and digits that look alike.
    private static let referenceAlphabet = Array("23456789ABCDEFGHJKLMNPQRSTUVWXYZ")

    static func newReference() -> String {
        String((0..<6).map { _ in Self.referenceAlphabet.randomElement() ?? "2" })
    }

    /// The same with `[ref 4K7Q2M]` behind its last line, which is cut where it would become too long.
    func referring(to reference: String) -> Reply {
        let mark = " [ref \(reference)]"
        var lines = self.lines
        let last = (lines.popLast() ?? "").printable(maximumBytes: Self.maximumLineBytes - mark.utf8.count)
        return Reply(code: self.code, detail: self.detail, lines: lines + [last + mark])
    }
}
