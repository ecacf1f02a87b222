import Foundation
import Harness
import Testing

/// Other people's clients bring mail by TLS, each as strict as it can be.
@Suite(.serialized) struct TLSReceivingPeersTests {
    /// Contents of 10 KB and 5 MB, with lines that something on the way might change.
    private static let contents: [[UInt8]] = [10_000, 5_000_000].map { bytes in
        let line = "..a line that begins with a dot, and some text of it to fill the line up\r\n.\r\n"
        let text = "Subject: \(bytes)\r\n\r\n" + String(repeating: line, count: bytes / line.utf8.count) + "end\r\n"
        return Array(text.utf8)
    }

    private func files(_ folder: TemporaryFolder) throws -> [String] {
        try Self.contents.enumerated().map { try folder.write("content\($0.offset)", bytes: $0.element) }
    }

    /// What arrived ends with what was sent, and says how it came.
    private func check(_ world: TLSReceivingWorld, cipher: String = "TLS_AES_256_GCM_SHA384", _ client: String) throws {
        try world.sink.wait(for: Self.contents.count)
        let messages = try world.sink.messages().sorted { $0.content.count < $1.content.count }
        for (message, content) in zip(messages, Self.contents) {
            let sent = content.filter { $0 != UInt8(ascii: "\r") }
            let body = sent.suffix(sent.count - 14)  // Some clients put fields above the others.
            #expect(message.content.count >= body.count)
            // Not shown: there is much of it.
            let isWhole = message.content.suffix(body.count).elementsEqual(body)
            #expect(isWhole, "\(client): \(content.count) octets")
        }
        for trace in try world.traces() {
            #expect(trace.contains("\n\t(using TLSv1.3 with cipher \(cipher) (256/256 bits))\n"), "\(trace)")
            #expect(trace.contains("\n\tby mx2.example.test (Postern) with ESMTPS id "), "\(trace)")
        }
        try eventually("the log") { world.postern.events("queued").count >= Self.contents.count }
        let queued = world.postern.events("queued").compactMap { $0["tls"] }
        #expect(queued == Array(repeating: "TLSv1.3/\(cipher)/256", count: Self.contents.count), "\(client)")
        try world.postern.waitUntilEmpty()
    }

    @Test func `messages by swaks arrive whole, after STARTTLS and with TLS at once`() throws {
        for (way, option) in [(OpenSSLClient.Way.startTLS, "--tls"), (.atOnce, "--tls-on-connect")] {
            let world = try TLSReceivingWorld()
            for content in Self.contents {
                let run = try Swaks.run(
                    to: world.address(way),
                    [
                        option, "--tls-verify", "--tls-ca-path", world.root.root, "--from", "s@client.example",
                        "--to", "user@example.test", "--ehlo", "client.example", "--hide-all",
                    ], content: content)
                #expect(run.ending == .exited(0), "\(run.output.suffix(2000))")
            }
            try self.check(world, "swaks")
        }
        // It looks: with another authority it goes.
        let world = try TLSReceivingWorld()
        let stranger = try CertificateAuthority("Another root")
        let run = try Swaks.run(
            to: world.postern.address,
            ["--tls", "--tls-verify", "--tls-ca-path", stranger.root, "--to", "user@example.test"])
        #expect(run.ending != .exited(0))
    }

