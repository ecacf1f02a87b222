import Foundation
import Harness
import Testing

/// SMTP smuggling: what one server takes for the end of a message another might not. Every published look-alike is
/// sent through us to a Postfix behind us; one message in must be one message out (SEMANTICS §12).
@Suite(.serialized) struct SmugglingTests {
    /// Look-alikes of CRLF.CRLF.
    static let ends: [String] = [
        "\n.\n", "\n.\r\n", "\r\n.\n", "\n.\r", "\r.\r\n", "\r.\r", "\r.\n", "\r\n.\r", "\r\n\0.\r\n", "\n\n.\r\n",
        "\r\n\n.\r\n", "\r\r\n.\n",
        ".\n", "xxx\n.\n", "\r\n .\r\n", "\r\n.\t\r\n", "\r\n..\r\n", "\u{B}.\r\n", "\u{C}.\r\n", "\u{85}.\r\n",
        "\u{2028}.\r\n", "\r\n\u{301}.\r\n",
        "\n.\n\r\n", "\r\n.\n\r\n", "\n\r.\r\n", "\r\n.\r\r\n", "\r\n.\0\r\n",
    ]

    private func smuggled(_ end: [UInt8], padding: Int = 0) -> [UInt8] {
        var bytes = Array("Subject: outer\r\n\r\n\(String(repeating: "x", count: padding))outer".utf8) + end
        bytes += Array(
            "MAIL FROM:<evil@client.example>\r\nRCPT TO:<victim@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n"
                .utf8)
        return bytes
    }

    private func begin(_ postern: PosternProcess) throws -> SMTPClient {
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        try client.command("MAIL FROM:<s@client.example>")
        try client.command("RCPT TO:<user@example.test>")
        try client.command("DATA")
        return client
    }

    private func isClean(_ content: [UInt8]) -> Bool {
        // The Maildir's lines end in LF; a CR in it was bare, or doubled.
        !content.contains(0x0D)
    }

    @Test func `one message in is one message out`() throws {
        let primary = try PostfixPrimary()
        let postern = try PosternProcess(primary: primary.address)
        for (number, end) in Self.ends.enumerated() {
            let client = try self.begin(postern)
            try client.send(self.smuggled(Array(end.utf8)))
            #expect(try client.reply().code == 250, "\(end.debugDescription)")
            #expect(try client.command("NOOP").code == 250, "\(end.debugDescription)")
            client.close()
            let messages = try primary.maildir.wait(for: number + 1)
            #expect(messages.allSatisfy { self.isClean($0.content) })
            #expect(
                !messages.contains { $0.text.contains("\nSubject: smuggled\n") && !$0.text.contains("outer") },
                "\(end.debugDescription)")
        }
        #expect(!primary.log.contains("to=<victim@example.test>"))
        try postern.waitUntilEmpty()
    }

    @Test func `where they are refused, nothing comes out at all`() throws {
        let sink = try SMTPSink()
        let postern = try PosternProcess(
            primary: sink.address, limits: "{line_endings: reject, connections_per_client: 0}")
        var clean = 0
        for end in Self.ends {
            let client = try self.begin(postern)
            let bytes = self.smuggled(Array(end.utf8))
            try client.send(bytes)
            // Look-alikes without any bare CR or LF are ordinary text.
            let isBare = bytes.indices.contains { index in
                (bytes[index] == 0x0A && bytes[index - 1] != 0x0D) || (bytes[index] == 0x0D && bytes[index + 1] != 0x0A)
            }
            if !isBare { clean += 1 }
            #expect(try client.reply().code == (isBare ? 521 : 250), "\(end.debugDescription)")
            client.close()
        }
        try postern.waitUntilEmpty()
        try sink.wait(for: clean)
    }

    /// The collection of others, where it is at hand.
    static let corpus: String = {
        let checkout = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return checkout.deletingLastPathComponent().appendingPathComponent("shared/corpus/smtp/smuggling-payloads.json")
            .path
    }()

    @Test(.enabled(if: FileManager.default.fileExists(atPath: Self.corpus), "the corpus is not beside this checkout"))
    func `the collected payloads come to nothing`() throws {
        let data = try #require(FileManager.default.contents(atPath: Self.corpus))
        let root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let cases = try #require(root["cases"] as? [[String: Any]])
        let sink = try SMTPSink(keepsMessages: true)
        // Everything comes at once: the look-alike, and commands that are ready for whoever takes it for the end.
        let postern = try PosternProcess(
            primary: sink.address, limits: "{reject_pipelining: false, connections_per_client: 0}")
        var expected = 0
        for item in cases {
            var end = Array((item["eod"] as? String ?? "").utf8)
            if let hex = item["eod_hex"] as? String {
                end = stride(from: 0, to: hex.count, by: 2).compactMap { UInt8(hex.dropFirst($0).prefix(2), radix: 16) }
            }
            let isEnd = item["valid_end"] as? Bool ?? false
            let client = try self.begin(postern)
            let bytes = self.smuggled(end, padding: item["pad_before"] as? Int ?? 0)
            try client.send(bytes, pieceBytes: item["one_byte_per_segment"] as? Bool ?? false ? 1 : .max)
            #expect(try client.reply().code == 250)
            if isEnd { for code in [250, 250, 354, 250] { #expect(try client.reply().code == code) } }
            client.close()
            expected += isEnd ? 2 : 1
        }
        try postern.waitUntilEmpty()
        try sink.wait(for: expected)
        for message in try sink.messages() { #expect(!message.content.contains(0x0D)) }
    }
}
