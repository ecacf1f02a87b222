import Mail
import SMTP
import Testing

struct ReplyParserTests {
    private func parse(_ lines: String...) throws -> Reply? {
        var parser = ReplyParser()
        var reply: Reply?
        for line in lines { reply = try parser.next(Array(line.utf8)) }
        return reply
    }

    @Test func `replies are put together`() throws {
        #expect(try self.parse("250 Ok") == Reply(250, nil, "Ok"))
        #expect(try self.parse("250") == Reply(250, nil, ""))
        #expect(
            try self.parse("250-mx.example", "250-SIZE 100", "250 HELP")
                == Reply(250, nil, "mx.example", "SIZE 100", "HELP"))
        #expect(try self.parse("550-5.1.1 No such", "550 5.1.1 user") == Reply(550, .init(1, 1), "No such", "user"))
        #expect(try self.parse("550\t5.7.1 Tab") == Reply(550, .init(7, 1), "Tab"))
    }

    @Test func `broken replies are understood or refused`() throws {
        #expect(
            try self.parse("250-first", "second without code", "550 5.7.1 last counts")
                == Reply(550, .init(7, 1), "first", "second without code", "last counts"))
        #expect(try self.parse("550 4.1.1 wrong class") == Reply(550, nil, "4.1.1 wrong class"))
        #expect(try self.parse("550 5.1 short") == Reply(550, nil, "5.1 short"))
        #expect(try self.parse("550 5.1000.1 large") == Reply(550, nil, "5.1000.1 large"))
        #expect(try self.parse("250-only one").map(\.code) == nil)
        for line in ["", "x", "25", "25a Ok", "650 what", "100 info", "250x"] {
            #expect(throws: ReplyParser.Malformed.self) { try self.parse(line) }
        }
    }

    @Test func `an enhanced code of one reply does not stick to the next`() throws {
        var parser = ReplyParser()
        #expect(try parser.next(Array("550 5.1.1 gone".utf8))?.enhanced == "5.1.1")
        #expect(try parser.next(Array("550 no code".utf8))?.enhanced == nil)
    }

    @Test func `a reply without end is given up`() {
        var parser = ReplyParser()
        #expect(throws: ReplyParser.Malformed.endless) {
            for _ in 0..<20_000 { _ = try parser.next(Array("250-more".utf8)) }
        }
    }
}

struct ClientSessionTests {
    private let hello = Reply(250, nil, "primary.example", "PIPELINING", "SIZE 1000", "8BITMIME", "DSN", "SMTPUTF8")