    @Test func `messages by Python's smtplib arrive whole, after STARTTLS and with TLS at once`() throws {
        let script = """
            import smtplib, socket, ssl, sys
            way, port, authorities = sys.argv[1], int(sys.argv[2]), sys.argv[3]
            # It asks for mx2.example.test, and finds it here.
            find = socket.getaddrinfo
            socket.getaddrinfo = lambda host, *rest, **more: find('127.0.0.1', *rest, **more)
            context = ssl.create_default_context(cafile=authorities)
            if way == 'atOnce':
                server = smtplib.SMTP_SSL('mx2.example.test', port, 'client.example', timeout=60, context=context)
            else:
                server = smtplib.SMTP('mx2.example.test', port, 'client.example', timeout=60)
                server.starttls(context=context)
            server.ehlo()
            assert not server.has_extn('starttls') and server.has_extn('requiretls')
            for name in sys.argv[4:]:
                server.sendmail('s@client.example', ['user@example.test'], open(name, 'rb').read())
            server.quit()
            """
        for way in OpenSSLClient.Way.allCases {
            let world = try TLSReceivingWorld()
            let files = try self.files(world.postern.folder)
            let run = try Program(
                "/usr/bin/python3",
                ["-c", script, "\(way)", String(world.address(way).port), world.root.root] + files
            ).run()
            #expect(run.ending == .exited(0), "\(run.output)")
            try self.check(world, "smtplib")
        }
    }

    @Test func `messages by Exim arrive whole, which looks at the name in the certificate`() throws {
        let world = try TLSReceivingWorld()
        for content in Self.contents {
            let log = try EximClient.send(
                content.filter { $0 != UInt8(ascii: "\r") }, to: "user@example.test", by: world.postern.address,
                name: "mx2.example.test", authorities: world.root.root)
            #expect(log.contains(" CV=yes ") && log.contains("Completed"), "\(log)")
        }
        try self.check(world, "Exim")
        let log = try EximClient.send(
            Self.contents[0], to: "user@example.test", by: world.postern.address, name: "mx3.example.test",
            authorities: world.root.root)
        #expect(!log.contains("Completed"), "the certificate is not for that name: \(log)")
    }

    private static func postfix(
        to world: TLSReceivingWorld, level: String, _ settings: [String: String] = [:], files: [String: String] = [:]
    ) throws -> PostfixPrimary {
        let usual = [
            "relay_domains": "example.test", "relay_transport": "smtp:[127.0.0.1]:\(world.postern.address.port)",
            "smtp_tls_security_level": level, "smtp_tls_loglevel": "1", "smtp_tls_CAfile": world.root.root,
            "myhostname": "postfix.client.example", "minimal_backoff_time": "1s", "queue_run_delay": "1s",
        ]
        return try PostfixPrimary(
            domains: [], settings: usual.merging(settings) { $1 }, sends: true, files: files)
    }

    private func bring(_ content: [UInt8], by postfix: PostfixPrimary) throws {
        let client = try SMTPClient(postfix.address, patience: .seconds(60))
        _ = try client.reply()
        try client.command("EHLO client.example")
        let reply = try client.sendMessage(from: "s@client.example", to: ["user@example.test"], content)
        #expect(reply.code == 250, "\(reply)")
    }

    @Test func `messages by Postfix arrive whole, encrypted and verified`() throws {
        for (level, word) in [("encrypt", "Trusted"), ("secure", "Verified")] {
            let world = try TLSReceivingWorld()
            let postfix = try Self.postfix(
                to: world, level: level, ["smtp_tls_secure_cert_match": "mx2.example.test"])
            for content in Self.contents { try self.bring(content, by: postfix) }
            try self.check(world, "Postfix")
            try eventually("Postfix's log") {
                postfix.log.contains("\(word) TLS connection established to 127.0.0.1[127.0.0.1]")
            }
        }
    }

    @Test func `Postfix does not send to a certificate with another name`() throws {
        let world = try TLSReceivingWorld()
        let postfix = try Self.postfix(
            to: world, level: "secure", ["smtp_tls_secure_cert_match": "mx3.example.test"])
        try self.bring(Self.contents[0], by: postfix)
        try eventually("that it waits") { postfix.log.contains("status=deferred (Server certificate not verified)") }
        #expect(try world.postern.queued() == 0 && world.sink.count == 0)
    }

    // MARK: DANE

    /// A signed zone that says where Postern is, and the digest of its key.
    private struct SignedNames {
        static let resolver = Endpoint("127.53.25.1", 53)

        private let server: NSD
        private let unbound: Unbound

