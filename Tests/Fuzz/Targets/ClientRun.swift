import Mail
import SMTP

/// Replies are put together in one way only, and printed ones are read as they were.
func checkReplies(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let events = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in
        var input = ReplyInput()
        return pieces.flatMap { input.take($0) }
    }
    for case .success(let reply) in events {
        try require((200...599).contains(reply.code), "code of \(reply)")
        try require(!reply.lines.isEmpty && reply.lines.allSatisfy(\.isPrintable), "text of \(reply)")
        var printed: [UInt8] = []
        reply.append(to: &printed)
        try require(hasOnlyWholeLineEnds(printed) && printed.last == ASCII.lineFeed, "printed: \(shown(printed))")
        var input = ReplyInput()
        let again = input.take(printed[...])
        guard again.count == 1, case .success(let other) = again[0] else {
            throw Violation(description: "\(reply) is printed as \(shown(printed)) and read as \(again)")
        }
        // Without an enhanced code of its own a text that looks like one is taken for it.
        try require(
            other.code == reply.code && (reply.detail == nil || other == reply), "\(reply) is read as \(other)")
    }
}

/// Framer and parser of a connection's replies.
private struct ReplyInput {
    private var lines = LineInput(limitBytes: 1024)
    private var parser = ReplyParser()
    private var isBroken = false

    mutating func take(_ piece: ArraySlice<UInt8>) -> [Result<Reply, ReplyParser.Malformed>] {
        var events: [Result<Reply, ReplyParser.Malformed>] = []
        for case .line(let line, _) in self.lines.take(piece) where !self.isBroken {
            do {
                if let reply = try self.parser.next(line) { events.append(.success(reply)) }
            } catch {
                self.isBroken = true
                events.append(.failure(error))
            }
        }
        return events
    }
}

/// Whatever a server answers, the session ends, every delivery is finished once, and nobody is taken for reached to
/// whom nothing was sent.
func checkClientSession(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let seed = fingerprint(of: bytes)
    let deliveries = try ClientRun.deliveries()
    var permissions = ClientSession.Permissions()
    permissions.chunking = seed & 1 != 0
    permissions.xforward = seed & 2 != 0
    permissions.xclient = seed & 4 != 0
    permissions.security = [.none, .opportunistic, .encrypted, .authenticated][Int(seed >> 4 & 3)]
    permissions.isImplicit = seed >> 6 & 7 == 0
    permissions.isRequireTLS = seed >> 9 & 7 == 0
    permissions.credentials =
        seed >> 12 & 3 == 0 ? SASLCredentials(user: "user", password: "pencil", nonce: { "nonce" }) : nil
    _ = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in
        var run = ClientRun(permissions, deliveries)
        var input = ReplyInput()
        try run.handle(.connected)
        for piece in pieces {
            for event in input.take(piece) {
                switch event {
                case .success(let reply): try run.handle(.reply(reply))
                case .failure(let error): try run.handle(.malformed(error))
                }
            }
        }
        try run.handle(seed & 8 != 0 ? .timedOut : .disconnected)
        try run.checkEnd()
        return run.transcript
    }
}

private struct ClientRun {
    private var session: ClientSession
    /// Those still to be handed over, and the present one.
    private var waiting: [ClientSession.Delivery]
    private var present: ClientSession.Delivery?
    private var hasSentContent = false
    private var isClosed = false
    /// The handshake has begun; it is done at once.
    private var isSecured = false
    private let needsTLS: Bool
    private let authentication: TLSAuthentication
    private var pending: [ClientSession.Event] = []
    private(set) var transcript: [ClientSession.Action] = []

    init(_ permissions: ClientSession.Permissions, _ deliveries: [ClientSession.Delivery]) {
        self.session = ClientSession(hostname: "mx.example.test", permissions: permissions)
        self.waiting = deliveries
        let isPlainFine = permissions.security == .none || permissions.security == .opportunistic
        self.needsTLS =
            !isPlainFine || permissions.isImplicit || permissions.isRequireTLS || permissions.credentials != nil
        self.authentication = permissions.chunking ? .passed : .failed("wrong name")
    }

