import Mail
import SMTP

/// Whatever a client sends, the server answers in lines, in turn, and takes no message that was not agreed on.
func checkServerSession(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    var limits = SessionLimits()
    limits.messageSize = ByteCount(512)
    limits.commandLine = ByteCount(512)
    limits.recipients = 3
    limits.softErrors = 3
    limits.errorsPerSession = 6
    limits.junkCommands = 4
    limits.lineEndings = fingerprint(of: bytes) & 1 == 0 ? .normalize : .reject
    limits.rejectPipelining = false
    let always: ServerSession.TLSOffer = fingerprint(of: bytes) & 2 == 0 ? .none : .implicit
    _ = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in try serve(pieces, limits, tls: always) }
    // What pipelining is depends on how octets arrive, so here the outcome may differ.
    limits.rejectPipelining = true
    for arrival in arrivals.suffix(1) + [.whole] { _ = try serve(arrival.pieces(of: bytes), limits) }
    // And so it is with what stands behind STARTTLS.
    for offer in [ServerSession.TLSOffer.offered, .required] {
        for arrival in arrivals.suffix(1) + [.whole, .single] {
            _ = try serve(arrival.pieces(of: bytes), limits, tls: offer)
        }
    }
    // And with the screener's tests, whose actions follow from the input.
    let choice = Int(fingerprint(of: bytes) >> 1 & 0xFF)
    var actions: [ScreeningTest: ScreeningAction] = [:]
    for (index, test) in [ScreeningTest.pipelining, .nonSMTP, .bareNewline].enumerated() {
        actions[test] = [nil, .ignore, .enforce, .drop][choice >> (2 * index) & 3]
    }
    let screening = SessionScreening(
        refusal: choice >> 6 == 3 ? Reply(550, .init(7, 1), "listed") : nil, actions: actions)
    for arrival in arrivals.suffix(1) + [.whole] { _ = try serve(arrival.pieces(of: bytes), limits, screening) }
}

private func serve(
    _ pieces: [ArraySlice<UInt8>], _ limits: SessionLimits, _ screening: SessionScreening = SessionScreening(),
    tls: ServerSession.TLSOffer = .none
) throws(Violation) -> ServerRun.Result {
    var run = ServerRun(limits: limits, screening: screening, tls: tls)
    try run.begin()
    for piece in pieces { try run.receive(piece) }
    try run.end()
    return run.result
}

/// A session with a policy, a store, and its own opinion of what has been agreed on.
private struct ServerRun {
    struct Message: Equatable {
        let envelope: Envelope
        let content: [UInt8]
    }

    struct Result: Equatable {
        var output: [UInt8] = []
        var messages: [Message] = []
        var isClosed = false
    }

    /// What the client was told about the transaction.
    private struct Agreement {
        let reversePath: ReversePath
        var recipients: [Mailbox] = []
    }

    private var session: ServerSession
    private var input: ServerInput
    private let limits: SessionLimits
    private var held: [UInt8] = []
    private var content: [UInt8] = []
    private var agreement: Agreement?
    /// Replies to the present event.
    private var replies: [Reply] = []
    /// The present event completed a message.
    private var hasStored = false
    private(set) var result = Result()
    /// No recipient may be accepted any more.
    private var hasFailedScreening: Bool
    private let tls: ServerSession.TLSOffer
    private var isEncrypted = false
    /// Since the connection, or TLS, began.
    private var isGreeted = false
    private var isUnsaid = false

    init(limits: SessionLimits, screening: SessionScreening, tls: ServerSession.TLSOffer) {
        self.session = ServerSession(hostname: "mx.example.test", limits: limits, screening: screening, tls: tls)
        self.tls = tls
        self.hasFailedScreening = screening.refusal != nil
        self.input = ServerInput(limits: limits)
        self.limits = limits
    }

    mutating func begin() throws(Violation) {
        guard self.tls == .implicit else { return try self.handle(.connected) }
        try self.establish()
        try require(!self.result.output.isEmpty, "no greeting behind the handshake")
    }