        init(port: Int, digest: String) throws {
            let zone = try SignedZone(
                "example.test",
                """
                $ORIGIN example.test.
                $TTL 300
                @ SOA ns hostmaster 1 3600 900 604800 300
                @ NS ns
                @ MX 10 mx2
                ns A 127.0.0.1
                mx2 A 127.0.0.1
                _\(port)._tcp.mx2 TLSA 3 1 1 \(digest)

                """)
            self.server = try NSD(zones: ["example.test": zone.text])
            self.unbound = try Unbound(
                host: Self.resolver.host, port: Self.resolver.port, stubs: ["example.test": self.server.address],
                anchors: [zone.anchor])
        }
    }

    @Test func `the key of a certificate that we made ourselves is proven by DANE, over restarts too`() throws {
        let world = try TLSReceivingWorld([])
        let key = world.postern.folder.path("state/tls/self-made.key")
        let port = world.postern.address.port
        let destination = "[mx2.example.test]:\(port)"
        let names = try SignedNames(port: port, digest: try OpenSSLClient.publicKeyDigest(key))
        for _ in 0..<2 {
            let run = try PostTLSFinger.run(destination, level: "dane-only", resolver: SignedNames.resolver)
            #expect(run.output.contains("Verified TLS connection established to mx2.example.test"), "\(run.output)")
            try world.postern.stop()
            try world.postern.start()
        }
        let postfix = try Self.postfix(
            to: world, level: "dane-only",
            [
                "relay_transport": "smtp:\(destination)", "disable_dns_lookups": "no",
                "smtp_dns_support_level": "dnssec",
            ],
            files: [
                "etc/resolv.conf": resolverFile(SignedNames.resolver),
                "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: dns\n",
            ])
        for content in Self.contents { try self.bring(content, by: postfix) }
        try self.check(world, "Postfix with DANE")
        try eventually("Postfix's log") {
            postfix.log.contains("Verified TLS connection established to mx2.example.test[127.0.0.1]")
        }
        withExtendedLifetime(names) {}
    }

    @Test func `with the digest of another key DANE fails`() throws {
        let world = try TLSReceivingWorld([])
        let other = try world.authority.certificate(for: "mx2.example.test").key
        let port = world.postern.address.port
        let names = try SignedNames(port: port, digest: try OpenSSLClient.publicKeyDigest(other))
        let run = try PostTLSFinger.run(
            "[mx2.example.test]:\(port)", level: "dane-only", resolver: SignedNames.resolver)
        #expect(!run.output.contains("Verified TLS connection"), "\(run.output)")
        #expect(run.output.contains("TLS connection established to mx2.example.test"), "\(run.output)")
        withExtendedLifetime(names) {}
    }

    // MARK: posttls-finger

    @Test func `posttls-finger is content with each level, and sees what is wrong`() throws {
        let world = try TLSReceivingWorld()
        let destination = "[127.0.0.1]:\(world.postern.address.port)"
        let shown = world.postern.folder.path("1.pem")
        let fingerprint = try OpenSSLClient.fingerprint(shown)
        let authorities = ["-F", world.root.root]
        let other = String(fingerprint.reversed())
        let cases: [(level: String, options: [String], arguments: [String], word: String)] = [
            ("encrypt", [], [], "Untrusted"), ("encrypt", authorities, [], "Trusted"),
            ("verify", authorities, ["mx2.example.test"], "Verified"),
            ("verify", authorities, ["mx3.example.test"], "Untrusted"),
            ("secure", authorities, ["mx2.example.test"], "Verified"),
            ("fingerprint", ["-d", "sha256"], [fingerprint], "Verified"),
            ("fingerprint", ["-d", "sha256"], [other], "Untrusted"),
        ]
        for (level, options, arguments, word) in cases {
            let run = try PostTLSFinger.run(destination, level: level, options, matching: arguments)
            #expect(
                run.output.contains("\(word) TLS connection established to 127.0.0.1[127.0.0.1]"),
                "\(level) \(arguments): \(run.output)")
        }
    }
}