    private func delivery(
        _ recipients: [String] = ["a@example.com"], bytes: Int = 100, utf8: Bool = false,
        extent: ClientSession.Extent = .message
    ) throws -> ClientSession.Delivery {
        var envelope = Envelope(reversePath: .mailbox(try #require(Mailbox("s@example.org"))))
        envelope.recipients = try recipients.map { Recipient(try #require(Mailbox($0))) }
        let client = ClientIdentity(
            address: .v4(0xC000_0201), port: 2525, hostname: nil, helo: "client.example", proto: "ESMTP")
        return ClientSession.Delivery(
            envelope: envelope, contentBytes: bytes, needsSMTPUTF8: utf8, client: client, id: QueueID(value: 1),
            extent: extent)
    }

    private func sent(_ actions: [ClientSession.Action]) -> String {
        actions.map { if case .send(let bytes) = $0 { String(decoding: bytes, as: UTF8.self) } else { "" } }.joined()
    }

    private func outcome(_ actions: [ClientSession.Action]) -> ClientSession.Outcome? {
        for case .finished(let outcome) in actions { return outcome }
        return nil
    }

    /// A session that is ready for a delivery.
    private func ready(_ hello: Reply? = nil, permissions: ClientSession.Permissions = .init()) -> ClientSession {
        var session = ClientSession(hostname: "us.example", permissions: permissions)
        #expect(session.handle(.connected) == [.expect(.greeting)])
        #expect(self.sent(session.handle(.reply(Reply(220, nil, "primary.example ESMTP")))) == "EHLO us.example\r\n")
        #expect(session.handle(.reply(hello ?? self.hello)).last == .ready)
        return session
    }

    @Test func `a pipelined delivery goes out in one piece and its replies come back in order`() throws {
        var session = self.ready()
        let actions = session.handle(.deliver(try self.delivery(["a@example.com", "b@example.com"])))
        #expect(
            self.sent(actions)
                == "MAIL FROM:<s@example.org> SIZE=100\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
        )
        #expect(session.handle(.reply(Reply(250, nil, "Ok"))) == [.expect(.recipient)])
        #expect(session.handle(.reply(Reply(550, .init(1, 1), "unknown"))) == [.expect(.recipient)])
        #expect(session.handle(.reply(Reply(250, nil, "Ok"))) == [.expect(.dataInitiation)])
        #expect(session.handle(.reply(Reply(354, nil, "Go"))) == [.expect(.dataTransfer), .sendContent(.data)])
        #expect(session.handle(.contentSent) == [.expect(.dataTermination)])
        let end = session.handle(.reply(Reply(250, .init(0, 0), "queued")))
        #expect(self.outcome(end)?.replies == [Reply(550, .init(1, 1), "unknown"), Reply(250, .init(0, 0), "queued")])
        #expect(self.outcome(end)?.standing == .decided)
        #expect(self.outcome(end)?.passedNoticeRequests == true)
        #expect(end.last == .ready)
    }

    @Test func `without PIPELINING each reply is waited for and a refused sender saves the rest`() throws {
        var session = self.ready(Reply(250, nil, "primary.example"))
        #expect(self.sent(session.handle(.deliver(try self.delivery()))) == "MAIL FROM:<s@example.org>\r\n")
        let end = session.handle(.reply(Reply(552, .init(3, 4), "too large")))
        #expect(self.outcome(end)?.replies == [Reply(552, .init(3, 4), "too large")])
        #expect(end.last == .ready)
    }

    @Test func `a transaction that ends at the recipients sends no content and keeps their replies`() throws {
        for hello in [self.hello, Reply(250, nil, "primary.example", "CHUNKING"), Reply(250, nil, "primary.example")] {
            var session = self.ready(hello)
            let commands = self.sent(session.handle(.deliver(try self.delivery(extent: .recipients))))
            #expect(!commands.contains("DATA"))
            _ = session.handle(.reply(Reply(250, .init(1, 0), "sender fine")))
            let end = session.handle(.reply(Reply(250, .init(1, 5), "recipient fine")))
            #expect(self.outcome(end)?.replies == [Reply(250, .init(1, 5), "recipient fine")])
            #expect(self.outcome(end)?.refusedSender == false)
            #expect(self.sent(end) == "RSET\r\n")
            #expect(session.handle(.reply(Reply(250, nil, "Ok"))).last == .ready)
        }
    }

    @Test func `a transaction that ends at the recipients tells a refused sender from a refused recipient`() throws {
        var session = self.ready()
        _ = session.handle(.deliver(try self.delivery(extent: .recipients)))
        _ = session.handle(.reply(Reply(550, .init(7, 1), "not from you")))
        let end = session.handle(.reply(Reply(503, .init(5, 1), "no MAIL")))
        #expect(self.outcome(end)?.replies == [Reply(550, .init(7, 1), "not from you")])
        #expect(self.outcome(end)?.refusedSender == true)
        #expect(end.last == .ready)
    }

    @Test func `an original recipient of another alphabet goes out in ASCII`() throws {
        var envelope = Envelope(reversePath: .null)
        var parameters = RecipientParameters()
        parameters.originalRecipient = "utf-8;ü@example.com"
        envelope.recipients = [Recipient(try #require(Mailbox("a@example.com")), parameters: parameters)]
        var session = self.ready()
        let delivery = ClientSession.Delivery(
            envelope: envelope, contentBytes: 1, needsSMTPUTF8: false, client: nil, id: QueueID(value: 1))
        let sent = self.sent(session.handle(.deliver(delivery)))
        #expect(sent.contains("RCPT TO:<a@example.com> ORCPT=utf-8;\\x{FC}@example.com\r\n"))
    }

    @Test func `EHLO that is not understood is followed by HELO`() throws {
        var session = ClientSession(hostname: "us.example")
        _ = session.handle(.connected)
        _ = session.handle(.reply(Reply(220, nil, "old")))
        #expect(self.sent(session.handle(.reply(Reply(500, nil, "what?")))) == "HELO us.example\r\n")
        #expect(session.handle(.reply(Reply(250, nil, "old"))).last == .ready)
    }

    @Test(arguments: [
        Reply(554, nil, "go away"), Reply(421, nil, "not now"), Reply(250, nil, "confused"), Reply(354, nil, "?"),
    ])
    func `a greeting that is none makes the server unusable`(reply: Reply) {
        var session = ClientSession(hostname: "us.example")
        _ = session.handle(.connected)
        #expect(session.handle(.reply(reply)) == [.unusable(.failed(reply)), .close])
        #expect(session.handle(.disconnected) == [])
    }

    @Test func `a server with our own name is ourselves`() {
        var session = ClientSession(hostname: "us.example")
        _ = session.handle(.connected)
        _ = session.handle(.reply(Reply(220, nil, "US.example")))
        #expect(session.handle(.reply(Reply(250, nil, "US.Example greets you"))) == [.unusable(.isOurselves), .close])
    }

    @Test func `354 without any recipient gets no content`() throws {
        var session = self.ready()
        _ = session.handle(.deliver(try self.delivery()))
        _ = session.handle(.reply(Reply(250, nil, "Ok")))
        _ = session.handle(.reply(Reply(550, .init(1, 1), "unknown")))
        let actions = session.handle(.reply(Reply(354, nil, "Go")))
        #expect(self.sent(actions) == ".\r\n")
        let end = session.handle(.reply(Reply(250, nil, "took nothing for nobody")))
        #expect(self.outcome(end)?.replies == [Reply(550, .init(1, 1), "unknown")])
    }

    @Test func `a refused DATA resets the session and the next delivery works`() throws {
        var session = self.ready()
        _ = session.handle(.deliver(try self.delivery()))
        for reply in [Reply(250, nil, "Ok"), Reply(250, nil, "Ok")] { _ = session.handle(.reply(reply)) }
        let end = session.handle(.reply(Reply(451, .init(7, 1), "greylisted")))
        #expect(self.outcome(end)?.replies == [Reply(451, .init(7, 1), "greylisted")])
        #expect(self.sent(end) == "RSET\r\n")
        #expect(session.handle(.reply(Reply(250, nil, "Ok"))).last == .ready)
        #expect(self.sent(session.handle(.deliver(try self.delivery()))).hasPrefix("MAIL FROM"))
    }

    @Test func `a delivery that comes before RSET is answered waits for it`() throws {
        for answer in [Reply(250, nil, "Ok"), Reply(421, nil, "Bye")] {
            var session = self.ready()
            _ = session.handle(.deliver(try self.delivery()))
            for reply in [Reply(250, nil, "Ok"), Reply(550, nil, "No")] { _ = session.handle(.reply(reply)) }
            #expect(self.sent(session.handle(.reply(Reply(554, nil, "Nobody")))) == "RSET\r\n")
            #expect(session.handle(.deliver(try self.delivery(["b@example.com"]))) == [])
            let actions = session.handle(.reply(answer))
            if answer.code == 250 {
                #expect(self.sent(actions).contains("RCPT TO:<b@example.com>"))
            } else {
                #expect(self.outcome(actions)?.standing == .brokenEarly)
                #expect(self.outcome(actions)?.replies.map(\.outcome) == [.temporary])
                #expect(actions.last == .close)
            }
        }
    }

    /// RFC 5321 §3.8: at any point.
    @Test(arguments: 0...4)
    func `421 at any point ends the session and spares who was not refused`(position: Int) throws {
        var session = self.ready()
        _ = session.handle(.deliver(try self.delivery(["a@example.com", "b@example.com"])))
        let normal = [
            Reply(250, nil, "Ok"), Reply(550, .init(1, 1), "unknown"), Reply(250, nil, "Ok"), Reply(354, nil, "Go"),
        ]
        for reply in normal.prefix(position) { _ = session.handle(.reply(reply)) }
        if position == 4 { _ = session.handle(.contentSent) }
        let bye = Reply(421, .init(3, 2), "bye")
        let end = session.handle(.reply(bye))
        let first = position >= 2 ? Reply(550, .init(1, 1), "unknown") : bye
        #expect(self.outcome(end)?.replies == [first, bye])
        #expect(self.outcome(end)?.standing == (position >= 1 ? .broken : .brokenEarly) || position == 1)
        #expect(end.last == .close)
    }

    @Test(arguments: 0...5)
    func `a lost connection is a temporary failure at any point`(position: Int) throws {
        var session = self.ready()
        _ = session.handle(.deliver(try self.delivery()))
        let events: [ClientSession.Event] = [
            .reply(Reply(250, nil, "Ok")), .reply(Reply(250, nil, "Ok")), .reply(Reply(354, nil, "Go")), .contentSent,
        ]
        for event in events.prefix(position) { _ = session.handle(event) }
        let end = session.handle(position == 5 ? .timedOut : .disconnected)
        #expect(self.outcome(end)?.replies.first?.outcome == .temporary)
        #expect(end.last == .close)
        #expect(session.handle(.disconnected) == [])
    }

    @Test func `what the server cannot take is not sent to it`() throws {
        var session = self.ready(Reply(250, nil, "primary.example", "SIZE 50"))
        let large = session.handle(.deliver(try self.delivery(bytes: 51)))
        #expect(self.outcome(large)?.replies.first?.status == "5.3.4")
        #expect(self.outcome(large)?.standing == .unsuitable)
        #expect(self.sent(large).isEmpty)
        let utf8 = session.handle(.deliver(try self.delivery(["ü@example.com"], bytes: 1, utf8: true)))
        #expect(self.outcome(utf8)?.replies.first?.status == "5.6.7")
    }

    @Test func `CHUNKING sends the content with its size and without DATA`() throws {
        var session = self.ready(Reply(250, nil, "primary.example", "CHUNKING", "PIPELINING"))
        #expect(
            self.sent(session.handle(.deliver(try self.delivery())))
                == "MAIL FROM:<s@example.org>\r\nRCPT TO:<a@example.com>\r\n")
        _ = session.handle(.reply(Reply(250, nil, "Ok")))
        let actions = session.handle(.reply(Reply(250, nil, "Ok")))
        #expect(self.sent(actions) == "BDAT 100 LAST\r\n")
        #expect(actions.last == .sendContent(.bdat))
        _ = session.handle(.contentSent)
        #expect(self.outcome(session.handle(.reply(Reply(250, nil, "done"))))?.replies == [Reply(250, nil, "done")])
    }

    @Test func `XFORWARD tells who brought the message`() throws {
        var permissions = ClientSession.Permissions()
        permissions.xforward = true
        var session = self.ready(
            Reply(250, nil, "primary.example", "PIPELINING", "XFORWARD NAME ADDR PROTO HELO"), permissions: permissions)
        #expect(
            self.sent(session.handle(.deliver(try self.delivery()))).hasPrefix(
                "XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.1 PROTO=ESMTP HELO=client.example\r\nMAIL FROM"))
        // A refusal of it changes nothing.
        #expect(session.handle(.reply(Reply(550, nil, "no"))) == [.expect(.mail)])
    }

    @Test func `XCLIENT begins the session anew, once for each client`() throws {
        var permissions = ClientSession.Permissions()
        permissions.xclient = true
        let hello = Reply(250, nil, "primary.example", "PIPELINING", "XCLIENT ADDR HELO")
        var session = self.ready(hello, permissions: permissions)
        #expect(
            self.sent(session.handle(.deliver(try self.delivery()))) == "XCLIENT ADDR=192.0.2.1 HELO=client.example\r\n"
        )
        #expect(self.sent(session.handle(.reply(Reply(220, nil, "again")))) == "EHLO client.example\r\n")
        #expect(self.sent(session.handle(.reply(hello))).hasPrefix("MAIL FROM"))
        for reply in [Reply(250, nil, "Ok"), Reply(250, nil, "Ok"), Reply(354, nil, "Go")] {
            _ = session.handle(.reply(reply))
        }
        _ = session.handle(.contentSent)
        #expect(session.handle(.reply(Reply(250, nil, "Ok"))).last == .ready)
        let same = try self.delivery()
        let ours = ClientSession.Delivery(
            envelope: same.envelope, contentBytes: 1, needsSMTPUTF8: false, client: nil, id: same.id)
        var other = session
        #expect(self.sent(session.handle(.deliver(same))).hasPrefix("MAIL FROM"))
        // What is ours does not go out in the client's name.
        #expect(self.outcome(other.handle(.deliver(ours)))?.standing == .brokenEarly)
    }

    @Test func `an idle session that the server closes is just closed`() {
        var session = self.ready()
        #expect(session.handle(.reply(Reply(421, nil, "idle"))) == [.close])
        session = self.ready()
        #expect(self.sent(session.handle(.quit)) == "QUIT\r\n")
        #expect(session.handle(.reply(Reply(221, nil, "bye"))) == [.close])
    }

    @Test func `events at any time never trap`() throws {
        let events: [ClientSession.Event] = [
            .connected, .reply(Reply(220, nil, "x")), .reply(self.hello), .reply(Reply(354, nil, "x")),
            .reply(Reply(550, nil, "x")),
            .reply(Reply(421, nil, "x")), .malformed(.endless),
            .deliver(try self.delivery(["a@b.example", "c@d.example"])), .contentSent,
            .timedOut, .disconnected, .quit,
        ]
        for _ in 0..<3000 {
            var session = ClientSession(hostname: "us.example")
            for _ in 0..<12 { if let event = events.randomElement() { _ = session.handle(event) } }
        }
    }
}
