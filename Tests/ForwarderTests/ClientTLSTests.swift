import Harness
import Mail
import NIOCore
import NIOPosix
import Queue
import SMTP
import Synchronization
import TLS
import Testing

@testable import Forwarder

/// TLS and AUTH of the client's side, through sockets.
@Suite struct ClientTLSTests {
    private static let group = MultiThreadedEventLoopGroup.singleton

    // MARK: A connection

    /// What came of a connection: one that became ready asked about one recipient.
    private struct Course: Sendable {
        var session: TLSSession?
        var problem: ClientSession.Unusable?
        var outcome: ClientSession.Outcome?

        var insecurity: SecurityProblem? {
            if case .insecure(let problem, _) = self.problem { problem } else { nil }
        }

        var reply: String? {
            if case .insecure(_, let reply) = self.problem { reply.oneLine } else { nil }
        }
    }

    /// Sendable: on its loop only.
    private final class Observer: ClientHandlerDelegate, @unchecked Sendable {
        private var course = Course()
        private let promise: EventLoopPromise<Course>
        private let delivery: ClientSession.Delivery

        init(_ delivery: ClientSession.Delivery, _ promise: EventLoopPromise<Course>) {
            self.delivery = delivery
            self.promise = promise
        }

        func sessionReady(_ handler: ClientHandler) {
            if self.course.outcome == nil { handler.ask(self.delivery) } else { handler.quit() }
        }

        func sessionSecured(_ handler: ClientHandler, _ session: TLSSession) { self.course.session = session }

        func sessionFinished(_ handler: ClientHandler, _ outcome: ClientSession.Outcome) {
            self.course.outcome = outcome
        }

        func sessionUnusable(_ handler: ClientHandler, _ reason: ClientSession.Unusable) {
            self.course.problem = reason
        }

        func sessionClosed(_ handler: ClientHandler) { self.promise.succeed(self.course) }

        func contentUnreadable(_ handler: ClientHandler, _ message: QueuedMessage, _ error: any Error) {}
    }

