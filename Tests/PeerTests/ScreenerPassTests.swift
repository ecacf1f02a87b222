import Harness
import Testing

/// Who has passed is not tested again, over reloads and restarts; tests in the session (SEMANTICS §1, 9 and 10).
@Suite(.serialized) struct ScreenerPassTests {
    private static let content = Array("Subject: x\r\n\r\nx\r\n".utf8)

    /// Whether the client is known: who is tested hears the first of two lines, others the greeting's only one.
    private func isGreetedAtOnce(_ postern: PosternProcess, _ source: String) throws -> Bool {
        try SMTPClient(postern.address, from: source).line().hasPrefix("220 ")
    }

    private func check(_ postern: PosternProcess, good: [String], bad: [String], _ when: String) throws {
        for source in good { #expect(try self.isGreetedAtOnce(postern, source), "\(source) \(when)") }
        for source in bad { #expect(try !self.isGreetedAtOnce(postern, source), "\(source) \(when)") }
    }

    @Test func `who has passed is greeted at once after a reload and a restart, and who has failed is not`() throws {
        let postern = try PosternProcess(screener: "{greet_wait: 1s}")
        let (good, bad, twofold) = ("127.70.0.1", "127.70.0.2", "127.70.0.3")
        let waiting = try [good, twofold].map { try SMTPClient(postern.address, from: $0) }
        for client in waiting { #expect(try client.line().hasPrefix("220-")) }
        for source in [twofold, bad] {
            let hasty = try SMTPClient(postern.address, from: source)
            try hasty.send("EHLO client.example\r\n")
            #expect(try hasty.reply().lines.count == 2)
            #expect(try hasty.reply().code == 250)
        }
        // Both have waited, but one of them has failed beside it.
        for client in waiting {
            #expect(try client.line().hasPrefix("220 "))
            #expect(try client.command("EHLO client.example").code == 250)
            let reply = try client.sendMessage(from: "s@client.example", to: ["user@example.test"], Self.content)
            #expect(reply.code == 250)
            client.close()
        }
        try self.check(postern, good: [good], bad: [bad, twofold], "in the same run")
        try postern.command("reload")
        try self.check(postern, good: [good], bad: [bad, twofold], "after a reload")
        #expect(try postern.stop() == .exited(0))
        try postern.start()
        #expect(try postern.screenerStatus()["passes"] as? Int == 1)
        try self.check(postern, good: [good], bad: [bad, twofold], "after a restart")
        try postern.waitUntilDeserted()
    }

    // MARK: - Tests in the session

    private static let deep = "{greet_wait: 1s, pipelining: enforce, non_smtp: drop, bare_newline: enforce}"
    private static let transaction = ["MAIL FROM:<s@client.example>", "RCPT TO:<user@example.test>"]

    /// Who connects, waits and says EHLO. All wait at the same time.
    private func greeted(_ postern: PosternProcess, _ sources: [String]) throws -> [SMTPClient] {
        let clients = try sources.map { try SMTPClient(postern.address, from: $0) }
        for client in clients {
            #expect(try client.reply().lines.count == 2)
            let extensions = try client.command("EHLO client.example")
            #expect(extensions.code == 250 && !extensions.lines.contains("PIPELINING"))
        }
        return clients
    }

    private func codes(_ client: SMTPClient, _ count: Int) throws -> [Int] {
        try (0..<count).map { _ in try client.reply().code }
    }

    @Test func `a client that passes in the session sends its mail in the same one, and may pipeline in the next`()
        throws
    {
        let sink = try SMTPSink()
        let postern = try PosternProcess(primary: sink.address, screener: Self.deep)
        let first = try self.greeted(postern, ["127.70.1.1"])[0]
        // Where postscreen says 450.
        let reply = try first.sendMessage(from: "s@client.example", to: ["user@example.test"], Self.content)
        #expect(reply.code == 250)
        try postern.event("screened", "that it passed") { $0["result"] == "passed" && $0["from"] == "s@client.example" }

        let second = try SMTPClient(postern.address, from: "127.70.1.1")
        #expect(try second.reply().lines.count == 1, "it is greeted at once")
        #expect(try second.command("EHLO client.example").lines.contains("PIPELINING"))
        try second.send((Self.transaction + ["DATA"]).joined(separator: "\r\n") + "\r\n")
        #expect(try self.codes(second, 3) == [250, 250, 354])
        try second.send(Self.content + Array(".\r\n".utf8))
        #expect(try second.reply().code == 250)
        try sink.wait(for: 2)
    }

    @Test func `who fails in the session is refused there, and is tested again`() throws {
        let sink = try SMTPSink()
        let postern = try PosternProcess(primary: sink.address, screener: Self.deep)
        let sources = (1...4).map { "127.70.2.\($0)" }
        let clients = try self.greeted(postern, sources)

        let pipelined = clients[0]
        try pipelined.send(Self.transaction.joined(separator: "\r\n") + "\r\n")
        #expect(try self.codes(pipelined, 2) == [250, 550])

        // It had passed already, and has recipients.
        let late = clients[1]
        for line in Self.transaction { #expect(try late.command(line).code == 250) }
        try late.send("NOOP\r\nNOOP\r\n")
        #expect(try self.codes(late, 2) == [250, 250])
        #expect(try late.command("RCPT TO:<other@example.test>").code == 550)
        #expect(try late.command("DATA").code == 550)
        #expect(try late.readToEnd().bytes == [])

        let bare = clients[2]
        try bare.send("NOOP\n")
        #expect(try bare.reply().code == 250)
        #expect(try bare.command(Self.transaction[0]).code == 250)
        #expect(try bare.command(Self.transaction[1]).text.hasPrefix("5.5.1 Protocol error"))

        let other = clients[3]
        #expect(try other.command("Subject: hello").code == 521)
        #expect(try other.readToEnd().bytes == [])

        for client in clients { client.close() }
        let tests = ["pipelining:enforce", "pipelining:enforce", "bare_newline:enforce", "non_smtp:drop"]
        for (source, test) in zip(sources, tests) {
            try postern.event("screened", test) { $0.clientAddress == source && $0["tests"] == test }
            #expect(try !self.isGreetedAtOnce(postern, source))
        }
        #expect(try postern.queued() == 0 && sink.count == 0)
        try postern.waitUntilDeserted()
    }
}
