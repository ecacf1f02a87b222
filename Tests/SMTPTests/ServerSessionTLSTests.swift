import Mail
import SMTP
import Testing

/// STARTTLS (RFC 3207) and REQUIRETLS (RFC 8689) in the server's session.
struct ServerSessionTLSTests {
    private typealias Action = ServerSession.Action

    private static let ready = Action.reply(Reply(220, .init(0, 0), "Ready to start TLS"))
    private static let first = Action.reply(Reply(530, .init(7, 0), "Must issue a STARTTLS command first"))

    private func session(_ tls: ServerSession.TLSOffer, _ limits: SessionLimits = SessionLimits()) -> ServerSession {
        ServerSession(hostname: "mx.example.test", limits: limits, tls: tls)
    }

    /// Policy accepts everybody.
    private func send(_ command: Command, to session: inout ServerSession, isLast: Bool = true) -> [Action] {
        var actions: [Action] = []
        for action in session.handle(.command(command, .init(isLast: isLast))) {
            guard case .ask(let question) = action else {
                actions.append(action)
                continue
            }
            let mailbox = Mailbox("user@example.test")
            actions += session.handle(
                .decided(ServerSession.Decision(question: question.number, verdict: .accept(mailbox))))
        }
        return actions
    }

    private func keywords(_ actions: [Action]) -> [String] {
        guard case .reply(let reply)? = actions.first else { return [] }
        return reply.lines
    }

    @Test func `STARTTLS is offered in plain text, and REQUIRETLS behind it`() {
        var session = self.session(.offered)
        let plain = self.keywords(self.send(.ehlo("c"), to: &session))
        #expect(plain.contains("STARTTLS") && !plain.contains("REQUIRETLS"))
        #expect(self.send(.starttls, to: &session) == [Self.ready, .startTLS])
        #expect(session.expectation == .handshake)
        #expect(session.handle(.tlsEstablished) == [])
        #expect(session.expectation == .command)
        let inside = self.keywords(self.send(.ehlo("c"), to: &session))
        #expect(!inside.contains("STARTTLS") && inside.contains("REQUIRETLS"))
        var without = self.session(.none)
        let none = self.keywords(self.send(.ehlo("c"), to: &without))
        #expect(!none.contains("STARTTLS") && !none.contains("REQUIRETLS"))
    }

    @Test func `REQUIRETLS is not there where it is not to be offered`() throws {
        var limits = SessionLimits()
        limits.requireTLS = false
        var session = self.session(.offered, limits)
        _ = self.send(.starttls, to: &session)
        _ = session.handle(.tlsEstablished)
        #expect(!self.keywords(self.send(.ehlo("c"), to: &session)).contains("REQUIRETLS"))
        var parameters = MailParameters()
        parameters.tls = .required
        let answer = self.send(.mail(.null, parameters), to: &session)
        #expect(answer == [.reply(Reply(555, .init(5, 4), "Unsupported parameter REQUIRETLS"))])
    }

    @Test func `what the client said in plain text is forgotten`() throws {
        let mailbox = try #require(Mailbox("user@example.test"))
        let steps: [[Command]] = [
            [.ehlo("c")], [.helo("c")], [.ehlo("c"), .mail(.null)],
            [.ehlo("c"), .mail(.null), .rcpt(.mailbox(mailbox))],
        ]
        for commands in steps {
            var session = self.session(.offered)
            for command in commands { _ = self.send(command, to: &session) }
            #expect(self.send(.starttls, to: &session) == [Self.ready, .startTLS])
            _ = session.handle(.tlsEstablished)
            for command in [Command.mail(.null), .rcpt(.mailbox(mailbox)), .data] {
                let reply = Reply(503, .init(5, 1), "Send HELO or EHLO first")
                #expect(self.send(command, to: &session) == [.reply(reply)])
            }
        }
    }

    @Test func `content that came before STARTTLS is dropped`() throws {
        let mailbox = try #require(Mailbox("user@example.test"))
        var session = self.session(.offered)
        for command in [Command.ehlo("c"), .mail(.null), .rcpt(.mailbox(mailbox)), .bdat(bytes: 3, isLast: false)] {
            _ = self.send(command, to: &session)
        }
        _ = session.handle(.chunkEnded(nil))
        #expect(self.send(.starttls, to: &session) == [.dropContent, Self.ready, .startTLS])
    }

