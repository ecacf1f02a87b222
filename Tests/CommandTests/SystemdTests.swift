import Foundation
import Harness
import Testing

/// What a service and systemd tell each other (sd_notify(3)).
struct SystemdTests {
    /// The socket on which systemd hears of a service.
    private final class NotifySocket: Sendable {
        let path: String
        private let descriptor: Int32

        init(_ folder: TemporaryFolder) throws {
            self.path = folder.path("notify")
            self.descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: self.path.utf8) }
            let code = withUnsafePointer(to: &address) { pointer in
                UnsafeRawPointer(pointer).withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard code == 0 else { throw HarnessError("cannot make a socket: \(errno)") }
        }

        deinit { close(self.descriptor) }

        /// What is there already; nil if nothing is.
        func take() -> String? {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = recv(self.descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
        }

        /// Waits for a message that begins so.
        func wait(for text: String) throws -> String {
            try eventually("'\(text)' for systemd") {
                while let message = self.take() { if message.hasPrefix(text) { return message } }
                return nil
            }
        }
    }

    private func start(_ postern: PosternProcess, _ variables: [String: String]) throws -> Subprocess {
        var program = Program(PosternProcess.program, ["run", "--config", postern.configuration])
        program.environment = variables
        return try Subprocess(program)
    }

    @Test func `the daemon says that it is ready, that it works, that it reloads, and that it ends`() throws {
        let postern = try PosternProcess(starts: false)
        let systemd = try NotifySocket(postern.folder)
        let daemon = try self.start(postern, ["NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "200000"])
        #expect(try systemd.wait(for: "READY=1") == "READY=1")
        // More than one: it goes on.
        for _ in 0..<3 {
            let message = try systemd.wait(for: "WATCHDOG=1")
            #expect(message == "WATCHDOG=1\nSTATUS=generation 1, 0 connections, 0 messages in the queue")
        }
        try postern.lines("reload")
        _ = try systemd.wait(for: "RELOADING=1")
        _ = try systemd.wait(for: "READY=1")
        #expect(try systemd.wait(for: "WATCHDOG=1").contains("generation 2"))
        daemon.signal(SIGTERM)
        _ = try systemd.wait(for: "STOPPING=1")
        #expect(try daemon.wait(within: .seconds(30)) == .exited(0))
    }

    @Test func `a reload that is refused ends too`() throws {
        let postern = try PosternProcess(starts: false)
        let systemd = try NotifySocket(postern.folder)
        let daemon = try self.start(postern, ["NOTIFY_SOCKET": systemd.path])
        _ = try systemd.wait(for: "READY=1")
        try postern.rewrite("rules/transport", "broken\n")
        #expect(try postern.command("reload").ending == .exited(1))
        _ = try systemd.wait(for: "RELOADING=1")
        _ = try systemd.wait(for: "READY=1")
        _ = daemon
    }

    @Test func `a watchdog that is another's hears nothing`() throws {
        let postern = try PosternProcess(starts: false)
        let systemd = try NotifySocket(postern.folder)
        let daemon = try self.start(
            postern, ["NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"])
        _ = try systemd.wait(for: "READY=1")
        daemon.signal(SIGTERM)
        #expect(try daemon.wait(within: .seconds(30)) == .exited(0))
        var messages: [String] = []
        while let message = systemd.take() { messages.append(message) }
        #expect(messages.contains("STOPPING=1"))
        #expect(!messages.contains { $0.hasPrefix("WATCHDOG") })
    }

    @Test func `what is missing of its cage is in the log, the status and the check`() throws {
        let postern = try PosternProcess()
        #expect(postern.log.contains("level=warning message=\"not confined: "))
        let confinement = try #require(try postern.json("status")["confinement"] as? [String: Any])
        let missing = try #require(confinement["missing"] as? [String])
        // Tests run as root, and nobody filters their calls.
        #expect(missing.contains("its system calls are not filtered (SystemCallFilter=)"))
        #expect(try postern.lines("status").contains("not confined: \(missing[0])"))
        let check = try postern.command("check")
        #expect(check.ending == .exited(0))
        for lack in missing { #expect(check.errors.contains("warning: the daemon is not confined: \(lack)")) }
        #expect(try postern.json("check")["confinement"] as? [String] == missing)
        try postern.stop()
        #expect(!(try postern.command("check").errors.contains("confined")))
        #expect(try postern.json("check")["confinement"] == nil)
    }
}
