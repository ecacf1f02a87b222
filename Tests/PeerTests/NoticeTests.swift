import Foundation
import Harness
import Testing

/// Notices as a real mail system receives them, read by Python's mail package.
@Suite(.serialized) struct NoticeTests {
    /// What a program makes of a notice.
    private func report(_ message: DeliveredMessage) throws -> [String: Any] {
        let script = """
            import sys, json, email, email.policy
            message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
            parts = list(message.iter_parts())
            fields = [dict((k.lower(), str(v)) for k, v in block.items()) for block in parts[1].get_payload()]
            print(json.dumps({'type': message.get_content_type(), 'report': message.get_param('report-type'),
                'parts': [part.get_content_type() for part in parts], 'fields': fields, 'defects': [str(d) for d in message.defects],
                'to': str(message['to']), 'auto': str(message['auto-submitted']), 'subject': str(message['subject'])}))
            """
        var program = Program("/usr/bin/python3", ["-c", script])
        program.input = message.bytes
        program.errors = .unnamed
        let output = try program.runOrThrow().output
        return try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
    }

    @Test func `a sender is told of a refusal, once, in a form that programs read`() throws {
        // The sender's own system, and a primary that refuses one recipient after we took it.
        let senders = try PostfixPrimary(domains: ["client.test"])
        let primary = try PostfixPrimary(recipients: .only(["user@example.test"]))
        let postern = try PosternProcess(
            transport: """
                example.test smtp:[127.0.0.1]:\(primary.address.port)
                client.test smtp:[127.0.0.1]:\(senders.address.port)

                """)
        #expect(
            try postern.send(
                from: "sender@client.test", to: ["user@example.test", "gone@example.test"],
                "Subject: hello\r\n\r\nthe body\r\n"
            ).code == 250)
        #expect(try postern.send(from: "", to: ["gone@example.test"]).code == 250)
        try primary.maildir.wait(for: 1)
        let notice = try senders.maildir.wait(for: 1)[0]
        try postern.waitUntilEmpty()
        let report = try self.report(notice)
        #expect(report["type"] as? String == "multipart/report")
        #expect(report["report"] as? String == "delivery-status")
        #expect(report["parts"] as? [String] == ["text/plain", "message/delivery-status", "message/rfc822"])
        #expect(report["defects"] as? [String] == [])
        #expect(report["auto"] as? String == "auto-replied")
        let fields = try #require(report["fields"] as? [[String: String]])
        #expect(fields.count == 2)
        #expect(fields[0]["reporting-mta"] == "dns; mx2.example.test")
        #expect(fields[1]["final-recipient"] == "rfc822;gone@example.test")
        #expect(fields[1]["action"] == "failed")
        #expect(fields[1]["status"] == "5.1.1")
        #expect(fields[1]["remote-mta"] == "dns; 127.0.0.1")
        #expect(fields[1]["diagnostic-code"]?.hasPrefix("smtp; 550 5.1.1") ?? false)
        #expect(notice.field("Return-Path") == "<>")
        #expect(notice.text.contains("the body"))
        #expect(senders.maildir.count == 1)
    }

    @Test func `success is told where the next hop will not`() throws {
        let senders = try PostfixPrimary(domains: ["client.test"])
        let sink = try SMTPSink(options: ["-N"])
        let postern = try PosternProcess(
            transport: """
                example.test smtp:[127.0.0.1]:\(sink.address.port)
                client.test smtp:[127.0.0.1]:\(senders.address.port)

                """)
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.test")
        try client.command("MAIL FROM:<sender@client.test> ENVID=abc+2Bd")
        try client.command("RCPT TO:<a@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@example.test")
        try client.command("RCPT TO:<b@example.test> NOTIFY=NEVER")
        try client.command("DATA")
        #expect(try client.command("Subject: x\r\n\r\nbody\r\n.").code == 250)
        let report = try self.report(try senders.maildir.wait(for: 1)[0])
        let fields = try #require(report["fields"] as? [[String: String]])
        #expect(fields.count == 2)
        #expect(fields[0]["original-envelope-id"] == "abc+d")
        #expect(fields[1]["action"] == "relayed")
        #expect(fields[1]["original-recipient"] == "rfc822;o@example.test")
        #expect(report["parts"] as? [String] == ["text/plain", "message/delivery-status", "text/rfc822-headers"])
        try postern.waitUntilEmpty()
    }
}
