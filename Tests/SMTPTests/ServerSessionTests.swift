import Mail
import SMTP
import Testing

struct ServerSessionTests {
    private func decide(_ actions: [ServerSession.Action], _ verdict: ServerSession.Decision.Verdict) -> ServerSession
        .Event?
    {
        for case .ask(let question) in actions {
            return .decided(ServerSession.Decision(question: question.number, verdict: verdict))
        }
        return nil
    }

    private func greet(_ session: inout ServerSession) {
        if let accepted = self.decide(session.handle(.command(.ehlo("client.example"))), .accept()) {
            _ = session.handle(accepted)
        }
    }

    /// A session behind MAIL and one RCPT.
    private func transaction(_ limits: SessionLimits = SessionLimits()) throws -> ServerSession {
        var session = ServerSession(hostname: "mx.example.test", limits: limits)
        _ = session.handle(.connected)
        self.greet(&session)
        let mail = session.handle(.command(.mail(.null)))
        _ = session.handle(try #require(self.decide(mail, .accept())))
        let mailbox = try #require(Mailbox("user@example.test"))
        let rcpt = session.handle(.command(.rcpt(.mailbox(mailbox))))
        #expect(
            session.handle(try #require(self.decide(rcpt, .accept(mailbox)))) == [.reply(Reply(250, .init(1, 5), "Ok"))]
        )
        return session
    }

    @Test func `DATA without a recipient is out of sequence`() {
        var session = ServerSession(hostname: "mx.example.test")
        self.greet(&session)
        _ = session.handle(.command(.mail(.null)))
        #expect(session.handle(.command(.data)) == [])
        #expect(session.expectation == .nothing)
    }

    @Test func `an answer to another question is ignored`() throws {
        var session = ServerSession(hostname: "mx.example.test")
        self.greet(&session)
        _ = session.handle(.command(.mail(.null)))
        #expect(session.handle(.decided(ServerSession.Decision(question: 7, verdict: .accept()))) == [])
        #expect(
            session.handle(.decided(ServerSession.Decision(question: 2, verdict: .accept()))) == [
                .reply(Reply(250, .init(1, 0), "Ok"))
            ])
        #expect(session.handle(.decided(ServerSession.Decision(question: 2, verdict: .accept()))) == [])
    }

    @Test(arguments: [421, 521]) func `a refusal with 421 or 521 ends the session`(code: Int) throws {
        var session = try self.transaction()
        let asked = session.handle(.command(.rcpt(.postmaster)))
        let reply = Reply(code, .init(7, 1), "go")
        #expect(session.handle(try #require(self.decide(asked, .refuse(reply)))) == [.reply(reply), .close])
    }

    @Test func `a refused BDAT has its octets read before it is answered`() throws {
        var session = try self.transaction()
        let asked = session.handle(.command(.bdat(bytes: 10, isLast: true)))
        #expect(session.handle(try #require(self.decide(asked, .refuse(Reply(450, .init(7, 1), "later"))))) == [])
        #expect(session.expectation == .discard(bytes: 10))
        #expect(session.handle(.chunkEnded(nil)) == [.reply(Reply(450, .init(7, 1), "later"))])
        #expect(session.expectation == .command)
    }

