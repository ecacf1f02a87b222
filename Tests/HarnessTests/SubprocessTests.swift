import Foundation
import Harness
import Testing

@Suite struct SubprocessTests {
    private func shell(_ script: String) -> Program { Program("/bin/sh", ["-c", script]) }

    @Test func `output can be read while the program runs`() throws {
        let process = try Subprocess(shell("echo one; echo two; exec sleep 1000"))
        #expect(try process.waitForOutput("tw") == "two")
        #expect(process.ending == nil)
        #expect(try process.stop() == .signalled(SIGTERM))
        #expect(process.output == "one\ntwo\n")
    }

    @Test func `a program that ends before it wrote the line is an error at once`() throws {
        let process = try Subprocess(shell("echo one; exit 7"))
        let error = #expect(throws: HarnessError.self) { try process.waitForOutput("two", within: .seconds(600)) }
        #expect(error?.description == "sh ended with code 7 without writing 'two': one\n")
    }

    @Test func `input, environment and folder reach the program`() throws {
        let folder = try TemporaryFolder()
        var program = shell("cat; echo $COLOUR; pwd")
        program.input = Array("in\n".utf8)
        program.environment = ["COLOUR": "blue"]
        program.folder = folder.path
        #expect(try program.run().output == "in\nblue\n\(folder.path)\n")
    }

    @Test func `errors are kept apart when asked for, and output goes to a file`() throws {
        let folder = try TemporaryFolder()
        var program = shell("echo good; echo bad >&2; exit 3")
        #expect(try program.run().output == "good\nbad\n")
        program.output = .file(folder.path("log"))
        program.errors = .unnamed
        let finished = try program.run()
        #expect(finished.ending == .exited(3))
        #expect(finished.output == "good\n")
        #expect(finished.errors == "bad\n")
        #expect(folder.text("log") == "good\n")
    }

    @Test func `a program that does not end in time is an error, and ends`() throws {
        let folder = try TemporaryFolder()
        let program = shell("echo $$ >\(folder.path("pid")); exec sleep 1000")
        #expect(throws: HarnessError.self) { try program.run(within: .milliseconds(300)) }
        try expectEnd(of: folder.text("pid"))
    }

    @Test func `a program cannot refuse to end`() throws {
        let process = try Subprocess(shell("trap '' TERM; echo ready; while :; do sleep 1000; done"))
        try process.waitForOutput("ready")
        #expect(throws: HarnessError.self) { try process.stop(within: .milliseconds(200)) }
        process.kill()
        #expect(try process.wait() == .signalled(SIGKILL))
    }

    @Test func `a program and what it started end with the scope, also when that throws`() throws {
        let folder = try TemporaryFolder()
        let leave = {
            let process = try Subprocess(shell("sleep 1000 & echo $! $$ >\(folder.path("pids")); echo ready; wait"))
            try process.waitForOutput("ready")
            throw CancellationError()
        }
        #expect(throws: CancellationError.self, performing: leave)
        for pid in folder.text("pids").split(separator: " ") { try expectEnd(of: String(pid)) }
    }

    @Test func `a program ends when the tests crash`() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("pid")
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let process = try Subprocess(Program("/bin/sh", ["-c", "echo $$ >\(path); echo ready; exec sleep 1000"]))
            try process.waitForOutput("ready")
            kill(getpid(), SIGKILL)
        }
        try expectEnd(of: folder.text("pid"))
    }

    @Test func `a program gets the descriptors it is given, announced, and no others`() throws {
        let stray = dup(0)  // Without close-on-exec.
        defer { close(stray) }
        let folder = try TemporaryFolder()
        let descriptors = try ["first", "second"].map { open(try folder.write($0, $0), O_RDONLY) }
        defer { for descriptor in descriptors { close(descriptor) } }
        var program = Program(
            "/usr/bin/python3",
            [
                "-c",
                """
                import os
                print(os.environ["LISTEN_FDS"], int(os.environ["LISTEN_PID"]) == os.getpid(),
                      os.read(3, 99), os.read(4, 99), sorted(map(int, os.listdir("/proc/self/fd")))[:-1])
                """,
            ])
        program.listeners = descriptors
        #expect(try program.run().output == "2 True b'first' b'second' [0, 1, 2, 3, 4]\n")
    }

    @Test func `many programs start and end at once`() async throws {
        let outputs = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<100 {
                group.addTask { try await onOwnThread { try Program("/bin/echo", [String(number)]).run().output } }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(outputs == Set((0..<100).map { "\($0)\n" }))
    }

    @Test func `a program that is not there is an error`() {
        #expect(throws: HarnessError.self) { try Subprocess(Program("/nowhere/at/all")) }
    }

    @Test func `a peer that was not fetched is an error that says how to get it`() {
        let error = #expect(throws: HarnessError.self) { try PeerPackage.postfix.program("/usr/sbin/none") }
        #expect(error?.description.hasSuffix("is missing: run Tests/peers.sh") == true)
    }

    /// What is left of an ended process is a zombie, until its new parent looks.
    private func expectEnd(of pid: String) throws {
        let pid = try #require(Int32(pid.trimmingCharacters(in: .whitespacesAndNewlines)))
        try eventually("the end of process \(pid)") {
            let facts = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            return facts.map { $0.contains(") Z ") } ?? true
        }
    }
}
