import Foundation
import Harness
import Testing

/// `postern explain`, `message check`, `rollback`, rule cases, and the way from a refusal to its reason.
struct ExplainTests {
    private static let rules = """
        restrictions:
          client: [{check_client_access: cidr:clients}]
          sender: [{check_sender_access: hash:senders}]
        content: {header_checks: ["pcre:header_checks"]}
        attachments: {rules: [{names: "*.exe", action: reject, text: no programs}, {names: "*.zip", action: hold}]}
        """

    private func postern(starts: Bool = true) throws -> PosternProcess {
        let postern = try PosternProcess(recipients: "user@example.test ok\n", more: Self.rules, starts: false)
        _ = try postern.folder.write("rules/clients", "192.0.2.0/24 REJECT bad net\n")
        _ = try postern.folder.write(
            "rules/senders",
            "# who\nspam.example 550 5.7.1 we know you\nheld.example HOLD look at it\n"
                + "gone.example DISCARD\nnew.example REDIRECT user+new@example.test\nmark.example PREPEND X-Marked: yes\n"
        )
        _ = try postern.folder.write("rules/header_checks", "/^Subject: .*pills/ REJECT no pills\n/^X-Drop:/ IGNORE\n")
        if starts { try postern.start() }
        return postern
    }

    private static let usual = [
        "--client", "198.51.100.1", "--client-name", "mail.example.net", "--helo", "mail.example.net",
    ]

    @Test func `a refusal is explained as it is logged, and found by its reference`() throws {
        let postern = try self.postern()
        let reply = try postern.send(from: "x@spam.example", to: ["user@example.test"], "Subject: x\r\n\r\nx\r\n")
        #expect(reply.code == 550)
        let reference = try #require(reply.text.split(separator: " ").last?.dropLast())
        #expect(reply.text.contains("we know you [ref \(reference)]"))
        let line = try postern.event("refused", "with the reference") { $0["ref"] == String(reference) }
        #expect(line["list"] == "sender" && line["key"] == "spam.example" && line["generation"] == "1")
        #expect(line["rule"]?.hasSuffix("rules/senders:2") == true)

        let run = try postern.command(
            ["explain"] + Self.usual + ["--from", "x@spam.example", "--to", "user@example.test", "--json"])
        let document = try jsonObject(run.output)
        #expect(document["verdict"] as? String == "reject" && document["stage"] as? String == "sender")
        #expect((document["file"] as? String)?.hasSuffix("rules/senders") == true && document["line"] as? Int == 2)
        #expect(document["key"] as? String == "spam.example")
        #expect((document["reply"] as? [String: Any])?["code"] as? Int == 550)
        #expect((document["trace"] as? [[String: Any]])?.count == 2)
    }

    @Test func `explaining asks the daemon's rules, or a candidate's with its file`() throws {
        let postern = try self.postern()
        let session = Self.usual + ["--from", "a@ok.example", "--to", "user@example.test"]
        _ = try postern.folder.write("rules/senders", "ok.example REJECT not any more\n")
        let loaded = try Program(
            PosternProcess.program, ["explain", "--control", postern.folder.path("control")] + session
        ).run()
        #expect(loaded.output.hasPrefix("accept\n"), "\(loaded.output)")
        let candidate = try postern.command(["explain"] + session)
        #expect(candidate.output.hasPrefix("reject 554 5.7.1 <a@ok.example>: Sender address rejected: not any more\n"))
        #expect(candidate.output.contains("rules/senders:1"))
    }

    @Test func `content rules hold on the way in as they do in explaining`() throws {
        let postern = try self.postern()
        func send(_ content: String, from sender: String = "a@ok.example") throws -> SMTPClient.Reply {
            try postern.send(from: sender, to: ["user@example.test"], content)
        }
        let pills = "Subject: buy pills\r\n\r\nx\r\n"
        #expect(try send(pills).text.contains("no pills [ref"))
        let program = "Content-Type: application/x; name*0=a.e; name*1=xe\r\n\r\nx\r\n"
        #expect(try send(program).text.contains("no programs"))
        #expect(try send("X-Drop: secret\r\nSubject: ok\r\n\r\nbody\r\n").code == 250)
        #expect(try send("Content-Type: application/zip; name=a.zip\r\n\r\nx\r\n").code == 250)
        #expect(try send("Subject: h\r\n\r\nx\r\n", from: "b@held.example").code == 250)
        #expect(try send("Subject: g\r\n\r\nx\r\n", from: "b@gone.example").code == 250)
        #expect(try send("Subject: r\r\n\r\nx\r\n", from: "b@new.example").code == 250)
        #expect(try send("Subject: m\r\n\r\nx\r\n", from: "b@mark.example").code == 250)

        let messages = try postern.lines(["queue", "list", "--json"]).map { try jsonObject($0) }
        #expect(messages.count == 5)
        #expect(messages.map { $0["state"] as? String }.filter { $0 == "held" }.count == 2)
        let contents = try messages.compactMap { $0["id"] as? String }.map {
            try postern.command("queue", "content", $0).output
        }
        #expect(contents.allSatisfy { !$0.contains("X-Drop") } && contents.contains { $0.contains("Subject: ok\r\n") })
        #expect(contents.contains { $0.hasPrefix("X-Marked: yes\r\nReceived: ") })
        let recipients = messages.flatMap { ($0["recipients"] as? [[String: Any]]) ?? [] }.compactMap {
            $0["address"] as? String
        }
        #expect(recipients.contains("user+new@example.test"))

        let file = try postern.folder.write("pills.eml", pills)
        let check = try postern.command("message", "check", file)
        #expect(check.output.hasPrefix("reject 550 5.7.1 no pills\n"), "\(check.output)\(check.errors)")
        #expect(check.output.contains("rules/header_checks:1"))
    }

