import Harness
import NIOPosix
import Receiver
import Testing

/// A policy service that nobody here wrote.
@Suite(.serialized) struct PolicyTests {
    private static func question(_ recipient: String) -> [(name: String, value: String)] {
        [
            ("protocol_state", "RCPT"), ("protocol_name", "ESMTP"), ("helo_name", "client.example"),
            ("sender", "s@client.example"), ("recipient", recipient), ("client_address", "192.0.2.7"),
            ("client_name", "client.example"), ("reverse_client_name", "client.example"), ("instance", "1"),
        ]
    }

    @Test func `postgrey sends away whom it does not know, lets in who comes again, and may be started anew`()
        async throws
    {
        let postgrey = try await onOwnThread { try Postgrey() }
        let client = PolicyClient(group: MultiThreadedEventLoopGroup.singleton)
        defer { client.close() }
        let service = try PolicyService("{ inet:\(postgrey.address), timeout=30s }", relativeTo: "/")

        let first = await client.ask(service, Self.question("one@example.test"))
        guard case .action(let text) = first else {
            Issue.record("\(first): \(postgrey.log)")
            return
        }
        #expect(text.hasPrefix("DEFER_IF_PERMIT Greylisted"), "\(text)")

        // Its clock has whole seconds. What it lets in it marks the first time.
        let deadline = ContinuousClock.now + .seconds(30)
        var answer = first
        while answer == first, ContinuousClock.now < deadline {
            answer = await client.ask(service, Self.question("one@example.test"))
        }
        guard case .action(let mark) = answer else {
            Issue.record("\(answer): \(postgrey.log)")
            return
        }
        #expect(mark.hasPrefix("PREPEND X-Greylist: delayed "), "\(mark)")
        #expect(await client.ask(service, Self.question("one@example.test")) == .action("DUNNO"))

        // The connection that was kept is closed now. What it knows, it still knows.
        try await onOwnThread {
            try postgrey.stop()
            try postgrey.start()
        }
        #expect(await client.ask(service, Self.question("one@example.test")) == .action("DUNNO"))
        #expect(await client.ask(service, Self.question("two@example.test")) == first)

        try await onOwnThread { try postgrey.stop() }
        guard case .unavailable = await client.ask(service, Self.question("one@example.test")) else {
            Issue.record("an answer of nobody")
            return
        }
    }

    @Test func `the daemon greylists with it, and marks what was sent away before`() throws {
        let postgrey = try Postgrey()
        let sink = try SMTPSink(keepsMessages: true)
        let postern = try PosternProcess(
            primary: sink.address,
            more: "restrictions: {recipient: [{check_policy_service: \"inet:\(postgrey.address)\"}]}\n"
                + "reply_reference: false")
        let first = try postern.send()
        #expect(first.code == 450 && first.text.hasPrefix("4.2.0 <user@example.test>: Recipient address rejected: "))
        #expect(first.text.contains("Greylisted"), "\(first)")
        try eventually("the end of the delay") { try postern.send().code == 250 }
        try sink.wait(for: 1)
        let message = try #require(try sink.messages().first)
        #expect(String(decoding: message.content, as: UTF8.self).hasPrefix("X-Greylist: delayed "), "\(message)")

        // Without it, its default action holds: nobody is let in unasked, or refused for good.
        try postgrey.stop()
        #expect(
            try postern.send().description
                == "451 4.3.5 <user@example.test>: Recipient address rejected: Server configuration problem")
    }
}
