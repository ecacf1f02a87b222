import Foundation
import Harness
import Testing

/// `postern queue hold`, `release`, `retry`, `delete` and `flush`: changing the queue.
struct OperationTests {
    @Test func `messages are held, released and deleted by their ID`() throws {
        let postern = try PosternProcess.waiting()
        let (first, second) = (try postern.post(), try postern.post())
        #expect(try postern.lines("queue", "hold", first) == ["1"])
        #expect(try postern.state(first) == "held")
        #expect(try postern.message(first)["due"] == nil)
        #expect(try postern.state(second) != "held")
        #expect(try postern.lines("queue", "hold", first, second.lowercased()) == ["1"])  // One was held already.
        #expect(try postern.lines("queue", "release", first) == ["1"])
        #expect(try postern.state(first) != "held")
        #expect(try postern.lines("queue", "release", first) == ["0"])
        #expect(try postern.lines("queue", "delete", first) == ["1"])
        #expect(try postern.list() == [second])
        // All of it is in the log.
        try eventually("the deletion is in the log") {
            postern.log.contains("event=operated id=\(first) action=delete")
        }
        // And on the disk.
        postern.kill()
        try postern.start()
        #expect(try postern.list() == [second])
        #expect(try postern.state(second) == "held")
    }

    @Test(arguments: ["hold", "release", "retry", "delete", "show", "content"])
    func `an ID that is not there is 1, and one that is none is 2`(command: String) throws {
        let postern = try PosternProcess.waiting()
        let id = try postern.post()
        let before = try postern.state(id)
        let missing = try postern.command("queue", command, "00000000001")
        #expect(missing.ending == .exited(1))
        #expect(missing.errors.contains("there is no message 00000000001"))
        for malformed in ["x", "0000000000", "000000000000", "0000000000U", "../../../etc", "0000000000\u{FC}"] {
            let run = try postern.command("queue", command, malformed)
            #expect(run.ending == .exited(2), "\(malformed)")
            #expect(run.errors.contains("'\(malformed)'"), "\(run.errors)")
            #expect(run.output.isEmpty)
        }
        if command != "content" {
            // The good ones among bad ones are left alone.
            #expect(try postern.command("queue", command, id, "x").ending == .exited(2))
            #expect(try postern.state(id) == before)
        }
    }

    @Test func `what is there is done, also if something else is missing`() throws {
        let postern = try PosternProcess.waiting()
        let id = try postern.post()
        let run = try postern.command("queue", "delete", id, "00000000001")
        #expect(run.ending == .exited(1))
        #expect(run.output == "1\n")
        #expect(try postern.queued() == 0)
    }

    @Test(arguments: ["hold", "release", "retry", "delete"])
    func `many messages are changed only by who says yes`(command: String) throws {
        let postern = try PosternProcess.waiting()
        for number in 0..<3 { _ = try postern.post(from: "s\(number)@client.example") }
        if command == "release" { try postern.lines("queue", "hold", "--yes") }
        let states = { () throws in
            try postern.documents("queue", "list").map { "\($0["id"] ?? "") \($0["state"] == nil)" }
        }
        let before = try states()
        let held = try postern.list(["--state", "held"])
        for filter in [[], ["--from", "*"], ["--domain", "example.test"]] {
            let run = try postern.command(["queue", command] + filter)
            #expect(run.ending == .exited(2))
            #expect(run.errors.contains("--yes"))
            #expect(run.output.isEmpty)
        }
        #expect(try states() == before)
        #expect(try postern.list(["--state", "held"]) == held)
        #expect(try postern.lines("queue", command, "--from", "s1@*", "--yes") == ["1"])
        #expect(try postern.lines("queue", command, "--from", "nobody@*", "--yes") == ["0"])
        #expect(try postern.lines("queue", command, "--limit", "0", "--yes") == ["0"])
        // IDs and filters exclude each other.
        let both = try postern.command("queue", command, try postern.list()[0], "--from", "*", "--yes")
        #expect(both.ending == .exited(2))
        let rest = command == "retry" ? 3 : 2
        #expect(try postern.lines("queue", command, "--yes") == ["\(rest)"])
        #expect(try postern.queued() == (command == "delete" ? 0 : 3))
    }

    @Test func `what is released or retried goes to a primary that is there now`() throws {
        let sink = try SMTPSink(options: ["-r", "RCPT"])
        let postern = try PosternProcess.waiting(deferring: sink)
        let (held, tried) = (
            try postern.post(to: ["held@deferred.test"]), try postern.post(to: ["tried@deferred.test"])
        )
        try postern.waitUntilDeferred(held)
        try postern.waitUntilDeferred(tried)
        try postern.lines("queue", "hold", held)
        #expect(try postern.lines("queue", "retry", held) == ["0"])  // What is held stays held.
        #expect(try postern.state(held) == "held")
        #expect(try postern.lines("queue", "retry", tried) == ["1"])
        try eventually("it is tried again") {
            let recipients = try postern.message(tried)["recipients"] as? [[String: Any]]
            return recipients?.first?["attempts"] as? Int == 2
        }
    }

    @Test func `a flush tries everything now, or one domain`() throws {
        let sink = try SMTPSink(options: ["-r", "RCPT"])
        let postern = try PosternProcess.waiting(deferring: sink)
        let ids = [try postern.post(to: ["a@deferred.test"]), try postern.post(to: ["b@deferred.test"])]
        for id in ids { try postern.waitUntilDeferred(id) }
        let attempts = { (id: String) throws -> Int? in
            (try postern.message(id)["recipients"] as? [[String: Any]])?.first?["attempts"] as? Int
        }
        #expect(try postern.lines("queue", "flush", "example.test") == ["0"])
        #expect(try attempts(ids[0]) == 1)
        #expect(try postern.lines("queue", "flush", "deferred.test") == ["2"])
        for id in ids { try eventually("a second attempt") { try attempts(id) == 2 } }
        for id in ids { try postern.waitUntilDeferred(id) }
        #expect(try postern.lines("queue", "flush") == ["2"])
        for id in ids { try eventually("a third attempt") { try attempts(id) == 3 } }
    }

    @Test func `a flush reaches a primary that was down`() throws {
        let place = try Endpoint.free()
        let postern = try PosternProcess(
            primary: place, more: "forwarder: {probe_minimum: 1h, probe_maximum: 1h}")
        _ = try postern.post()
        try eventually("it is down") { try postern.json("status")["alarms"] as? [String] != [] }
        let sink = try SMTPSink(port: place.port)
        try postern.lines("queue", "flush", "example.test")
        try sink.wait(for: 1)
        try postern.waitUntilEmpty()
    }
}
