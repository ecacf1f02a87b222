import Harness
import Mail
import SMTP
import Testing

/// The end of the service, as clients see it.
@Suite(.serialized) struct ShutdownTests {
    private static let goodbye = "421 4.3.2 Service is going down, try again later"

    private func expectGoodbye(_ client: SMTPClient) throws {
        #expect(try client.reply().description == Self.goodbye)
        #expect(try client.readToEnd().end == .closed)
    }

    private func shutDown(_ server: SMTPServerFixture, grace: Duration) -> Task<Void, Never> {
        Task(executorPreference: OwnThreadExecutor()) { await server.shutDown(grace: grace) }
    }

    @Test func `who is between messages goes, who is in one may finish it, and nobody new comes`() async throws {
        try await withServer { server in
            let end = try await onOwnThread {
                let greeted = try SMTPClient(server.address)
                _ = try greeted.reply()
                let idle = try server.client()
                let early = try server.client()
                try early.command("MAIL FROM:<a@client.example>")
                let late = try server.clientInContent()
                let chunked = try server.client()
                try chunked.command("MAIL FROM:<a@client.example>")
                try chunked.command("RCPT TO:<user@example.test>")
                try chunked.send("BDAT 14\r\nSubject: x\r\n\r\n")
                #expect(try chunked.reply().code == 250)
                let end = self.shutDown(server, grace: .seconds(30))
                try self.expectGoodbye(greeted)
                try self.expectGoodbye(idle)
                #expect(throws: HarnessError.self) { try SMTPClient(server.address) }
                #expect(try early.command("RCPT TO:<user@example.test>").code == 250)
                #expect(try early.command("DATA").code == 354)
                for client in [early, late] {
                    try client.send("Subject: x\r\n\r\n.\r\n")
                    #expect(try client.reply().code == 250)
                    try self.expectGoodbye(client)
                }
                try chunked.send("BDAT 2 LAST\r\n\r\n")
                #expect(try chunked.reply().code == 250)
                try self.expectGoodbye(chunked)
                return end
            }
            await end.value
            try eventually("the end of the sessions") { server.server.sessionCount == 0 }
            #expect(try server.messages().count == 3)
        }
    }

    @Test func `a transaction that is given up ends the session`() async throws {
        try await withServer { server in
            let end = try await onOwnThread {
                let client = try server.client()
                try client.command("MAIL FROM:<a@client.example>")
                let idle = try server.client()
                let end = self.shutDown(server, grace: .seconds(30))
                try self.expectGoodbye(idle)
                try client.send("RSET\r\n")
                #expect(try client.reply().code == 250)
                try self.expectGoodbye(client)
                return end
            }
            await end.value
        }
    }

    @Test func `who does not finish is told when the time is over`() async throws {
        try await withServer { server in
            let start = ContinuousClock.now
            let end = try await onOwnThread {
                let inTransaction = try server.client()
                try inTransaction.command("MAIL FROM:<a@client.example>")
                let inContent = try server.clientInContent()
                try inContent.send("Subject: x\r\n")
                let end = self.shutDown(server, grace: .milliseconds(300))
                try self.expectGoodbye(inTransaction)
                try self.expectGoodbye(inContent)
                return end
            }
            await end.value
            #expect(ContinuousClock.now - start >= .milliseconds(300))
            try eventually("the end of the sessions") { server.server.sessionCount == 0 }
            #expect(try server.messages().isEmpty)
            try server.checkQueue()
        }
    }

    @Test func `who neither finishes nor goes is cut off`() async throws {
        try await withServer { server in
            try await onOwnThread {
                let client = try server.clientInContent()
                let start = ContinuousClock.now
                _ = self.shutDown(server, grace: .zero)
                try eventually("the end of the session") { server.server.sessionCount == 0 }
                // Most of it is for the client to read its answer.
                #expect(ContinuousClock.now - start < .seconds(15))
                #expect(try client.reply().code == 421)
            }
        }
    }

    @Test func `what is being written to the disk is answered, however late`() async throws {
        let gate = WriterGate()
        try await withServer(probe: gate.probe) { server in
            defer { gate.open() }
            let end = try await onOwnThread {
                let client = try server.clientInContent()
                gate.close()
                try client.send("Subject: x\r\n\r\n.\r\n")
                try eventually("a commit that waits") { gate.isHolding }
                let idle = try server.client()
                let end = self.shutDown(server, grace: .milliseconds(100))
                try self.expectGoodbye(idle)
                #expect(try client.staysSilent(for: .milliseconds(300)))
                gate.open()
                #expect(try client.reply().code == 250)
                try self.expectGoodbye(client)
                return end
            }
            await end.value
            #expect(try server.messages().count == 1)
        }
    }
}
