import Foundation
import Harness
import Testing

/// Other people's clients on one side, other people's servers on the other, the daemon between them.
@Suite(.serialized) struct RelayTests {
    /// Contents that something on the way might change.
    static let contents: [(name: String, text: String)] = [
        ("plain", "Subject: plain\r\n\r\nbody\r\n"), ("no body", "Subject: none\r\n\r\n"),
        ("no header", "\r\nbody only\r\n"),
        ("dots", "Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n...\r\na.\r\n.\r\n"),
        ("blank lines", "Subject: blank\r\n\r\n\r\n\r\nx\r\n\r\n\r\n"),
        ("8 bit", "Subject: =?utf-8?q?=C3=BC?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nüöä €\r\n"),
        ("trailing blanks", "Subject: x  \r\nX-Folded: a\r\n\tb\r\n  c\r\n\r\nline  \r\n\t\r\n"),
        ("From", "Subject: from\r\n\r\nFrom the start\r\n>From\r\n"),
        ("998 octets", "Subject: long\r\n\r\n\(String(repeating: "x", count: 998))\r\n"),
        ("large", "Subject: large\r\n\r\n" + (0..<30_000).map { "line \($0)\r\n" }.joined()),
    ]

    /// What the primary was given, without our Received field, with CRLF.
    private func withoutTrace(_ content: [UInt8]) -> String {
        let text = String(decoding: content, as: UTF8.self).replacingOccurrences(of: "\n", with: "\r\n")
        guard text.hasPrefix("Received: from"), let end = text.range(of: "+0000\r\n") else {
            return "no trace: \(text.prefix(200))"
        }
        return String(text[end.upperBound...])
    }

    enum Server: String, CaseIterable, Sendable { case postfix, exim, opensmtpd }

    private func primary(_ server: Server) throws -> any Primary {
        switch server {
        case .postfix: try PostfixPrimary(domains: ["example.test"])
        case .exim: try EximPrimary(host: "127.0.0.1", domains: ["example.test"], recipients: .all)
        case .opensmtpd: try OpenSMTPDPrimary(host: "127.0.0.1", domains: ["example.test"], recipients: .all)
        }
    }

    @Test(arguments: Server.allCases) func `messages arrive byte for byte`(server: Server) throws {
        let primary = try self.primary(server)
        let postern = try PosternProcess(primary: primary.address)
        // OpenSMTPD adds Date and Message-ID where they are missing, and Exim refuses longer lines and bare 8 bit nowhere.
        let contents = Self.contents.filter { server != .opensmtpd || $0.name != "no header" }
        for (number, content) in contents.enumerated() {
            let client = try SMTPClient(postern.address)
            _ = try client.reply()
            try client.command("EHLO client.example")
            let header =
                server == .opensmtpd
                ? "Date: Sat, 21 Nov 2026 04:50:00 +0000\r\nMessage-ID: <\(number)@client.example>\r\n" : ""
            let sent = header + content.text
            let reply = try client.sendMessage(
                from: "sender@client.example", to: ["user@example.test"], Array(sent.utf8))
            #expect(reply.code == 250, "\(content.name): \(reply)")
            try client.command("QUIT")
            let messages = try primary.maildir.wait(for: number + 1, within: .seconds(60))
            let expected = sent
            #expect(messages.contains { self.withoutTrace($0.content) == expected }, "\(content.name) at \(server)")
        }
        try postern.waitUntilEmpty()
        #expect(try postern.stop() == .exited(0))
    }

    @Test func `swaks gets through with every extension it knows`() throws {
        let primary = try PostfixPrimary()
        let postern = try PosternProcess(primary: primary.address)
        let run = try Swaks.run(
            to: postern.address,
            ["--from", "sender@client.example", "--to", "user@example.test", "--ehlo", "client.example", "--pipeline"],
            content: Array("Subject: by swaks\r\n\r\nbody\r\n".utf8))
        #expect(run.ending == .exited(0), "\(run.output)")
        let unknown = try Swaks.run(to: postern.address, ["--from", "<>", "--to", "victim@elsewhere.example"])
        #expect(unknown.ending == .exited(24), "\(unknown.output)")
        #expect(unknown.output.contains("Relay access denied"))
        let messages = try primary.maildir.wait(for: 1)
        #expect(messages[0].field("Subject") == "by swaks")
        let received = try #require(messages[0].content.split(separator: 10).first)
        #expect(String(decoding: received, as: UTF8.self) == "Received: from client.example ([127.0.0.1])")
    }

