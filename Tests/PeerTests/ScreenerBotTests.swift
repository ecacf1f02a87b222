import Harness
import Testing

/// Bots of every kind and good clients at the same gate, with real sockets (SEMANTICS §1).
@Suite(.serialized) struct ScreenerBotTests {
    private static let content = "Subject: bot\r\n\r\nbuy\r\n.\r\n"

    /// A dialog in which every reply is waited for.
    private static func polite(_ name: String, lineEnd: String = "\r\n") -> [BotScript.Step] {
        BotScript.dialog(name, lineEnd: lineEnd).flatMap { [.send($0), .reply] }
    }

    private static func whole(_ name: String) -> String { BotScript.dialog(name).joined() + "DATA\r\n" + Self.content }

    private static func http(_ method: String) -> String {
        let target = method == "CONNECT" ? "mx2.example.test:25" : "/"
        return "\(method) \(target) HTTP/1.1\r\nHost: mx2.example.test\r\nContent-Length: 3\r\n\r\na=b"
    }

    private static let quit: [BotScript.Step] = [.send("QUIT\r\n"), .end]

    // MARK: - All at once

    /// Three of each kind, each from an address of its own.
    private static let swarm: [BotScript] = (1...3).flatMap { number in
        let source = { (kind: Int) in "127.66.\(kind).\(number)" }
        let name = { (kind: String) in "\(kind)\(number)" }
        let methods = ["GET", "POST", "CONNECT"]
        let ehlo = BotScript.Step.send("EHLO bot.example\r\n")
        return [
            BotScript(
                name("pregreeter"), from: source(1),
                [ehlo, .reply, .reply] + Self.polite(name("pregreeter")).dropFirst(2) + Self.quit),
            BotScript(name("pipeliner"), from: source(2), [.reply, .send(Self.whole(name("pipeliner"))), .end]),
            BotScript(name("http"), from: source(3), [.reply, .send(Self.http(methods[number - 1])), .end]),
            BotScript(name("hasty-http"), from: source(4), [.send(Self.http(methods[number - 1])), .end]),
            BotScript(
                name("bare"), from: source(5), [.reply] + Self.polite(name("bare"), lineEnd: "\n") + Self.quit),
            BotScript(
                name("loris"), from: source(6),
                [.reply, .drip(String(repeating: "x", count: 2000), every: .milliseconds(50)), .end]),
            BotScript(name("half-open"), from: source(7), [.finishSending, .end]),
            BotScript(name("resetter"), from: source(8), [.reset]),
            // Ends in the middle of its first line.
            BotScript(name("quitter"), from: source(10), [.reply, .send("EHLO bot"), .finishSending, .end]),
            BotScript(
                name("ignorer"), from: source(9), ignoresEnd: true,
                [ehlo, .reply, .reply] + Array(repeating: [.send("NOOP\r\n"), .reply], count: 25).joined()
                    + [.drip(String(repeating: "NOOP\r\n", count: 5000), every: .milliseconds(1))]),
        ]
    }

    /// Longer than a known client takes for a message on a busy machine.
    private static let screener =
        "{greet_wait: 3s, access: [\"cidr:clients\"], pregreet: enforce, pipelining: enforce, non_smtp: drop, "
        + "bare_newline: enforce}"

