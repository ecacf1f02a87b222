import Foundation
import Harness
import Testing

/// `postern check`, `reload`, `status`, `reference` and the exit status of every command.
struct ServiceTests {
    // MARK: Exit status

    @Test(arguments: [
        ["status"], ["reload"], ["queue", "list"], ["queue", "show", "00000000001"],
        ["queue", "content", "00000000001"],
        ["queue", "hold", "00000000001"], ["queue", "delete", "--yes"], ["queue", "flush"], ["queue", "shape"],
        ["queue", "export", "/dev/null/x"], ["queue", "backup", "/dev/null/x"],
    ])
    func `without the daemon the status is 3`(command: [String]) throws {
        let postern = try PosternProcess(starts: false)
        let run = try postern.command(command)
        #expect(run.ending == .exited(3))
        #expect(run.errors.contains("the daemon cannot be reached"))
        #expect(run.errors.contains("control: No such file or directory"))
        #expect(run.output.isEmpty)
    }

    @Test func `of a daemon that was killed the socket is left, and the status is 3`() throws {
        let postern = try PosternProcess()
        postern.kill()
        let run = try postern.command("status")
        #expect(run.ending == .exited(3))
        #expect(run.errors.contains("Connection refused"))
        try postern.start()
        #expect(try postern.command("status").ending == .exited(0))
    }

