import Forwarder
import Foundation
import Harness
import Mail
import Queue
import SMTP
import Synchronization
import Testing

/// The forwarder against servers that break off, refuse, babble and fall silent at any step.
@Suite(.serialized) struct ClientDialogTests {
    /// A place in the dialog at which something goes wrong.
    enum Place: String, CaseIterable, Sendable {
        case connect, ehlo, mail, rcpt, data, content, rset, quit

        /// Whether the client hears of it before the message is taken.
        var isBeforeContent: Bool {
            switch self {
            case .connect, .ehlo, .mail, .rcpt, .data: true
            case .content, .rset, .quit: false
            }
        }

        func matches(_ step: ScriptedServer.Step) -> Bool {
            switch (self, step) {
            case (.connect, .connect), (.ehlo, .ehlo), (.mail, .mail), (.rcpt, .rcpt), (.data, .data),
                (.content, .content), (.rset, .rset), (.quit, .quit):
                true
            default: false
            }
        }
    }

    private func options(_ change: (inout ForwarderOptions) -> Void = { _ in }) -> ForwarderOptions {
        var options = ForwarderOptions()
        options.initialConcurrency = 1
        options.concurrency = 1
        change(&options)
        return options
    }

    private func withServer(
        _ server: ScriptedServer, options: ForwarderOptions? = nil,
        _ body: (ForwarderFixture) async throws -> Void
    ) async throws {
        defer { server.end() }
        let routes = ["example.test": "smtp:[\(server.address.host)]:\(server.address.port)", "*": "discard:"]
        try await withForwarder(try ForwarderFixture(routes: routes, options: options ?? self.options())) { fixture in
            fixture.forwarder.start(ticks: nil)
            try await body(fixture)
        }
    }