    private func run(
        _ server: TLSScriptedServer, _ level: SecurityLevel, verification: TLSVerification = .none,
        requirement: TLSRequirement = .unspecified, timeouts: ClientTimeouts = ClientTimeouts(),
        _ change: (inout ClientSession.Permissions) -> Void = { _ in }
    ) async throws -> Course {
        var permissions = ClientSession.Permissions()
        permissions.security = level
        change(&permissions)
        let session = ClientSession(hostname: "us.example", permissions: permissions)
        let request = TLSClientRequest(serverName: TLSScriptedServer.name, verification: verification)
        let security = ConnectionSecurity(context: try TLSClientContext(), request: request)
        var parameters = MailParameters()
        parameters.tls = requirement
        var envelope = Envelope(reversePath: .null, parameters: parameters)
        envelope.recipients = [Recipient(try #require(Mailbox("a@example.test")))]
        let delivery = ClientSession.Delivery(
            envelope: envelope, contentBytes: 0, needsSMTPUTF8: false, client: nil, id: QueueID(value: 1),
            extent: .recipients)
        let address = ServerAddress(
            name: TLSScriptedServer.name, address: .v4(0x7F00_0001), port: server.port)
        let loop = Self.group.next()
        let promise = loop.makePromise(of: Course.self)
        let observer = Observer(delivery, promise)
        loop.execute {
            let handler = ClientHandler(
                server: address, connection: .init(number: 1), session: session, timeouts: timeouts, loop: loop,
                security: security, delegate: observer)
            handler.connect(on: loop, within: .seconds(10)).whenFailure { promise.fail($0) }
        }
        let course = try await promise.futureResult.get()
        return withExtendedLifetime(observer) { course }
    }

    private func withServer<Result>(
        isImplicit: Bool = false, script: @escaping TLSScriptedServer.Script = { _ in nil },
        _ body: (TLSScriptedServer) async throws -> Result
    ) async throws -> Result {
        let server = try await TLSScriptedServer(isImplicit: isImplicit, on: Self.group, script: script)
        do {
            let result = try await body(server)
            await server.end()
            return result
        } catch {
            await server.end()
            throw error
        }
    }

    private func plain(_ server: TLSScriptedServer) -> [String] {
        server.lines.filter { !$0.isSecured }.map(\.text)
    }

    private func secured(_ server: TLSScriptedServer) -> [String] { server.lines.filter(\.isSecured).map(\.text) }

    private static let transaction = ["EHLO us.example", "MAIL FROM:<>", "RCPT TO:<a@example.test>", "RSET", "QUIT"]
    private static let levels: [SecurityLevel] = [.opportunistic, .encrypted, .authenticated]

    // MARK: Levels

    @Test(arguments: [SecurityLevel.opportunistic, .encrypted])
    func `whoever the server is, mail goes through TLS`(level: SecurityLevel) async throws {
        try await self.withServer { server in
            let course = try await self.run(server, level)
            #expect(course.outcome?.standing == .decided)
            #expect(course.session?.verdict == .notVerified)
            #expect(self.plain(server) == ["EHLO us.example", "STARTTLS"])
            #expect(self.secured(server) == Self.transaction)
        }
    }

    @Test func `mail that needs the right server goes to it and to no other`() async throws {
        try await self.withServer { server in
            let right = TLSVerification.fingerprints([server.certificate.publicKeyFingerprint])
            let good = try await self.run(server, .authenticated, verification: right, requirement: .required) {
                $0.isRequireTLS = true
            }
            #expect(good.outcome?.standing == .decided)
            #expect(good.session?.verdict == .verified)
            #expect(self.secured(server).contains("MAIL FROM:<> REQUIRETLS"))
            let wrong = TLSVerification.fingerprints([Array(repeating: 0, count: 32)])
            for verification in [wrong, .names([TLSScriptedServer.name]), .none] {
                let bad = try await self.run(server, .authenticated, verification: verification)
                #expect(bad.insecurity == .notAuthenticated)
                #expect(bad.session != nil, "what came of TLS is told all the same")
                #expect(bad.reply?.hasPrefix("451 4.7.5 Server certificate not verified") == true)
            }
            #expect(self.secured(server).filter { $0 == "QUIT" }.count >= 1)
            #expect(self.secured(server).filter { $0.hasPrefix("EHLO") }.count == 1)
        }
    }

    @Test func `implicit TLS comes before the greeting`() async throws {
        try await self.withServer(isImplicit: true) { server in
            let course = try await self.run(server, .encrypted) { $0.isImplicit = true }
            #expect(course.outcome?.standing == .decided)
            #expect(self.plain(server).isEmpty)
            #expect(self.secured(server) == Self.transaction)
        }
        try await self.withServer { server in
            let course = try await self.run(server, .encrypted) { $0.isImplicit = true }
            #expect(course.insecurity == .handshakeFailed, "it greets in plain text")
        }
    }

    @Test func `without TLS the level decides`() async throws {
        for refusal in ["250 \(TLSScriptedServer.name)", "250-\(TLSScriptedServer.name)\r\n250 STARTTLS"] {
            try await self.withServer(script: { line in
                switch line.text.prefix(4) {
                case "EHLO": .reply(refusal)
                case "STAR": .reply("454 4.7.0 TLS not available")
                default: nil
                }
            }) { server in
                let course = try await self.run(server, .opportunistic)
                #expect(course.outcome?.standing == .decided && course.session == nil)
                #expect(self.plain(server).contains("MAIL FROM:<>"))
                for level in [SecurityLevel.encrypted, .authenticated] {
                    let course = try await self.run(server, level)
                    #expect(course.insecurity == (refusal.contains("STARTTLS") ? .refused : .notOffered))
                }
                #expect(self.plain(server).filter { $0.hasPrefix("MAIL") }.count == 1)
            }
        }
    }

    // MARK: Attacks and accidents

    static let injected = [
        "250 injected\r\n", "2", "\r\n", "250-\(TLSScriptedServer.name)\r\n250 AUTH PLAIN\r\n250 Ok\r\n250 Ok\r\n",
        "\u{16}", "220 again\r\n",
    ]

    @Test(arguments: Self.injected) func `plain text behind STARTTLS ends the session under every level`(
        text: String
    ) async throws {
        for level in Self.levels {
            try await self.withServer(script: { line in
                line.text == "STARTTLS" ? .startTLS("220 2.0.0 Go on\r\n" + text) : nil
            }) { server in
                let course = try await self.run(server, level)
                #expect(course.insecurity == .handshakeFailed)
                #expect(course.reply?.hasSuffix(ClientSession.injection) == true)
                #expect(server.lines.map(\.text) == ["EHLO us.example", "STARTTLS"])
            }
            // It may come late, or the client be fast.
            try await self.withServer(script: { line in
                line.text == "STARTTLS" ? .startTLS(behind: text + String(repeating: "x", count: 20)) : nil
            }) { server in
                let course = try await self.run(server, level)
                #expect(course.insecurity == .handshakeFailed)
                #expect(course.session == nil)
                #expect(server.lines.map(\.text) == ["EHLO us.example", "STARTTLS"])
            }
        }
    }

    @Test func `a handshake that is cut off anywhere is told, and nothing is said in plain text`() async throws {
        // Tickets and the answer to QUIT are among them.
        let bytes = try await self.withServer { server in
            _ = try await self.run(server, .authenticated)
            return server.tlsBytes
        }
        #expect(bytes > 400)
        var failed = 0
        for cut in Array(0...12) + Array(stride(from: 13, to: bytes, by: 23)) {
            try await self.withServer(script: { line in line.text == "STARTTLS" ? .startTLS(cut: cut) : nil }) {
                server in
                let course = try await self.run(server, Self.levels[cut % 3])
                // Behind the handshake come tickets; without them it is done.
                if course.session == nil {
                    failed += 1
                    #expect(course.insecurity == .handshakeFailed, "cut behind \(cut)")
                } else {
                    #expect(course.problem != nil || course.outcome?.standing == .brokenEarly, "cut behind \(cut)")
                }
                #expect(self.plain(server) == ["EHLO us.example", "STARTTLS"])
            }
        }
        #expect(failed > 20)
    }

    @Test func `a server that falls silent in the handshake is given up`() async throws {
        try await self.withServer(script: { line in
            switch line.text {
            case "STARTTLS": .reply("220 2.0.0 And now wait")
            case "EHLO us.example": nil
            // Octets of the handshake that look like a line.
            default: .silence
            }
        }) { server in
            var timeouts = ClientTimeouts()
            timeouts.helo = .milliseconds(200)
            let course = try await self.run(server, .opportunistic, timeouts: timeouts)
            #expect(course.insecurity == .handshakeFailed)
            #expect(course.reply?.contains("Timed out") == true)
        }
    }

    // MARK: AUTH

    private static let nonce = "rOprNGfwEbeRWgbNEkqO"

    private func logIn(
        _ server: TLSScriptedServer, _ mechanisms: [SASLMechanism] = SASLMechanism.allCases
    ) async throws -> Course {
        try await self.run(server, .encrypted) {
            $0.credentials = SASLCredentials(
                user: "user", password: "pencil", mechanisms: mechanisms, nonce: { Self.nonce })
        }
    }

    /// A server that knows the dialog of RFC 7677 §3, LOGIN and PLAIN.
    private static func script(
        _ announced: String, signature: String = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    ) -> TLSScriptedServer.Script {
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        let proof =
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            + "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        let answers = [
            "AUTH PLAIN AHVzZXIAcGVuY2ls": "235 2.7.0 Welcome",
            "AUTH LOGIN": "334 VXNlcm5hbWU6", "dXNlcg==": "334 UGFzc3dvcmQ6", "cGVuY2ls": "235 2.7.0 Welcome",
            "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=": "334 \(Base64.encode(first.utf8))",
            Base64.encode(proof.utf8): "334 \(Base64.encode(signature.utf8))", "": "235 2.7.0 Welcome",
        ]
        return { line in
            guard line.isSecured else { return nil }
            if line.text.hasPrefix("EHLO") { return .reply("250-\(TLSScriptedServer.name)\r\n250 \(announced)") }
            return answers[line.text].map { .reply($0) }
        }
    }

    @Test(arguments: SASLMechanism.allCases)
    func `each mechanism logs in, inside TLS`(mechanism: SASLMechanism) async throws {
        try await self.withServer(script: Self.script("AUTH \(mechanism.rawValue)")) { server in
            let course = try await self.logIn(server)
            #expect(course.outcome?.standing == .decided)
            let lines = self.secured(server)
            #expect(lines.first == "EHLO us.example")
            #expect(lines.dropFirst().first?.hasPrefix("AUTH \(mechanism.rawValue)") == true)
            #expect(lines.suffix(4) == Self.transaction.suffix(4))
            #expect(self.plain(server) == ["EHLO us.example", "STARTTLS"])
        }
    }

    @Test(arguments: SASLMechanism.allCases)
    func `a wrong password leaves the server and fails nothing for good`(mechanism: SASLMechanism) async throws {
        let honest = Self.script("AUTH \(mechanism.rawValue)")
        try await self.withServer(script: { line in
            guard case .reply(let text)? = honest(line), text.hasPrefix("235") else { return honest(line) }
            return .reply("535 5.7.8 Wrong")
        }) { server in
            let course = try await self.logIn(server)
            #expect(course.insecurity == .authenticationRefused)
            #expect(course.reply?.hasPrefix("451 4.7.8 SASL \(mechanism.rawValue) authentication failed") == true)
            #expect(course.reply?.contains("535 5.7.8 Wrong") == true)
            #expect(!self.secured(server).contains { $0.hasPrefix("MAIL") })
        }
    }

    @Test func `a server that does not know the password gets no mail`() async throws {
        for signature in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8=", "e=invalid-proof", ""] {
            try await self.withServer(script: Self.script("AUTH SCRAM-SHA-256", signature: signature)) { server in
                let course = try await self.logIn(server)
                #expect(course.insecurity == .authenticationRefused)
                #expect(!self.secured(server).contains { $0.hasPrefix("MAIL") })
            }
        }
    }

