import Foundation
import Harness
import Testing

/// `postern queue export`, `backup` and `fsck`: the queue as files.
struct QueueFileTests {
    /// Where a text stands in a file.
    private func places(of text: String, in path: String) throws -> [Int] {
        let data = try #require(FileManager.default.contents(atPath: path))
        var places: [Int] = []
        var from = data.startIndex
        while let range = data.range(of: Data(text.utf8), in: from..<data.endIndex) {
            places.append(range.lowerBound)
            from = range.upperBound
        }
        return places
    }

    private func overwrite(_ path: String, at places: [Int], with text: String) throws {
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        for place in places {
            try file.seek(toOffset: UInt64(place))
            try file.write(contentsOf: Data(text.utf8))
        }
        try file.close()
    }

    @Test func `an export has every message as content and envelope`() throws {
        let postern = try PosternProcess.waiting()
        let first = try postern.post(
            from: "", to: ["a@example.test", "b@example.test"], "Subject: one\r\n\r\n.\r\n\u{E4}\r\n")
        let second = try postern.post(from: "s@client.example", to: ["c@deferred.test"], "Subject: two\r\n\r\n")
        let folder = postern.folder.path("out/of/here")
        #expect(try postern.lines("queue", "export", folder) == ["2"])
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(Set(names) == ["\(first).eml", "\(first).json", "\(second).eml", "\(second).json"])
        #expect(postern.file("out/of/here/\(first).eml") == (try postern.command("queue", "content", first).output))
        let envelope = try jsonObject(postern.file("out/of/here/\(first).json"))
        #expect(envelope["id"] as? String == first)
        #expect(envelope["from"] as? String == "")
        #expect((envelope["recipients"] as? [[String: Any]])?.count == 2)
        // It is somebody's mail.
        let permissions = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(first).eml")[.posixPermissions]
        #expect((permissions as? Int ?? 0) & 0o077 == 0)

        #expect(try postern.lines("queue", "export", postern.folder.path("some"), "--domain", "deferred.test") == ["1"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: postern.folder.path("some")).count == 2)
        let failed = try postern.command("queue", "export", "/proc/nowhere")
        #expect(failed.ending == .exited(1))
        #expect(failed.errors == "/proc/nowhere: No such file or directory\n")
    }

