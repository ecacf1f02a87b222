import Forwarder
import Glibc
import Harness
import Mail
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// Which answers to RCPT say that an address does not exist (SEMANTICS §9).
struct CalloutVerdictTests {
    @Test(arguments: [
        (Reply(250, .init(1, 5), "Ok"), ProbeResult.Verdict.accepted),
        (Reply(251, nil, "will forward"), .accepted),
        (Reply(550, .init(1, 1), "User unknown"), .unknown),
        (Reply(550, nil, "no such user"), .unknown),
        (Reply(551, nil, "elsewhere"), .unknown),
        (Reply(553, nil, "no such mailbox"), .unknown),
        (Reply(550, .init(0, 0), "no"), .unknown),
        (Reply(556, .init(1, 10), "null MX"), .unknown),
        (Reply(550, .init(2, 1), "disabled"), .unknown),
        (Reply(550, .init(4, 1), "Recipient address rejected: Access denied"), .unknown),
        (Reply(550, .init(7, 1), "blocked"), .blocked),
        (Reply(554, .init(7, 1), "Client host blocked"), .blocked),
        (Reply(550, .init(1, 8), "your sender has no MX"), .blocked),
        (Reply(553, .init(1, 7), "bad sender"), .blocked),
        (Reply(552, .init(2, 2), "mailbox full"), .blocked),
        (Reply(554, nil, "no"), .blocked),
        (Reply(503, .init(5, 1), "out of sequence"), .blocked),
        (Reply(450, .init(1, 1), "try later"), .temporary),
        (Reply(421, .init(3, 2), "closing"), .temporary),
    ])
    func `a refusal is of the address only if it says so`(reply: Reply, verdict: ProbeResult.Verdict) {
        #expect(ProbeResult(recipientReply: reply, remote: nil).verdict == verdict)
    }

    @Test(arguments: [Reply(550, .init(1, 1), "no"), Reply(554, .init(7, 1), "no"), Reply(550, nil, "no")])
    func `before RCPT no refusal is of the address`(reply: Reply) {
        #expect(ProbeResult(earlyReply: reply, remote: nil).verdict == .blocked)
    }
}

/// Probes against servers that do what a test says.
struct CalloutTests {
    private static let loop = MultiThreadedEventLoopGroup.singleton.next()