    @Test(arguments: [
        (ContentFault.insufficientStorage, Reply(452, .init(3, 1), "Insufficient system storage")),
        (.storageFailed, Reply(451, .init(3, 0), "Queue file write error")),
        (.tooManyHops, Reply(554, .init(4, 6), "Too many hops")),
    ])
    func `a fault of the queue is temporary and leaves no transaction`(fault: ContentFault, reply: Reply) throws {
        var session = try self.transaction()
        let asked = session.handle(.command(.data))
        _ = session.handle(try #require(self.decide(asked, .accept())))
        #expect(session.handle(.contentEnded(nil)).count == 1)
        #expect(session.handle(.stored(.failure(fault))) == [.reply(reply)])
        #expect(session.handle(.command(.data)) == [.reply(Reply(503, .init(5, 1), "Need MAIL command"))])
    }

    @Test func `shutdown lets a transaction finish and then says 421`() throws {
        var session = try self.transaction()
        #expect(session.handle(.shutdown(.transaction)) == [])
        let asked = session.handle(.command(.data))
        _ = session.handle(try #require(self.decide(asked, .accept())))
        _ = session.handle(.contentEnded(nil))
        #expect(session.handle(.shutdown(.none)) == [])
        let end = session.handle(.stored(.success(QueueID(value: 5))))
        #expect(end.first == .reply(Reply(250, .init(0, 0), "Ok: queued as \(QueueID(value: 5))")))
        #expect(end.suffix(2) == [.reply(Reply(421, .init(3, 2), "Service is going down, try again later")), .close])
    }

    @Test func `shutdown says 421 to who is between messages`() {
        var session = ServerSession(hostname: "mx.example.test")
        _ = session.handle(.connected)
        #expect(session.handle(.shutdown(.transaction)).last == .close)
    }

    @Test func `while we owe an answer the client cannot time out`() throws {
        var session = try self.transaction()
        let asked = session.handle(.command(.data))
        #expect(session.handle(.timedOut) == [])
        _ = session.handle(try #require(self.decide(asked, .accept())))
        #expect(session.handle(.timedOut).last == .close)
        #expect(session.handle(.contentEnded(nil)) == [])
    }

    @Test func `errors are answered late once there are too many`() {
        var limits = SessionLimits()
        limits.softErrors = 1
        var session = ServerSession(hostname: "mx.example.test", limits: limits)
        #expect(session.handle(.malformed(.unrecognized)).count == 1)
        #expect(session.handle(.malformed(.unrecognized)) == [.delay(.seconds(1))])
        #expect(session.expectation == .nothing)
        #expect(session.handle(.command(.noop)) == [])
        #expect(session.handle(.delayElapsed) == [.reply(Reply(500, .init(5, 2), "Command not recognized"))])
        #expect(session.expectation == .command)
    }

    @Test func `events at any time never trap and never store without a transaction`() throws {
        let mailbox = try #require(Mailbox("user@example.test"))
        let events: [ServerSession.Event] =
            [
                .connected, .command(.ehlo("a")), .command(.helo("a"), .init(isLast: false)), .command(.mail(.null)),
                .command(.rcpt(.mailbox(mailbox))), .command(.data), .command(.data, .init(isLast: false)),
                .command(.bdat(bytes: 0, isLast: true)), .command(.bdat(bytes: 5, isLast: false)), .command(.rset),
                .command(.quit),
                .command(.vrfy("ü")), .malformed(.nonASCIIPath), .malformed(.tooLong), .contentEnded(nil),
                .contentEnded(.tooLarge),
                .chunkEnded(nil), .chunkEnded(.bareLineEnding), .stored(.success(QueueID(value: 1))),
                .stored(.failure(.storageFailed)),
                .delayElapsed, .timedOut, .outputTimedOut, .shutdown(.transaction), .shutdown(.none), .disconnected,
            ] + (1...6).map { .decided(ServerSession.Decision(question: $0, verdict: .accept(mailbox))) }
        for _ in 0..<5000 {
            var session = ServerSession(hostname: "mx.example.test")
            var recipients = 0
            for _ in 0..<25 {
                guard let event = events.randomElement() else { return }
                for action in session.handle(event) {
                    switch action {
                    case .reply(let reply) where reply == Reply(250, .init(1, 5), "Ok"): recipients += 1
                    case .store(let envelope):
                        #expect(!envelope.recipients.isEmpty && envelope.recipients.count <= recipients)
                    default: break
                    }
                }
            }
        }
    }
}

struct InputDeadlineTests {
    private let second: UInt64 = 1_000_000_000

    @Test func `a command has its time in all, however it trickles in`() {
        var deadline = InputDeadline(SessionLimits())
        deadline.expect(.command, isNew: true, at: 0)
        #expect(deadline.deadline == 300 * self.second)
        deadline.expect(.command, isNew: false, at: 299 * self.second)
        #expect(deadline.deadline == 300 * self.second)
        deadline.expect(.command, isNew: true, at: 299 * self.second)
        #expect(deadline.deadline == 599 * self.second)
        deadline.expect(.nothing, isNew: true, at: 0)
        #expect(deadline.deadline == nil)
    }

    @Test func `content earns time with its octets but never more than the limit ahead`() {
        var limits = SessionLimits()
        limits.dataTimeout = .seconds(10)
        limits.minimumDataRate = ByteCount(500)
        var deadline = InputDeadline(limits)
        deadline.expect(.content, isNew: true, at: 0)
        #expect(deadline.deadline == 10 * self.second)
        deadline.received(bytes: 500, at: 9 * self.second)
        #expect(deadline.deadline == 11 * self.second)
        deadline.received(bytes: 500_000, at: 9 * self.second)
        #expect(deadline.deadline == 19 * self.second)
        deadline.expect(.content, isNew: false, at: 15 * self.second)
        #expect(deadline.deadline == 19 * self.second)
        // Octet by octet, one a second: 500 times too slow.
        for time in 15..<30 { deadline.received(bytes: 1, at: UInt64(time) * self.second) }
        #expect((deadline.deadline ?? 0) < 20 * self.second)
    }
}
