import Mail
import SMTP
import Testing

/// STARTTLS, REQUIRETLS and AUTH as the client's session has them.
@Suite struct ClientSecurityTests {
    private typealias Action = ClientSession.Action

    private static let greeting = Reply(220, nil, "primary.example ESMTP")
    private static let ok = Reply(250, nil, "Ok")

    private static func hello(_ extensions: String...) -> Reply {
        Reply(code: 250, detail: nil, lines: ["primary.example"] + extensions)
    }

    private static func permissions(
        _ level: SecurityLevel, _ change: (inout ClientSession.Permissions) -> Void = { _ in }
    ) -> ClientSession.Permissions {
        var permissions = ClientSession.Permissions()
        permissions.security = level
        change(&permissions)
        return permissions
    }

    private static func credentials(_ mechanisms: [SASLMechanism] = SASLMechanism.allCases) -> SASLCredentials? {
        SASLCredentials(user: "user", password: "pencil", mechanisms: mechanisms, nonce: { SCRAMTests.nonce })
    }

    private func delivery(_ tls: TLSRequirement = .unspecified, client: ClientIdentity? = nil) throws
        -> ClientSession.Delivery
    {
        var parameters = MailParameters()
        parameters.tls = tls
        var envelope = Envelope(
            reversePath: .mailbox(try #require(Mailbox("s@example.org"))), parameters: parameters)
        envelope.recipients = [Recipient(try #require(Mailbox("a@example.com")))]
        return ClientSession.Delivery(
            envelope: envelope, contentBytes: 100, needsSMTPUTF8: false, client: client, id: QueueID(value: 1))
    }

    private func sent(_ actions: [Action]) -> String {
        actions.map { if case .send(let bytes) = $0 { String(decoding: bytes, as: UTF8.self) } else { "" } }.joined()
    }

    private func problem(_ actions: [Action]) -> (SecurityProblem, Reply)? {
        for case .unusable(.insecure(let problem, let reply)) in actions { return (problem, reply) }
        return nil
    }

    private func outcome(_ actions: [Action]) -> ClientSession.Outcome? {
        for case .finished(let outcome) in actions { return outcome }
        return nil
    }

    /// What a session has done after events, and the actions of the last.
    private func run(
        _ permissions: ClientSession.Permissions, _ events: [ClientSession.Event]
    ) -> (session: ClientSession, last: [Action], sent: String) {
        var session = ClientSession(hostname: "us.example", permissions: permissions)
        var last: [Action] = []
        var sent = ""
        for event in events {
            last = session.handle(event)
            sent += self.sent(last)
        }
        return (session, last, sent)
    }

    private static let offered: [ClientSession.Event] = [
        .connected, .reply(Self.greeting), .reply(Self.hello("PIPELINING", "STARTTLS", "SIZE")),
    ]
    private static let notOffered: [ClientSession.Event] = [
        .connected, .reply(Self.greeting), .reply(Self.hello("PIPELINING", "SIZE")),
    ]
    /// Up to the answer to EHLO inside TLS.
    private static func secured(
        _ authentication: TLSAuthentication = .passed, _ hello: Reply? = nil
    ) -> [ClientSession.Event] {
        Self.offered + [.reply(Reply(220, nil, "Go on")), .tlsEstablished(authentication: authentication)]
            + (hello.map { [.reply($0)] } ?? [])
    }

    // MARK: Levels

    @Test func `TLS is asked for where it is wanted and offered, and EHLO is said anew`() {
        for level in [SecurityLevel.opportunistic, .encrypted, .authenticated] {
            var (session, last, sent) = self.run(Self.permissions(level), Self.offered)
            #expect(last == [.expect(.hello), .send(Array("STARTTLS\r\n".utf8))])
            let start = session.handle(.reply(Reply(220, .init(0, 0), "Go on")))
            #expect(start == [.expect(.hello), .startTLS])
            last = session.handle(.tlsEstablished(authentication: .passed))
            #expect(last == [.expect(.hello), .send(Array("EHLO us.example\r\n".utf8))])
            // Offered again, it means nothing.
            last = session.handle(.reply(Self.hello("STARTTLS")))
            #expect(last == [.expect(.nothing), .ready])
            sent += self.sent(last)
            #expect(sent == "EHLO us.example\r\nSTARTTLS\r\n")
        }
    }

    @Test func `without a level TLS is never asked for`() {
        let (_, last, sent) = self.run(Self.permissions(.none), Self.offered)
        #expect(last.last == .ready)
        #expect(sent == "EHLO us.example\r\n")
    }

    @Test func `what was announced in plain text is forgotten`() throws {
        var (session, last, _) = self.run(Self.permissions(.opportunistic), Self.secured(.notAsked, Self.hello("DSN")))
        #expect(last.last == .ready)
        last = session.handle(.deliver(try self.delivery()))
        // Neither SIZE nor PIPELINING.
        #expect(self.sent(last) == "MAIL FROM:<s@example.org>\r\n")
    }

    @Test func `where TLS is not offered the level decides`() {
        for level in [SecurityLevel.none, .opportunistic] {
            let (_, last, _) = self.run(Self.permissions(level), Self.notOffered)
            #expect(last == [.expect(.nothing), .ready])
        }
        for level in [SecurityLevel.encrypted, .authenticated] {
            let (_, last, sent) = self.run(Self.permissions(level), Self.notOffered)
            #expect(self.problem(last)?.0 == .notOffered)
            #expect(self.problem(last)?.1.oneLine.hasPrefix("451 4.7.4 ") == true)
            #expect(sent == "EHLO us.example\r\nQUIT\r\n")
            #expect(last.last == .close)
        }
    }

    @Test func `a server that knows no EHLO has no TLS`() {
        let events: [ClientSession.Event] = [
            .connected, .reply(Self.greeting), .reply(Reply(500, nil, "What?")), .reply(Self.ok),
        ]
        #expect(self.run(Self.permissions(.opportunistic), events).last.last == .ready)
        for level in [SecurityLevel.encrypted, .authenticated] {
            #expect(self.problem(self.run(Self.permissions(level), events).last)?.0 == .notOffered)
        }
    }

    @Test(arguments: [454, 501, 502, 554, 354]) func `where TLS is refused the level decides`(code: Int) {
        let events = Self.offered + [.reply(Reply(code, .init(7, 0), "No"))]
        let plain = self.run(Self.permissions(.opportunistic), events)
        #expect(plain.last == [.expect(.nothing), .ready])
        #expect(plain.sent == "EHLO us.example\r\nSTARTTLS\r\n")
        for level in [SecurityLevel.encrypted, .authenticated] {
            let (_, last, sent) = self.run(Self.permissions(level), events)
            #expect(self.problem(last)?.0 == .refused)
            #expect(self.problem(last)?.1.oneLine.hasPrefix("451 4.7.4 ") == true)
            #expect(self.problem(last)?.1.oneLine.contains("\(code) ") == true)
            #expect(sent.hasSuffix("QUIT\r\n"))
        }
    }

    @Test func `a server that goes instead of starting TLS is gone`() {
        let events = Self.offered + [.reply(Reply(421, .init(3, 2), "Bye"))]
        #expect(
            self.run(Self.permissions(.opportunistic), events).last
                == [.unusable(.failed(Reply(421, .init(3, 2), "Bye"))), .close])
        #expect(self.problem(self.run(Self.permissions(.encrypted), events).last)?.0 == .refused)
    }

    @Test func `extensions in plain text are used where TLS was refused`() throws {
        var (session, _, _) = self.run(
            Self.permissions(.opportunistic), Self.offered + [.reply(Reply(454, nil, "No"))])
        let actions = session.handle(.deliver(try self.delivery()))
        #expect(self.sent(actions) == "MAIL FROM:<s@example.org> SIZE=100\r\nRCPT TO:<a@example.com>\r\nDATA\r\n")
    }

    private static let wrong: [TLSAuthentication] = [.failed("it is for another name"), .notAsked]

    @Test(arguments: Self.wrong) func `a server that is not who it should be gets nothing`(
        authentication: TLSAuthentication
    ) {
        let (_, last, sent) = self.run(Self.permissions(.authenticated), Self.secured(authentication))
        #expect(self.problem(last)?.0 == .notAuthenticated)
        #expect(self.problem(last)?.1.oneLine.hasPrefix("451 4.7.5 Server certificate not verified: ") == true)
        #expect(sent == "EHLO us.example\r\nSTARTTLS\r\nQUIT\r\n")
        #expect(last.last == .close)
        for level in [SecurityLevel.opportunistic, .encrypted] {
            let (_, last, _) = self.run(Self.permissions(level), Self.secured(authentication, Self.hello()))
            #expect(last.last == .ready, "whoever it is")
        }
    }

    // MARK: Handshakes that fail, and injection

    private static let levels: [SecurityLevel] = [.opportunistic, .encrypted, .authenticated]

    @Test(arguments: Self.levels) func `a handshake that fails ends the session under every level`(
        level: SecurityLevel
    ) {
        let start = Self.offered + [.reply(Reply(220, nil, "Go on"))]
        let ends: [(ClientSession.Event, String)] = [
            (.tlsFailed("wrong version number"), "wrong version number"), (.disconnected, "Lost connection"),
            (.timedOut, "Timed out"), (.reply(Self.ok), ClientSession.injection),
            (.reply(Self.hello("AUTH PLAIN")), ClientSession.injection),
            (.malformed(.noCode("x")), ClientSession.injection), (.malformed(.endless), ClientSession.injection),
            (.challenge([]), ClientSession.injection),
        ]
        for (event, text) in ends {
            var (session, last, sent) = self.run(Self.permissions(level), start + [event])
            #expect(self.problem(last)?.0 == .handshakeFailed)
            #expect(self.problem(last)?.1.oneLine.hasPrefix("451 4.7.5 TLS handshake failed: ") == true)
            #expect(self.problem(last)?.1.oneLine.contains(text) == true, "\(event)")
            #expect(last.last == .close)
            #expect(sent == "EHLO us.example\r\nSTARTTLS\r\n", "nothing goes out in plain text any more")
            // It is over, whatever comes.
            for event in [.tlsEstablished(authentication: .passed), .reply(Self.ok), .disconnected]
                as [ClientSession.Event]
            {
                last = session.handle(event)
                #expect(last == [])
            }
        }
    }

    @Test func `TLS that nobody asked for changes nothing`() {
        for events in [[.connected], Self.notOffered, Self.offered] as [[ClientSession.Event]] {
            var (session, _, _) = self.run(Self.permissions(.encrypted), events)
            let established = session.handle(.tlsEstablished(authentication: .passed))
            let failed = session.handle(.tlsFailed("x"))
            #expect(established == [] && failed == [])
        }
    }

    @Test(arguments: Self.levels)
    func `TLS that ends before anything was heard through it has not come about, where it need not be`(
        level: SecurityLevel
    ) throws {
        for end in [ClientSession.Event.disconnected, .tlsFailed("alert internal error")] {
            let run = self.run(Self.permissions(level), Self.secured() + [end])
            guard level == .opportunistic else {
                #expect(self.problem(run.last) == nil)
                continue
            }
            let (problem, reply) = try #require(self.problem(run.last))
            #expect(problem == .handshakeFailed && reply.code == 451 && run.last.last == .close)
            #expect(reply.lines[0].hasPrefix("TLS broke off behind the handshake: "))
        }
        let heard = self.run(Self.permissions(level), Self.secured(.passed, Self.hello("SIZE")) + [.disconnected])
        #expect(heard.last == [.close])
        let refused = Self.secured() + [.reply(Reply(502, nil, "EHLO?")), .disconnected]
        #expect(self.problem(self.run(Self.permissions(level), refused).last) == nil)
    }

    // MARK: TLS before the greeting

    @Test func `implicit TLS comes before everything else`() {
        for level in [SecurityLevel.none, .opportunistic, .encrypted, .authenticated] {
            let permissions = Self.permissions(level) { $0.isImplicit = true }
            var (session, last, _) = self.run(permissions, [.connected])
            #expect(last == [.expect(.hello), .startTLS])
            last = session.handle(.tlsEstablished(authentication: .passed))
            #expect(last == [.expect(.greeting)])
            last = session.handle(.reply(Self.greeting))
            #expect(self.sent(last) == "EHLO us.example\r\n")
            last = session.handle(.reply(Self.hello("STARTTLS")))
            #expect(last.last == .ready)
        }
    }

    @Test func `implicit TLS that fails, or with the wrong server, leaves nothing`() {
        let permissions = Self.permissions(.authenticated) { $0.isImplicit = true }
        for event in [.tlsFailed("x"), .disconnected, .timedOut, .reply(Self.greeting)] as [ClientSession.Event] {
            #expect(self.problem(self.run(permissions, [.connected, event]).last)?.0 == .handshakeFailed)
        }
        let (_, last, sent) = self.run(permissions, [.connected, .tlsEstablished(authentication: .failed("x"))])
        #expect(self.problem(last)?.0 == .notAuthenticated)
        #expect(sent.isEmpty && last.last == .close)
    }

    // MARK: REQUIRETLS

    private static let requiring = Self.permissions(.authenticated) { $0.isRequireTLS = true }

    @Test func `REQUIRETLS is said to a server that has it`() throws {
        var (session, last, _) = self.run(Self.requiring, Self.secured(.passed, Self.hello("REQUIRETLS", "SIZE")))
        #expect(last.last == .ready)
        var other = session
        last = session.handle(.deliver(try self.delivery(.required)))
        #expect(self.sent(last) == "MAIL FROM:<s@example.org> SIZE=100 REQUIRETLS\r\n")
        last = other.handle(.deliver(try self.delivery()))
        #expect(self.sent(last) == "MAIL FROM:<s@example.org> SIZE=100\r\n")
    }

    @Test func `where REQUIRETLS is not offered inside TLS no session comes about`() {
        let offered = Self.hello("STARTTLS", "REQUIRETLS")
        let (_, last, sent) = self.run(
            Self.requiring,
            [
                .connected, .reply(Self.greeting), .reply(offered), .reply(Reply(220, nil, "Go")),
                .tlsEstablished(authentication: .passed), .reply(Self.hello("SIZE")),
            ])
        #expect(self.problem(last)?.0 == .requireTLSNotOffered)
        #expect(self.problem(last)?.1 == Reply(550, .init(7, 30), "REQUIRETLS support required"))
        #expect(sent.hasSuffix("QUIT\r\n") && last.last == .close)
    }

    @Test func `REQUIRETLS needs an authenticated server whatever the level`() {
        for level in [SecurityLevel.none, .opportunistic, .encrypted] {
            let permissions = Self.permissions(level) { $0.isRequireTLS = true }
            #expect(self.problem(self.run(permissions, Self.notOffered).last)?.0 == .notOffered)
            #expect(self.problem(self.run(permissions, Self.secured(.notAsked)).last)?.0 == .notAuthenticated)
        }
    }

    @Test func `mail with REQUIRETLS never goes over a session that was not made for it`() throws {
        let ready: [(ClientSession.Permissions, [ClientSession.Event])] = [
            (Self.permissions(.none), Self.notOffered),
            // Announced in plain text it is worth nothing.
            (Self.permissions(.none), [.connected, .reply(Self.greeting), .reply(Self.hello("REQUIRETLS"))]),
            (Self.permissions(.authenticated), Self.secured(.passed, Self.hello("REQUIRETLS"))),
        ]
        for (permissions, events) in ready {
            var (session, last, _) = self.run(permissions, events)
            #expect(last.last == .ready)
            last = session.handle(.deliver(try self.delivery(.required)))
            #expect(self.outcome(last)?.standing == .unsuitable)
            #expect(self.outcome(last)?.replies == [Reply(550, .init(7, 30), "REQUIRETLS support required")])
            #expect(self.sent(last).isEmpty && last.last == .ready)
            last = session.handle(.deliver(try self.delivery(.optional)))
            #expect(self.sent(last).hasPrefix("MAIL FROM:<s@example.org>"))
            #expect(!self.sent(last).contains("REQUIRETLS"))
        }
    }

    // MARK: XCLIENT

    private static let client = ClientIdentity(
        address: .v4(0xC000_0201), port: 2525, hostname: nil, helo: "client.example", proto: "ESMTP")

    @Test func `behind XCLIENT TLS stays what it was`() throws {
        for (level, events) in [
            (SecurityLevel.encrypted, Self.secured(.notAsked, Self.hello("XCLIENT ADDR"))),
            (
                .opportunistic,
                [
                    .connected, .reply(Self.greeting), .reply(Self.hello("STARTTLS", "XCLIENT ADDR")),
                    .reply(Reply(454, nil, "No")),
                ]
            ),
        ] {
            var (session, last, _) = self.run(Self.permissions(level) { $0.xclient = true }, events)
            #expect(last.last == .ready)
            last = session.handle(.deliver(try self.delivery(client: Self.client)))
            #expect(self.sent(last) == "XCLIENT ADDR=192.0.2.1\r\n")
            last = session.handle(.reply(Self.greeting))
            #expect(self.sent(last) == "EHLO client.example\r\n")
            last = session.handle(.reply(Self.hello("STARTTLS", "XCLIENT ADDR")))
            #expect(self.sent(last).hasPrefix("MAIL FROM"))
        }
    }

    @Test func `behind XCLIENT REQUIRETLS must be offered still, and credentials are said again`() throws {
        let permissions = Self.permissions(.authenticated) {
            $0.xclient = true
            $0.isRequireTLS = true
            $0.credentials = Self.credentials([.plain])
        }
        let hello = Self.hello("REQUIRETLS", "XCLIENT ADDR", "AUTH PLAIN")
        var (session, last, _) = self.run(
            permissions, Self.secured(.passed, hello) + [.reply(Reply(235, .init(7, 0), "Welcome"))])
        #expect(last.last == .ready)
        _ = session.handle(.deliver(try self.delivery(.required, client: Self.client)))
        _ = session.handle(.reply(Self.greeting))
        var other = session
        last = session.handle(.reply(hello))
        #expect(self.sent(last) == "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n")
        var refused = session
        last = session.handle(.reply(Reply(235, nil, "Welcome")))
        #expect(self.sent(last).contains(" REQUIRETLS\r\n"))
        last = refused.handle(.reply(Reply(535, nil, "No")))
        #expect(self.outcome(last)?.standing == .brokenEarly)
        #expect(self.outcome(last)?.replies.map(\.status) == ["4.7.8"])
        #expect(last.last == .close)
        _ = other.handle(.reply(Self.hello("AUTH PLAIN")))
        last = other.handle(.reply(Reply(235, nil, "Welcome")))
        #expect(self.outcome(last)?.standing == .unsuitable)
    }

    // MARK: AUTH

    private static func with(_ mechanisms: [SASLMechanism], _ level: SecurityLevel = .encrypted)
        -> ClientSession.Permissions
    {
        Self.permissions(level) { $0.credentials = Self.credentials(mechanisms) }
    }

    @Test func `credentials are never said without TLS, whatever is announced`() {
        for level in [SecurityLevel.none, .opportunistic, .encrypted, .authenticated] {
            let permissions = Self.with(SASLMechanism.allCases, level)
            let announced = Self.hello("AUTH PLAIN LOGIN SCRAM-SHA-256")
            let plain = self.run(permissions, [.connected, .reply(Self.greeting), .reply(announced)])
            #expect(self.problem(plain.last)?.0 == .notOffered)
            #expect(!plain.sent.contains("AUTH"))
            let refused = self.run(permissions, Self.offered + [.reply(Reply(454, nil, "No"))])
            #expect(self.problem(refused.last)?.0 == .refused)
            #expect(!refused.sent.contains("AUTH"))
        }
    }

    @Test(arguments: ["AUTH PLAIN", "AUTH=PLAIN", "auth login plain", "AUTH=LOGIN PLAIN"])
    func `PLAIN is one command`(line: String) {
        var (session, last, _) = self.run(Self.with([.plain, .login]), Self.secured(.notAsked, Self.hello(line)))
        #expect(last == [.expect(.hello), .send(Array("AUTH PLAIN AHVzZXIAcGVuY2ls\r\n".utf8))])
        last = session.handle(.reply(Reply(235, .init(7, 0), "Welcome")))
        #expect(last == [.expect(.nothing), .ready])
    }

    @Test func `LOGIN is two answers, and the old announcement is understood`() {
        var (session, last, _) = self.run(Self.with([.login]), Self.secured(.notAsked, Self.hello("AUTH=LOGIN")))
        #expect(self.sent(last) == "AUTH LOGIN\r\n")
        last = session.handle(.challenge(Array("VXNlcm5hbWU6".utf8)))
        #expect(self.sent(last) == "dXNlcg==\r\n")
        last = session.handle(.reply(Reply(334, nil, "UGFzc3dvcmQ6")))
        #expect(self.sent(last) == "cGVuY2ls\r\n")
        last = session.handle(.reply(Reply(235, nil, "Welcome")))
        #expect(last.last == .ready)
    }

    private func challenge(_ text: String) -> ClientSession.Event { .challenge(Array(Base64.encode(text.utf8).utf8)) }

    /// A session that has said its proof.
    private func proving() throws -> ClientSession {
        var (session, last, _) = self.run(
            Self.with([.scramSHA256]), Self.secured(.notAsked, Self.hello("AUTH SCRAM-SHA-256 PLAIN")))
        #expect(self.sent(last) == "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\r\n")
        last = session.handle(self.challenge(SCRAMTests.serverFirst))
        guard case .derive(let derivation)? = last.first else {
            Issue.record("nothing to derive")
            return session
        }
        last = session.handle(.derived(try derivation.key()))
        #expect(self.sent(last) == Base64.encode(SCRAMTests.clientFinal.utf8) + "\r\n")
        return session
    }

    @Test func `SCRAM ends when the server has proved itself`() throws {
        var session = try self.proving()
        var last = session.handle(self.challenge(SCRAMTests.serverFinal))
        #expect(self.sent(last) == "\r\n")
        last = session.handle(.reply(Reply(235, nil, "Welcome")))
        #expect(last == [.expect(.nothing), .ready])
    }

    @Test func `a server that takes the proof and shows none of its own is left`() throws {
        var session = try self.proving()
        let last = session.handle(.reply(Reply(235, nil, "Welcome")))
        #expect(self.problem(last)?.0 == .authenticationRefused)
        #expect(self.sent(last) == "QUIT\r\n" && last.last == .close)
    }

    @Test func `a wrong signature of the server is answered by cancelling`() throws {
        var session = try self.proving()
        let last = session.handle(self.challenge("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8="))
        #expect(self.problem(last)?.0 == .authenticationRefused)
        #expect(self.problem(last)?.1.status == "4.7.8")
        #expect(self.sent(last) == "*\r\nQUIT\r\n" && last.last == .close)
    }

    @Test func `a key that cannot be computed, or comes late, ends nothing but the session`() {
        var (session, last, _) = self.run(
            Self.with([.scramSHA256]),
            Self.secured(.notAsked, Self.hello("AUTH SCRAM-SHA-256")) + [self.challenge(SCRAMTests.serverFirst)])
        var gone = session
        last = session.handle(.derived(nil))
        #expect(self.problem(last)?.0 == .authenticationRefused)
        #expect(self.sent(last) == "*\r\nQUIT\r\n")
        _ = gone.handle(.disconnected)
        last = gone.handle(.derived([1, 2, 3]))
        #expect(last == [])
    }

    @Test(arguments: [
        Reply(535, .init(7, 8), "Bad"), Reply(534, .init(7, 9), "Weak"), Reply(454, .init(7, 0), "Later"),
    ])
    func `refused credentials are no reason to send mail back`(reply: Reply) {
        for mechanism in SASLMechanism.allCases {
            let hello = Self.hello("AUTH \(mechanism.rawValue)")
            let (_, last, sent) = self.run(Self.with([mechanism]), Self.secured(.notAsked, hello) + [.reply(reply)])
            #expect(self.problem(last)?.0 == .authenticationRefused)
            #expect(self.problem(last)?.1.oneLine.hasPrefix("451 4.7.8 SASL \(mechanism.rawValue)") == true)
            #expect(self.problem(last)?.1.oneLine.contains(reply.oneLine) == true)
            #expect(sent.hasSuffix("QUIT\r\n") && !sent.contains("*") && last.last == .close)
        }
    }

    @Test(arguments: [
        Reply(502, nil, "Unknown: AUTH PLAIN AHVzZXIAcGVuY2ls"), Reply(535, nil, "x", "AHVzZXIAcGVuY2ls"),
        Reply(535, nil, "cut off: AUTH PLAIN AHVzZXIAcGVu"), Reply(454, nil, "the password is pencil"),
        Reply(421, nil, "AHVzZXIAcGVuY2ls"), Reply(354, nil, "Go on after AHVzZXIAcGVuY2ls"),
    ])
    func `what a server repeats of a password is not shown`(reply: Reply) {
        let (_, last, _) = self.run(
            Self.with([.plain]), Self.secured(.notAsked, Self.hello("AUTH PLAIN")) + [.reply(reply)])
        let shown = "\(last.filter { if case .unusable = $0 { true } else { false } })"
        #expect(shown.contains("the server repeated what it was told"))
        #expect(!shown.contains("AHVzZXIAcGVu") && !shown.contains("pencil"))
    }

    @Test func `what a server repeats of an answer is not shown, and other words are`() {
        let start = Self.secured(.notAsked, Self.hello("AUTH LOGIN")) + [self.challenge(""), self.challenge("")]
        for (text, isShown) in [("no cGVuY2ls", false), ("no dXNlcg==", false), ("bad credentials", true)] {
            let (_, last, _) = self.run(Self.with([.login]), start + [.reply(Reply(535, .init(7, 8), text))])
            #expect((self.problem(last)?.1.oneLine.contains(text) == true) == isShown, "\(text)")
        }
    }

    @Test func `a server without a mechanism of ours is left`() {
        for line in ["SIZE", "AUTH", "AUTH GSSAPI", "AUTH PLAINER"] {
            let (_, last, _) = self.run(Self.with([.plain]), Self.secured(.notAsked, Self.hello(line)))
            #expect(self.problem(last)?.0 == .mechanismMissing)
        }
        // Those of plain text are forgotten.
        let (_, last, _) = self.run(
            Self.with([.plain]),
            [
                .connected, .reply(Self.greeting), .reply(Self.hello("STARTTLS", "AUTH PLAIN")),
                .reply(Reply(220, nil, "Go")), .tlsEstablished(authentication: .passed), .reply(Self.hello()),
            ])
        #expect(self.problem(last)?.0 == .mechanismMissing)
    }

    @Test func `what comes instead of an answer to AUTH ends the session`() {
        let start = Self.secured(.notAsked, Self.hello("AUTH PLAIN LOGIN SCRAM-SHA-256"))
        let events: [ClientSession.Event] = [
            .reply(Reply(421, nil, "Bye")), .disconnected, .timedOut, .malformed(.endless),
            .reply(Reply(334, nil, "two", "lines")), .reply(Reply(354, nil, "Go")), .challenge([0xFF, 0]),
        ]
        for mechanism in [SASLMechanism.plain, .scramSHA256] {
            for event in events {
                let (_, last, _) = self.run(Self.with([mechanism]), start + [event])
                #expect(last.contains { if case .unusable = $0 { true } else { false } }, "\(mechanism) \(event)")
                #expect(last.last == .close)
            }
        }
    }

    @Test func `a challenge anywhere else is a reply like any other`() throws {
        var (session, _, _) = self.run(Self.permissions(.none), Self.notOffered)
        _ = session.handle(.deliver(try self.delivery()))
        _ = session.handle(.reply(Self.ok))
        _ = session.handle(.reply(Self.ok))
        let last = session.handle(.challenge(Array("x".utf8)))
        #expect(last == [.expect(.dataTransfer), .sendContent(.data)])
        #expect(ClientSession.event(of: Reply(334, nil, "cut"), lastLine: Array("334 whole".utf8)).isChallenge)
        #expect(!ClientSession.event(of: Reply(334, nil, "a", "b"), lastLine: Array("334 b".utf8)).isChallenge)
        #expect(!ClientSession.event(of: Reply(354, nil, "Go"), lastLine: Array("354 Go".utf8)).isChallenge)
    }

    // MARK: Any order

    @Test func `events of security at any time never trap, and never speak in plain text again`() throws {
        let events: [ClientSession.Event] = [
            .connected, .reply(Self.greeting), .reply(Self.hello("STARTTLS", "AUTH PLAIN SCRAM-SHA-256", "REQUIRETLS")),
            .reply(Self.hello("AUTH LOGIN")), .reply(Reply(235, nil, "x")), .reply(Reply(334, nil, "x")),
            .challenge([65]), self.challenge(SCRAMTests.serverFirst), self.challenge(SCRAMTests.serverFinal),
            .derived([1]), .derived(nil), .tlsEstablished(authentication: .passed),
            .tlsEstablished(authentication: .failed("x")), .tlsFailed("x"), .reply(Reply(454, nil, "x")),
            .deliver(try self.delivery(.required)), .deliver(try self.delivery()), .contentSent, .timedOut,
            .disconnected, .quit,
        ]
        for round in 0..<6000 {
            let level = Self.levels[round % 3]
            var session = ClientSession(
                hostname: "us.example",
                permissions: Self.permissions(level) {
                    $0.isImplicit = round % 5 == 0
                    $0.isRequireTLS = round % 7 == 0
                    $0.credentials = round % 2 == 0 ? Self.credentials() : nil
                })
            var isStarted = false
            var isSecured = false
            for _ in 0..<20 {
                guard let event = events.randomElement() else { continue }
                if isStarted, case .tlsEstablished = event { isSecured = true }
                for action in session.handle(event) {
                    if case .startTLS = action { isStarted = true }
                    guard case .send(let bytes) = action, !isSecured else { continue }
                    let text = String(decoding: bytes, as: UTF8.self)
                    #expect(!isStarted && !text.hasPrefix("AUTH"), "\(text) in plain text")
                    #expect(level == .opportunistic || !text.hasPrefix("MAIL"))
                }
            }
        }
    }
}

extension ClientSession.Event {
    fileprivate var isChallenge: Bool { if case .challenge = self { true } else { false } }
}
