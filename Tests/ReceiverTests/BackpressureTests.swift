import Foundation
import Harness
import Mail
import Queue
import SMTP
import Synchronization
import Testing

/// While the disk is busy clients are not read, so that they cost no memory.
@Suite(.serialized) struct BackpressureTests {
    /// What a connection may hold: two pieces on their way, one being gathered, and one burst from the socket.
    private static let heldBytes = 3 * IncomingContent.pieceBytes + 5 * 65_536

    private static var limits: SessionLimits {
        var limits = SessionLimits()
        limits.messageSize = ByteCount(100_000_000)
        limits.connectionsPerClient = 0
        return limits
    }

    /// What has left the clients and is not in the kernel any more, once that does not change.
    private func bytesRead(sent: @escaping () -> Int, by server: SMTPServerFixture) throws -> Int {
        var last = (value: -1, since: ContinuousClock.now)
        return try eventually("the clients to be stopped", within: .seconds(60)) {
            let value = sent() - (try bytesInKernel(toPort: server.address.port))
            if value != last.value { last = (value, .now) }
            return last.since + .milliseconds(300) < .now ? value : nil
        }
    }

    @Test(arguments: ["DATA", "BDAT"]) func `a client is read no further than what is on its way to the disk`(
        command: String
    ) async throws {
        let gate = WriterGate()
        try await withServer(limits: Self.limits, probe: gate.probe) { server in
            defer { gate.open() }
            try await onOwnThread {
                let content = largeContent(12_000_000)
                let client = try server.client(patience: .seconds(60))
                try client.command("MAIL FROM:<a@client.example>")
                try client.command("RCPT TO:<user@example.test>")
                if command == "DATA" {
                    try client.command("DATA")
                } else {
                    try client.send("BDAT \(content.count) LAST\r\n")
                }
                gate.close()
                let sent = try client.sendWhileTaken(content)
                let read = try self.bytesRead(sent: { sent }, by: server)
                #expect(gate.isHolding)
                #expect((IncomingContent.pieceBytes...Self.heldBytes).contains(read))
                gate.open()
                try client.send(Array(content[sent...]))
                if command == "DATA" { try client.send(".\r\n") }
                #expect(try client.reply().code == 250)
                try self.check(server, count: 1, content)
            }
        }
    }

    @Test func `fifty large messages wait outside`() async throws {
        let gate = WriterGate()
        try await withServer(limits: Self.limits, probe: gate.probe) { server in
            defer { gate.open() }
            try await onOwnThread {
                let content = largeContent(1_200_000)
                let count = 50
                let clients = try (0..<count).map { _ in try server.clientInContent(patience: .seconds(120)) }
                gate.close()
                var sent = [Int](repeating: 0, count: count)
                for (index, client) in clients.enumerated() {
                    sent[index] = try client.sendWhileTaken(content, stallsAfter: .milliseconds(10))
                }
                let total = sent.reduce(0, +)
                let read = try self.bytesRead(sent: { total }, by: server)
                #expect(read > 10 * IncomingContent.pieceBytes)
                #expect(read <= count * Self.heldBytes)
                gate.open()
                for (index, client) in clients.enumerated() {
                    try client.send(Array(content[sent[index]...]) + Array(".\r\n".utf8))
                }
                for client in clients { #expect(try client.reply().code == 250) }
                try self.check(server, count: count, content)
            }
        }
    }

    private func check(_ server: SMTPServerFixture, count: Int, _ content: [UInt8]) throws {
        let messages = try server.queue.messages(after: nil, limit: 1000).messages
        #expect(messages.count == count)
        let expected = Data(content)
        for message in messages {
            let bytes = try server.queue.content(of: message.id, from: 0, limit: .max >> 1)
            // The trace field stands in front.
            #expect(bytes.count > content.count && Data(bytes.suffix(content.count)) == expected)
        }
        try server.checkQueue()
    }

    /// Commands behind a message wait until it is stored, and are not gathered without bound.
    @Test func `commands behind a message that waits are not read without end`() async throws {
        let gate = WriterGate()
        try await withServer(limits: Self.limits, probe: gate.probe) { server in
            defer { gate.open() }
            try await onOwnThread {
                let client = try server.clientInContent(patience: .seconds(60))
                gate.close()
                try client.send("Subject: x\r\n\r\n.\r\n")
                let commands = Array(String(repeating: "EHLO c\r\n", count: 100_000).utf8)
                let sent = try client.sendWhileTaken(commands)
                let read = try self.bytesRead(sent: { sent }, by: server)
                #expect(read <= Self.heldBytes)
                gate.open()
                #expect(try client.reply().code == 250)
            }
        }
    }

    /// Answers that nobody fetches are not gathered without bound.
    @Test func `a client that does not read its answers is not read either`() async throws {
        try await withServer(limits: Self.limits) { server in
            try await onOwnThread {
                let client = try server.client(patience: .seconds(60))
                let commands = Array(String(repeating: "EHLO c\r\n", count: 500_000).utf8)
                let sent = try client.sendWhileTaken(commands)
                let read = try self.bytesRead(sent: { sent }, by: server)
                // Answers are twenty times as long; they fill the kernel's buffers and one of ours.
                #expect(read < sent / 2)
            }
        }
    }
}
