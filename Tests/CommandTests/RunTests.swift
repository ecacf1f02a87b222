import Foundation
import Harness
import Testing

/// `postern run`: how the daemon starts, does not start, and ends.
struct RunTests {
    @Test(arguments: [SIGTERM, SIGINT]) func `a signal ends it in order, also under load`(signal: Int32) throws {
        let postern = try PosternProcess.waiting()
        var load = SMTPSource()
        (load.messages, load.sessions, load.bytes) = (100_000, 10, 2000)
        let source = try load.start(to: postern.address)
        try eventually("load") { try postern.queued() > 200 }
        postern.signal(signal)
        #expect(try postern.waitForEnd() == .exited(0))
        #expect(postern.log.contains("message=ended"))
        #expect(!FileManager.default.fileExists(atPath: postern.folder.path("control")))
        source.kill()
        try postern.start()
        #expect(try postern.queued() > 200)
        #expect(try postern.command("queue", "fsck").ending == .exited(0))
    }

    @Test func `a session that idles does not keep it from ending`() throws {
        let postern = try PosternProcess()
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        postern.signal(SIGTERM)
        #expect(String(decoding: try client.readToEnd().bytes, as: UTF8.self).hasPrefix("421 4.3.2 "))
        client.close()
        #expect(try postern.waitForEnd() == .exited(0))
    }

    @Test func `a command that does not end does not keep it from ending`() throws {
        let postern = try PosternProcess.waiting()
        var load = SMTPSource()
        (load.messages, load.sessions, load.bytes) = (1000, 10, 100)
        try load.send(to: postern.address)
        // One says nothing, one does not listen, and one would not hang up.
        let silent = try ControlSocket(postern)
        let deaf = try ControlSocket(postern)
        try deaf.send(#"{"command":"list"}"#)
        let lingering = try ControlSocket(postern)
        try lingering.send(#"{"command":"status"}"#)
        _ = try lingering.read()
        #expect(try postern.stop() == .exited(0))
        _ = (silent, deaf, lingering)
    }

    @Test func `a second one on the same folder says so and ends`() throws {
        let postern = try PosternProcess()
        let run = try postern.command("run")
        #expect(run.ending == .exited(1))
        #expect(run.errors.contains("another daemon uses \(postern.folder.path("state"))"))
        // The first one does not notice.
        #expect(try postern.command("status").ending == .exited(0))
        #expect(try postern.send().code == 250)
    }

    @Test func `a second one with the same control socket says so and ends`() throws {
        let postern = try PosternProcess()
        let other = postern.file("postern.yaml")
            .replacing("\(postern.folder.path("state"))\n", with: "\(postern.folder.path("other"))\n")
            .replacing("\(postern.address)", with: "\(try Endpoint.free())")
        let file = try postern.folder.write("other.yaml", other)
        let run = try CommandTests.postern(["run", "--config", file])
        #expect(run.ending == .exited(1))
        #expect(run.errors.contains("another daemon listens on \(postern.folder.path("control"))"), "\(run.errors)")
        #expect(try postern.command("status").ending == .exited(0))
    }

    @Test func `an address in use is said with the address`() throws {
        let postern = try PosternProcess()
        let second = try PosternProcess(starts: false)
        try second.rewrite(
            "postern.yaml", second.file("postern.yaml").replacing("\(second.address)", with: "\(postern.address)"))
        let run = try second.command("run")
        #expect(run.ending == .exited(1))
        #expect(
            run.errors.split(separator: "\n").last.map(String.init)
                == "cannot listen on \(postern.address): Address already in use")
    }

    @Test func `a broken configuration is 2 and says where`() throws {
        let postern = try PosternProcess(starts: false)
        let text = postern.file("postern.yaml")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
        try postern.rewrite("postern.yaml", text + "nothing: 1\n")
        let unknown = try postern.command("run")
        #expect(unknown.ending == .exited(2))
        #expect(unknown.errors == "\(postern.configuration):\(lines + 1):1: unknown key 'nothing'\n")
        try postern.rewrite("postern.yaml", text + "log: [\n")
        let syntax = try postern.command("run")
        #expect(syntax.ending == .exited(2))
        #expect(syntax.errors.hasPrefix("\(postern.configuration):\(lines + 2):"))
        try postern.rewrite("postern.yaml", text)
        try postern.rewrite("rules/transport", "x\n")
        let table = try postern.command("run")
        #expect(table.ending == .exited(2))
        #expect(table.errors.hasSuffix("rules/transport:1: a key without value: 'x'\n"))
    }

    @Test func `a folder that cannot be made is said`() throws {
        let postern = try PosternProcess(starts: false)
        try postern.rewrite(
            "postern.yaml",
            postern.file("postern.yaml").replacing(
                "state: \(postern.folder.path("state"))", with: "state: /proc/x/state"))
        let run = try postern.command("run")
        #expect(run.ending == .exited(1))
        #expect(run.errors.hasSuffix("/proc/x: No such file or directory\n"), "\(run.errors)")
    }

    @Test func `the example runs as it is`() throws {
        let folder = try TemporaryFolder()
        var program = Program(PosternProcess.program, ["check", "--config", folder.path("postern.yaml")])
        // It always takes the same port, which another test run may have; so it is only written here.
        let run = try Subprocess(Program(PosternProcess.program, ["run", "--example", folder.path]))
        try eventually("it is written") { FileManager.default.fileExists(atPath: folder.path("postern.yaml")) }
        try eventually("it runs or has ended") { run.ending != nil || run.output.contains("message=ready") }
        run.kill()
        program.errors = .unnamed
        let check = try program.run()
        #expect(check.ending == .exited(0))
        #expect(check.errors.isEmpty, "\(check.errors)")
    }
}
