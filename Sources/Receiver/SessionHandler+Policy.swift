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
    /// Why a reply refuses that is on its way.
    var refusal: (reply: Reply, reference: String?, reason: Reason)?
    var clientName: ClientName?
    /// HELO has been judged where refusals are not delayed; else its lists are asked at RCPT.
    var hasJudgedGreeting = false
    /// What is known of the transaction's sender.
    let sender = SenderChecks()
    /// A piece of content is with its inspector; of one connection never two, whichever messages they belong to.
    var isInspecting = false

    /// What was decided about a name that the client does not have any more.
    mutating func forgetGreeting() {
        self.effects = Effects()
        self.carried = Evaluation.Carried()
        self.hasJudgedGreeting = false
        self.refusal = nil
        self.sender.begin()
    }
}

extension SessionHandler {
    /// Answers a question of the session: at once if nothing has to be waited for, else when it is known.
    func decide(_ question: ServerSession.Question) {
        self.facts.hasPipelined = self.hasPipelinedUnasked
        switch question.subject {
        case .greeting(let greeting): self.decideGreeting(greeting, question)
        case .mail(let path, let parameters): self.decideMail(path, parameters, question)
        case .recipient(let path, let reversePath):
            self.facts.reversePath = reversePath
            guard self.isWithin(.recipients) else { return self.refuse(question, .recipientRate) }
            self.facts.forwardPath = path
            if let sender = self.generation.probeSender, path == .mailbox(sender) {
                return self.answer(question, .accept(sender))
            }
            self.evaluate(.recipient, question)
        case .content(let envelope):
            self.facts.reversePath = envelope.reversePath
            self.facts.recipientCount = envelope.recipients.count
            self.facts.forwardPath = envelope.recipients.count == 1 ? .mailbox(envelope.recipients[0].mailbox) : nil
            self.evaluate(.data, question)
        }
    }

    /// A greeting ends a transaction, so nothing of one is left for it.
    private func decideGreeting(_ greeting: ServerSession.Greeting, _ question: ServerSession.Question) {
        let before = (self.facts.helo, self.facts.proto)
        self.beginTransaction(question)
        (self.facts.helo, self.facts.proto) = (greeting.name, greeting.isExtended ? "ESMTP" : "SMTP")
        self.policy.hasJudgedGreeting = !self.generation.policy.delaysRefusals
        guard self.policy.hasJudgedGreeting else { return self.accept(question) }
        self.run(.helo) { handler, outcome in
            handler.decided(question, outcome)
            // A name that was refused is not the client's; the log has had it.
            if outcome.refusal != nil { (handler.facts.helo, handler.facts.proto) = before }
        }
    }

    private func beginTransaction(_ question: ServerSession.Question) {
        // Each transaction is judged by the generation in which it begins.
        self.generation = self.shared.generation()
        self.policy.effects = Effects()
        self.policy.sender.begin()
        self.facts.reversePath = nil
        self.facts.forwardPath = nil
        self.facts.recipientCount = 0
        self.facts.bytes = 0
        self.facts.queueID = ""
        self.facts.instance = "\(self.sessionID).\(question.number)"
        if self.facts.proto == "UTF8SMTP" { self.facts.proto = "ESMTP" }
    }

    private func decideMail(
        _ path: ReversePath, _ parameters: MailParameters, _ question: ServerSession.Question
    ) {
        self.beginTransaction(question)
        self.facts.reversePath = path
        self.facts.bytes = parameters.declaredBytes ?? 0
        guard self.shared.queue.hasRoom(forBytes: self.facts.bytes) else {
            return self.refuse(question, .insufficientStorage)
        }
        guard self.isWithin(.messages) else { return self.refuse(question, .messageRate) }
        self.delaysRefusals ? self.accept(question) : self.evaluate(.mail, question)
    }

    /// Also for a session that said HELO when refusals were delayed still.
    private var delaysRefusals: Bool {
        self.generation.policy.delaysRefusals || !self.policy.hasJudgedGreeting
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
            carried: self.policy.carried, delaysRefusals: self.delaysRefusals)
        let performer = self.generation.performer(self.shared, self.policy.sender, on: self.loop)
        if !self.generation.policy.hasPatterns, let outcome = run.finishNow(performer) {
            return self.finished(run, outcome, completion)
        }
        let (loop, handler) = (self.loop, NIOLoopBound(self, eventLoop: self.loop))
        let start = run
        self.policy.decision = Task {
            var run = start
            guard let outcome = await run.finish(performer, on: loop), !Task.isCancelled else { return }
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
        let reply = reference.map { refusal.reply.referring(to: $0) } ?? refusal.reply
        self.policy.refusal = (reply, reference, refusal.reason)
        return reply
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
            hostname: self.policy.clientName?.verified, helo: self.facts.helo ?? "", proto: self.traceProtocol)
    }
}

extension SessionHandler {
    /// RFC 3848 and RFC 6531 §4.3 have names for what goes through TLS, except for what began with HELO.
    private var traceProtocol: String {
        self.facts.isEncrypted && self.facts.proto != "SMTP" ? "\(self.facts.proto)S" : self.facts.proto
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
