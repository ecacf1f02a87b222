import Foundation
import Harness
import Mail
import Testing

/// `postern log` and `postern report` on what a real daemon has written, against what was really sent.
struct LogCommandTests {
    /// The lines that a search prints when it finds something.
    private func found(_ arguments: String...) throws -> [String] {
        let run = try postern(["log"] + arguments)
        guard run.ending == .exited(0) else { throw HarnessError("\(arguments) \(run.ending): \(run.errors)") }
        return run.output.split(separator: "\n").map(String.init)
    }

    /// A log of its own, as a file.
    private func log(of postern: PosternProcess) throws -> String {
        try postern.folder.write("log", postern.log)
    }

    @Test func `a search shows the whole story, and nothing else`() throws {
        let sink = try SMTPSink()
        let daemon = try PosternProcess(primary: sink.address, domains: "[example.test]")
        let id = try daemon.post(from: "first@client.example", to: ["user@example.test"])
        let other = try daemon.post(from: "second@client.example", to: ["user@example.test"])
        #expect(try daemon.send(from: "third@client.example", to: ["x@elsewhere.test"]).code == 554)
        try daemon.waitUntilEmpty()
        for id in [id, other] { try daemon.event("delivered") { $0["id"] == id } }
        let file = try self.log(of: daemon)

        let story = try self.found("FIRST@*", "--file", file, "--json").map { try jsonObject($0) }
        #expect(story.map { $0["event"] as? String } == ["queued", "delivered"])
        #expect(story.allSatisfy { $0["id"] as? String == id })
        #expect(try self.found(id, "--file", file).count == 2)
        #expect(
            try self.found("--event", "delivered", "--to", "user@example.test", "--only", "--file", file)
                .count == 2)
        #expect(try self.found("--domain", "example.test", "--limit", "3", "--file", file).count == 3)
        let refused = try daemon.event("refused") { $0["from"] == "third@client.example" }
        let reference = try #require(refused["ref"])
        let found = try self.found(reference, "--file", file, "--json").map { try jsonObject($0) }
        #expect(found.map { $0["ref"] as? String } == [reference])
        #expect(try self.found("127.0.0.0/8", "--since", "1h", "--file", file).count == 5)
        #expect(try postern("log", "nobody@client.example", "--file", file).ending == .exited(1))
        #expect(try postern("log", "127.0.0.1", "--until", "yesterday", "--file", file).ending == .exited(1))
        // The daemon's own: it takes mail since generation 1.
        let started = try jsonObject(
            try #require(try self.found("--event", "started", "--json", "--file", file).first))
        #expect(started["generation"] as? Int == 1)
        let run = try postern(["log", id, "--file", "-"], input: daemon.log)
        #expect(run.output.split(separator: "\n").count == 2)
    }

    @Test(arguments: [
        ["log", "nonsense", "--file", "/dev/null"], ["log", "--since", "x", "--file", "/dev/null"],
        ["log", "--client", "192.0.2.1/24", "--file", "/dev/null"], ["log", "--id", "x", "--file", "/dev/null"],
        ["log", "--limit", "-1", "--file", "/dev/null"], ["log", "--file", "/nowhere/log"],
        ["report", "--day", "x", "--file", "/dev/null"], ["report", "--day", "today", "--since", "1h"],
        ["report", "--html", "--json"], ["report", "--to", "a@example.test"], ["report", "--top", "0"],
    ]) func `what is no search ends with 2`(arguments: [String]) throws {
        let run = try postern(arguments)
        #expect(run.ending == .exited(2), "\(run)")
        #expect(!run.errors.isEmpty)
    }

    /// A journalctl of the test's own.
    private func withJournal(_ script: String, _ arguments: [String]) throws -> Finished {
        let folder = try TemporaryFolder()
        let file = try folder.write("journalctl", "#!/bin/sh\n\(script)\n")
        chmod(file, 0o755)
        var program = Program(PosternProcess.program, arguments)
        program.environment = ["PATH": "\(folder.path("")):/usr/bin:/bin"]
        program.errors = .unnamed
        return try program.run()
    }

    @Test func `the journal is asked for the service, and its records are lines`() throws {
        let record =
            #"{"__REALTIME_TIMESTAMP":"1795236600000000","MESSAGE":"event=delivered id=1K0QR76JTSG to=u@example.com reply=\"$*\""}"#
        let run = try self.withJournal(
            "cat <<END\n\(record)\nEND", ["log", "u@example.com", "--since", "2026-11-21T04:50:00Z", "--json"])
        #expect(run.ending == .exited(0), "\(run)")
        let line = try jsonObject(run.output.trimmingCharacters(in: .newlines))
        #expect(line["time"] as? String == "2026-11-21T04:50:00.000Z")
        let asked = try #require(line["reply"] as? String).split(separator: " ").map(String.init)
        #expect(Set(["--unit=postern", "--output=json", "--no-pager", "--since=@1795236600"]).isSubset(of: asked))
    }

