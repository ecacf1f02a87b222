import Mail

/// The server's side of SMTP (RFC 5321) as a value: events in, actions out.
///
/// It knows what the protocol says and nothing else: policy is asked (`ask`, `decided`), content and its storage
/// belong to the caller, and so do TLS and time. Input is given in the order in which it came, and only what
/// ``expectation`` asks for; a client that sends more has to wait.
package struct ServerSession: Sendable {
    enum State {
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
    enum Pending {
        case greeting(Greeting)
        case mail(ReversePath, MailParameters)
        case recipient(RecipientParameters, Envelope)
        case data(Envelope)
        case bdat(Envelope, Chunk)
    }

    /// The octets that a BDAT announced.
    struct Chunk {
        let bytes: Int
        let isLast: Bool
    }

    let hostname: String
    let limits: SessionLimits
    var tls: TLSOffer
    var state: State
    var greeting: Greeting?
    var errors = ErrorCount()
    var questions = 0
    /// Actions that are held back until the delay for too many errors is over.
    var delayed: [Action] = []
    var isShuttingDown = false
    /// The client has sent something before it was its turn (RFC 2920 §3.1).
    var pipelinedUnasked = false
    var screening: SessionScreening

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
