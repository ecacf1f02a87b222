import Mail

/// The server's side of SMTP (RFC 5321) as a value: events in, actions out.
///
/// It knows what the protocol says and nothing else: policy is asked (`ask`, `decided`), content and its storage
/// belong to the caller, and so do TLS and time. Input is given in the order in which it came, and only what
/// ``expectation`` asks for; a client that sends more has to wait.
package struct ServerSession: Sendable {
    private enum State {
        /// After STARTTLS, or before everything else where TLS is not asked for. Next: `greeted`, `closed`.
        case startingTLS
        /// Before the first HELO or EHLO. Next: `startingTLS`, `ready`, `deciding`, `closed`.
        case greeted
        /// No transaction. Next: `startingTLS`, `transaction`, `deciding`, `skippingChunk`, `closed`.
        case ready
        /// After MAIL. Next: `startingTLS`, `deciding`, `ready`, `skippingChunk`, `closed`.
        case transaction(Envelope)
        /// Waiting for policy. Next: `ready`, `transaction`, `content`, `chunk`, `skippingChunk`, `closed`.
        case deciding(Question, Pending)
        /// After 354. Next: `storing`, `ready`, `closed`.
        case content(Envelope)
        /// Inside the octets of BDAT. Next: `betweenChunks`, `storing`, `ready`, `closed`.
        case chunk(Envelope, Chunk)
        /// After a BDAT that was not the last. Next: `startingTLS`, `chunk`, `skippingChunk`, `ready`, `closed`.
        case betweenChunks(Envelope)
        /// Inside the octets of a BDAT that is refused. Next: `greeted`, `ready`, `closed`.
        case skippingChunk(bytes: Int, Reply)
        /// The message is complete and on its way to the disk. Next: `ready`, `closed`.
        case storing(Envelope)
        /// Next: none.
        case closed
    }

    /// What waits for an answer of policy.
    private enum Pending {
        case greeting(Greeting)
        case mail(ReversePath, MailParameters)
        case recipient(RecipientParameters, Envelope)
        case data(Envelope)
        case bdat(Envelope, Chunk)
    }

    /// The octets that a BDAT announced.
    private struct Chunk {
        let bytes: Int
        let isLast: Bool
    }

    private let hostname: String
    private let limits: SessionLimits
    private var tls: TLSOffer
    private var state: State
    private var greeting: Greeting?
    private var errors = ErrorCount()
    private var questions = 0
    /// Actions that are held back until the delay for too many errors is over.
    private var delayed: [Action] = []
    private var isShuttingDown = false
    /// The client has sent something before it was its turn (RFC 2920 §3.1).
    private var pipelinedUnasked = false
    private var screening: SessionScreening

    package init(
        hostname: String, limits: SessionLimits = SessionLimits(), screening: SessionScreening = SessionScreening(),
        tls: TLSOffer = .none
    ) {
        self.hostname = hostname
        self.limits = limits
        self.screening = screening
        self.tls = tls
        self.state = tls == .implicit ? .startingTLS : .greeted
    }

    /// The client has sent a command before it was its turn, for policy to judge.
    package var hasPipelinedUnasked: Bool { self.pipelinedUnasked }

    /// What may be given to ``handle(_:)`` next from what the client sends.
    package var expectation: Expectation {
        guard self.delayed.isEmpty else { return .nothing }
        switch self.state {
        case .startingTLS: return .handshake
        case .greeted, .ready, .transaction, .betweenChunks: return .command
        case .content: return .content
        case .chunk(_, let chunk): return .chunk(bytes: chunk.bytes, isLast: chunk.isLast)
        case .skippingChunk(let bytes, _): return .discard(bytes: bytes)
        case .deciding, .storing, .closed: return .nothing
        }
    }

    package mutating func handle(_ event: Event) -> [Action] {
        guard !self.isClosed else { return [] }
        switch event {
        case .connected: return [.reply(.greeting(self.hostname))]
        case .command(let command, let facts):
            guard self.expectation == .command else { return [] }
            let findings = self.screen(facts, command, isSMTP: true)
            guard !self.isClosed else { return findings }
            self.notePipelining(command, isLast: facts.isLast)
            return findings + self.afterErrors(self.perform(command, isLast: facts.isLast))
        case .malformed(let error, let facts):
            guard self.expectation == .command else { return [] }
            let findings = self.screen(facts, nil, isSMTP: error != .notSMTP)
            guard !self.isClosed else { return findings }
            return findings + self.afterErrors(self.refuse(error))
        case .tlsEstablished: return self.tlsEstablished()
        case .decided(let decision): return self.afterErrors(self.decided(decision))
        case .contentEnded(let fault): return self.contentEnded(fault)
        case .chunkEnded(let fault): return self.chunkEnded(fault)
        case .stored(let result): return self.stored(result)
        case .delayElapsed:
            defer { self.delayed = [] }
            return self.delayed
        case .timedOut: return self.isWaitingForUs ? [] : self.close(.timedOut)
        case .outputTimedOut: return self.reset() + self.leave(.timedOut)
        case .shutdown(let patience): return self.shutdown(patience)
        case .disconnected:
            self.state = .closed
            return []
        }
    }
}

