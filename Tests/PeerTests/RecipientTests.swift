import Harness
import Testing

/// Recipients that only the primary knows, through the whole daemon: in front of a real Postfix that goes away.
@Suite(.serialized) struct RecipientTests {
    private func postern(_ primary: PostfixPrimary, _ setting: String) throws -> PosternProcess {
        try PosternProcess(
            primary: primary.address, recipients: "listed@example.test ok\n",
            more: """
                callout:
                  reject: 550
                  wait: 30s
                  down_retry: 1s
                  undecided_refresh: 1s
                  domains: {example.test: {unknown_while_down: \(setting)}}
                """)
    }

    private func code(_ postern: PosternProcess, _ name: String) throws -> Int {
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        try client.command("MAIL FROM:<s@client.example>")
        return try client.command("RCPT TO:<\(name)@example.test>").code
    }

    @Test func `who is known stays known while the primary is away, and of others the setting decides`() throws {
        let primary = try PostfixPrimary(recipients: .only(["listed@example.test", "a@example.test"]))
        let postern = try self.postern(primary, "defer")
        #expect(try self.code(postern, "listed") == 250)
        #expect(try self.code(postern, "a") == 250)
        #expect(try self.code(postern, "nobody") == 550)
        // It asks under this address, and may be asked for it in turn.
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        #expect(
            try client.sendMessage(
                from: "", to: ["double-bounce@mx2.example.test"], Array("Subject: x\r\n\r\nx\r\n".utf8)
            ).code == 250)
        #expect(try postern.queued() == 0)

        try primary.stop()
        #expect(try self.code(postern, "listed") == 250)
        #expect(try self.code(postern, "a") == 250)
        #expect(try self.code(postern, "nobody") == 550)
        #expect(try self.code(postern, "stranger") == 450)
        let refused = try postern.event("refused", "of the stranger") { $0["to"] == "stranger@example.test" }
        #expect(refused["restriction"] == "reject_unlisted_recipient" && refused["facts"]?.isEmpty == false)

        // What it knows it still knows when it starts again.
        try postern.stop()
        try postern.start()
        #expect(try self.code(postern, "a") == 250)
        #expect(try self.code(postern, "stranger") == 450)

        try primary.start()
        try eventually("the stranger is unknown", within: .seconds(60)) { try self.code(postern, "stranger") == 550 }
    }

    @Test func `mail for whom nobody can tell is taken and held, where that is wanted`() throws {
        let primary = try PostfixPrimary(recipients: .only(["a@example.test"]))
        let postern = try self.postern(primary, "accept_and_hold")
        try primary.stop()
        #expect(try postern.send(to: ["a@example.test"]).code == 250)
        let messages = try postern.command("queue", "list", "--state", "held")
        #expect(messages.output.contains("a@example.test"), "\(messages.output)\(messages.errors)")
    }
}