    @Test func `a long message is looked at and changed piece by piece`() throws {
        let postern = try self.postern()
        let body = String(repeating: "0123456789abcdef0123456789abcdef0123456789abcdef\r\n", count: 6000)
        let large = "Subject: large\r\nX-Drop: x\r\n\r\n\(body)"
        #expect(try postern.send(from: "a@ok.example", to: ["user@example.test"], large).code == 250)
        let id = try #require(try postern.list().first)
        let content = try postern.command("queue", "content", id).output
        #expect(content.hasSuffix("Subject: large\r\n\r\n\(body)"))
    }

    @Test func `cases decide about check and reload, and a rollback needs no files`() throws {
        let postern = try self.postern()
        let good =
            "case spammers\nfrom x@spam.example\nclient 198.51.100.9 a.example\nto user@example.test\nexpect reject 550 we know\n"
        _ = try postern.folder.write("rules/mine.case", good)
        #expect(try postern.command("check").ending == .exited(0))
        #expect(try postern.lines("reload") == ["generation 2"])

        _ = try postern.folder.write("rules/senders", "spam.example OK\n")
        let refused = try postern.command("reload")
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("rules/mine.case:1: case 'spammers': accept, and not reject 550 we know"))
        #expect(refused.errors.contains("refused; generation 2 stays in force"))

        try FileManager.default.removeItem(atPath: postern.folder.path("rules/mine.case"))
        #expect(try postern.lines("reload") == ["generation 4"])
        #expect(try postern.send(from: "x@spam.example", to: ["user@example.test"], "S: x\r\n\r\n").code == 250)
        #expect(try postern.lines("rollback") == ["generation 2"])
        #expect(try postern.send(from: "x@spam.example", to: ["user@example.test"], "S: x\r\n\r\n").code == 550)
    }

    @Test func `a transaction is judged by the generation in which it began`() throws {
        let postern = try self.postern()
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        #expect(try client.command("MAIL FROM:<x@ok.example>").code == 250)
        _ = try postern.folder.write("rules/senders", "ok.example REJECT\n")
        try postern.lines("reload")
        #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
        try client.command("RSET")
        #expect(try client.command("MAIL FROM:<x@ok.example>").code == 250)
        #expect(try client.command("RCPT TO:<user@example.test>").code == 554)
    }

    @Test func `a MAIL that is refused changes nothing about the transaction`() throws {
        let postern = try self.postern()
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        #expect(try client.command("MAIL FROM:<x@spam.example>").code == 250)
        #expect(try client.command("MAIL FROM:<x@ok.example>").code == 503)
        #expect(try client.command("RCPT TO:<user@example.test>").code == 550)
    }

    /// The content may end while a piece of it is with the rules.
    @Test(arguments: [60_000, 70_000, 100_000, 129_000, 131_000, 200_000, 400_000])
    func `content of any length gets through the rules`(bytes: Int) throws {
        let postern = try self.postern()
        let line = "0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
        let content = "Subject: x\r\n\r\n" + String(repeating: line, count: bytes / line.utf8.count)
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        for _ in 0..<3 {
            let reply = try client.sendMessage(
                from: "a@ok.example", to: ["user@example.test"], Array(content.utf8))
            #expect(reply.code == 250)
        }
        // And when it is dropped half way, the next is looked at all the same.
        #expect(try client.command("MAIL FROM:<a@ok.example>").code == 250)
        #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
        try client.send("BDAT \(content.utf8.count)\r\n\(content)")
        #expect(try client.reply().code == 250)
        try client.command("EHLO client.example")
        #expect(
            try client.sendMessage(
                from: "a@ok.example", to: ["user@example.test"], Array("Subject: pills\r\n\r\n\(content)".utf8)
            ).code == 550)
        #expect(try postern.queued() == 3)
    }

    @Test func `FILTER sends a message its own way, whatever the routes say, also after a reload that changes them`()
        throws
    {
        let sink = try SMTPSink()
        let postern = try self.postern()
        _ = try postern.folder.write(
            "rules/senders", "its.example FILTER smtp:[\(sink.address.host)]:\(sink.address.port)\n")
        try postern.lines("reload")
        #expect(try postern.send(from: "a@ok.example", to: ["user@example.test"]).code == 250)
        #expect(try postern.send(from: "a@its.example", to: ["user@example.test"]).code == 250)
        try sink.wait(for: 1)
        try eventually("only the other waits") { try postern.queued() == 1 }

        // What is held goes its way when it is released, although the routes sort recipients otherwise by then.
        _ = try postern.folder.write("rules/header_checks", "/^Subject: wait/ HOLD\n")
        try postern.lines("reload")
        #expect(
            try postern.send(from: "b@its.example", to: ["user@example.test"], "Subject: wait\r\n\r\nx\r\n").code
                == 250)
        let held = try #require(try postern.list(["--state", "held"]).first)
        let down = try Endpoint.free()
        let route = "smtp:[\(down.host)]:\(down.port)"
        _ = try postern.folder.write("rules/transport", "example.test \(route)\nuser@example.test \(route)\n")
        try postern.lines("reload")
        try postern.command("queue", "release", held)
        try sink.wait(for: 2)
        try eventually("only the other waits") { try postern.queued() == 1 }
    }
}