    private mutating func establish() throws(Violation) {
        try require(self.session.expectation == .handshake, "no handshake is waited for")
        for event in [ServerSession.Event.command(.noop), .connected, .stored(.failure(.storageFailed))] {
            var session = self.session
            try require(session.handle(event).isEmpty || event.isConnected, "\(event) in a handshake")
        }
        self.isEncrypted = true
        self.isGreeted = false
        try self.handle(.tlsEstablished)
    }

    mutating func receive(_ piece: ArraySlice<UInt8>) throws(Violation) {
        self.held += piece
        while !self.result.isClosed {
            let (consumed, event) = self.held.withUnsafeBytes {
                self.input.next($0, expecting: self.session.expectation, content: &self.content)
            }
            self.held.removeFirst(consumed)
            guard let event else { return }
            self.replies = []
            self.hasStored = false
            try self.handle(event)
            try self.review(event)
            try require(
                self.result.isClosed || self.session.expectation != .nothing, "the session stands still after \(event)")
        }
    }

    /// The client goes, or is sent away; nothing happens afterwards.
    mutating func end() throws(Violation) {
        let expectation = self.session.expectation
        var session = self.session
        _ = session.handle(.shutdown(.none))
        let wasClosed = self.result.isClosed
        let actions = self.session.handle(.timedOut)
        try require(
            wasClosed ? actions.isEmpty : actions.last == .close, "timed out in \(expectation) leads to \(actions)")
        for event in [ServerSession.Event.command(.noop), .contentEnded(nil), .chunkEnded(nil), .disconnected] {
            try require(self.session.handle(event).isEmpty, "a closed session answers \(event)")
            try require(session.handle(event).isEmpty, "a session that was shut down answers \(event)")
        }
    }

    private mutating func handle(_ event: ServerSession.Event) throws(Violation) {
        for action in self.session.handle(event) {
            try require(!self.result.isClosed, "\(action) after the end")
            try self.perform(action)
        }
    }

    private mutating func perform(_ action: ServerSession.Action) throws(Violation) {
        switch action {
        case .reply(let reply): try self.send(reply)
        case .unsaid: self.isUnsaid = true
        case .startTLS:
            try require(self.tls == .offered || self.tls == .required, "TLS that was not offered")
            try require(!self.isEncrypted && self.held.isEmpty, "TLS begins with \(shown(self.held)) left over")
            self.agreement = nil
            try self.establish()
        case .ask(let question):
            // Answers to other questions change nothing.
            let other = ServerSession.Decision(question: question.number - 1, verdict: .accept())
            try require(self.session.handle(.decided(other)).isEmpty, "an answer to another question counts")
            try require(self.session.expectation == .nothing, "a question does not make the client wait")
            let verdict = Self.verdict(on: question.subject)
            try self.handle(.decided(ServerSession.Decision(question: question.number, verdict: verdict)))
        case .beginContent:
            try require(self.agreement?.recipients.isEmpty == false, "content without a recipient")
            self.content = []
        case .store(let envelope): try self.store(envelope)
        case .screened(.failed(_, let action)): if action != .ignore { self.hasFailedScreening = true }
        case .screened(.passed): try require(!self.hasFailedScreening, "passed after having failed")
        case .dropContent:
            self.input.dropContent()
            self.content = []
        case .delay:
            try require(self.session.expectation == .nothing, "a delay does not make the client wait")
            try self.handle(.delayElapsed)
        case .close: self.result.isClosed = true
        }
    }

    private mutating func send(_ reply: Reply) throws(Violation) {
        var bytes: [UInt8] = []
        reply.append(to: &bytes)
        try require(hasOnlyWholeLineEnds(bytes) && bytes.last == ASCII.lineFeed, "reply \(shown(bytes))")
        let lines = bytes.split(separator: ASCII.lineFeed)
        try require(lines.allSatisfy { $0.count + 1 <= 512 }, "a long line in \(shown(bytes))")
        self.replies.append(reply)
        self.result.output += bytes
    }