// MARK: - Commands

extension ServerSession {
    private var isClosed: Bool { if case .closed = self.state { true } else { false } }

    /// Looks for what the screener wants to know. The session may be closed afterwards.
    private mutating func screen(_ facts: LineFacts, _ command: Command?, isSMTP: Bool) -> [Action] {
        switch self.screening.observe(facts, command, isSMTP: isSMTP) {
        case .none: []
        case .failed(let findings): findings.map(Action.screened)
        case .end(let findings, let reply): findings.map(Action.screened) + self.close(reply)
        }
    }

    /// EHLO, DATA and the like must come last in what is sent at once, and after HELO everything must (RFC 2920).
    private mutating func notePipelining(_ command: Command, isLast: Bool) {
        guard !isLast else { return }
        switch command {
        case .mail, .rcpt, .rset:
            if self.greeting?.isExtended != true || !self.screening.offersPipelining { self.pipelinedUnasked = true }
        case .bdat: break  // Its octets follow without waiting, and tell themselves from commands.
        case .helo, .ehlo, .starttls, .data, .noop, .vrfy, .help: self.pipelinedUnasked = true
        case .quit: break  // Nothing behind it is read.
        }
    }

    private mutating func perform(_ command: Command, isLast: Bool) -> [Action] {
        if self.tls == .required, !command.mayPrecedeTLS { return self.refuseInPlain(command) }
        switch command {
        case .helo(let name): return self.greet(Greeting(name: name, isExtended: false))
        case .ehlo(let name): return self.greet(Greeting(name: name, isExtended: true))
        case .starttls: return self.startTLS(isLast: isLast)
        case .mail(let path, let parameters): return self.mail(path, parameters)
        case .rcpt(let path, let parameters): return self.rcpt(path, parameters)
        case .data: return self.data()
        case .bdat(let bytes, let isLast): return self.bdat(Chunk(bytes: bytes, isLast: isLast))
        case .rset: return self.junk() + self.reset() + [.reply(.ok)]
        case .noop: return self.junk() + [.reply(.ok)]
        case .help: return self.junk() + [.reply(.help)]
        case .vrfy(let argument): return self.junk() + [.reply(self.vrfy(argument))]
        case .quit: return self.close(.goodbye(self.hostname))
        }
    }

    /// A greeting also ends a transaction, as RSET does (RFC 5321 §4.1.4).
    private mutating func greet(_ greeting: Greeting) -> [Action] {
        self.reset() + self.ask(.greeting(greeting), .greeting(greeting))
    }

    private var extensions: Reply {
        var lines = [self.hostname]
        if self.screening.offersPipelining { lines.append("PIPELINING") }
        lines += [
            "SIZE \(self.limits.messageSize.bytes)", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "CHUNKING",
        ]
        switch self.tls {
        case .none: break
        case .offered, .required: lines.append("STARTTLS")
        // RFC 8689 §2: only where it can begin to hold.
        case .implicit, .established: if self.limits.requireTLS { lines.append("REQUIRETLS") }
        }
        if self.limits.vrfy { lines.append("VRFY") }
        return Reply(code: 250, detail: nil, lines: lines + ["HELP"])
    }

    private mutating func mail(_ path: ReversePath, _ parameters: MailParameters) -> [Action] {
        switch self.state {
        case .greeted: return self.error(.heloFirst)
        case .transaction, .betweenChunks: return self.error(.nestedMail)
        case .ready: break
        case .startingTLS, .deciding, .content, .chunk, .skippingChunk, .storing, .closed: return []
        }
        if parameters.tls == .required, self.tls != .established || !self.limits.requireTLS {
            return self.refuse(.unknownParameter("REQUIRETLS"))
        }
        if let bytes = parameters.declaredBytes, bytes > self.limits.messageSize.bytes {
            return [.reply(.messageTooLarge(limit: self.limits.messageSize.bytes))]
        }
        return self.ask(.mail(path, parameters), .mail(path, parameters))
    }

