import Harness
import Mail
import Queue
import SMTP
import Synchronization
import Testing

/// What 250 promises, and what is left when it was not given.
@Suite(.serialized) struct PromiseTests {
    @Test(arguments: [200, 1_000_000]) func `250 is said after the commit and not before`(bytes: Int) async throws {
        let gate = WriterGate()
        try await withServer(probe: gate.probe) { server in
            defer { gate.open() }
            try await onOwnThread {
                let client = try server.clientInContent()
                gate.close()
                let content = largeContent(bytes)
                let sent = try client.sendWhileTaken(content + Array(".\r\n".utf8))
                try eventually("a commit that waits") { gate.isHolding }
                #expect(try client.staysSilent(for: .milliseconds(100)))
                #expect(try server.messages().isEmpty)
                gate.open()
                try client.send(Array((content + Array(".\r\n".utf8))[sent...]))
                let reply = try client.reply()
                let messages = try server.messages()
                #expect(messages.count == 1)
                #expect(reply.text == "2.0.0 Ok: queued as \(messages[0].message.id)")
            }
        }
    }

    @Test(
        arguments: [(QueueError.full, 452), (.failed("injected"), 451), (.damaged("injected"), 451)], [200, 1_000_000])
    func `a commit that fails is 4yz, leaves nothing, and the next message is taken`(
        fault: (error: QueueError, code: Int), bytes: Int
    ) async throws {
        let gate = WriterGate()
        try await withServer(probe: gate.probe) { server in
            try await onOwnThread {
                let client = try server.clientInContent()
                gate.fail(.max, with: fault.error)
                try client.send(largeContent(bytes) + Array(".\r\n".utf8))
                #expect(try client.reply().code == fault.code)
                #expect(try server.messages().isEmpty)
                gate.fail(0, with: fault.error)
                // What of it was written is taken away with a later commit.
                let after = try eventually("room") {
                    let reply = try client.sendMessage(
                        from: "a@client.example", to: ["user@example.test"], Array("Subject: x\r\n\r\n".utf8))
                    return reply.code == 250 ? reply : nil
                }
                #expect(after.code == 250)
                #expect(try server.messages().count == 1)
                try eventually("the rest to be removed") { try server.queue.statistics().receiving == 0 }
                try server.checkQueue()
            }
        }
    }

    @Test func `pieces behind one that could not be written are taken away too`() async throws {
        let gate = WriterGate()
        try await withServer(probe: gate.probe) { server in
            defer { gate.open() }
            try await onOwnThread {
                let client = try server.clientInContent()
                gate.close()
                let content = largeContent(1_000_000) + Array(".\r\n".utf8)
                let sent = try client.sendWhileTaken(content)
                // The first holds the writer, the second waits behind it.
                try eventually("two pieces") {
                    try sent - bytesInKernel(toPort: server.address.port) >= 2 * IncomingContent.pieceBytes
                }
                // If both are in one commit, that fails first and then each is tried alone.
                gate.fail(2, with: .full)
                gate.open()
                try client.send(Array(content[sent...]))
                #expect(try client.reply().code == 452)
                #expect(gate.faultsLeft == 0)
                // Its commit comes behind all of that.
                let next = try client.sendMessage(
                    from: "a@client.example", to: ["user@example.test"], Array("Subject: x\r\n\r\n".utf8))
                #expect(next.code == 250)
                try server.checkQueue()
            }
        }
    }

    @Test func `what could not be taken away because the disk was full is taken away later`() async throws {
        let gate = WriterGate()
        try await withServer(probe: gate.probe) { server in
            try await onOwnThread {
                let client = try server.clientInContent()
                try client.send(largeContent(600_000))
                try eventually("content on the disk") { try server.queue.statistics().receiving == 1 }
                try eventually("all of it") { try bytesInKernel(toPort: server.address.port) == 0 }
                gate.fail(.max, with: .full)
                try client.abort()
                try eventually("the removal to fail") { server.server.sessionCount == 0 && gate.faultsLeft < .max }
                gate.fail(0, with: .full)
                #expect(try server.queue.statistics().receiving == 1)
                let next = try server.client().sendMessage(
                    from: "a@client.example", to: ["user@example.test"], Array("Subject: x\r\n\r\n".utf8))
                #expect(next.code == 250)
                try eventually("the content to be removed") { try server.queue.statistics().receiving == 0 }
                try server.checkQueue()
            }
        }
    }