    private mutating func store(_ envelope: Envelope) throws(Violation) {
        self.hasStored = true
        guard let agreement, !agreement.recipients.isEmpty else {
            throw Violation(description: "stored without a recipient: \(envelope)")
        }
        try require(envelope.parameters.tls != .required || self.isEncrypted, "REQUIRETLS in plain text: \(envelope)")
        try require(envelope.reversePath == agreement.reversePath, "another reverse-path: \(envelope)")
        try require(envelope.recipients.map(\.mailbox) == agreement.recipients, "other recipients: \(envelope)")
        try require(hasOnlyWholeLineEnds(self.content), "bare line ends stored: \(shown(self.content))")
        try require(self.content.isEmpty || self.content.last == ASCII.lineFeed, "a piece of a line stored")
        try require(self.content.count <= self.limits.messageSize.bytes, "more stored than is allowed")
        let text = String(decoding: self.content, as: UTF8.self)
        if text.contains("full") { return try self.handle(.stored(.failure(.insufficientStorage))) }
        if text.contains("refuse") {
            return try self.handle(.stored(.failure(.refused(Reply(554, .init(7, 1), "no")))))
        }
        self.result.messages.append(Message(envelope: envelope, content: self.content))
        try self.handle(.stored(.success(QueueID(value: UInt64(self.result.messages.count)))))
    }

    /// Decides by the local part, so that an input can bring every verdict about.
    private static func verdict(on subject: ServerSession.Question.Subject) -> ServerSession.Decision.Verdict {
        switch subject {
        case .greeting: .accept()
        case .mail(let path, _): self.refusal(path.mailbox).map { .refuse($0) } ?? .accept()
        case .recipient(.postmaster, _): .accept(Mailbox("postmaster@example.test"))
        case .recipient(.mailbox(let mailbox), _): self.refusal(mailbox).map { .refuse($0) } ?? .accept(mailbox)
        case .content(let envelope):
            envelope.reversePath.mailbox?.localPart.unquoted == "d"
                ? .refuse(Reply(450, .init(7, 1), "later")) : .accept()
        }
    }

    private static func refusal(_ mailbox: Mailbox?) -> Reply? {
        switch mailbox?.localPart.unquoted {
        case "n": Reply(550, .init(1, 1), "no")
        case "l": Reply(451, .init(3, 0), "later")
        case "x": Reply(421, .init(7, 0), "go")
        default: nil
        }
    }

    /// Each event has the answers it must have; and from them follows what the client may take as agreed on.
    private mutating func review(_ event: ServerSession.Event) throws(Violation) {
        var expected = 1...1
        if case .command(.bdat, _) = event { expected = 0...0 }
        if self.result.isClosed { expected = self.isUnsaid ? 0...1 : 1...2 }
        try require(expected.contains(self.replies.count), "\(self.replies) to \(event)")
        let isAccepted = self.replies.first.map { $0.code < 400 } ?? false
        switch event {
        case .command(.mail(let path, _), _):
            guard isAccepted else { break }
            try require(self.isGreeted, "MAIL before EHLO: \(shown(self.result.output))")
            try require(self.isEncrypted || self.tls != .required, "MAIL in plain text")
            self.agreement = Agreement(reversePath: path)
        case .command(.rcpt(let path, _), _):
            guard isAccepted else { break }
            try require(!self.hasFailedScreening, "a recipient of a client that failed is accepted")
            try require(self.agreement != nil, "a recipient without MAIL")
            let postmaster = Mailbox("postmaster@example.test")
            self.agreement?.recipients += [path.mailbox ?? postmaster].compactMap(\.self)
        case .command(.helo, _), .command(.ehlo, _):
            if isAccepted { self.isGreeted = true }
            self.agreement = nil
        case .command(.rset, _), .contentEnded: self.agreement = nil
        case .chunkEnded:
            if self.hasStored || !isAccepted { self.agreement = nil }
        case .command, .malformed, .connected, .tlsEstablished, .decided, .stored, .delayElapsed, .timedOut,
            .outputTimedOut, .shutdown, .disconnected:
            break
        }
    }
}

extension ForwardPath {
    fileprivate var mailbox: Mailbox? {
        switch self {
        case .mailbox(let mailbox): mailbox
        case .postmaster: nil
        }
    }
}

extension ServerSession.Event {
    /// It is for the caller to say it once.
    fileprivate var isConnected: Bool { if case .connected = self { true } else { false } }
}