    @Test(arguments: [
        ["nothing"], ["queue", "nothing"], ["status", "--nothing"], ["status", "surplus"], ["queue", "show"],
        ["queue", "content", "00000000001", "00000000002"], ["queue", "export"], ["queue", "backup"], ["table"],
        ["table", "query"], ["table", "query", "texthash:x"], ["dns", "x"], ["check", "--config"], ["--nothing"],
        ["queue", "list", "--limit"], ["run", "surplus"],
    ])
    func `wrong usage is 2, with a message`(command: [String]) throws {
        let run = try postern(command)
        // A group without its command prints its help.
        #expect(run.ending == .exited(command == ["table"] ? 0 : 2), "\(run.errors)")
        #expect(
            command == ["table"] || run.errors.contains("Error: ") && run.errors.contains("Usage: "), "\(run.errors)")
    }

    @Test(arguments: [["status"], ["reload"], ["queue", "list"], ["queue", "fsck"], ["dns", "a.test", "A"], ["run"]])
    func `a configuration that is not there is 2`(command: [String]) throws {
        let run = try postern(command + ["--config", "/nowhere/postern.yaml"])
        #expect(run.ending == .exited(2))
        #expect(run.errors == "/nowhere/postern.yaml: cannot be read: No such file or directory\n")
    }

    @Test(arguments: ["--help", "-h", "help"]) func `help is no error`(option: String) throws {
        let run = try postern(option)
        #expect(run.ending == .exited(0))
        #expect(run.output.contains("queue"))
    }

    @Test func `output that cannot be written is told`() throws {
        let run = try Program("/bin/sh", ["-c", "\"$0\" reference >/dev/full", PosternProcess.program]).run()
        #expect(run.ending == .exited(1))
        #expect(run.output == "standard output: No space left on device\n")
    }

    // MARK: check, reload

    @Test func `check tells a good configuration from a bad one`() throws {
        let postern = try PosternProcess(starts: false)
        let good = try postern.command("check")
        #expect(good.ending == .exited(0))
        #expect(good.output == "\(postern.configuration): ok\n")

        try postern.rewrite("rules/transport", "example.test local:\n# x\nother.test smtp:[x\n")
        let tables = try postern.command("check")
        #expect(tables.ending == .exited(1))
        #expect(tables.errors.contains("rules/transport:1: unknown transport 'local'"))
        #expect(tables.errors.contains("rules/transport:3: "))
        #expect(tables.output.isEmpty)

        try postern.rewrite("postern.yaml", postern.file("postern.yaml") + "queu: {}\nlog: {level: loud}\n")
        let both = try postern.command("check")
        #expect(both.ending == .exited(1))
        let lines = postern.file("postern.yaml").split(separator: "\n", omittingEmptySubsequences: false).count - 1
        #expect(
            both.errors.contains("\(postern.configuration):\(lines - 1):1: unknown key 'queu', did you mean 'queue'?"))
        #expect(both.errors.contains("\(postern.configuration):\(lines):14: 'loud' is not debug or info"))
        #expect(try postern.command("check", "--config", "/nowhere").ending != .exited(0))

        let json = try jsonObject(try postern.command("check", "--json").output)
        #expect((json["errors"] as? [String])?.count == 2)
        #expect(json["warnings"] as? [String] == [])
    }

    @Test func `check warns of what is allowed and not meant`() throws {
        let postern = try PosternProcess(domains: "[example.test, empty.test]", starts: false)
        let run = try postern.command("check")
        #expect(run.ending == .exited(0))
        #expect(run.errors.contains("warning: "))
        #expect(run.errors.contains("empty.test has no recipients"))
    }

    @Test func `a reload takes all or nothing`() throws {
        let postern = try PosternProcess(recipients: "user@example.test x\n")
        #expect(try postern.json("status")["generation"] as? Int == 1)
        #expect(try postern.send(to: ["new@example.test"]).code == 550)
        try postern.rewrite("rules/relay_recipients", "user@example.test x\nnew@example.test x\n")
        #expect(try postern.lines("reload") == ["generation 2"])
        #expect(try postern.send(to: ["new@example.test"]).code == 250)

        try postern.rewrite("rules/relay_recipients", "user@example.test x\nbroken\n")
        let bad = try postern.command("reload")
        #expect(bad.ending == .exited(1))
        #expect(bad.output.isEmpty)
        #expect(bad.errors.contains("rules/relay_recipients:2: a key without value: 'broken'"))
        #expect(bad.errors.contains("generation 2 stays in force"))
        #expect(try postern.json("status")["generation"] as? Int == 2)
        #expect(try postern.send(to: ["new@example.test"]).code == 250)
        #expect(try postern.send(to: ["broken@example.test"]).code == 550)
    }

    @Test func `SIGHUP is a reload too`() throws {
        let postern = try PosternProcess(recipients: "user@example.test x\n")
        try postern.rewrite("rules/relay_recipients", "new@example.test x\n")
        postern.signal(SIGHUP)
        try eventually("the reload") { try postern.json("status")["generation"] as? Int == 2 }
        #expect(try postern.send(to: ["new@example.test"]).code == 250)
        try eventually("it is in the log") { postern.log.contains("message=reloaded generation=2") }

        try postern.rewrite("rules/relay_recipients", "broken\n")
        postern.signal(SIGHUP)
        try eventually("it is refused") { postern.log.contains("reload refused") }
        #expect(postern.log.contains("rules/relay_recipients:1: a key without value"))
        #expect(try postern.json("status")["generation"] as? Int == 2)
        #expect(try postern.send(to: ["new@example.test"]).code == 250)
    }

    @Test func `a session goes on over a reload`() throws {
        let postern = try PosternProcess()
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        try client.command("MAIL FROM:<s@client.example>")
        try postern.rewrite("rules/relay_recipients", "user@example.test x\n")
        try postern.lines("reload")
        #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
        #expect(try client.command("DATA").code == 354)
        #expect(try client.command("Subject: x\r\n\r\nx\r\n.").code == 250)
        #expect(try client.sendMessage(from: "", to: ["other@example.test"], []).code == 550)
    }

    // MARK: status

    @Test func `the status is JSON that programs can read`() throws {
        let postern = try PosternProcess()
        let id = try postern.post()
        _ = try postern.post()
        try eventually("the primary is found to be down") { try postern.json("status")["alarms"] as? [String] != [] }
        let session = try SMTPClient(postern.address)
        _ = try session.reply()
        let status = try postern.json("status")
        #expect(status["hostname"] as? String == "mx2.example.test")
        #expect(status["generation"] as? Int == 1)
        #expect(status["sessions"] as? Int == 1)
        #expect((status["uptimeSeconds"] as? Int ?? -1) >= 0)
        let queue = try #require(status["queue"] as? [String: Any])
        #expect(queue["messages"] as? Int == 2)
        #expect(queue["damaged"] as? Int == 0)
        #expect(queue["maximumBytes"] as? Int == 1 << 30)
        #expect((queue["usedBytes"] as? Int ?? 0) > 0)
        let destination = try #require((status["destinations"] as? [[String: Any]])?.first)
        #expect((destination["destination"] as? String)?.hasPrefix("[127.0.0.1]:") == true)
        #expect(["down", "probing"].contains(destination["state"] as? String))
        #expect(destination["waiting"] as? Int == 2)
        #expect(destination["downSince"] is String)
        // To the second: the ID is a little older than the message.
        let arrival = try #require(try postern.message(id)["arrival"] as? String)
        #expect((destination["oldest"] as? String)?.prefix(16) == arrival.prefix(16))
        #expect(try #require(destination["oldest"] as? String) <= arrival)
        #expect((status["alarms"] as? [String])?.first?.contains("is down, 2 messages wait") == true)
        for key in keys(of: status) { #expect(key.first?.isLowercase == true && !key.contains("_"), "\(key)") }

        let text = try postern.lines("status").joined(separator: "\n")
        for part in ["mx2.example.test: generation 1", "queue: 2 messages", "2 waiting", "ALARM"] {
            #expect(text.contains(part), "\(text)")
        }
    }

    // MARK: reference, table, dns

    @Test func `the reference is a page of Markdown`() throws {
        let run = try postern("reference")
        #expect(run.ending == .exited(0))
        #expect(run.output.hasPrefix("# Configuration\n"))
        #expect(run.output.contains("| `hostname` |"))
        #expect(run.output.hasSuffix("\n"))
    }

    @Test func `a table is asked for one key or for many`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "t", "# x\nExample.test  smtp:[h]:25\nuser@example.test\n  two words\nBücher.example x\n")
        for type in ["texthash", "hash", "lmdb"] {
            let found = try postern("table", "query", "\(type):\(file)", "EXAMPLE.test")
            #expect(found.ending == .exited(0))
            #expect(found.output == "smtp:[h]:25\n")
        }
        let missing = try postern("table", "query", "texthash:\(file)", "nothing")
        #expect(missing.ending == .exited(1))
        #expect(missing.output.isEmpty && missing.errors.isEmpty)
        let many = try postern(
            "table", "query", "texthash:\(file)", "-",
            input: "user@example.test\nnothing\n\nExample.TEST\r\nBÜCHER.example")
        #expect(many.ending == .exited(0))
        #expect(
            many.output
                == "user@example.test\ttwo words\nnothing\t\n\t\nExample.TEST\tsmtp:[h]:25\nBÜCHER.example\tx\n")
        #expect(try postern("table", "query", "texthash:\(file)", "-").output.isEmpty)

        let patterns = try folder.write("p", "/^(a+)+$/ one\n/^A/i $$\n/^(b)/ <$1>\n")
        let damaged = try postern(
            "table", "query", "pcre:\(patterns)", "-", input: "B\n\(String(repeating: "a", count: 300))!\nAB\n")
        #expect(damaged.output == "B\t<B>\n\(String(repeating: "a", count: 300))!\t\nAB\t$\n")
        #expect(damaged.errors == "\(patterns):1: match limit exceeded\n")
        #expect(try postern("table", "query", "inline:{a=1, {b = 2 3}}", "B").output == "2 3\n")

        try folder.write("bad", "a 1\nb\n")
        let bad = try postern("table", "query", "texthash:\(folder.path("bad"))", "a")
        #expect(bad.ending == .exited(2))
        #expect(bad.errors == "\(folder.path("bad")):2: a key without value: 'b'\n")
        let none = try postern("table", "query", "texthash:\(folder.path("none"))", "a")
        #expect(none.ending == .exited(2))
        #expect(none.errors == "\(folder.path("none")): cannot be read: No such file or directory\n")
        #expect(try postern("table", "query", "nothing:\(file)", "a").ending == .exited(2))
    }

    private static let zone = """
        $ORIGIN example.test.
        $TTL 300
        @ SOA ns hostmaster 1 3600 900 604800 300
        @ NS ns
        ns A 127.0.0.1
        @ MX 10 primary
        @ MX 20 mx2
        primary 60 A 192.0.2.1
        primary AAAA 2001:db8::1
        text TXT "v=spf1 -all" "two \\"parts\\""
        alias CNAME primary

        """

    @Test func `names are looked up where the command says`() throws {
        let server = try NSD(zones: ["example.test": Self.zone])
        let dns = { (arguments: [String]) throws in
            try postern(["dns"] + arguments + ["--dns", "\(server.address)"])
        }
        let mx = try dns(["example.test", "mx"])
        #expect(mx.ending == .exited(0))
        #expect(
            Set(mx.output.split(separator: "\n").map(String.init)) == [
                "example.test 300 MX 10 primary.example.test", "example.test 300 MX 20 mx2.example.test",
                "security: insecure",
            ])
        #expect(
            try dns(["primary.example.test", "A"]).output == "primary.example.test 60 A 192.0.2.1\nsecurity: insecure\n"
        )
        #expect(try dns(["primary.example.test", "AAAA"]).output.contains("AAAA 2001:db8::1\n"))
        #expect(try dns(["text.example.test", "TXT"]).output.contains("TXT \"v=spf1 -all\" \"two \\\"parts\\\"\"\n"))
        #expect(try dns(["alias.example.test", "A"]).output.contains("primary.example.test 60 A 192.0.2.1\n"))

        let json = try jsonObject(try dns(["primary.example.test", "A", "--json"]).output)
        #expect(json["security"] as? String == "insecure")
        #expect(json["failure"] == nil)
        let answer = try #require((json["answers"] as? [[String: Any]])?.first)
        #expect(answer["ttl"] as? Int == 60)
        #expect(answer["data"] as? String == "192.0.2.1")
        #expect(answer["type"] as? String == "A")

        for (name, type, failure) in [
            ("none.example.test", "A", "NXDOMAIN"), ("example.test", "AAAA", "NODATA"), ("else.test", "A", "SERVFAIL"),
        ] {
            let run = try dns([name, type])
            #expect(run.ending == .exited(1), "\(name)")
            #expect(run.output.contains("failure: \(failure)"), "\(name): \(run.output)")
            #expect(try jsonObject(try dns([name, type, "--json"]).output)["failure"] as? String == failure)
        }
        #expect(try dns(["example.test", "NOTHING"]).ending == .exited(2))
        #expect(try postern("dns", "example.test", "A", "--dns", "not an address").ending == .exited(2))
    }
}
