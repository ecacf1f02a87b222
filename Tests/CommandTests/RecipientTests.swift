import Foundation
import Harness
import Mail
import Recipients
import Testing

/// `postern recipients sync`.
struct RecipientTests {
    private static let present = """
        # Who there is.
        # Do not edit.

        a@example.test first value
        # In between.
        old@example.test x

        """

    private func process() throws -> PosternProcess { try PosternProcess(recipients: Self.present) }

    private func sync(_ postern: PosternProcess, _ arguments: String...) throws -> Finished {
        try postern.command(["recipients", "sync"] + arguments)
    }

    @Test func `the difference is shown, and written only when that is said`() throws {
        let postern = try self.process()
        let list = try postern.folder.write("list", "# new\nNew@Example.test\n\na@example.test\r\n  @all.test  \n")
        let expected = "-old@example.test\n+@all.test\n+new@example.test\n2 added, 1 removed, 1 unchanged\n"
        let shown = try self.sync(postern, "--from", list)
        #expect(shown.ending == .exited(1) && shown.output == expected)
        #expect(postern.file("rules/relay_recipients") == Self.present)
        let written = try self.sync(postern, "--from", list, "--yes")
        #expect(written.ending == .exited(0) && written.output == expected)
        let table = "# Who there is.\n# Do not edit.\n\n@all.test ok\na@example.test first value\nnew@example.test ok\n"
        #expect(postern.file("rules/relay_recipients") == table)
        #expect(try FileManager.default.contentsOfDirectory(atPath: postern.folder.path("rules")).count == 2)
        let again = try self.sync(postern, "--from", list)
        #expect(again.ending == .exited(0) && again.output == "0 added, 0 removed, 3 unchanged\n")
        #expect(try postern.command("reload").ending == .exited(0))
    }

    @Test func `another file can be written`() throws {
        let postern = try self.process()
        let list = try postern.folder.write("list", "b@example.test\n")
        let output = postern.folder.path("reviewed")
        let run = try self.sync(postern, "--from", list, "--output", output, "--yes")
        #expect(run.ending == .exited(0))
        #expect(postern.file("reviewed") == "# Who there is.\n# Do not edit.\n\nb@example.test ok\n")
        #expect(postern.file("rules/relay_recipients") == Self.present)
    }

    @Test func `a list that is wrong or empty changes nothing`() throws {
        let postern = try self.process()
        let wrong = try postern.folder.write("wrong", "a@example.test\nno address\n\"a b\"@example.test\n")
        let run = try self.sync(postern, "--from", wrong, "--yes")
        #expect(run.ending == .exited(2))
        #expect(run.errors.contains("\(wrong):2") && run.errors.contains("\(wrong):3"))
        let empty = try postern.folder.write("empty", "# nobody\n")
        #expect(try self.sync(postern, "--from", empty, "--yes").ending == .exited(1))
        #expect(try self.sync(postern, "--from", postern.folder.path("missing"), "--yes").ending == .exited(2))
        let pgsql = try postern.folder.write("pgsql", "hosts = 127.0.0.1\ndbname = x\nquery = SELECT '%s'\n")
        let noList = try self.sync(postern, "--from", "pgsql:\(pgsql)", "--yes")
        #expect(noList.ending == .exited(2) && noList.errors.contains("list_query"))
        let port = try freePort()
        let away = try postern.folder.write(
            "away", "hosts = 127.0.0.1:\(port)\ndbname = x\nquery = SELECT 1\nlist_query = SELECT 1\n")
        let unreachable = try self.sync(postern, "--from", "pgsql:\(away)", "--yes")
        #expect(unreachable.ending == .exited(1) && unreachable.errors.contains("127.0.0.1:\(port)"))
        #expect(postern.file("rules/relay_recipients") == Self.present)
    }

    @Test func `the rows of a data base become a list`() throws {
        let postern = try self.process()
        let server = try PostgreSQLServer()
        let pgsql = try postern.folder.write(
            "pgsql",
            """
            hosts = \(server.address.host):\(server.address.port)
            user = mail
            password = \(PostgreSQLServer.password)
            dbname = postgres
            query = SELECT 1
            list_query = SELECT unnest(ARRAY['B@example.test', 'a@example.test', 'nonsense', NULL])

            """)
        let run = try self.sync(postern, "--from", "pgsql:\(pgsql)", "--yes")
        #expect(run.ending == .exited(0))
        #expect(run.output == "-old@example.test\n+b@example.test\n1 added, 1 removed, 1 unchanged\n")
        #expect(run.errors.contains("row 3: 'nonsense' is neither an address nor @domain"))
    }

    @Test func `whom the primary accepted becomes a list, unless it accepts everybody`() throws {
        let postern = try self.process()
        // It needs no daemon, and one would have made the folder.
        _ = try postern.stop()
        try FileManager.default.removeItem(atPath: postern.folder.path("state/\(VerifyArchive.folderName)"))
        let before = try self.sync(postern, "--from", "callout")
        #expect(before.ending == .exited(1) && before.errors.contains("nothing has been verified yet"))
        let folder = try postern.folder.make(folder: "state/\(VerifyArchive.folderName)")
        let cache = try VerifyCache(folder: folder, clock: .system) { Issue.record("\($0)") }
        let (policy, now) = (VerifyPolicy(), WallClock.system.now())
        let (yes, no) = (ProbeResult(.accepted, Reply(250, nil, "Ok")), ProbeResult(.unknown, Reply(550, nil, "no")))
        for (key, result, age) in [
            (VerifyKey(.recipient, "a@example.test"), yes, 1), (VerifyKey(.recipient, "b@example.test"), yes, 30),
            (VerifyKey(.recipient, "expired@example.test"), yes, 32), (VerifyKey(.recipient, "no@example.test"), no, 0),
            (VerifyKey(.sender, "sender@example.test"), yes, 1), (VerifyKey(.recipient, "x@all.test"), yes, 1),
            (VerifyKey(.domain, "all.test"), yes, 1), (VerifyKey(.domain, "example.test"), no, 1),
        ] {
            cache.set(policy.updated(nil, with: result, at: now - .seconds(age * 86_400)), of: key)
        }
        cache.flush()
        // The cache is open, as it is while the daemon runs.
        let run = try self.sync(postern, "--from", "callout")
        #expect(run.output == "-old@example.test\n+b@example.test\n1 added, 1 removed, 1 unchanged\n")
        #expect(run.errors.contains("all.test accepts every address"))
        cache.close()
    }
}