    private mutating func rcpt(_ path: ForwardPath, _ parameters: RecipientParameters) -> [Action] {
        guard case .transaction(let envelope) = self.state else { return self.error(self.outOfSequence) }
        if case .mailbox(let mailbox) = path, !mailbox.isASCII, !envelope.parameters.smtputf8 {
            return self.refuse(.nonASCIIPath)
        }
        if let refusal = self.screening.refusal { return self.error(refusal) }
        let passed = self.screening.reachRecipient().map { [Action.screened($0)] } ?? []
        return passed + self.rcpt(path, parameters, envelope)
    }

    private mutating func rcpt(
        _ path: ForwardPath, _ parameters: RecipientParameters, _ envelope: Envelope
    ) -> [Action] {
        guard envelope.recipients.count < self.limits.recipients else {
            // A client that goes on and on is told so at some point (SEMANTICS §13).
            return self.errors.overshoot(limit: self.limits.recipients)
                ? self.error(.tooManyRecipients) : [.reply(.tooManyRecipients)]
        }
        return self.ask(.recipient(path, from: envelope.reversePath), .recipient(parameters, envelope))
    }

    private mutating func data() -> [Action] {
        guard case .transaction(let envelope) = self.state else { return self.error(self.outOfSequence) }
        guard !envelope.recipients.isEmpty else { return self.error(.recipientFirst) }
        if let refusal = self.refuseContent() { return refusal }
        return self.ask(.content(envelope), .data(envelope))
    }

    /// The octets of a BDAT that is refused are read all the same, or they would be taken for commands.
    private mutating func bdat(_ chunk: Chunk) -> [Action] {
        switch self.state {
        case .transaction(let envelope) where envelope.recipients.isEmpty: return self.skip(chunk, .recipientFirst)
        case .transaction(let envelope):
            if let refusal = self.refuseContent() { return refusal }
            return self.ask(.content(envelope), .bdat(envelope, chunk))
        case .betweenChunks(let envelope):
            self.state = .chunk(envelope, chunk)
            return []
        case .greeted, .ready: return self.skip(chunk, self.outOfSequence)
        case .startingTLS, .deciding, .content, .chunk, .skippingChunk, .storing, .closed: return []
        }
    }

    private mutating func skip(_ chunk: Chunk, _ reply: Reply) -> [Action] {
        self.errors.count += 1
        let dropped = self.reset()
        self.state = .skippingChunk(bytes: chunk.bytes, reply)
        return dropped
    }

    /// Behind a DATA that nobody waited for come octets of which nobody knows what they are; the session ends there.
    /// So it does for a client that failed the screener's tests only when it had recipients already.
    private mutating func refuseContent() -> [Action]? {
        if let refusal = self.screening.refusal { return self.close(refusal) }
        return self.pipelinedUnasked && self.limits.rejectPipelining ? self.close(.unauthorizedPipelining) : nil
    }

    private func vrfy(_ argument: String) -> Reply {
        guard self.limits.vrfy else { return .vrfyDisabled }
        // RFC 6531 §3.7.4.2. The transaction, if there is one, does not notice (SEMANTICS §17, 3).
        return argument.isASCII || argument.uppercased().hasSuffix(" SMTPUTF8") ? .cannotVerify : .nonASCIIPath
    }

    private mutating func refuse(_ error: CommandError) -> [Action] {
        switch error {
        case .notSMTP where self.screening.toleratesOtherProtocols: return self.error(.to(.unrecognized))
        case .notSMTP, .bareLineFeed: return self.close(.to(error))
        case .nonASCIIPath:
            // MAIL and RCPT go together, so the whole transaction does (SEMANTICS §13).
            let dropped = self.reset()
            return dropped + self.error(.to(error))
        case .unrecognized, .notImplemented, .tooLong, .badName, .syntax, .badReversePath, .badForwardPath,
            .pathTooLong, .unknownParameter, .badParameter:
            return self.error(.to(error))
        }
    }

