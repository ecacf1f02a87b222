import Foundation
import Harness
import Testing

@Suite struct PrimaryTests {
    enum Kind: String, CaseIterable, Codable {
        case postfix, exim, opensmtpd

        func start(host: String = "127.0.0.1", recipients: Recipients = .all) throws -> any Primary {
            let domains = ["example.test", "example2.test"]
            return switch self {
            case .postfix: try PostfixPrimary(host: host, domains: domains, recipients: recipients)
            case .exim: try EximPrimary(host: host, domains: domains, recipients: recipients)
            case .opensmtpd: try OpenSMTPDPrimary(host: host, domains: domains, recipients: recipients)
            }
        }
    }

    /// Dots, spaces at line ends, eight-bit octets, a line of 998 octets, no text of a known character set.
    static let content =
        Array(
            """
            Date: Thu, 1 Jan 2026 00:00:00 +0000\r
            From: Sender <sender@client.example.test>\r
            To: <user@example.test>\r
            Message-ID: <1@client.example.test>\r
            Subject: octet\r
             for octet\r
            \r
            .\r
            ..two\r
            Received: in the body\r
            \ttrailing space \r
            %DATE% \\n\r
            \(String(repeating: "x", count: 998))\r

            """.utf8) + [0xFF, 0xC3, 0x28, 0x0D, 0x0A, 0x0D, 0x0A]
    static let contentWithLF = content.filter { $0 != 0x0D }

    @Test(arguments: Kind.allCases) func `what Swaks sends arrives octet for octet`(_ kind: Kind) throws {
        let primary = try kind.start()
        let options = ["--from", "sender@client.example.test", "--to", "user@example.test"]
        let session = try Swaks.run(to: primary.address, options, content: Self.content)
        #expect(session.ending == .exited(0), "\(session.output)")
        let message = try #require(try primary.maildir.wait(for: 1).first)
        #expect(message.content == Self.contentWithLF)
        #expect(message.field("Return-Path") == "<sender@client.example.test>")
        #expect(message.field("subject") == "octet for octet")
        #expect(primary.log.contains("sender@client.example.test"))
    }

    @Test(arguments: Kind.allCases) func `a primary refuses recipients and domains that it does not have`(
        _ kind: Kind
    ) throws {
        let primary = try kind.start(recipients: .only(["user@example.test", "user@example2.test"]))
        let client = try SMTPClient(primary.address, from: "127.0.0.5")
        #expect(try client.reply().code == 220)
        #expect(try client.command("EHLO client.example.test").lines.contains { $0.hasPrefix("SIZE") })
        try client.command("MAIL FROM:<>")
        #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
        let refusals = try ["nobody@example.test", "user@example.org"].map { try client.command("RCPT TO:<\($0)>") }
        #expect(refusals.allSatisfy { $0.code / 100 == 5 }, "\(refusals)")
        try client.command("RSET")
        let reply = try client.sendMessage(from: "", to: ["user@example2.test"], Self.content)
        #expect(reply.code == 250)
        let message = try #require(try primary.maildir.wait(for: 1).first)
        // OpenSMTPD writes no Return-Path where that would be null.
        #expect(message.field("Return-Path") == (kind == .opensmtpd ? nil : "<>"))
        let swaks = try Swaks.run(to: primary.address, ["--to", "nobody@example.test"])
        #expect(swaks.ending == .exited(24))
    }

    @Test(arguments: Kind.allCases) func `a primary keeps its port and its mail when it starts again`(
        _ kind: Kind
    ) throws {
        let primary = try kind.start(host: "127.0.0.9")
        let sendNumber = { (number: Int) in
            let client = try SMTPClient(primary.address)
            _ = try client.reply()
            try client.command("HELO client.example.test")
            let content = Array("X-Number: \(number)\r\n".utf8) + Self.content
            #expect(try client.sendMessage(from: "a@example.org", to: ["b@example.test"], content).code == 250)
            // Some may come twice.
            try eventually("message \(number)") {
                try primary.maildir.messages().contains { $0.field("X-Number") == String(number) }
            }
        }
        try sendNumber(1)
        try primary.stop()
        #expect(try !isListening(primary.address))
        try primary.start()
        try sendNumber(2)
        primary.kill()
        #expect(try !isListening(primary.address))
        try primary.start()
        try sendNumber(3)
    }

    @Test(arguments: Kind.allCases) func `a primary ends when the tests crash`(_ kind: Kind) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("port")
        await #expect(processExitsWith: .signal(SIGKILL)) { [kind = kind as Kind, path = path as String] in
            let primary = try kind.start()
            try String(primary.address.port).write(toFile: path, atomically: true, encoding: .utf8)
            kill(getpid(), SIGKILL)
        }
        let address = Endpoint("127.0.0.1", try #require(Int(folder.text("port"))))
        try eventually("the end of the primary") { try !isListening(address) }
    }

    @Test func `Python's smtplib talks to Postfix over IPv6`() throws {
        let primary = try PostfixPrimary(host: "::1")
        var program = Program(
            "/usr/bin/python3",
            [
                "-c",
                """
                import smtplib, sys
                with smtplib.SMTP("\(primary.address.host)", \(primary.address.port)) as server:
                    print(server.sendmail("a@example.org", ["b@example.test", "c@example.test"], sys.stdin.buffer.read()))
                """,
            ])
        program.input = Self.content
        #expect(try program.runOrThrow().output == "{}\n")
        let messages = try primary.maildir.wait(for: 2)
        #expect(Set(messages.map { $0.field("Delivered-To") }) == ["b@example.test", "c@example.test"])
        #expect(messages.allSatisfy { $0.content == Self.contentWithLF })
    }

    @Test func `a primary that is reconfigured defers, and then takes the mail`() throws {
        let primary = try PostfixPrimary(settings: ["smtpd_recipient_restrictions": "defer"])
        let options = ["--to", "user@example.test"]
        let session = try Swaks.run(to: primary.address, options)
        #expect(
            session.output.contains("<** 450 4.3.2") || session.output.contains("<** 450 4.7.1"), "\(session.output)")
        try primary.stop()
        try primary.start(settings: [:])
        #expect(try Swaks.run(to: primary.address, options).ending == .exited(0))
        try primary.maildir.wait(for: 1)
    }

    @Test func `Swaks and Postfix speak TLS`() throws {
        let folder = try TemporaryFolder()
        let (key, certificate) = (folder.path("key"), folder.path("certificate"))
        let request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        let output = ["-subj", "/CN=primary.example.test", "-keyout", key, "-out", certificate]
        try Program("/usr/bin/openssl", request + output).runOrThrow()
        let primary = try PostfixPrimary(settings: [
            "smtpd_tls_security_level": "encrypt", "smtpd_tls_key_file": key, "smtpd_tls_cert_file": certificate,
        ])
        let options = ["--to", "user@example.test"]
        #expect(try Swaks.run(to: primary.address, options).ending != .exited(0))
        let session = try Swaks.run(to: primary.address, options + ["--tls"])
        #expect(session.ending == .exited(0), "\(session.output)")
        try primary.maildir.wait(for: 1)
    }

    @Test func `a primary that cannot start says why`() {
        let error = #expect(throws: HarnessError.self) { try PostfixPrimary(settings: ["mail_owner": "stranger"]) }
        #expect(
            error?.description.contains("unknown user name value: stranger") == true, "\(String(describing: error))")
    }
}