    @Test func `Python's smtplib gets through, and reads the refusals`() throws {
        let primary = try PostfixPrimary()
        let postern = try PosternProcess(
            primary: primary.address, recipients: "user@example.test ok\nother@example.test ok\n")
        let script = """
            import smtplib, sys
            with smtplib.SMTP('127.0.0.1', \(postern.address.port), 'client.example', 30) as server:
                server.ehlo()
                assert server.has_extn('pipelining') and server.has_extn('smtputf8') and server.has_extn('dsn')
                refused = server.sendmail('sender@client.example', ['user@example.test', 'nobody@example.test', 'other@example.test'],
                    'Subject: by smtplib\\r\\n\\r\\n.dot\\r\\nbody\\r\\n', mail_options=['BODY=8BITMIME', 'RET=HDRS'], rcpt_options=['NOTIFY=FAILURE'])
                assert refused['nobody@example.test'][0] == 550, refused
                try:
                    server.sendmail('sender@client.example', ['victim@elsewhere.example'], 'x')
                    sys.exit('relayed')
                except smtplib.SMTPRecipientsRefused as error:
                    assert error.recipients['victim@elsewhere.example'][0] == 554
                assert server.verify('user')[0] == 252
                assert server.noop()[0] == 250
                server.sendmail('', ['user@example.test'], 'Subject: bounce\\r\\n\\r\\nx\\r\\n')
            """
        let run = try Program("/usr/bin/python3", ["-c", script]).run()
        #expect(run.ending == .exited(0), "\(run.output)\(run.errors)")
        // Two recipients of one message are two files.
        let messages = try primary.maildir.wait(for: 3)
        #expect(messages.filter { $0.text.contains("\n.dot\n") }.count == 2)
    }

    @Test func `smtp-source's load reaches smtp-sink, every message once`() throws {
        let sink = try SMTPSink()
        let postern = try PosternProcess(primary: sink.address)
        for options in [[], ["-d"]] {
            var load = SMTPSource()
            load.messages = 1000
            load.sessions = 20
            load.options = options
            try load.send(to: postern.address)
        }
        try sink.wait(for: 2000)
        try postern.waitUntilEmpty()
        try sink.wait(for: 2000)
        #expect(try postern.stop() == .exited(0))
    }

    @Test func `mail waits for a primary that is down, and goes when it comes`() throws {
        let primary = try PostfixPrimary()
        try primary.stop()
        let postern = try PosternProcess(
            primary: primary.address, more: "forwarder: {probe_minimum: 1s, probe_maximum: 1s}")
        var load = SMTPSource()
        load.messages = 100
        load.sessions = 10
        try load.send(to: postern.address)
        #expect(try postern.queued() == 100)
        let destinations = try #require(try postern.json("status")["destinations"] as? [[String: Any]])
        #expect(["down", "probing"].contains(destinations.first?["state"] as? String))
        // A restart of ours changes nothing.
        #expect(try postern.stop() == .exited(0))
        try postern.start()
        #expect(try postern.queued() == 100)
        try primary.start()
        try primary.maildir.wait(for: 100, within: .seconds(60))
        try postern.waitUntilEmpty()
        #expect(primary.maildir.count == 100)
    }

    @Test func `the primary learns who the client was, by XFORWARD and by XCLIENT`() throws {
        let primary = try PostfixPrimary(settings: [
            "smtpd_authorized_xforward_hosts": "127.0.0.0/8", "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
        ])
        for option in ["xforward", "xclient"] {
            let next = "[127.0.0.1]:\(primary.address.port)"
            let postern = try PosternProcess(
                primary: primary.address,
                more: "forwarder: {destinations: {\"\(next)\": {\(option): true, chunking: false}}}")
            let client = try SMTPClient(postern.address, from: "127.0.0.77")
            _ = try client.reply()
            try client.command("EHLO \(option).client.example")
            let reply = try client.sendMessage(
                from: "s@client.example", to: ["user@example.test"], Array("Subject: x\r\n\r\n".utf8))
            #expect(reply.code == 250)
            try postern.waitUntilEmpty()
        }
        let messages = try primary.maildir.wait(for: 2)
        #expect(messages.contains { $0.text.contains("from xclient.client.example (unknown [127.0.0.77])") })
        try eventually("Postfix logs the forwarded client") { primary.log.contains("orig_client=unknown[127.0.0.77]") }
    }

    @Test func `requests for notices go on to a primary that knows them`() throws {
        let primary = try PostfixPrimary(domains: ["example.test", "client.example"])
        let postern = try PosternProcess(primary: primary.address)
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        try client.command("MAIL FROM:<s@client.example> RET=HDRS ENVID=QQ314")
        try client.command("RCPT TO:<user@example.test> NOTIFY=SUCCESS ORCPT=rfc822;orig@example.test")
        try client.command("DATA")
        #expect(try client.command("Subject: x\r\n\r\n.").code == 250)
        // The primary delivers, and says so to the sender, who is its user as well.
        let messages = try primary.maildir.wait(for: 2)
        let notice = try #require(messages.first { $0.text.contains("Action: delivered") })
        #expect(notice.text.contains("Original-Recipient: rfc822;orig@example.test"))
        #expect(notice.text.contains("Original-Envelope-Id: QQ314"))
        try postern.waitUntilEmpty()
    }
}
