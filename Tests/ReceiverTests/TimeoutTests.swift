import Harness
import Mail
import SMTP
import Screener
import Testing

/// Clients that are silent or slow, with limits so short that nobody has to wait.
@Suite(.serialized) struct TimeoutTests {
    private func expectTimeout(_ client: SMTPClient) throws {
        #expect(try client.reply().description == "421 4.4.2 Timeout exceeded")
        #expect(try client.readToEnd().end == .closed)
    }

    private static func limits(command: Duration, data: Duration) -> SessionLimits {
        var limits = SessionLimits()
        limits.commandTimeout = command
        limits.dataTimeout = data
        return limits
    }

    @Test func `a client that says nothing is told that its time is over`() async throws {
        let limits = Self.limits(command: .milliseconds(300), data: .seconds(60))
        try await withServer(limits: limits) { server in
            try await onOwnThread {
                let silent = try SMTPClient(server.address, patience: .seconds(20))
                #expect(try silent.reply().code == 220)
                try self.expectTimeout(silent)
                try self.expectTimeout(try server.client(patience: .seconds(20)))
                try server.waitUntilEmpty()
            }
        }
    }

    @Test func `under stress strangers get less time, also in sessions that have begun, and known clients do not`()
        async throws
    {
        var limits = Self.limits(command: .seconds(600), data: .seconds(600))
        limits.stressTimeout = .milliseconds(100)
        // With a test of the session to pass a client is a stranger.
        var screener = ScreenerOptions()
        screener.pregreet = .off
        screener.pipelining = .enforce
        try await withServer(limits: limits, screener: screener) { server in
            try await onOwnThread {
                let command = try server.client()
                let content = try server.client()
                for line in ["MAIL FROM:<a@client.example>", "RCPT TO:<user@example.test>", "DATA"] {
                    try content.command(line)
                }
                // That one has passed now, and comes again as a known client.
                let known = try server.client()
                try eventually("the sessions") { server.server.sessionCount == 3 }
                server.server.hurry()
                try self.expectTimeout(command)
                try self.expectTimeout(content)
                #expect(try known.command("NOOP").code == 250)
            }
        }
    }

    @Test func `octets of a command do not prolong its time`() async throws {
        let limits = Self.limits(command: .milliseconds(500), data: .seconds(60))
        try await withServer(limits: limits) { server in
            try await onOwnThread {
                let client = try server.client(patience: .seconds(20))
                // Stops when the answer comes; were each octet to prolong the time it never would.
                var octets = 0
                while try client.staysSilent(for: .milliseconds(20)) {
                    try client.send("N")
                    octets += 1
                    guard octets < 500 else { break }
                }
                #expect((1..<500).contains(octets))
                try self.expectTimeout(client)
            }
        }
    }

    /// The limit for commands is longer, and was running when the content began.
    @Test func `content that stops coming is given up after its own time`() async throws {
        let limits = Self.limits(command: .seconds(60), data: .milliseconds(300))
        try await withServer(limits: limits) { server in
            try await onOwnThread {
                let client = try server.clientInContent(patience: .seconds(10))
                try client.send("Subject: x\r\n")
                try self.expectTimeout(client)
                let chunked = try server.client(patience: .seconds(10))
                try chunked.command("MAIL FROM:<a@client.example>")
                try chunked.command("RCPT TO:<user@example.test>")
                try chunked.send("BDAT 1000 LAST\r\nSubject: x\r\n")
                try self.expectTimeout(chunked)
            }
            #expect(try server.messages().isEmpty)
            try server.checkQueue()
        }
    }

    @Test func `content that comes too slowly is given up`() async throws {
        var limits = Self.limits(command: .seconds(60), data: .milliseconds(300))
        limits.minimumDataRate = ByteCount(10_000)
        try await withServer(limits: limits) { server in
            try await onOwnThread {
                let client = try server.clientInContent(patience: .seconds(10))
                var octets = 0
                while try client.staysSilent(for: .milliseconds(10)), octets < 2000 {
                    try client.send("x")
                    octets += 1
                }
                #expect((1..<2000).contains(octets))
                try self.expectTimeout(client)
            }
            #expect(try server.messages().isEmpty)
        }
    }

    /// Waiting for the disk is not the client's fault.
    @Test func `no time runs while the client waits for us`() async throws {
        let gate = WriterGate()
        let limits = Self.limits(command: .milliseconds(300), data: .milliseconds(300))
        try await withServer(limits: limits, probe: gate.probe) { server in
            defer { gate.open() }
            try await onOwnThread {
                let client = try server.clientInContent(patience: .seconds(20))
                gate.close()
                try client.send("Subject: x\r\n\r\n.\r\n")
                #expect(try client.staysSilent(for: .milliseconds(700)))
                gate.open()
                #expect(try client.reply().code == 250)
            }
        }
    }
}