    @Test(arguments: [480, 4096, 12_000, 12_289, 100_000])
    func `a challenge is read whole or refused, never cut`(length: Int) async throws {
        let honest = Self.script("AUTH SCRAM-SHA-256")
        // An extension behind the rest is passed over, but counts for the proof.
        let padding = String(repeating: "x", count: length / 4 * 3)
        let first = "r=\(Self.nonce)1,s=AAAA,i=4096,x=\(padding)"
        try await self.withServer(script: { line in
            line.text.hasPrefix("AUTH ") ? .reply("334 \(Base64.encode(first.utf8))") : honest(line)
        }) { server in
            let course = try await self.logIn(server)
            // What the script says to the proof is no challenge.
            #expect(course.insecurity == .authenticationRefused || course.outcome != nil)
            let lines = self.secured(server)
            let proof = lines.compactMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
            #expect(proof.contains { $0.hasPrefix("c=biws,r=\(Self.nonce)1,p=") } == (length <= 12_000))
            #expect(length <= 12_000 || course.reply?.contains("longer than") == true)
        }
    }

    @Test(arguments: 0...5) func `a connection that breaks while logging in is nobody's fault`(
        place: Int
    ) async throws {
        let honest = Self.script("AUTH SCRAM-SHA-256")
        let count = Counter()
        try await self.withServer(script: { line in
            line.isSecured && count.next() == place ? .close : honest(line)
        }) { server in
            let course = try await self.logIn(server)
            switch place {
            case 0...3:
                if case .failed = course.problem {} else { Issue.record("\(course)") }
            default: #expect(course.outcome?.standing == .brokenEarly || course.outcome?.standing == .broken)
            }
        }
    }

    @Test func `credentials are not said to a server without TLS`() async throws {
        try await self.withServer(script: { line in
            line.text.hasPrefix("EHLO") ? .reply("250-\(TLSScriptedServer.name)\r\n250 AUTH PLAIN LOGIN") : nil
        }) { server in
            let course = try await self.logIn(server)
            #expect(course.insecurity == .notOffered)
            #expect(server.lines.map(\.text).allSatisfy { !$0.hasPrefix("AUTH") })
        }
    }
}

private final class Counter: Sendable {
    private let count = Atomic(0)

    func next() -> Int { self.count.add(1, ordering: .relaxed).oldValue }
}
