import Harness
import Testing

/// Strangers that come with TLS are tested like all others.
@Suite(.serialized) struct TLSReceivingScreenerTests {
    private static let deep = "{greet_wait: 1s, pipelining: enforce, non_smtp: drop, bare_newline: enforce}"

    @Test func `a stranger passes the tests inside TLS, and brings its mail in the same session`() throws {
        let world = try TLSReceivingWorld(screener: Self.deep)
        for (number, option) in ["--tls", "--tls-on-connect"].enumerated() {
            let way = OpenSSLClient.Way.allCases[number]
            let source = "127.70.9.\(number + 1)"
            let run = try Swaks.run(
                to: world.address(way),
                [
                    option, "--tls-verify", "--tls-ca-path", world.root.root, "--from", "s@client.example",
                    "--to", "user@example.test", "--ehlo", "client.example", "--local-interface", source,
                ])
            #expect(run.ending == .exited(0), "\(run.output)")
            try world.postern.event("screened", "that it passed") {
                $0["result"] == "passed" && $0.clientAddress == source
            }
            if way == .startTLS {
                // It is known now.
                #expect(try SMTPClient(world.postern.address, from: source).line().hasPrefix("220 "))
            }
        }
        try world.sink.wait(for: 2)
        #expect(try world.traces().allSatisfy { $0.contains(" with ESMTPS id ") && $0.contains("(using TLSv1.3 ") })
    }

    @Test(arguments: [
        ("NOOP\n", "bare_newline:enforce", 550), ("Subject: hello\r\n", "non_smtp:drop", 521),
        ("NOOP\r\nNOOP\r\n", "pipelining:enforce", 550),
    ])
    func `a stranger that fails inside TLS is refused there`(said: String, test: String, code: Int) throws {
        for way in OpenSSLClient.Way.allCases {
            let world = try TLSReceivingWorld(screener: Self.deep)
            // In one packet each, and never more than one command that waits.
            let script = """
                import smtplib, ssl, sys
                way, port, said = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                if way == 'atOnce':
                    server = smtplib.SMTP_SSL('127.0.0.1', port, 'client.example', timeout=60, context=context)
                else:
                    server = smtplib.SMTP('127.0.0.1', port, 'client.example', timeout=60)
                    server.starttls(context=context)
                server.ehlo()
                server.sock.sendall(said)
                codes = [server.getreply()[0] for _ in range(said.count(b'\\n'))]
                if codes[-1] == 250:
                    codes.append(server.docmd('MAIL FROM:<s@client.example>')[0])
                    codes.append(server.docmd('RCPT TO:<user@example.test>')[0])
                print(codes[-1])
                """
            let run = try Program(
                "/usr/bin/python3", ["-c", script, "\(way)", String(world.address(way).port), said]
            ).run()
            #expect(run.output == "\(code)\n", "\(way): \(run.output)")
            try world.postern.event("screened", test) { $0["tests"] == test }
            #expect(try SMTPClient(world.postern.address).line().hasPrefix("220-"), "it is tested again")
        }
    }
}