    /// What to say to RCPT, DATA and BDAT that come when it is not their turn.
    private var outOfSequence: Reply {
        switch self.state {
        case .greeted: .heloFirst
        case .ready: .mailFirst
        case .startingTLS, .transaction, .deciding, .content, .chunk, .betweenChunks: .badSequence
        case .skippingChunk, .storing, .closed: .badSequence
        }
    }
}

// MARK: - TLS

extension ServerSession {
    /// RFC 3207 §4.2: what the client said before is forgotten. What it did wrong is not, and neither is what the
    /// screener found.
    ///
    /// Octets behind the command came in plain text, from whomever, and would be taken for what came through TLS
    /// (CVE-2011-0411): nothing of them is read, and nothing more is said.
    private mutating func startTLS(isLast: Bool) -> [Action] {
        switch self.tls {
        case .none: return self.error(.to(.notImplemented))
        case .implicit, .established: return self.error(.tlsActive)
        case .offered, .required: break
        }
        let dropped = self.reset()
        guard isLast else { return dropped + self.leave(.inputBehindStartTLS) }
        self.greeting = nil
        self.state = .startingTLS
        return dropped + [.reply(.startTLS), .startTLS]
    }

    private mutating func tlsEstablished() -> [Action] {
        guard case .startingTLS = self.state else { return [] }
        defer { (self.tls, self.state) = (.established, .greeted) }
        return self.tls == .implicit ? [.reply(.greeting(self.hostname))] : []
    }

    /// The octets of a BDAT have to be read all the same.
    private mutating func refuseInPlain(_ command: Command) -> [Action] {
        guard case .bdat(let bytes, let isLast) = command else { return self.error(.startTLSFirst) }
        return self.skip(Chunk(bytes: bytes, isLast: isLast), .startTLSFirst)
    }
}

// MARK: - Policy

extension ServerSession {
    private mutating func ask(_ subject: Question.Subject, _ pending: Pending) -> [Action] {
        self.questions += 1
        let question = Question(number: self.questions, subject: subject)
        self.state = .deciding(question, pending)
        return [.ask(question)]
    }

    /// Late answers, to questions of a transaction that is gone, change nothing.
    private mutating func decided(_ decision: Decision) -> [Action] {
        guard case .deciding(let question, let pending) = self.state, question.number == decision.question else {
            return []
        }
        // Given up before the envelope changes, so that its recipients are not copied for each new one.
        self.state = .ready
        switch decision.verdict {
        case .accept(let mailbox): return self.accepted(pending, mailbox)
        case .refuse(let reply): return self.refused(pending, reply)
        }
    }

    private mutating func accepted(_ pending: consuming Pending, _ mailbox: Mailbox?) -> [Action] {
        switch pending {
        case .greeting(let greeting):
            self.greeting = greeting
            return [.reply(greeting.isExtended ? self.extensions : Reply(250, nil, self.hostname))]
        case .mail(let path, let parameters):
            self.state = .transaction(Envelope(reversePath: path, parameters: parameters))
            return [.reply(.senderOk)]
        case .recipient(let parameters, var envelope):
            guard let mailbox else { return self.refused(pending, .to(.badForwardPath)) }
            envelope.recipients.append(Recipient(mailbox, parameters: parameters))
            self.state = .transaction(envelope)
            return [.reply(.recipientOk)]
        case .data(let envelope):
            self.state = .content(envelope)
            return [.beginContent(envelope), .reply(.startContent)]
        case .bdat(let envelope, let chunk):
            self.state = .chunk(envelope, chunk)
            return [.beginContent(envelope)]
        }
    }

    private mutating func refused(_ pending: Pending, _ reply: Reply) -> [Action] {
        let disconnects = reply.code == 421 || reply.code == 521
        switch pending {
        case .greeting: self.state = self.greeting == nil ? .greeted : .ready
        case .mail: self.state = .ready
        case .recipient(_, let envelope): self.state = .transaction(envelope)
        case .data: self.state = .ready
        case .bdat(_, let chunk):
            guard disconnects else { return self.skip(chunk, reply) }
        }
        return disconnects ? self.close(reply) : self.error(reply)
    }
}

// MARK: - Content

extension ServerSession {
    private mutating func contentEnded(_ fault: ContentFault?) -> [Action] {
        guard case .content(let envelope) = self.state else { return [] }
        return self.finish(envelope, fault)
    }