    @Test func `bots come to nothing, and good clients do not notice them`() throws {
        let sink = try SMTPSink(keepsMessages: true)
        let postern = try PosternProcess(
            primary: sink.address, screener: Self.screener, limits: "{connections_per_client: 0, command_timeout: 4s}",
            starts: false)
        try postern.rewrite("rules/clients", "127.77.0.0/16 permit\n127.78.0.0/16 reject\n")
        try postern.start()

        // The stranger and all bots are there before the known client, and are still waiting when its mail is taken.
        let stranger = try SMTPClient(postern.address, from: "127.67.0.1")
        let bots = Bots(postern.address, Self.swarm)
        try eventually("the first bots") { bots.transcripts["pregreeter1"]?.codes.isEmpty == false }
        #expect(try postern.send(from: "known@client.example", client: "127.77.0.1").code == 250)
        #expect(bots.transcripts["bare1"]?.codes.isEmpty == true, "a bot was greeted before its time")

        #expect(try stranger.reply().lines.count == 2)
        #expect(try stranger.command("EHLO client.example").code == 250)
        let content = Array("Subject: x\r\n\r\nx\r\n".utf8)
        let reply = try stranger.sendMessage(from: "stranger@client.example", to: ["user@example.test"], content)
        #expect(reply.code == 250)
        stranger.close()

        let seen = try bots.finish()
        for bot in Self.swarm { self.check(bot, seen[bot.name]) }
        try self.checkLog(postern)

        try postern.waitUntilEmpty()
        try sink.wait(for: 2)
        #expect(
            Set(try sink.messages().map(\.mailArguments).map { $0.prefix { $0 != ">" } })
                == ["<known@client.example", "<stranger@client.example"])
        try postern.waitUntilDeserted()
        #expect(try postern.stop() == .exited(0))
    }

    private func check(_ bot: BotScript, _ transcript: BotTranscript?) {
        guard let seen = transcript else {
            Issue.record("nothing of \(bot.name)")
            return
        }
        let (codes, last) = (seen.codes, seen.lastLine)
        switch bot.name.dropLast() {
        case "pregreeter": #expect(codes == [220, 250, 250, 550, 221], "\(bot.name): \(seen.text)")
        // Behind the refused recipient stands content, which is no SMTP.
        case "pipeliner": #expect(codes == [220, 250, 250, 550, 554, 521], "\(bot.name): \(seen.text)")
        case "http": #expect(codes == [220, 521], "\(bot.name): \(seen.text)")
        // Of a client that failed already, it is only logged; the server ends the session in any case.
        case "hasty-http": #expect(codes == [220, 502], "\(bot.name): \(seen.text)")
        case "bare": #expect(codes == [220, 250, 250, 550, 221], "\(bot.name): \(seen.text)")
        case "loris": #expect(last.hasPrefix("421 4.4.2"), "\(bot.name): \(seen.text)")
        case "half-open": #expect(codes == [] && seen.text.hasPrefix("220-"), "\(bot.name): \(seen.text)")
        // It need not be told that its time is over.
        case "quitter": #expect(codes == [220], "\(bot.name): \(seen.text)")
        case "resetter": #expect(codes == [])
        case "ignorer": #expect(last.hasPrefix("421 4.7.0") && seen.end == .reset, "\(bot.name): \(seen.text)")
        default: Issue.record("a bot of no kind: \(bot.name)")
        }
    }

    private func checkLog(_ postern: PosternProcess) throws {
        let kinds = ["pregreeter", "pipeliner", "bare"]
        let enforced = Self.swarm.filter { kinds.contains(String($0.name.dropLast())) }
        for bot in enforced {
            let line = try postern.event("refused", bot.name) {
                $0["from"] == bot.reversePath && $0["to"] == bot.forwardPath && $0["command"] == "RCPT"
            }
            #expect(line.clientAddress == bot.source)
            #expect(line["reply"]?.hasPrefix("550 5.5.1 Protocol error") == true)
        }
        let queued = postern.events("queued")
        #expect(queued.count == 2)
        #expect(!queued.contains { $0.description.contains("bot.example") })
        let screened = Dictionary(grouping: postern.events("screened")) { $0.clientAddress ?? "" }
        for number in 1...3 {
            let results = { (kind: Int) in (screened["127.66.\(kind).\(number)"] ?? []).compactMap { $0["result"] } }
            let tests = { (kind: Int) in (screened["127.66.\(kind).\(number)"] ?? []).compactMap { $0["tests"] } }
            #expect(results(1) == ["failed"] && tests(1) == ["pregreet:enforce"])
            #expect(results(2) == ["greeted", "failed", "failed"])
            #expect(tests(2) == ["pipelining:enforce", "non_smtp:drop"])
            #expect(results(3).first == "greeted" && tests(3).contains("non_smtp:drop"))
            #expect(results(4).first == "failed" && tests(4).first == "pregreet:enforce")
            #expect(results(5) == ["greeted", "failed"] && tests(5) == ["bare_newline:enforce"])
            #expect(results(6) == ["greeted"])
            #expect(results(7) == ["hangup"])
        }
    }
}
