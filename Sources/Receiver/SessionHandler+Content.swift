import Authentication
import Mail
import NIOCore
import Queue
import Rules
import SMTP

/// A message while its content comes in.
struct IncomingMessage {
    private(set) var content: IncomingContent
    private var header = HeaderScanner()
    private var tlsRequired = TLSRequiredScanner()
    private let hopLimit: Int
    /// Looks at what the client sends before any of it belongs to the content; nil without rules.
    let inspector: ContentInspector?
    /// What the inspector has not seen.
    private var raw: [UInt8] = []
    private var isWithInspector = false
    private var isInspected = false
    /// Pieces handed to the queue that are not on the disk yet.
    var pieces = 0
    /// Why the message will not be taken, whatever still comes.
    private(set) var fault: ContentFault?
    /// The content is complete and waits for its pieces.
    var envelope: Envelope?
    /// Octets that the client has sent, without what is put on top of them.
    private(set) var sentBytes = 0
    /// The rules have been asked about it as a whole.
    var isJudged = false
    /// What authentication found, for the log.
    private(set) var authentication: String?

    /// How much an inspector gets at once.
    private static let inspectedBytes = 64 * 1024

    init(id: QueueID, trace: String, hopLimit: Int, inspector: ContentInspector?) {
        self.content = IncomingContent(id: id)
        self.content.buffer = Array(trace.utf8)
        self.hopLimit = hopLimit
        self.inspector = inspector
    }

    /// So much waits already that nothing more should be read.
    func isFull(limit: Int, isInspecting: Bool) -> Bool {
        self.pieces >= limit || (isInspecting && self.raw.count >= Self.inspectedBytes)
    }

    var headerHasEightBit: Bool { self.header.hasEightBit }
    /// The header that is stored says `TLS-Required: No`.
    var declinesTLS: Bool { self.tlsRequired.saysNo }

    mutating func takeBuffer() -> [UInt8] {
        guard self.inspector != nil else {
            defer { self.content.buffer = [] }
            return self.content.buffer
        }
        defer { self.raw = [] }
        return self.raw
    }