    private mutating func chunkEnded(_ fault: ContentFault?) -> [Action] {
        switch self.state {
        case .skippingChunk(_, let reply):
            self.state = self.greeting == nil ? .greeted : .ready
            return self.afterErrors([.reply(reply)])
        case .chunk(let envelope, let chunk):
            // After a failed chunk the client may have sent others already: they find no transaction.
            guard fault == nil, !chunk.isLast else { return self.finish(envelope, fault) }
            self.state = .betweenChunks(envelope)
            return [.reply(.chunkOk(chunk.bytes))]
        case .startingTLS, .greeted, .ready, .transaction, .deciding, .content, .betweenChunks, .storing, .closed:
            return []
        }
    }

    /// A transaction ends here whichever way it goes: nothing of it is left for the next RCPT (SEMANTICS §17, 1 and 2).
    private mutating func finish(_ envelope: Envelope, _ fault: ContentFault?) -> [Action] {
        guard let fault else {
            self.state = .storing(envelope)
            return [.store(envelope)]
        }
        self.state = .ready
        let reply = Reply.to(fault, limits: self.limits)
        if reply.code == 421 || reply.code == 521 { return [.dropContent] + self.close(reply) }
        return [.dropContent] + self.afterErrors(self.error(reply))
    }

    private mutating func stored(_ result: Result<QueueID, ContentFault>) -> [Action] {
        guard case .storing = self.state else { return [] }
        self.state = .ready
        switch result {
        case .success(let id):
            self.errors = ErrorCount()
            return self.afterErrors([.reply(.queued(id))])
        case .failure(let fault):
            let reply = Reply.to(fault, limits: self.limits)
            if reply.code == 421 || reply.code == 521 { return self.close(reply) }
            return self.afterErrors(self.error(reply))
        }
    }
}

// MARK: - Errors and the end

extension ServerSession {
    private mutating func error(_ reply: Reply) -> [Action] {
        self.errors.count += 1
        return [.reply(reply)]
    }

    private mutating func junk() -> [Action] {
        self.errors.junk += 1
        if self.errors.junk > self.limits.junkCommands { self.errors.count += 1 }
        return []
    }

    /// Ends the session after too many errors, or at shutdown, and slows it down before.
    private mutating func afterErrors(_ actions: [Action]) -> [Action] {
        guard !self.isClosed else { return actions }
        if self.errors.count >= self.limits.errorsPerSession { return actions + self.close(.tooManyErrors) }
        if self.isShuttingDown, case .ready = self.state { return actions + self.close(.shuttingDown) }
        let isFailure = actions.contains { if case .reply(let reply) = $0 { reply.code >= 400 } else { false } }
        guard isFailure, self.errors.count > self.limits.softErrors, self.limits.errorDelay > .zero else {
            return actions
        }
        self.delayed = actions
        return [.delay(self.limits.errorDelay)]
    }

    /// Ends a transaction; content that has arrived for it is dropped.
    private mutating func reset() -> [Action] {
        switch self.state {
        case .transaction:
            self.state = .ready
            return []
        case .content, .chunk, .betweenChunks:
            self.state = .ready
            return [.dropContent]
        case .startingTLS, .greeted, .ready, .deciding, .skippingChunk, .storing, .closed: return []
        }
    }

    /// Ends the session without a word.
    private mutating func leave(_ reason: Reply) -> [Action] {
        (self.state, self.delayed) = (.closed, [])
        return [.unsaid(reason), .close]
    }

    /// In a handshake nobody would understand what is said.
    private mutating func close(_ reply: Reply) -> [Action] {
        let dropped = self.reset()
        let last = self.expectation == .handshake ? Action.unsaid(reply) : .reply(reply)
        (self.state, self.delayed) = (.closed, [])
        return dropped + [last, .close]
    }

    /// Who is between messages goes now; who is in one may finish it.
    private mutating func shutdown(_ patience: Patience) -> [Action] {
        self.isShuttingDown = true
        switch self.state {
        case .startingTLS, .greeted, .ready: return self.close(.shuttingDown)
        case .transaction, .content, .chunk, .betweenChunks, .skippingChunk:
            return patience == .none ? self.close(.shuttingDown) : []
        case .deciding, .storing, .closed: return []
        }
    }

    /// The client has done its part, so no time limit of its runs.
    private var isWaitingForUs: Bool {
        switch self.state {
        case .deciding, .storing: true
        case .startingTLS, .greeted, .ready, .transaction, .content, .chunk, .betweenChunks, .skippingChunk, .closed:
            false
        }
    }
}
