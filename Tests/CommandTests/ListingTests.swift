import Foundation
import Harness
import Testing

/// `postern queue list`, `show`, `content` and `shape`: looking at the queue.
struct ListingTests {
    private static let time = try? NSRegularExpression(pattern: #"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"#)

    private func isTime(_ value: Any?) -> Bool {
        guard let text = value as? String else { return false }
        return Self.time?.firstMatch(in: text, range: NSRange(location: 0, length: text.utf16.count)) != nil
    }

    @Test func `each filter picks what it says`() throws {
        let sink = try SMTPSink(options: ["-r", "RCPT"])
        let postern = try PosternProcess.waiting(deferring: sink)
        let first = try postern.post(from: "anna@one.example", to: ["user@example.test"])
        let notice = try postern.post(from: "", to: ["user@example.test", "other@example.test"], client: "127.0.0.5")
        let tried = try postern.post(from: "Bernd@two.example", to: ["x@deferred.test"], client: "127.0.0.6")
        let held = try postern.post(from: "carla@one.example", to: ["y@example.test", "y@deferred.test"])
        try postern.lines("queue", "hold", held)
        try postern.waitUntilDeferred(tried)
        try eventually("the primary is found to be down") { try postern.message(first)["reason"] != nil }

        let all = [first, notice, tried, held]
        #expect(try postern.list() == all)
        for (filters, expected) in [
            (["--from", "anna@one.example"], [first]), (["--from", "ANNA@one.example"], [first]),
            (["--from", "*@one.example"], [first, held]), (["--from", "<>"], [notice]),
            (["--from", "*"], all), (["--from", "b*d@two.*"], [tried]), (["--from", "one.example"], []),
            (["--to", "other@example.test"], [notice]), (["--to", "*@deferred.test"], [tried, held]),
            (["--domain", "deferred.test"], [tried, held]), (["--domain", "Example.TEST"], [first, notice, held]),
            (["--domain", "test"], []),
            (["--older", "1h"], []), (["--older", "0"], all),
            (["--state", "held"], [held]), (["--state", "deferred"], [tried]),
            (["--state", "waiting"], [first, notice]),
            (["--reason", "450"], [tried]), (["--reason", "COMMAND FAILED"], [tried]),
            (["--reason", "no such text"], []),
            (["--client", "127.0.0.5"], [notice]), (["--client", "127.0.0.4/31"], [notice]),
            (["--client", "127.0.0.0/8"], all), (["--client", "192.0.2.1"], []),
            (["--limit", "2"], [first, notice]), (["--limit", "0"], []), (["--limit", "100"], all),
            (["--domain", "example.test", "--state", "waiting", "--limit", "1"], [first]),
            (["--from", "*@one.example", "--to", "y@*"], [held]),
        ] {
            #expect(try postern.list(filters) == expected, "\(filters)")
            #expect(
                try postern.lines(["queue", "list", "--json"] + filters).map { try jsonObject($0)["id"] as? String }
                    == expected)
        }
    }

    @Test(arguments: [
        ["--state", "lost"], ["--older", "10"], ["--older", "x"], ["--client", "nobody"], ["--client", "10.0.0.1/8"],
        ["--limit", "-1"], ["--limit", "x"], ["--nothing"], ["surplus"], ["--from"],
    ])
    func `a filter that is none is wrong usage`(filter: [String]) throws {
        // With the daemon, which is not there, would be spoken only after that.
        let run = try PosternProcess(starts: false).command(["queue", "list"] + filter)
        #expect(run.ending == .exited(2))
        #expect(!run.errors.isEmpty)
        #expect(run.output.isEmpty)
    }

    @Test func `a message is shown with envelope, attempts and the last reply`() throws {
        let sink = try SMTPSink(options: ["-r", "RCPT"])
        let postern = try PosternProcess.waiting(deferring: sink)
        let content = "Subject: shown\r\n\r\nbody\r\n"
        let id = try postern.post(
            from: "anna@one.example", to: ["x@deferred.test", "user@example.test"], content, client: "127.0.0.7")
        try eventually("it was tried") {
            let recipients = try postern.message(id)["recipients"] as? [[String: Any]]
            return recipients?.first?["attempts"] as? Int == 1
        }
        let message = try postern.message(id)
        #expect(message["id"] as? String == id)
        #expect(message["from"] as? String == "anna@one.example")
        #expect(message["client"] as? String == "127.0.0.7")
        #expect(message["helo"] as? String == "client.example")
        #expect(self.isTime(message["arrival"]))
        #expect(self.isTime(message["due"]))
        #expect((message["ageSeconds"] as? Int ?? -1) >= 0)
        let stored = try postern.command("queue", "content", id).output
        #expect(message["bytes"] as? Int == stored.utf8.count)
        let recipients = try #require(message["recipients"] as? [[String: Any]])
        #expect(recipients.map { $0["address"] as? String } == ["x@deferred.test", "user@example.test"])
        #expect(recipients.map { $0["status"] as? String } == ["waiting", "waiting"])
        #expect((recipients[0]["lastReply"] as? String)?.hasPrefix("450") == true)
        #expect(recipients[0]["remote"] as? String != nil)
        #expect(self.isTime(recipients[0]["lastAttempt"]))
        #expect(self.isTime(recipients[0]["due"]))
        #expect(recipients[1]["attempts"] as? Int == 0)
        for key in keys(of: message) { #expect(key.first?.isLowercase == true && !key.contains("_"), "\(key)") }

        let text = try postern.lines("queue", "show", id).joined(separator: "\n")
        for part in [
            id, "<anna@one.example>", "127.0.0.7", "<x@deferred.test>: waiting, 1 attempts", "450",
            "<user@example.test>: waiting, 0 attempts",
        ] {
            #expect(text.contains(part), "\(part) in \(text)")
        }
        #expect(
            try postern.lines("queue", "show", id.lowercased()).joined(separator: "\n").contains("<anna@one.example>"))
    }

