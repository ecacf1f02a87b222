import Mail
import SMTP

/// A whole server session on any input.
enum SessionProperties {
    /// Replies are lines of at most 512 octets; nothing is stored without a sender and a recipient; the session is the
    /// same however the octets arrive; after `close` nothing follows.
    static func session(_ bytes: [UInt8]) throws {
        let whole = try Self.run([bytes[...]])
        let again = try Self.run([bytes[...]])
        try require(whole == again, "not the same twice")
        // Whether a client waits where it must is a question of what has arrived together.
        var tolerant = SessionLimits()
        tolerant.rejectPipelining = false
        try require(
            try Self.run([bytes[...]], tolerant).stored == Self.run(pieces(of: bytes), tolerant).stored,
            "other messages in pieces")
    }

    private struct Result: Equatable {
        var output: [UInt8] = []
        var stored: [[UInt8]] = []
        var isClosed = false
    }

    private static func run(_ input: [ArraySlice<UInt8>], _ limits: SessionLimits = SessionLimits()) throws -> Result {
        var runner = Runner(limits)
        try runner.handle(.connected)
        for piece in input { try runner.take(piece) }
        try runner.handle(.timedOut)
        try runner.handle(.disconnected)
        return runner.result
    }

    private struct Runner {
        private var session: ServerSession
        private var input: ServerInput
        private var received: [UInt8] = []
        private var content: [UInt8] = []
        var result = Result()

        init(_ limits: SessionLimits) {
            self.session = ServerSession(hostname: "mx.example.test", limits: limits)
            self.input = ServerInput(limits: limits)
        }

        mutating func take(_ bytes: ArraySlice<UInt8>) throws {
            self.received += bytes
            while !self.result.isClosed {
                let (consumed, event) = self.received.withUnsafeBytes {
                    self.input.next($0, expecting: self.session.expectation, content: &self.content)
                }
                self.received.removeFirst(consumed)
                guard let event else { return }
                try self.handle(event)
            }
        }

        mutating func handle(_ event: ServerSession.Event) throws {
            for action in self.session.handle(event) {
                switch action {
                case .reply(let reply): try self.check(reply)
                case .ask(let question): try self.decide(question)
                case .beginContent(let envelope):
                    try require(!envelope.recipients.isEmpty, "content without a recipient")
                    self.content = []
                case .store(let envelope):
                    try require(!envelope.recipients.isEmpty, "a message without a recipient")
                    try require(!self.content.hasBareLineEnding, "a message with a bare line end")
                    self.result.stored.append(self.content)
                    try self.handle(.stored(.success(QueueID(value: 1))))
                case .dropContent:
                    self.input.dropContent()
                    self.content = []
                case .delay: try self.handle(.delayElapsed)
                case .close: self.result.isClosed = true
                }
            }
        }

        private mutating func check(_ reply: Reply) throws {
            try require(!self.result.isClosed, "a reply after the end")
            var output: [UInt8] = []
            reply.append(to: &output)
            try require(!output.hasBareLineEnding && output.suffix(2) == [13, 10], "a reply with a bare line end")
            for line in output.split(separator: 10) {
                try require(line.count < 512, "a reply of \(line.count) octets")
            }
            self.result.output += output
        }

        /// Every third recipient is refused.
        private mutating func decide(_ question: ServerSession.Question) throws {
            var verdict = ServerSession.Decision.Verdict.accept()
            if case .recipient(let path, _) = question.subject {
                if case .mailbox(let mailbox) = path {
                    verdict = question.number % 3 == 0 ? .refuse(Reply(550, .init(1, 1), "no")) : .accept(mailbox)
                } else {
                    verdict = .accept(Mailbox("postmaster@example.test"))
                }
            }
            try self.handle(.decided(ServerSession.Decision(question: question.number, verdict: verdict)))
        }
    }
}

/// A client session with any server.
enum ClientProperties {
    /// Each delivery has one outcome with a reply for each recipient, and the session comes to an end. Nothing is
    /// delivered that the server did not accept.
    static func client(_ bytes: [UInt8]) throws {
        var runner = Runner()
        try runner.handle(.connected)
        var parser = ReplyParser()
        for line in bytes.split(separator: 10, omittingEmptySubsequences: true) where !runner.isClosed {
            do {
                if let reply = try parser.next(Array(line)) { try runner.handle(.reply(reply)) }
            } catch let error as ReplyParser.Malformed {
                try runner.handle(.malformed(error))
            }
        }
        try runner.handle(.timedOut)
        try runner.handle(.disconnected)
        try require(!runner.isDelivering, "a delivery without an outcome")
    }

    private struct Runner {
        private var session = ClientSession(hostname: "mx.example.test")
        private var deliveries = 0
        private(set) var isDelivering = false
        private(set) var isClosed = false
        private static let mailboxes = ["a@example.test", "b@example.test", "\"c d\"@example.test"].compactMap {
            Mailbox($0)
        }

        mutating func handle(_ event: ClientSession.Event) throws {
            for action in self.session.handle(event) {
                switch action {
                case .send(let lines):
                    try require(
                        !lines.hasBareLineEnding && lines.suffix(2) == [13, 10], "a command with a bare line end")
                case .sendContent: try self.handle(.contentSent)
                case .ready: try self.deliver()
                case .finished(let outcome):
                    try require(self.isDelivering, "an outcome of nothing")
                    self.isDelivering = false
                    try require(
                        outcome.standing == .unsuitable || outcome.replies.count == Self.mailboxes.count,
                        "\(outcome.replies.count) replies for \(Self.mailboxes.count) recipients")
                case .close: self.isClosed = true
                case .expect, .unusable: break
                }
            }
        }

        private mutating func deliver() throws {
            guard !self.isDelivering else { return }
            guard self.deliveries < 3 else { return try self.handle(.quit) }
            self.deliveries += 1
            self.isDelivering = true
            var envelope = Envelope(reversePath: .null, parameters: MailParameters())
            envelope.recipients = Self.mailboxes.map { Recipient($0, parameters: .init()) }
            try self.handle(
                .deliver(
                    ClientSession.Delivery(
                        envelope: envelope, contentBytes: 10, needsSMTPUTF8: self.deliveries == 2, client: nil,
                        id: QueueID(value: 7))))
        }
    }
}
