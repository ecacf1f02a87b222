import Foundation
import Harness
import Testing

/// One after the other: two loads at once would measure each other.
@Suite(.serialized) struct LoadTests {
    @Test func `what smtp-source sends is counted by smtp-sink`() throws {
        let sink = try SMTPSink()
        var source = SMTPSource()
        source.messages = 500
        source.sessions = 10
        let duration = try source.send(to: sink.address)
        try sink.wait(for: 500)
        #expect(duration < .seconds(60))
    }

    @Test func `smtp-sink keeps envelope and content`() throws {
        let sink = try SMTPSink(keepsMessages: true)
        let client = try SMTPClient(sink.address, from: "127.0.0.5")
        _ = try client.reply()
        try client.command("EHLO client.example.test")
        let content = PrimaryTests.content
        for number in 1...3 {
            try client.sendMessage(from: "\(number)@example.org", to: ["b@example.test", "c@example.test"], content)
        }
        try client.command("MAIL FROM:<4@example.org>")
        try client.command("RCPT TO:<b@example.test>")
        try client.command("DATA")
        try client.send("not the whole\r\n")
        try client.abort()
        try sink.wait(for: 3)
        let messages = try sink.messages()
        #expect(Set(messages.map(\.mailArguments)) == ["<1@example.org>", "<2@example.org>", "<3@example.org>"])
        let message = try #require(messages.first)
        #expect(message.client == "127.0.0.5")
        #expect(message.protocolName == "ESMTP")
        #expect(message.helo == "client.example.test")
        #expect(message.recipientArguments == ["<b@example.test>", "<c@example.test>"])
        #expect(message.content == PrimaryTests.contentWithLF)
    }

    @Test func `smtp-sink refuses what it is told to`() throws {
        let sink = try SMTPSink(options: ["-r", "RCPT"])
        #expect(throws: HarnessError.self) { try SMTPSource().send(to: sink.address) }
        #expect(try Swaks.run(to: sink.address, ["--to", "user@example.test"]).ending == .exited(24))
        #expect(sink.count == 0)
    }

    @Test func `Postfix takes a load`() throws {
        let primary = try PostfixPrimary()
        var source = SMTPSource()
        source.messages = 100
        source.sessions = 5
        try source.send(to: primary.address)
        try primary.maildir.wait(for: 100)
    }
}
