import Harness
import Testing

/// Connections through a load balancer that says for whom it connects (SEMANTICS §14).
@Suite(.serialized) struct ScreenerProxyTests {
    private static let proxy = "127.72.0.1"

    private struct Fixture {
        let postern: PosternProcess
        let entrance: Endpoint

        init(_ primary: Endpoint? = nil, screener: String, limits: String = "{connections_per_client: 0}") throws {
            let entrance = try Endpoint.free()
            self.entrance = entrance
            self.postern = try PosternProcess(
                primary: primary, screener: screener, limits: limits,
                more: "proxy: {listen: [\"\(entrance)\"], networks: [127.72.0.0/16], timeout: 1s}")
        }

        func connect(_ header: [UInt8], from source: String = ScreenerProxyTests.proxy) throws -> SMTPClient {
            let client = try SMTPClient(self.entrance, from: source)
            try client.send(header)
            return client
        }
    }

    private static func text(_ client: String, port: Int = 40000) -> [UInt8] {
        Array("PROXY TCP4 \(client) 198.51.100.1 \(port) 25\r\n".utf8)
    }

    /// Version 2: its command and family, and addresses with ports.
    private static func binary(_ command: UInt8, _ family: UInt8, _ addresses: [UInt8]) -> [UInt8] {
        [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x20 | command, family]
            + [UInt8(addresses.count >> 8), UInt8(addresses.count & 255)] + addresses
    }

    /// 2001:db8::7, port 40000, at 2001:db8::25, port 25; and a TLV behind it, which means nothing here.
    private static let v6 =
        Self.binary(
            1, 0x21,
            [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [7]
                + [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [0x25]
                + [0x9C, 0x40, 0, 25] + [0x04, 0, 2, 0, 0])
    private static let local = Self.binary(0, 0, [])

    private static let content = Array("Subject: x\r\n\r\nx\r\n".utf8)

    @Test func `the client that the header names is screened, logged and recorded`() throws {
        let sink = try SMTPSink(keepsMessages: true)
        let fixture = try Fixture(sink.address, screener: "{greet_wait: 1s}")
        let headers = [Self.text("192.0.2.7"), Self.v6, Self.local]
        let clients = try headers.map { try fixture.connect($0) }
        let addresses = ["192.0.2.7", "2001:db8::7", Self.proxy]
        for (index, client) in clients.enumerated() {
            // A proxy that speaks for itself is not tested.
            #expect(try client.reply().lines.count == (index < 2 ? 2 : 1))
            try client.command("EHLO client.example")
            let reply = try client.sendMessage(
                from: "s\(index)@client.example", to: ["user@example.test"], Self.content)
            #expect(reply.code == 250)
            client.close()
        }
        let locals = ["198.51.100.1:25", "[2001:db8::25]:25"]
        for (index, address) in addresses.enumerated() {
            let queued = try fixture.postern.event("queued") { $0["from"] == "s\(index)@client.example" }
            #expect(queued.clientAddress == address)
            guard index < 2 else { continue }
            let screened = try fixture.postern.event("screened") { $0["session"] == queued["session"] }
            #expect(screened["client"] == queued["client"] && queued["client"]?.hasSuffix(":40000") == true)
            #expect(screened["local"] == locals[index] && screened["result"] == "passed")
        }
        try sink.wait(for: 3)
        for message in try sink.messages() {
            let index = try #require(message.mailArguments.dropFirst(2).first?.wholeNumberValue)
            let literal = index == 1 ? "IPv6:2001:db8::7" : addresses[index]
            #expect(String(decoding: message.content, as: UTF8.self).contains("([\(literal)])"), "\(message)")
        }
        // It is the client that has passed, not its proxy, and by whatever way it comes.
        #expect(try fixture.connect(Self.text("192.0.2.7"), from: "127.72.9.9").line().hasPrefix("220 "))
        #expect(try fixture.connect(Self.text("192.0.2.8")).line().hasPrefix("220-"))
        #expect(try SMTPClient(fixture.postern.address, from: Self.proxy).line().hasPrefix("220-"))
        try fixture.postern.waitUntilDeserted()
    }

    @Test func `who speaks too early is the client and not the proxy`() throws {
        let fixture = try Fixture(screener: "{greet_wait: 3600s}")
        let hasty = try fixture.connect(Self.text("192.0.2.8") + Array("EHLO client.example\r\n".utf8))
        #expect(try hasty.reply().code == 220)
        #expect(try hasty.reply().code == 250)
        try hasty.command("MAIL FROM:<s@client.example>")
        #expect(try hasty.command("RCPT TO:<user@example.test>").code == 550)
        let line = try fixture.postern.event("screened") { $0["result"] == "failed" }
        #expect(line["client"] == "192.0.2.8:40000" && line["tests"] == "pregreet:enforce")
        // The header alone, however slowly it comes, is nothing that was said too early.
        let slow = try fixture.connect([])
        try slow.send(Self.text("192.0.2.9"), pieceBytes: 1)
        #expect(try slow.line().hasPrefix("220-"))
        try eventually("one who waits") { try fixture.postern.screenerStatus()["waiting"] as? Int == 1 }
        for client in [hasty, slow] { client.close() }
        try fixture.postern.waitUntilDeserted()
    }

    @Test func `without a header the connection is closed without a word, and others than proxies are refused`() throws
    {
        let fixture = try Fixture(screener: "{greet_wait: 3600s}")
        let starts: [[UInt8]] = [
            Array("EHLO client.example\r\n".utf8), Array("PROXY TCP4 1.2.3.4 300.1.1.1 1 1\r\n".utf8),
            // These wait for the time that a header may take.
            [], Array("PROXY TCP4 192.0.2.7".utf8), Array(Self.v6.prefix(20)),
        ]
        let clients = try starts.map { try fixture.connect($0) }
        for client in clients { #expect(try client.readToEnd().bytes == []) }
        let stranger = try SMTPClient(fixture.entrance, from: "127.0.0.1")
        #expect(try stranger.reply().description == "421 4.7.0 You are none of our proxies")
        #expect(try stranger.readToEnd().bytes == [])
        // Where no proxy comes in, the header is what it looks like.
        let direct = try SMTPClient(fixture.postern.address, from: Self.proxy)
        try direct.send(Self.text("192.0.2.7"))
        let line = try fixture.postern.event("screened") { $0["result"] == "failed" }
        #expect(line.clientAddress == Self.proxy && line["pregreet"]?.hasPrefix("PROXY TCP4") == true)
        direct.close()
        try fixture.postern.waitUntilDeserted()
    }

    @Test func `limits hold for the client behind the proxy`() throws {
        let fixture = try Fixture(screener: "{greet_wait: 3600s}", limits: "{connections_per_client: 2}")
        let first = try (1...2).map { try fixture.connect(Self.text("192.0.2.7", port: 40000 + $0)) }
        for client in first { #expect(try client.line().hasPrefix("220-")) }
        let third = try fixture.connect(Self.text("192.0.2.7"))
        #expect(try third.reply().description == "421 4.7.0 Too many connections from your network")
        let refusal = try fixture.postern.event("refused") { $0["command"] == "CONNECT" }
        #expect(refusal["client"] == "192.0.2.7:40000")
        #expect(try fixture.connect(Self.text("192.0.2.8")).line().hasPrefix("220-"))
        for client in first { client.close() }
        try fixture.postern.waitUntilDeserted()
        #expect(try fixture.connect(Self.text("192.0.2.7")).line().hasPrefix("220-"))
    }
}