    @Test func `content comes octet for octet`() throws {
        let postern = try PosternProcess.waiting()
        let body = (0..<20_000).map { "line \($0) \u{E4}\u{20AC}\r\n" }.joined() + ".\r\n..\r\n\r\n"
        let id = try postern.post("Subject: =?x?=\r\nX: \u{FC}\r\n\r\n\(body)")
        var program = Program(PosternProcess.program, ["queue", "content", id, "--config", postern.configuration])
        program.output = .file(postern.folder.path("content"))
        program.errors = .unnamed
        try program.runOrThrow()
        let stored = [UInt8](try #require(FileManager.default.contents(atPath: postern.folder.path("content"))))
        let sent = Array("Subject: =?x?=\r\nX: \u{FC}\r\n\r\n\(body)".utf8)
        #expect(stored.suffix(sent.count) == sent[...])
        let trace = String(decoding: stored.dropLast(sent.count), as: UTF8.self)
        #expect(trace.hasPrefix("Received: from client.example"))
        #expect(trace.hasSuffix("\r\n"))
    }

    @Test func `an answer comes whole to one who reads slowly`() throws {
        let postern = try PosternProcess.waiting()
        let id = try postern.post("Subject: x\r\n\r\n" + String(repeating: "0123456789\r\n", count: 100_000))
        let socket = try ControlSocket(postern)
        try socket.send(#"{"command":"content","ids":["\#(id)"]}"#)
        var count = 0
        var tail: [UInt8] = []
        while true {
            let piece = try socket.read(atMost: 512)
            guard !piece.isEmpty else { break }
            count += piece.count
            tail = (tail + piece).suffix(100)
            if tail.last == UInt8(ascii: "}") { break }
        }
        #expect(count > 1_200_000)
        #expect(String(decoding: tail, as: UTF8.self).hasSuffix("\r\nE 12\n{\"status\":0}"))
    }

    @Test func `looking changes nothing`() throws {
        let postern = try PosternProcess.waiting()
        for number in 0..<5 { _ = try postern.post(to: ["user\(number)@example.test"]) }
        try postern.lines("queue", "hold", "--yes")
        let commits = { () throws -> Int? in (try postern.json("status")["queue"] as? [String: Any])?["commits"] as? Int
        }
        let before = (FileManager.default.contents(atPath: postern.folder.path("state/data.mdb")), try commits())
        let id = try postern.list()[0]
        for arguments in [
            ["queue", "list"], ["queue", "list", "--json", "--state", "held"], ["queue", "show", id],
            ["queue", "content", id], ["queue", "shape"], ["queue", "shape", "--json"], ["status"],
            ["status", "--json"],
            ["queue", "export", postern.folder.path("out")], ["queue", "backup", postern.folder.path("copy")],
            ["queue", "fsck"], ["check"],
        ] {
            _ = try postern.lines(arguments)
        }
        #expect(FileManager.default.contents(atPath: postern.folder.path("state/data.mdb")) == before.0)
        #expect(try commits() == before.1)
        #expect(try postern.documents("queue", "list").allSatisfy { $0["state"] as? String == "held" })
    }

    @Test func `a long listing streams, and a limit cuts it`() throws {
        let postern = try PosternProcess.waiting()
        var load = SMTPSource()
        (load.messages, load.sessions, load.bytes) = (3000, 20, 100)
        try load.send(to: postern.address)
        let ids = try postern.list()
        #expect(ids.count == 3000)
        #expect(Set(ids).count == 3000)
        #expect(ids == ids.sorted())  // The oldest first.
        #expect(try postern.documents("queue", "list").count == 3000)
        #expect(try postern.list(["--limit", "1234"]) == Array(ids.prefix(1234)))
        // A reader that goes away early ends the command, and hurts nobody.
        let pipeline = "\"$0\" queue list --config \"$1\" | head -n 1"
        let head = try Program("/bin/sh", ["-c", pipeline, PosternProcess.program, postern.configuration]).run()
        #expect(head.output.hasPrefix(ids[0]))
        #expect(head.output.split(separator: "\n").count == 1)
        let shape = try postern.json("queue", "shape")
        let row = try #require((shape["rows"] as? [[String: Any]])?.first)
        #expect(row["domain"] as? String == "example.test")
        #expect(row["total"] as? Int == 3000)
        #expect((row["counts"] as? [Int])?.first == 3000)
        #expect((row["counts"] as? [Int])?.count == ((shape["minutes"] as? [Int])?.count ?? 0) + 1)
        // Bulk operations go through it page by page.
        #expect(try postern.lines("queue", "delete", "--yes", "--limit", "2100") == ["2100"])
        #expect(try postern.list() == Array(ids.dropFirst(2100)))
    }

    @Test func `the shape is a table of ages by domain`() throws {
        let postern = try PosternProcess.waiting()
        _ = try postern.post(to: ["a@example.test", "b@example.test", "c@deferred.test"])
        _ = try postern.post(to: ["a@example.test"])
        let lines = try postern.lines("queue", "shape").map { $0.split(separator: " ").map(String.init) }
        #expect(lines[0].prefix(3) == ["T", "5", "10"])
        #expect(lines[1].prefix(3) == ["TOTAL", "3", "3"])
        #expect(lines[2].prefix(3) == ["example.test", "2", "2"])
        #expect(lines[3].prefix(3) == ["deferred.test", "1", "1"])
    }
}