    private func callout(_ change: (inout CalloutSettings) -> Void = { _ in }) throws -> Callout {
        var settings = CalloutSettings(
            sender: .mailbox(try #require(Mailbox("double-bounce@mx2.example.test"))))
        change(&settings)
        return Callout(
            loop: Self.loop, names: NoNames(), hostname: "mx2.example.test", listeners: [], interfaces: [],
            settings: settings)
    }

    private func route(_ servers: ScriptedServer...) throws -> Route {
        let hops = servers.map { "[\($0.address.host)]:\($0.address.port)" }.joined(separator: ",")
        let domain = try #require(Domain("example.test"))
        let route = try Route("smtp:\(hops)", recipientDomain: domain)
        return try #require(route)
    }

    private func probe(
        _ route: Route, _ callout: Callout, _ address: String = "a@example.test"
    ) async throws -> ProbeResult {
        try await callout.probe(try #require(Mailbox(address)), over: route).get()
    }

    @Test(arguments: [["PIPELINING"], []])
    func `a probe asks and goes, without content`(extensions: [String]) async throws {
        let server = try ScriptedServer(extensions: extensions) { step, _ in
            step == .rcpt("b@example.test") ? .reply("550 5.1.1 no such user") : nil
        }
        defer { server.end() }
        let callout = try self.callout()
        let known = try await self.probe(try self.route(server), callout)
        #expect(known.verdict == .accepted && known.remote?.hasSuffix(":\(server.address.port)") == true)
        let unknown = try await self.probe(try self.route(server), callout, "b@example.test")
        #expect(unknown.verdict == .unknown && unknown.reply == Reply(550, .init(1, 1), "no such user"))
        try await onOwnThread {
            try eventually("two sessions to end") { server.commands.count { $0.last == "QUIT" } == 2 }
        }
        let expected = [
            "EHLO mx2.example.test", "MAIL FROM:<double-bounce@mx2.example.test>", "RCPT TO:<a@example.test>", "RSET",
            "QUIT",
        ]
        #expect(server.commands.first == expected)
        #expect(server.messages.isEmpty)
    }

    @Test(arguments: [
        (ScriptedServer.Step.connect, "554 5.7.1 go away", ProbeResult.Verdict.blocked),
        (.connect, "550 5.1.1 go away", .blocked), (.mail, "550 5.1.1 not from you", .blocked),
        (.mail, "451 4.7.1 later", .temporary), (.connect, "421 4.3.2 busy", .unreachable),
        (.ehlo, "421 4.3.2 busy", .unreachable), (.rcpt("a@example.test"), "451 4.7.1 greylisted", .temporary),
        (.rcpt("a@example.test"), "554 5.7.1 listed", .blocked),
    ])
    func `what a server has against us is not held against the address`(
        step: ScriptedServer.Step, answer: String, verdict: ProbeResult.Verdict
    ) async throws {
        let server = try ScriptedServer { at, _ in at == step ? .lastReply(answer) : nil }
        defer { server.end() }
        #expect(try await self.probe(try self.route(server), try self.callout()).verdict == verdict)
    }

    @Test func `a server that breaks off says nothing and the next is asked`() async throws {
        let broken = try ScriptedServer { step, _ in step == .rcpt("a@example.test") ? .close : nil }
        defer { broken.end() }
        #expect(try await self.probe(try self.route(broken), try self.callout()).verdict == .temporary)
        let server = try ScriptedServer()
        defer { server.end() }
        #expect(try await self.probe(try self.route(broken, server), try self.callout()).verdict == .accepted)
    }

    @Test func `a probe that takes too long is given up`() async throws {
        let server = try ScriptedServer { step, _ in step == .mail ? .silence : nil }
        defer { server.end() }
        let callout = try self.callout { $0.limit = .milliseconds(200) }
        let result = try await self.probe(try self.route(server), callout)
        #expect(result.verdict == .unreachable && result.reply.oneLine.contains("timed out"))
        try await self.waitUntilIdle(callout)
    }

    @Test func `one address is asked about once at a time, and so many at once as are allowed`() async throws {
        let server = try ScriptedServer { step, _ in step == .mail ? .silence : nil }
        let callout = try self.callout {
            ($0.connections, $0.connectionsPerRoute, $0.waiting) = (3, 2, 1)
        }
        let route = try self.route(server)
        let addresses = ["a", "a", "b", "c"].compactMap { Mailbox("\($0)@example.test") }
        let answers = addresses.map { callout.probe($0, over: route) }
        #expect(try await callout.status() == .init(running: 2, waiting: 1))
        let refused = try await self.probe(route, callout, "d@example.test")
        #expect(refused.verdict == .unreachable && refused.reply.oneLine.contains("too many"))
        try await onOwnThread {
            try eventually("two that have said MAIL") {
                server.commands.count { $0.contains { $0.hasPrefix("MAIL") } } == 2
            }
        }
        server.end()
        let verdicts = try await EventLoopFuture.whenAllSucceed(answers, on: Self.loop).get().map(\.verdict)
        #expect(verdicts == [.temporary, .temporary, .temporary, .unreachable])
        try await self.waitUntilIdle(callout)
    }

    @Test func `what the route says needs no server`() async throws {
        let callout = try self.callout()
        #expect(try await self.probe(.fail(Reply(550, .init(1, 1), "gone")), callout).verdict == .unknown)
        #expect(try await self.probe(.retry(Reply(450, .init(0, 0), "later")), callout).verdict == .temporary)
        #expect(try await self.probe(.discard, callout).verdict == .accepted)
        let direct = Route.direct(try #require(Domain("nowhere.example")))
        #expect(try await self.probe(direct, callout, "x@nowhere.example").verdict == .unknown)
    }

    @Test func `when the service ends nobody waits for an answer`() async throws {
        let server = try ScriptedServer { step, _ in step == .mail ? .silence : nil }
        defer { server.end() }
        let callout = try self.callout()
        let answer = callout.probe(try #require(Mailbox("a@example.test")), over: try self.route(server))
        try await onOwnThread { try eventually("a connection") { server.connections == 1 } }
        await callout.stop()
        #expect(try await answer.get().verdict == .unreachable)
        #expect(try await self.probe(try self.route(server), callout, "b@example.test").verdict == .unreachable)
    }

    private func waitUntilIdle(_ callout: Callout) async throws {
        for _ in 0..<2000 {
            if try await callout.status() == .init(running: 0, waiting: 0) { return }
            try await onOwnThread { _ = poll(nil, 0, 10) }
        }
        Issue.record("probes do not end")
    }
}