    static func deliveries() throws(Violation) -> [ClientSession.Delivery] {
        guard let user = Mailbox("user@example.test"), let other = Mailbox("other@example.test"),
            let international = Mailbox("δοκιμή@example.test")
        else { throw Violation(description: "mailboxes are not read") }
        let client = ClientIdentity(
            address: .v4(0xC000_0201), port: 4711, hostname: "client.example", helo: "client", proto: "ESMTP")
        var parameters = MailParameters()
        parameters.noticeReturn = .headers
        parameters.envelopeID = "id+2B1"
        var rcpt = RecipientParameters()
        rcpt.notify = [.failure, .delay]
        rcpt.originalRecipient = "rfc822;user@example.test"
        var first = Envelope(reversePath: .mailbox(other), parameters: parameters)
        first.recipients = [Recipient(user, parameters: rcpt), Recipient(other)]
        var notice = Envelope(reversePath: .null)
        notice.recipients = [Recipient(user)]
        parameters.smtputf8 = true
        var last = Envelope(reversePath: .mailbox(international), parameters: parameters)
        last.recipients = [Recipient(user), Recipient(international)]
        return [(first, false, client), (last, true, client), (notice, false, nil)].enumerated().map { index, item in
            ClientSession.Delivery(
                envelope: item.0, contentBytes: 1000, needsSMTPUTF8: item.1, client: item.2,
                id: QueueID(value: UInt64(index + 1)))
        }
    }

    mutating func handle(_ event: ClientSession.Event) throws(Violation) {
        self.pending.append(event)
        while !self.pending.isEmpty {
            let event = self.pending.removeFirst()
            for action in self.session.handle(event) {
                try require(!self.isClosed, "\(action) behind the end, at \(event)")
                self.transcript.append(action)
                try self.perform(action)
            }
        }
    }

    private mutating func perform(_ action: ClientSession.Action) throws(Violation) {
        switch action {
        case .send(let bytes):
            let text = String(decoding: bytes, as: UTF8.self)
            try require(self.isSecured || !text.hasPrefix("AUTH"), "\(text) in plain text")
            try require(self.isSecured || !self.needsTLS || !text.hasPrefix("MAIL"), "\(text) in plain text")
            try require(hasOnlyWholeLineEnds(bytes) && bytes.last == ASCII.lineFeed, "sent: \(shown(bytes))")
            try require(bytes.split(separator: ASCII.lineFeed).allSatisfy { $0.count < 2000 }, "long: \(shown(bytes))")
        case .sendContent:
            try require(self.present != nil && !self.hasSentContent, "content without a delivery")
            self.hasSentContent = true
            self.pending.append(.contentSent)
        case .ready:
            try require(self.present == nil, "ready in the middle of a delivery")
            self.hasSentContent = false
            if self.waiting.isEmpty {
                self.pending.append(.quit)
            } else {
                self.present = self.waiting.removeFirst()
                self.pending += self.present.map { [.deliver($0)] } ?? []
            }
        case .finished(let outcome): try self.finish(outcome)
        case .unusable: try require(self.present == nil, "unusable in the middle of a delivery")
        case .close: self.isClosed = true
        case .startTLS:
            try require(!self.isSecured, "TLS in TLS")
            self.isSecured = true
            self.pending.append(.tlsEstablished(authentication: self.authentication))
        // Whatever it is: computing it would take its time.
        case .derive: self.pending.append(.derived(Array(repeating: 1, count: 32)))
        case .expect: break
        }
    }

    private mutating func finish(_ outcome: ClientSession.Outcome) throws(Violation) {
        guard let delivery = self.present else { throw Violation(description: "\(outcome) of no delivery") }
        try require(
            outcome.replies.count == delivery.envelope.recipients.count, "\(outcome) of \(delivery.envelope.recipients)"
        )
        for reply in outcome.replies {
            try require(reply.outcome != .intermediate, "a recipient gets \(reply)")
            try require(reply.outcome != .accepted || self.hasSentContent, "reached without content: \(outcome)")
            try require(
                reply.outcome != .accepted || outcome.standing == .decided, "reached and undecided: \(outcome)")
        }
        self.present = nil
    }

    func checkEnd() throws(Violation) {
        try require(self.isClosed, "the session goes on after the end")
        try require(self.present == nil, "a delivery without outcome")
    }
}