    @Test func `a backup under load is whole, and another daemon takes it up`() throws {
        let postern = try PosternProcess.waiting()
        let marked = try (0..<5).map { try postern.post("Subject: marked \($0)\r\n\r\nbody\r\n") }
        var load = SMTPSource()
        (load.messages, load.sessions, load.bytes) = (5000, 10, 3000)
        let source = try load.start(to: postern.address)
        try eventually("load") { try postern.queued() > 100 }
        let before = Set(try postern.list())
        let file = postern.folder.path("backup.mdb")
        #expect(try postern.command("queue", "backup", file).ending == .exited(0))
        source.kill()
        let after = Set(try postern.list())
        let again = try postern.command("queue", "backup", file)
        #expect(again.ending == .exited(1))
        #expect(again.errors == "\(file): File exists\n")

        let second = try PosternProcess.waiting()
        try second.stop()
        try FileManager.default.removeItem(atPath: second.folder.path("state/data.mdb"))
        try FileManager.default.copyItem(atPath: file, toPath: second.folder.path("state/data.mdb"))
        let check = try second.command("queue", "fsck", "--json")
        #expect(check.ending == .exited(0), "\(check.output)")
        try second.start()
        let copied = try second.list()
        #expect(before.isSubset(of: copied))
        #expect(after.isSuperset(of: copied))
        #expect(before.isSuperset(of: marked))
        for id in marked {
            #expect(
                try second.command("queue", "content", id).output
                    == (try postern.command("queue", "content", id).output))
        }
    }

    @Test func `half a backup is removed`() throws {
        let postern = try PosternProcess(queue: "{maximum_size: 1GiB, reserve: 1MiB}", smallDisk: "3m")
        for _ in 0..<12 { _ = try postern.post("Subject: x\r\n\r\n" + String(repeating: "x\r\n", count: 50_000)) }
        let file = postern.folder.path("state/backup.mdb")
        let run = try postern.command("queue", "backup", file)
        #expect(run.ending == .exited(1))
        #expect(run.errors == "the disk is full, or the queue has its largest size\n")
        #expect(!FileManager.default.fileExists(atPath: "/proc/\(postern.processID)/root\(file)"))
    }

    @Test func `a clean queue is 0, with the daemon and without`() throws {
        let postern = try PosternProcess.waiting()
        for _ in 0..<3 { _ = try postern.post() }
        for _ in 0..<2 {
            #expect(try postern.lines("queue", "fsck").last?.hasPrefix("3 messages, ") == true)
            let run = try postern.command("queue", "fsck", "--json")
            #expect(run.ending == .exited(0))
            let report = try jsonObject(run.output)
            #expect(report["messages"] as? Int == 3)
            #expect((report["findings"] as? [Any])?.isEmpty == true)
            #expect((report["contentBytes"] as? Int ?? 0) > 0)
            if try postern.command("status").ending == .exited(0) { try postern.stop() }
        }
    }

    @Test func `flipped octets of content are found, listed and saved`() throws {
        let postern = try PosternProcess.waiting()
        let good = try postern.post("Subject: good\r\n\r\nbody\r\n")
        let body = String(repeating: "x", count: 20_000)
        let bad = try postern.post(
            from: "anna@one.example", to: ["user@example.test"], "Subject: bad\r\n\r\nMARK-OF-DAMAGE\r\n\(body)\r\n")
        try postern.stop()
        let file = postern.folder.path("state/data.mdb")
        let places = try self.places(of: "MARK-OF-DAMAGE", in: file)
        try #require(!places.isEmpty)
        try self.overwrite(file, at: places, with: "MARK-OF-dAMAGE")

        let salvage = postern.folder.path("salvage")
        let bytes = FileManager.default.contents(atPath: file)
        let run = try postern.command("queue", "fsck", "--salvage", salvage)
        #expect(run.ending == .exited(1))
        #expect(run.output.contains("\(bad): content is not what was stored"))
        #expect(!run.output.contains(good))
        #expect(run.output.contains("2 messages, "))
        #expect(run.output.contains("1 problems"))
        #expect(Set(try FileManager.default.contentsOfDirectory(atPath: salvage)) == ["\(bad).eml", "\(bad).json"])
        let saved = postern.file("salvage/\(bad).eml")
        #expect(saved.hasPrefix("Received: "))
        #expect(saved.hasSuffix("Subject: bad\r\n\r\nMARK-OF-dAMAGE\r\n\(body)\r\n"))
        let envelope = try jsonObject(postern.file("salvage/\(bad).json"))
        #expect(envelope["from"] as? String == "anna@one.example")
        #expect(envelope["recipients"] as? [String] == ["user@example.test"])
        let report = try jsonObject(try postern.command("queue", "fsck", "--json").output)
        let finding = try #require((report["findings"] as? [[String: Any]])?.first)
        #expect(finding["id"] as? String == bad)
        #expect(FileManager.default.contents(atPath: file) == bytes)  // It changes nothing.

        // The daemon keeps the good one, and gives out the bad one under protest.
        try postern.start()
        #expect(try postern.list().contains(good))
        #expect(try postern.command("queue", "content", good).ending == .exited(0))
        #expect(try postern.command("queue", "content", bad).ending == .exited(1))
    }

    @Test func `what is no queue is said so`() throws {
        let postern = try PosternProcess(starts: false)
        let none = try postern.command("queue", "fsck")
        #expect(none.ending == .exited(2))
        #expect(none.errors == "\(postern.folder.path("state/data.mdb")): No such file or directory\n")
        try postern.rewrite("state/data.mdb", String(repeating: "no queue ", count: 1000))
        let other = try postern.command("queue", "fsck")
        #expect(other.ending == .exited(1))
        #expect(other.errors.hasPrefix("\(postern.folder.path("state")): "))
        #expect(!other.errors.contains("unusable("))
        let run = try postern.command("run")
        #expect(run.ending == .exited(1))
        #expect(run.errors.contains(postern.folder.path("state")))
        #expect(!run.errors.contains("unusable("))
    }
}