    /// Lets time pass until nothing is left.
    private func drain(_ fixture: ForwarderFixture) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while try fixture.queue.statistics().messages > 0 {
            guard ContinuousClock.now < deadline else {
                Issue.record("\(try fixture.queue.statistics().messages) messages are left")
                return
            }
            fixture.pass(.seconds(60))
            try await onOwnThread { _ = usleep(5000) }
        }
    }

    private func failures(_ fixture: ForwarderFixture) -> [String] {
        fixture.events.compactMap { if case .failed(_, let outcome, _) = $0 { outcome.reply.oneLine } else { nil } }
    }

    private func attempts(_ fixture: ForwarderFixture) -> [String] {
        fixture.events.compactMap { event in
            switch event {
            case .attempted(_, let outcome, _): outcome.reply.oneLine
            case .destinationDown(_, let reply, _): reply.oneLine
            default: nil
            }
        }
    }

    // MARK: Trouble

    /// Does something once, at the first connection, and is honest from then on.
    private func once(_ place: Place, _ answer: ScriptedServer.Answer) -> ScriptedServer.Script {
        { step, connection in
            // RSET is sent where all recipients are refused.
            if place == .rset, connection == 0, case .rcpt = step { return .reply("450 4.2.1 Later") }
            return connection == 0 && place.matches(step) ? answer : nil
        }
    }

    private static let pipelining = [true, false]

    @Test(arguments: Place.allCases, Self.pipelining) func `421 at any step costs an attempt and nothing else`(
        place: Place, pipelines: Bool
    ) async throws {
        let server = try ScriptedServer(
            extensions: pipelines ? ["PIPELINING"] : [], script: self.once(place, .lastReply("421 4.3.2 Going down")))
        try await self.withServer(server) { fixture in
            try await fixture.add(try envelope(["a@example.test", "b@example.test"]))
            try await self.drain(fixture)
            #expect(server.messages.count == 1)
            #expect(server.messages.first?.recipients == ["a@example.test", "b@example.test"])
            #expect(self.failures(fixture).isEmpty)
        }
    }

    @Test(arguments: Place.allCases, Self.pipelining) func `a connection that breaks at any step loses nothing`(
        place: Place, pipelines: Bool
    ) async throws {
        let server = try ScriptedServer(
            extensions: pipelines ? ["PIPELINING"] : [], script: self.once(place, .close))
        try await self.withServer(server) { fixture in
            try await fixture.add(try envelope(["a@example.test", "b@example.test"]))
            try await self.drain(fixture)
            // Behind the last dot nobody knows whether the message was taken.
            #expect(server.messages.count == (place == .content ? 2 : 1))
            #expect(self.failures(fixture).isEmpty)
        }
    }

    static let nonsense = [
        "garbage", "", "  ", "25", "2500 Ok", "99 Ok", "600 Ok", "-250 Ok", "abc def", "\u{0}\u{1}\u{2}", "12345",
    ]

    @Test(arguments: [Place.connect, .ehlo, .mail, .rcpt, .data, .content], Self.nonsense)
    func `what is no reply is neither a success nor a failure`(place: Place, text: String) async throws {
        let server = try ScriptedServer(script: self.once(place, .lastReply(text)))
        try await self.withServer(server) { fixture in
            try await fixture.add(try envelope())
            try await self.drain(fixture)
            // The script takes the message if its answer looks as if.
            #expect(server.messages.count == (place == .content && text.hasPrefix("2") ? 2 : 1))
            #expect(self.failures(fixture).isEmpty)
            #expect(!self.attempts(fixture).isEmpty, "the attempt with '\(text)' is told")
        }
    }

    @Test(arguments: [Place.connect, .ehlo, .mail, .rcpt, .data, .content])
    func `silence ends with the limit of its step`(
        place: Place
    ) async throws {
        let server = try ScriptedServer(script: self.once(place, .silence))
        let options = self.options { options in
            var timeouts = ClientTimeouts()
            switch place {
            case .connect: timeouts.greeting = .milliseconds(100)
            case .ehlo: timeouts.helo = .milliseconds(100)
            case .mail: timeouts.mail = .milliseconds(100)
            case .rcpt: timeouts.rcpt = .milliseconds(100)
            case .data: timeouts.dataInit = .milliseconds(100)
            case .content, .rset, .quit: timeouts.dataDone = .milliseconds(100)
            }
            options.timeouts = timeouts
        }
        try await self.withServer(server, options: options) { fixture in
            try await fixture.add(try envelope())
            try await self.drain(fixture)
            #expect(server.messages.count == (place == .content ? 2 : 1))
            #expect(self.attempts(fixture).contains { $0.contains("Timed out") })
            #expect(self.failures(fixture).isEmpty)
        }
    }

    @Test func `silence behind RSET ends with its limit, which is short`() async throws {
        let server = try ScriptedServer(script: self.once(.rset, .silence))
        let options = self.options { $0.timeouts.rset = .milliseconds(100) }
        try await self.withServer(server, options: options) { fixture in
            try await fixture.add(try envelope())
            try await self.drain(fixture)
            #expect(server.messages.count == 1)
        }
    }

    @Test func `a server that reads no content is given up`() async throws {
        // It says 354 and reads nothing any more.
        let stuck = Mutex(true)
        let server = try ScriptedServer { step, connection in
            guard step == .data, connection == 0 else { return nil }
            while stuck.withLock({ $0 }) { usleep(1000) }
            return .close
        }
        defer { stuck.withLock { $0 = false } }
        let options = self.options { $0.timeouts.dataInit = .milliseconds(200) }
        try await self.withServer(server, options: options) { fixture in
            try await fixture.add(try envelope(), "Subject: x\r\n\r\n" + String(repeating: "x\r\n", count: 100_000))
            try await self.drain(fixture)
            stuck.withLock { $0 = false }
            #expect(server.messages.count == 1)
        }
    }

    // MARK: Odd replies

    private static func lines(_ code: Int, _ count: Int) -> String {
        (1...count).map { "\(code)\($0 == count ? " " : "-")line \($0) of what nobody reads" }.joined(separator: "\r\n")
    }

    private func oddReplies(_ odd: @escaping @Sendable (Int) -> ScriptedServer.Answer) -> ScriptedServer.Script {
        { step, _ in
            switch step {
            case .connect: odd(220)
            case .ehlo, .helo, .mail, .rcpt, .content, .rset: odd(250)
            case .data: odd(354)
            case .quit: odd(221)
            case .other: nil
            }
        }
    }

    @Test func `replies may have hundreds of lines`() async throws {
        let server = try ScriptedServer(script: self.oddReplies { .reply(Self.lines($0, 500)) })
        try await self.expectDelivery(to: server)
    }

    @Test(arguments: [4000, 4096, 5000, 200_000]) func `a line of a reply may be longer than any standard allows`(
        length: Int
    ) async throws {
        let server = try ScriptedServer(
            script: self.oddReplies { .reply("\($0) \(String(repeating: "x", count: length))") })
        try await self.expectDelivery(to: server)
        let multiline = try ScriptedServer(
            script: self.oddReplies {
                .reply(
                    "\($0)-\(String(repeating: "x", count: length))\r\n\($0) \(String(repeating: "y", count: length))")
            })
        try await self.expectDelivery(to: multiline)
    }

    @Test func `replies may come octet by octet`() async throws {
        let server = try ScriptedServer(script: self.oddReplies { .slowly("\($0)-one\r\n\($0) two") })
        try await self.expectDelivery(to: server)
    }

    @Test func `replies need no text`() async throws {
        let server = try ScriptedServer(script: self.oddReplies { .reply("\($0)") })
        try await self.expectDelivery(to: server)
    }

    private func expectDelivery(to server: ScriptedServer) async throws {
        try await self.withServer(server) { fixture in
            try await fixture.add(try envelope(["a@example.test", "b@example.test"]))
            try await fixture.waitForMessages(0)
            #expect(server.messages.count == 1)
            #expect(server.connections == 1)
            #expect(self.attempts(fixture).isEmpty && self.failures(fixture).isEmpty)
        }
    }

    @Test func `of a reply with several codes the last counts`() async throws {
        let server = try ScriptedServer { step, _ in
            step == .content ? .reply("250-Taken\r\n451 4.3.0 No, not") : nil
        }
        try await self.withServer(server) { fixture in
            let id = try await fixture.add(try envelope())
            try await onOwnThread {
                try eventually("the attempt") { self.attempts(fixture).contains { $0.hasPrefix("451 4.3.0") } }
            }
            #expect(try fixture.queue.message(id) != nil)
            #expect(server.messages.count == 1, "the script, which reads the first, took it")
        }
    }

    // MARK: Recipients

    @Test(arguments: Self.pipelining) func `each recipient has a fate of its own`(pipelines: Bool) async throws {
        let server = try ScriptedServer(extensions: pipelines ? ["PIPELINING"] : []) { step, _ in
            switch step {
            case .rcpt("later@example.test"): .reply("450 4.2.1 Greylisted")
            case .rcpt("never@example.test"): .reply("550 5.1.1 No such user")
            default: nil
            }
        }
        try await self.withServer(server) { fixture in
            let names = ["a", "later", "never", "b"].map { "\($0)@example.test" }
            let id = try await fixture.add(try envelope(names))
            try await onOwnThread { try eventually("the attempt") { !self.attempts(fixture).isEmpty } }
            var fates: [String: [String]] = [:]
            for event in fixture.events {
                switch event {
                case .delivered(id, let outcome):
                    fates["delivered", default: []] += outcome.recipients.map(\.description)
                case .attempted(id, let outcome, _):
                    fates["later", default: []] += outcome.recipients.map(\.description)
                case .failed(id, let outcome, _): fates["failed", default: []] += outcome.recipients.map(\.description)
                default: break
                }
            }
            #expect(
                fates == [
                    "delivered": ["a@example.test", "b@example.test"], "later": ["later@example.test"],
                    "failed": ["never@example.test"],
                ])
            #expect(server.messages.map(\.recipients) == [["a@example.test", "b@example.test"]])
            #expect(try fixture.queue.message(id)?.progress.waiting == [1])
        }
    }

    @Test func `recipients behind a hundred that were all refused are sent too`() async throws {
        let server = try ScriptedServer { step, _ in
            if case .rcpt(let path) = step, path.hasPrefix("bad") { .reply("550 5.1.1 No such user") } else { nil }
        }
        try await self.withServer(server) { fixture in
            let names = (0..<100).map { "bad\($0)@example.test" } + (0..<50).map { "good\($0)@example.test" }
            try await fixture.add(try envelope(names))
            try await fixture.waitForMessages(0, within: .seconds(20))
            #expect(server.messages.first?.recipients.count == 50)
            #expect(server.connections == 1)
        }
    }

    // MARK: Extensions

    private func richEnvelope() throws -> Envelope {
        var envelope = try envelope(["a@example.test", "b@example.test"])
        var options = RecipientParameters()
        options.notify = .failure
        envelope.recipients = envelope.recipients.map { Recipient($0.mailbox, parameters: options) }
        return envelope
    }

    @Test(arguments: ["EHLO", "HELO"]) func `a server that knows nothing is asked for nothing, step by step`(
        greeting: String
    ) async throws {
        let server = try ScriptedServer(extensions: []) { step, _ in
            greeting == "HELO" && step == .ehlo ? .reply("502 5.5.1 What?") : nil
        }
        try await self.withServer(server) { fixture in
            try await fixture.add(try self.richEnvelope(), "Subject: x\r\n\r\n\u{FC}\r\n")
            try await fixture.waitForMessages(0)
            #expect(
                server.commands.first?.filter { !$0.hasPrefix("QUIT") }
                    == (greeting == "HELO"
                        ? ["EHLO mx2.example.test", "HELO mx2.example.test"] : ["EHLO mx2.example.test"])
                    + ["MAIL FROM:<s@client.example>", "RCPT TO:<a@example.test>", "RCPT TO:<b@example.test>", "DATA"])
            #expect(!server.hasPipelined)
            #expect(server.messages.first?.content == "Subject: x\r\n\r\n\u{FC}\r\n")
        }
    }

    @Test func `a server that knows everything is told everything, at once`() async throws {
        let server = try ScriptedServer(extensions: ScriptedServer.everything)
        try await self.withServer(server) { fixture in
            try await fixture.add(try self.richEnvelope())
            try await fixture.waitForMessages(0)
            let commands = try #require(server.commands.first)
            #expect(commands.contains { $0.hasPrefix("MAIL") && $0.contains("SIZE=") })
            #expect(commands.contains("RCPT TO:<a@example.test> NOTIFY=FAILURE"))
            #expect(commands.contains { $0.hasPrefix("BDAT ") && $0.hasSuffix(" LAST") })
            #expect(!commands.contains("DATA"))
            #expect(server.hasPipelined)
            #expect(server.messages.first?.content == "Subject: x\r\n\r\nbody\r\n")
        }
    }

    @Test func `a message that is larger than the server takes is not sent`() async throws {
        let server = try ScriptedServer(extensions: ["PIPELINING", "SIZE 1000"])
        try await self.withServer(server) { fixture in
            try await fixture.add(try envelope(), "Subject: x\r\n\r\n" + String(repeating: "x\r\n", count: 1000))
            try await fixture.waitForMessages(0)
            #expect(self.failures(fixture).first?.hasPrefix("552 5.3.4") == true)
            #expect(server.commands.joined().allSatisfy { $0.hasPrefix("EHLO") || $0 == "QUIT" })
            // One that fits goes over the same connection.
            try await fixture.add(try envelope())
            try await fixture.waitForMessages(0)
            #expect(server.messages.count == 1)
        }
    }

    @Test func `a message that needs SMTPUTF8 goes to the server that has it`() async throws {
        let plain = try ScriptedServer()
        let able = try ScriptedServer(extensions: ScriptedServer.everything)
        defer { able.end() }
        defer { plain.end() }
        let route = "smtp:[127.0.0.1]:\(plain.address.port), [127.0.0.1]:\(able.address.port)"
        try await withForwarder(try ForwarderFixture(routes: ["*": route], options: self.options())) { fixture in
            fixture.forwarder.start(ticks: nil)
            try await fixture.add(try envelope(["δοκιμή@example.test"]), utf8: true)
            try await fixture.waitForMessages(0)
            #expect(plain.messages.isEmpty && !plain.commands.joined().contains { $0.hasPrefix("MAIL") })
            #expect(able.messages.count == 1)
            #expect(able.messages.first?.mail.contains("SMTPUTF8") == true)
            // Away is not unable: the message waits for the one that may be.
            able.end()
            let id = try await fixture.add(try envelope(["δοκιμή@example.test"]), utf8: true)
            try await onOwnThread { try eventually("the attempt") { !self.attempts(fixture).isEmpty } }
            #expect(try fixture.queue.message(id) != nil)
            #expect(self.failures(fixture).isEmpty)
        }
    }

    @Test func `where no server has SMTPUTF8 the message fails`() async throws {
        let servers = try (0..<2).map { _ in try ScriptedServer() }
        defer { for server in servers { server.end() } }
        let route = "smtp:" + servers.map { "[127.0.0.1]:\($0.address.port)" }.joined(separator: ", ")
        let routes = ["example.test": route, "*": "discard:"]
        try await withForwarder(try ForwarderFixture(routes: routes, options: self.options())) { fixture in
            fixture.forwarder.start(ticks: nil)
            try await fixture.add(try envelope(["δοκιμή@example.test"]), utf8: true)
            try await fixture.waitForMessages(0)
            #expect(self.failures(fixture).first?.hasPrefix("550 5.6.7") == true)
            #expect(servers.allSatisfy { $0.connections == 1 && $0.messages.isEmpty })
        }
    }

    // MARK: Connections

    @Test func `messages share a connection`() async throws {
        let server = try ScriptedServer()
        try await self.withServer(server) { fixture in
            for number in 0..<30 { try await fixture.add(try envelope(["u\(number)@example.test"])) }
            try await fixture.waitForMessages(0)
            #expect(server.messages.count == 30)
            #expect(server.connections == 1)
            #expect(server.commands.first?.filter { $0.hasPrefix("EHLO") }.count == 1)
        }
    }

    @Test func `a server that takes one message a connection gets them all`() async throws {
        let taken = Mutex<[Int: Int]>([:])
        let server = try ScriptedServer { step, connection in
            guard step == .mail else { return nil }
            let count = taken.withLock { counts in
                counts[connection, default: 0] += 1
                return counts[connection, default: 0]
            }
            return count > 1 ? .lastReply("421 4.7.0 One is enough") : nil
        }
        try await self.withServer(server) { fixture in
            for number in 0..<10 { try await fixture.add(try envelope(["u\(number)@example.test"])) }
            try await fixture.waitForMessages(0)
            #expect(server.messages.count == 10)
            #expect(self.attempts(fixture).isEmpty, "it was the connection that had enough")
        }
    }

    @Test(arguments: ["mx2.example.test", "MX2.Example.TEST"]) func `a server that has our name is ourselves`(
        name: String
    ) async throws {
        let server = try ScriptedServer(name: name)
        try await self.withServer(server) { fixture in
            try await fixture.add(try envelope())
            try await fixture.waitFor(.down)
            #expect(try await fixture.forwarder.status().first?.lastReply?.status == "4.4.6")
            #expect(!server.commands.joined().contains { $0.hasPrefix("MAIL") })
            #expect(server.messages.isEmpty)
        }
    }

    @Test func `the next server is tried when one is ourselves, refuses, or is silent`() async throws {
        let ourselves = try ScriptedServer(name: "mx2.example.test")
        let refusing = try ScriptedServer { step, _ in step == .connect ? .lastReply("554 5.3.2 Not here") : nil }
        let silent = try ScriptedServer { step, _ in step == .connect ? .silence : nil }
        let good = try ScriptedServer()
        let servers = [ourselves, refusing, silent, good]
        defer { for server in servers { server.end() } }
        let route = "smtp:" + servers.map { "[127.0.0.1]:\($0.address.port)" }.joined(separator: ", ")
        let options = self.options { $0.timeouts.greeting = .milliseconds(200) }
        try await withForwarder(try ForwarderFixture(routes: ["*": route], options: options)) { fixture in
            fixture.forwarder.start(ticks: nil)
            try await fixture.add(try envelope())
            try await fixture.waitForMessages(0)
            #expect(good.messages.count == 1)
            #expect(servers.allSatisfy { $0.connections == 1 })
        }
    }
}