    /// Takes the buffer back with what was added to it from `start` on.
    mutating func take(_ buffer: [UInt8], from start: Int) {
        guard self.fault == nil else { return }
        self.sentBytes += buffer.count - start
        if self.inspector == nil { self.content.buffer = buffer } else { self.raw = buffer }
        if self.inspector == nil { self.tlsRequired.scan(buffer[start...]) }
        guard !self.header.isComplete, start < buffer.count else { return }
        buffer.withUnsafeBytes { self.header.scan(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        if self.header.receivedCount > self.hopLimit { self.fail(.tooManyHops) }
    }

    mutating func takePiece() -> ContentPiece? { self.content.takePiece() }

    mutating func fail(_ fault: ContentFault) {
        self.fault = self.fault ?? fault
        self.content.buffer = []
        self.raw = []
    }

    // MARK: Inspection

    /// Nothing of the content is with the inspector, and it has seen all of it or need not.
    var isBehindInspection: Bool {
        !self.isWithInspector && (self.inspector == nil || self.isInspected || self.fault != nil)
    }

    /// What the inspector is to see next; nil while it is busy, or if too little has come.
    mutating func takeUninspected(isLast: Bool) -> [UInt8]? {
        guard self.inspector != nil, self.fault == nil, !self.isWithInspector, !self.isInspected,
            isLast || self.raw.count >= Self.inspectedBytes
        else { return nil }
        self.isWithInspector = true
        defer { self.raw = [] }
        return self.raw
    }

    mutating func authenticated(_ verdict: ContentVerdict) {
        self.content.head = verdict.fields
        self.authentication = verdict.finding?.summary
    }

    mutating func inspected(_ bytes: [UInt8], isLast: Bool) {
        self.isWithInspector = false
        self.isInspected = isLast
        guard self.fault == nil else { return }
        self.content.buffer += bytes
        self.tlsRequired.scan(bytes[...])
    }
}

extension IncomingMessage? {
    /// Content that nobody wants goes into an array that nobody keeps.
    mutating func takeBuffer() -> [UInt8] { self?.takeBuffer() ?? [] }
}

extension SessionHandler {
    func beginContent(_ envelope: Envelope) {
        if envelope.parameters.smtputf8 { self.facts.proto = "UTF8SMTP" }
        let id = self.shared.queue.beginMessage()
        let trace = ReceivedField(
            client: self.identity, tls: self.facts.tls, hostname: self.shared.hostname, id: id,
            recipient: envelope.recipients.count == 1 ? envelope.recipients[0].mailbox : nil,
            time: self.shared.clock.now())
        self.facts.queueID = id.description
        let front = self.policy.effects.prepended.map { "\($0)\r\n" }.joined() + trace.text
        self.incoming = IncomingMessage(
            id: id, trace: front, hopLimit: self.generation.limits.hops, inspector: self.inspector(front: front))
    }

    private var isTrusted: Bool { self.generation.policy.relay.trusts(self.facts.client.address) }

    /// - Returns: nil if nothing is asked about content.
    private func inspector(front: String) -> ContentInspector? {
        let content = self.generation.content
        let authentication = self.generation.authentication.flatMap { policy in
            MessageAuthentication.isNeeded(policy, isTrusted: self.isTrusted)
                ? MessageAuthentication(
                    policy, client: self.isTrusted ? nil : self.authenticatedClient,
                    changesBody: content.checks.changesBody) : nil
        }
        guard authentication != nil || !content.isEmpty else { return nil }
        return ContentInspector(content, authentication: authentication, front: Array(front.utf8))
    }

    private var spfQuestion: SPFQuestion {
        SPFQuestion(
            client: self.facts.client.address, helo: self.facts.helo,
            reversePath: self.facts.reversePath ?? .null)
    }

    private var authenticatedClient: AuthenticatedClient {
        AuthenticatedClient(self.spfQuestion, isInternational: self.facts.proto == "UTF8SMTP")
    }

    /// What authentication needs to know of the transaction; nil if nothing is to be found out.
    private var authenticated: ContentInspector.Transaction? {
        guard self.generation.authentication != nil else { return nil }
        let (question, generation, shared) = (self.spfQuestion, self.generation, self.shared)
        let (checks, loop) = (self.policy.sender, self.loop)
        return ContentInspector.Transaction(
            client: self.isTrusted ? nil : self.authenticatedClient,
            spf: { await generation.spf(question, shared, checks, on: loop) },
            names: NameSource(shared.names, on: loop), now: shared.clock.now())
    }

    /// Gives the inspector what it has not seen, once it is enough or all.
    func inspect(isLast: Bool = false) {
        guard !self.policy.isInspecting, let inspector = self.incoming?.inspector, let id = self.incoming?.content.id,
            let bytes = self.incoming?.takeUninspected(isLast: isLast)
        else { return }
        let (loop, handler) = (self.loop, NIOLoopBound(self, eventLoop: self.loop))
        let transaction = isLast && self.policy.effects.discards == nil ? self.authenticated : nil
        self.policy.isInspecting = true
        self.policy.decision = Task {
            // Of content that nobody wants any more nothing is looked at.
            var output = Task.isCancelled ? [] : inspector.feed(bytes)
            var verdict: ContentVerdict?
            if isLast, !Task.isCancelled {
                var (rest, last) = inspector.finish()
                output += rest
                if let transaction { await inspector.authenticate(&last, transaction) }
                verdict = last
            }
            let (stored, found) = (output, verdict)
            loop.execute {
                handler.value.inspected(id, stored, found)
                handler.value.advance()
            }
        }
    }

    /// - Parameter verdict: nil before the end.
    private func inspected(_ id: QueueID, _ bytes: [UInt8], _ verdict: ContentVerdict?) {
        self.policy.isInspecting = false
        if self.incoming?.content.id == id { self.take(bytes, verdict) }
        // The content may have ended meanwhile, or another message have begun.
        self.handOnPiece()
        self.storeIfComplete()
    }

    private func take(_ bytes: [UInt8], _ verdict: ContentVerdict?) {
        self.incoming?.inspected(bytes, isLast: verdict != nil)
        guard let verdict else { return }
        self.incoming?.authenticated(verdict)
        if let finding = verdict.finding { self.shared.observe(finding, self.incoming?.envelope?.recipients ?? []) }
        for note in verdict.notes { self.log(note) }
        self.policy.effects.add(verdict.effects)
        guard let refusal = verdict.refusal, self.incoming?.fault == nil else { return }
        self.incoming?.fail(.refused(self.reply(for: refusal)))
    }

    /// Gives content to the queue as soon as there is enough for a piece.
    func handOnPiece() {
        self.inspect()
        guard let piece = self.incoming?.takePiece() else { return }
        let (loop, handler) = (self.loop, NIOLoopBound(self, eventLoop: self.loop))
        guard self.shared.queue.hasRoom(forBytes: piece.bytes.count) else {
            self.incoming?.fail(.insufficientStorage)
            return
        }
        self.incoming?.pieces += 1
        self.shared.queue.append(piece) { result in
            loop.execute {
                handler.value.pieceDone(piece.id, result)
                handler.value.advance()
            }
        }
    }

    private func pieceDone(_ id: QueueID, _ result: Result<Void, QueueError>) {
        guard self.incoming?.content.id == id else { return }
        self.incoming?.pieces -= 1
        if case .failure(let error) = result { self.incoming?.fail(ContentFault(error)) }
        self.storeIfComplete()
    }

    /// The end of content with what was found out about it on the way.
    func withFaults(_ event: ServerSession.Event) -> ServerSession.Event {
        switch event {
        case .contentEnded(nil): .contentEnded(self.incoming?.fault)
        case .chunkEnded(nil): .chunkEnded(self.incoming?.fault)
        case .connected, .command, .malformed, .tlsEstablished, .decided, .contentEnded, .chunkEnded, .stored,
            .delayElapsed, .timedOut, .outputTimedOut, .shutdown, .disconnected:
            event
        }
    }

    /// Stores the message once all its pieces are on the disk; a message must not be stored that lacks one.
    func storeIfComplete() {
        guard let incoming = self.incoming, let envelope = incoming.envelope, incoming.pieces == 0 else { return }
        guard incoming.isBehindInspection else { return self.inspect(isLast: true) }
        if let fault = incoming.fault {
            self.dropIncoming()
            return self.stored(.failure(fault))
        }
        guard incoming.isJudged else { return self.judge(incoming.sentBytes) }
        let effects = self.policy.effects
        if effects.discards != nil {
            self.dropIncoming()
            return self.stored(.success(incoming.content.id))
        }
        // From here on the message belongs to the queue.
        self.incoming = nil
        let sent = envelope.changed(by: effects).without(self.generation.probeSender)
            .declining(tls: incoming.declinesTLS)
        guard !sent.recipients.isEmpty else {
            self.incoming = incoming
            self.dropIncoming()
            return self.stored(.success(incoming.content.id))
        }
        // A message that is sent elsewhere as a whole is not filtered (access(5)).
        let filter = effects.redirect == nil ? effects.filter : nil
        let lanes = filter.map { filter in LaneNaming { LaneNaming.filtered(filter, $0) } } ?? self.generation.lanes
        let message = incoming.content.finish(
            arrival: self.shared.clock.now(), envelope: sent, client: self.identity, about: nil,
            needsSMTPUTF8: sent.needsSMTPUTF8(header: incoming.headerHasEightBit), lanes: lanes,
            isHeld: effects.holds != nil)
        self.store(message, authentication: incoming.authentication)
    }

    /// Asks the list of the end of data, once.
    private func judge(_ bytes: Int) {
        self.incoming?.isJudged = true
        guard self.generation.policy.lists[.endOfData] != nil else { return self.storeIfComplete() }
        self.facts.bytes = bytes
        self.run(.endOfData) { handler, outcome in
            if let refusal = outcome.refusal { handler.incoming?.fail(.refused(handler.reply(for: refusal))) }
            handler.storeIfComplete()
        }
    }

    private func store(_ new: NewMessage, authentication: String?) {
        let (loop, handler) = (self.loop, NIOLoopBound(self, eventLoop: self.loop))
        let (events, message) = (self.shared.events, new.message)
        var queued = MailEvent.Queued(envelope: message.envelope, bytes: message.contentBytes)
        queued.session = self.sessionID.description
        queued.client = message.client
        queued.authentication = authentication
        queued.tls = self.facts.tls
        queued.isHeld = message.progress.isHeld
        let event = queued
        self.shared.queue.store(new) { result in
            if case .success = result {
                // Also when the client is gone by now: the message is ours.
                events.record(.queued(message.id, event))
            }
            let outcome = result.map { message.id }.mapError { ContentFault($0) }
            loop.execute {
                handler.value.stored(outcome)
                handler.value.advance()
            }
        }
    }

    func dropIncoming() {
        if self.policy.isInspecting { self.policy.decision?.cancel() }
        if let content = self.incoming?.content {
            self.shared.queue.drop(content.id, wasAppended: content.handedOnBytes > 0)
        }
        self.incoming = nil
    }
}

extension Envelope {
    /// With the recipients that the rules want.
    fileprivate func changed(by effects: Effects) -> Envelope {
        var envelope = self
        if let redirect = effects.redirect { envelope.recipients = [Recipient(redirect)] }
        for copy in effects.copies where !envelope.recipients.contains(where: { $0.mailbox == copy }) {
            // Nobody who sent the message knows of it, so nobody is told of its fate.
            var parameters = RecipientParameters()
            parameters.notify = .never
            envelope.recipients.append(Recipient(copy, parameters: parameters))
        }
        return envelope
    }

    fileprivate func without(_ recipient: Mailbox?) -> Envelope {
        guard let recipient, self.recipients.contains(where: { $0.mailbox == recipient }) else { return self }
        var envelope = self
        envelope.recipients.removeAll { $0.mailbox == recipient }
        return envelope
    }

    /// REQUIRETLS wins over the header (RFC 8689 §4.1).
    fileprivate func declining(tls isDeclined: Bool) -> Envelope {
        guard isDeclined, self.parameters.tls == .unspecified else { return self }
        var parameters = self.parameters
        parameters.tls = .optional
        var envelope = Envelope(reversePath: self.reversePath, parameters: parameters)
        envelope.recipients = self.recipients
        return envelope
    }

    /// SMTPUTF8 is needed on the way only if it was asked for and something is not ASCII (SEMANTICS §13).
    fileprivate func needsSMTPUTF8(header hasEightBit: Bool) -> Bool {
        guard self.parameters.smtputf8 else { return false }
        return hasEightBit || !(self.reversePath.mailbox?.isASCII ?? true)
            || !self.recipients.allSatisfy(\.mailbox.isASCII)
    }
}
