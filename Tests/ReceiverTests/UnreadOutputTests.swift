import Harness
import Mail
import SMTP
import Testing

/// Clients that do not read what they are told. Answers to what they send are twenty times as long.
@Suite(.serialized) struct UnreadOutputTests {
    private static let commands = Array(String(repeating: "EHLO c\r\n", count: 500_000).utf8)

    private static func limits(command: Duration) -> SessionLimits {
        var limits = SessionLimits()
        limits.commandTimeout = command
        return limits
    }

    private static func refusals(_ server: SMTPServerFixture) -> [String] {
        server.log.compactMap {
            if case .refused(let refusal) = $0 { "\(refusal.command) \(refusal.reply.oneLine)" } else { nil }
        }
    }

    private static func expectEnd(_ server: SMTPServerFixture) throws {
        try server.waitUntilEmpty()
        #expect(Self.refusals(server) == ["TIMEOUT 421 4.4.2 Timeout exceeded"])
    }

    @Test func `a client that never reads has the time of a command`() async throws {
        try await withServer(limits: Self.limits(command: .milliseconds(300))) { server in
            try await onOwnThread {
                let client = try SMTPClient(server.address, receiveBuffer: 4096)
                _ = try client.reply()
                // Its end may come while it sends.
                _ = try? client.sendWhileTaken(Self.commands)
                try Self.expectEnd(server)
            }
        }
    }

    @Test func `nor does TLS give it more`() async throws {
        try await withServer(limits: Self.limits(command: .seconds(1)), tls: .implicit) { server in
            try await onOwnThread {
                let client = try SecureClient(server.address)
                try client.handshake()
                _ = try client.nextReply()
                try client.stopReading()
                try client.send(Self.commands)
                try Self.expectEnd(server)
                #expect(!server.log.contains { if case .tlsFailed = $0 { true } else { false } })
            }
        }
    }

    @Test func `a client that reads slowly is not cut off`() async throws {
        try await withServer(limits: Self.limits(command: .seconds(1))) { server in
            try await onOwnThread {
                let client = try server.client()
                let end = ContinuousClock.now + .milliseconds(2500)
                // Where in a command the last round ended, and how many rounds the server stopped.
                var (offset, stalls) = (0, 0)
                while ContinuousClock.now < end {
                    let commands = Array(Self.commands[offset...])
                    let sent = try client.sendWhileTaken(commands, stallsAfter: .milliseconds(30))
                    offset = (offset + sent) % 8
                    stalls += sent < commands.count ? 1 : 0
                    try client.discard(500_000)
                }
                #expect(stalls > 1)
                #expect(server.server.sessionCount == 1)
                #expect(Self.refusals(server).isEmpty)
            }
        }
    }

    /// Nothing of a client is waited for longer than five seconds when its session is over.
    @Test func `the last reply does not wait for it either`() async throws {
        try await withServer(limits: Self.limits(command: .seconds(600))) { server in
            let client = try await onOwnThread {
                let client = try SMTPClient(server.address, receiveBuffer: 4096)
                _ = try client.reply()
                _ = try client.sendWhileTaken(Self.commands)
                return UncheckedBox(client)
            }
            #expect(server.server.sessionCount == 1)
            let begin = ContinuousClock.now
            await server.shutDown(grace: .seconds(60))
            #expect(ContinuousClock.now - begin < .seconds(50))
            _ = try await onOwnThread { try client.value.readToEnd() }
        }
    }
}