    @Test func `nothing that belongs to the session is taken during the handshake`() {
        for offer in [ServerSession.TLSOffer.offered, .implicit] {
            var session = self.session(offer)
            if offer == .offered { _ = self.send(.starttls, to: &session) }
            for event: ServerSession.Event in [
                .command(.ehlo("c")), .command(.quit), .malformed(.unrecognized), .contentEnded(nil), .chunkEnded(nil),
                .decided(ServerSession.Decision(question: 0, verdict: .accept())), .stored(.failure(.tooLarge)),
                .delayElapsed,
            ] {
                #expect(session.handle(event) == [])
                #expect(session.expectation == .handshake)
            }
        }
    }

    @Test func `input behind STARTTLS ends the session without a word`() {
        for offer in [ServerSession.TLSOffer.offered, .required] {
            var session = self.session(offer)
            _ = self.send(.ehlo("c"), to: &session)
            let reply = Reply(503, .init(5, 0), "Input behind STARTTLS")
            #expect(self.send(.starttls, to: &session, isLast: false) == [.unsaid(reply), .close])
            #expect(session.handle(.tlsEstablished) == [])
            #expect(session.expectation == .nothing)
        }
    }

    @Test func `a handshake that takes too long, or is in the way of the end, ends without a word`() {
        for offer in [ServerSession.TLSOffer.offered, .implicit] {
            for (event, code) in [(ServerSession.Event.timedOut, 421), (.shutdown(.transaction), 421)] {
                var session = self.session(offer)
                if offer == .offered { _ = self.send(.starttls, to: &session) }
                let actions = session.handle(event)
                guard case .unsaid(let reply)? = actions.first else {
                    Issue.record("\(actions)")
                    continue
                }
                #expect(reply.code == code && actions.dropFirst() == [.close])
            }
        }
    }

    @Test func `where TLS comes first the greeting follows it`() {
        var session = self.session(.implicit)
        #expect(session.expectation == .handshake)
        #expect(session.handle(.tlsEstablished) == [.reply(.greeting("mx.example.test"))])
        #expect(self.keywords(self.send(.ehlo("c"), to: &session)).contains("REQUIRETLS"))
        #expect(self.send(.starttls, to: &session) == [.reply(Reply(554, .init(5, 1), "TLS already active"))])
        #expect(session.handle(.tlsEstablished) == [], "it is only established once")
    }

    @Test func `where there is no TLS there is no STARTTLS`() {
        var session = self.session(.none)
        #expect(self.send(.starttls, to: &session) == [.reply(Reply(502, .init(5, 1), "Command not implemented"))])
        #expect(session.expectation == .command)
    }

    @Test func `a client that must encrypt can do nothing else before`() throws {
        var session = self.session(.required)
        _ = self.send(.ehlo("c"), to: &session)
        let mailbox = try #require(Mailbox("user@example.test"))
        for command in [Command.mail(.null), .rcpt(.mailbox(mailbox)), .data, .rset, .vrfy("x"), .help] {
            #expect(self.send(command, to: &session) == [Self.first])
        }
        #expect(self.send(.noop, to: &session) == [.reply(Reply(250, .init(0, 0), "Ok"))])
        #expect(self.send(.bdat(bytes: 5, isLast: true), to: &session) == [])
        #expect(session.expectation == .discard(bytes: 5))
        #expect(session.handle(.chunkEnded(nil)) == [Self.first])
        #expect(self.send(.starttls, to: &session) == [Self.ready, .startTLS])
        _ = session.handle(.tlsEstablished)
        _ = self.send(.ehlo("c"), to: &session)
        #expect(self.send(.mail(.null), to: &session) == [.reply(Reply(250, .init(1, 0), "Ok"))])
    }

    @Test func `STARTTLS does not make errors undone`() {
        var limits = SessionLimits()
        limits.errorsPerSession = 3
        limits.softErrors = 10
        var session = self.session(.offered, limits)
        for _ in 0..<2 { _ = self.send(.data, to: &session) }
        _ = self.send(.starttls, to: &session)
        _ = session.handle(.tlsEstablished)
        #expect(self.send(.data, to: &session).last == .close)
    }

    @Test func `REQUIRETLS is a parameter inside of TLS only`() {
        var parameters = MailParameters()
        parameters.tls = .required
        var session = self.session(.offered)
        _ = self.send(.ehlo("c"), to: &session)
        #expect(
            self.send(.mail(.null, parameters), to: &session) == [
                .reply(Reply(555, .init(5, 4), "Unsupported parameter REQUIRETLS"))
            ])
        _ = self.send(.starttls, to: &session)
        _ = session.handle(.tlsEstablished)
        _ = self.send(.ehlo("c"), to: &session)
        #expect(self.send(.mail(.null, parameters), to: &session) == [.reply(Reply(250, .init(1, 0), "Ok"))])
    }
}