    @Test func `who may not read the journal is told what to do`() throws {
        let hint = "Hint: You are currently not seeing messages from other users and the system."
        let run = try self.withJournal("echo '\(hint)' >&2", ["log", "u@example.com"])
        #expect(run.ending == .exited(2))
        #expect(run.errors.contains("systemd-journal"))
        let broken = try self.withJournal("echo broken >&2; exit 3", ["report"])
        #expect(broken.ending == .exited(2))
        #expect(broken.errors.contains("journalctl: broken"))
    }

    @Test func `a report tells what happened`() throws {
        let sink = try SMTPSink()
        let deferring = try SMTPSink(options: ["-r", "RCPT"])
        let daemon = try PosternProcess(
            transport: "example.test smtp:[\(sink.address.host)]:\(sink.address.port)\n"
                + "deferred.test smtp:[\(deferring.address.host)]:\(deferring.address.port)\n",
            domains: "[example.test, deferred.test]", recipients: "@example.test x\n@deferred.test x\n")
        for _ in 0..<3 { _ = try daemon.post(from: "a@one.example", to: ["u@example.test", "v@example.test"]) }
        let waiting = try daemon.post(from: "b@two.example", to: ["w@deferred.test"])
        for _ in 0..<2 { #expect(try daemon.send(to: ["x@elsewhere.test"]).code == 554) }
        try daemon.event("attempted") { $0["id"] == waiting }
        try eventually("three deliveries") { daemon.events("delivered").count >= 3 }
        try eventually("two refusals") { daemon.events("refused").count >= 2 }
        let file = try self.log(of: daemon)

        let report = try daemon.json("report", "--since", "1h", "--file", file)
        let totals = try #require(report["totals"] as? [String: Any])
        for (key, count) in [
            ("received", 4), ("received_recipients", 7), ("delivered", 6), ("deferred", 1), ("failed", 0),
            ("rejected", 2),
            ("deferred_clients", 0), ("senders", 2), ("recipients", 3), ("clients", 1),
        ] {
            #expect(totals[key] as? Int == count, "\(key)")
        }
        let domains = try #require(report["sender_domains"] as? [[String: Any]])
        #expect(domains.map { $0["domain"] as? String } == ["one.example", "two.example"])
        #expect(domains.map { $0["messages"] as? Int } == [3, 1])
        let restrictions = try #require(report["restrictions"] as? [[String: Any]])
        #expect(restrictions.map { $0["count"] as? Int } == [2])
        // What waits now is asked of the daemon.
        #expect((report["queue"] as? [String: Any])?["messages"] as? Int == 1)
        #expect((report["queue_domains"] as? [[String: Any]])?.first?["domain"] as? String == "deferred.test")
        let text = try daemon.command("report", "--since", "1h", "--file", file).output
        #expect(text.split(separator: "\n").contains { $0.hasPrefix("messages received ") && $0.hasSuffix(" 4") })
        #expect(
            try daemon.command("report", "--html", "--since", "1h", "--file", file).output.hasPrefix("<!DOCTYPE html>")
        )
        try daemon.stop()
        let later = try daemon.command("report", "--since", "1h", "--file", file)
        #expect(later.ending == .exited(0))
        #expect(later.output.contains("(The daemon cannot be reached: "))
    }

    @Test func `a report goes through the queue to who wants it, and nowhere else`() throws {
        let sink = try SMTPSink(keepsMessages: true)
        let quiet = try PosternProcess(primary: sink.address)
        let nobody = try quiet.command("report", "--mail", "--day", "yesterday", "--file", "/dev/null")
        #expect(nobody.ending == .exited(0))
        #expect(nobody.output == "nobody wants a report: report.to is empty\n")
        #expect(quiet.events("queued").isEmpty)
        let daemon = try PosternProcess(primary: sink.address, more: "report: {to: [admin@example.test], top: 5}\n")
        let run = try daemon.command("report", "--mail", "--day", "yesterday", "--file", "/dev/null")
        #expect(run.ending == .exited(0), "\(run)")
        let id = run.output.trimmingCharacters(in: .newlines)
        try daemon.event("delivered") { $0["id"] == id && $0["from"] == "" && $0["to"] == "admin@example.test" }
        let other = try daemon.command("report", "--mail", "--to", "other@example.test", "--file", "/dev/null")
        #expect(other.ending == .exited(0))
        try daemon.event("delivered") { $0["to"] == "other@example.test" }
        let message = try #require(
            try sink.messages().first { $0.recipientArguments.contains { $0.contains("admin@example.test") } })
        let content = String(decoding: message.content, as: UTF8.self)
        for field in [
            "From: Postern <postmaster@mx2.example.test>", "To: <admin@example.test>", "Auto-Submitted: auto-generated",
            "Content-Type: multipart/alternative;",
        ] {
            #expect(content.contains(field), "\(field)")
        }
        try daemon.stop()
        #expect(try daemon.command("report", "--mail", "--file", "/dev/null").ending == .exited(3))
    }
}