    @Test func `without room MAIL with SIZE is 452, and so is content that turns out too large`() async throws {
        let free = Mutex(1_000_000)
        var probe = QueueProbe()
        probe.diskFreeBytes = { free.withLock { $0 } }
        var options = QueueOptions()
        options.maximumSize = ByteCount(1 << 30)
        options.reserve = ByteCount(500_000)
        try await withServer(probe: probe, options: options) { server in
            try await onOwnThread {
                let client = try server.client()
                let refused = try client.command("MAIL FROM:<a@client.example> SIZE=600000")
                #expect(refused.description == "452 4.3.1 Insufficient system storage")
                #expect(try client.command("MAIL FROM:<a@client.example> SIZE=1000").code == 250)
                try client.command("RCPT TO:<user@example.test>")
                #expect(try client.command("DATA").code == 354)
                try client.send(largeContent(2_000_000) + Array(".\r\n".utf8))
                #expect(try client.reply().description == "452 4.3.1 Insufficient system storage")
                #expect(try server.messages().isEmpty)
                free.withLock { $0 = 1 << 30 }
                try eventually("room") {
                    try client.command("MAIL FROM:<a@client.example> SIZE=600000").code == 250
                }
                try client.command("RCPT TO:<user@example.test>")
                #expect(try client.command("DATA").code == 354)
                try client.send(largeContent(600_000) + Array(".\r\n".utf8))
                #expect(try client.reply().code == 250)
                #expect(try server.messages().count == 1)
                try eventually("the rest to be removed") { try server.queue.statistics().receiving == 0 }
                try server.checkQueue()
            }
        }
    }

    enum Death: CaseIterable, Sendable { case close, halfClose, reset }

    @Test(arguments: Death.allCases, ["DATA", "BDAT", "BDAT CHUNKS"])
    func `of content that breaks off nothing is left`(death: Death, command: String) async throws {
        try await withServer { server in
            try await onOwnThread {
                let client = try server.client()
                try client.command("MAIL FROM:<a@client.example>")
                try client.command("RCPT TO:<user@example.test>")
                let content = largeContent(600_000)
                switch command {
                case "DATA": try client.command("DATA")
                case "BDAT": try client.send("BDAT \(content.count + 1) LAST\r\n")
                default: try client.send("BDAT \(content.count)\r\n")
                }
                try client.send(content)
                try eventually("content on the disk") { try server.queue.statistics().receiving == 1 }
                switch death {
                case .close: client.close()
                case .halfClose: client.finishSending()
                case .reset: try client.abort()
                }
                try eventually("the end of the session") { server.server.sessionCount == 0 }
                try eventually("the content to be removed") { try server.queue.statistics().receiving == 0 }
                #expect(try server.messages().isEmpty)
                #expect(server.clients.openConnections == 0)
                try server.checkQueue()
            }
        }
    }

    @Test func `a client that goes while its message is stored has delivered it`() async throws {
        let gate = WriterGate()
        try await withServer(probe: gate.probe) { server in
            defer { gate.open() }
            try await onOwnThread {
                let client = try server.clientInContent()
                gate.close()
                try client.send("Subject: x\r\n\r\n.\r\n")
                try eventually("a commit that waits") { gate.isHolding }
                try client.abort()
                gate.open()
                try eventually("the message") { try server.messages().count == 1 }
                try eventually("the end of the session") { server.server.sessionCount == 0 }
            }
            #expect(server.log.contains { if case .queued = $0 { true } else { false } })
        }
    }
}
