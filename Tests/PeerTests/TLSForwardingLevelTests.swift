import Harness
import Testing

/// Levels of the administrator, before Postfix with OpenSSL and Exim with GnuTLS, and servers that break rules.
@Suite(.serialized) struct TLSForwardingLevelTests {
    /// All hosts below `mx.test` are on this machine.
    private static let zones = [
        ".": TLSForwardingWorld.zone(
            ".", "*.mx.test. A 127.0.0.1\nsecure.test. MX 10 other.test.\nother.test. A 127.0.0.27")
    ]

    @Test func `every level gets to a Postfix that is what it asks for`() throws {
        let authority = try CertificateAuthority()
        let certificate = try authority.certificate(for: "*.mx.test", "secure.test")
        let levels = ["none", "may", "encrypt", "verify", "fingerprint"]
        let domains = levels.map { "\($0).test" } + ["secure.test"]
        // MX records that lead to 127.0.0.1 would lead to ourselves.
        let port = try freePort()
        let addresses = ["127.0.0.1", "127.0.0.27"]
        let primary = try PostfixPrimary(
            domains: domains,
            servers: addresses.map { .init(Endpoint($0, port), settings: PostfixPrimary.tls(certificate)) })
        var settings = TLSForwardingWorld.Settings()
        for level in levels {
            settings.routes["\(level).test"] = "smtp:[\(level).mx.test]:\(port)"
            settings.levels["[\(level).mx.test]:\(port)"] = level
        }
        settings.levels["[fingerprint.mx.test]:\(port)"]? +=
            " match=\(try CertificateDigest.key(certificate.certificate))"
        settings.routes["secure.test"] = "smtp:secure.test:\(port)"
        settings.levels["secure.test:\(port)"] = "secure"
        let world = try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
        for domain in domains { try world.send(to: domain) }
        for domain in domains {
            let level = domain.dropLast(".test".count)
            #expect(try world.delivered(domain) == (level == "none" ? "none" : "\(level) TLSv1.3"))
            #expect(try primary.message(domain).cameInTLS == (level != "none"), "\(domain)")
        }
        try world.postern.waitUntilEmpty()
        #expect(primary.maildir.count == domains.count)
        #expect(try world.postern.stop() == .exited(0))
    }

    @Test func `a wrong certificate holds mail back until it is right`() throws {
        let authority = try CertificateAuthority()
        let wrong = try authority.certificate(for: "other.test")
        let stranger = try CertificateAuthority("Somebody else")
        let levels = ["verify", "secure", "fingerprint"]
        let domains = levels.map { "\($0).test" }
        let primary = try PostfixPrimary(domains: domains, settings: PostfixPrimary.tls(wrong))
        let port = primary.address.port
        let right = try authority.certificate(for: "*.mx.test")
        var settings = TLSForwardingWorld.Settings()
        for level in levels {
            settings.routes["\(level).test"] = "smtp:[\(level).mx.test]:\(port)"
            settings.levels["[\(level).mx.test]:\(port)"] = level
        }
        settings.levels["[fingerprint.mx.test]:\(port)"]? +=
            " match=\(try CertificateDigest.certificate(right.certificate))"
        let world = try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
        for domain in domains { try world.send(to: domain) }
        for level in levels {
            let reply = try world.deferred("\(level).mx.test")
            #expect(reply.contains("Server certificate not verified") && reply.contains("\(level).mx.test"), "\(reply)")
            #expect(reply.hasPrefix("451 4.7.5"), "\(reply)")
        }
        // The right name, by an authority that nobody here trusts.
        try primary.stop()
        try primary.start(settings: PostfixPrimary.tls(try stranger.certificate(for: "*.mx.test")))
        try world.postern.event("destination_down") {
            $0["destination"]?.contains("verify") == true && $0["reply"]?.contains("other.test") == false
                && $0["reply"]?.contains("not verified") == true
        }
        #expect(primary.maildir.count == 0)
        #expect(try world.postern.queued() == levels.count)
        try primary.stop()
        try primary.start(settings: PostfixPrimary.tls(right))
        // It may come too late to find anything that waits.
        try world.postern.command("flush")
        for level in levels {
            #expect(try world.delivered("\(level).test") == "\(level) TLSv1.3")
            #expect(try primary.message("\(level).test").cameInTLS)
        }
        try world.postern.waitUntilEmpty()
        #expect(primary.maildir.count == levels.count)
    }

    @Test func `without STARTTLS encrypt waits and may goes in plain text`() throws {
        let primary = try PostfixPrimary(domains: ["encrypt.test", "may.test"])
        let port = primary.address.port
        var settings = TLSForwardingWorld.Settings()
        for level in ["encrypt", "may"] {
            settings.routes["\(level).test"] = "smtp:[\(level).mx.test]:\(port)"
            settings.levels["[\(level).mx.test]:\(port)"] = level
        }
        let authority = try CertificateAuthority()
        let world = try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
        try world.send(to: "encrypt.test")
        try world.send(to: "may.test")
        #expect(try world.delivered("may.test") == "none")
        #expect(try primary.message("may.test").cameInTLS == false)
        #expect(try world.deferred("encrypt.mx.test").hasPrefix("451 4.7.4"))
        #expect(try world.postern.queued() == 1)
        #expect(primary.maildir.count == 1)
        try primary.stop()
        try primary.start(settings: PostfixPrimary.tls(try authority.certificate(for: "other.test")))
        #expect(try world.delivered("encrypt.test") == "encrypt TLSv1.3")
        #expect(try primary.message("encrypt.test").cameInTLS)
    }

    @Test(arguments: [CertificateAuthority.KeyKind.ec, .rsa])
    func `Exim with GnuTLS gets mail in TLS, and shows who it is`(key: CertificateAuthority.KeyKind) throws {
        let authority = try CertificateAuthority()
        let certificate = try authority.certificate(for: "exim.mx.test", key: key)
        let primary = try EximPrimary(
            domains: ["may.test", "verify.test", "wrong.test"],
            settings: [
                "tls_advertise_hosts": "*", "tls_certificate": certificate.chain, "tls_privatekey": certificate.key,
            ])
        let port = primary.address.port
        var settings = TLSForwardingWorld.Settings()
        settings.routes = [
            "may.test": "smtp:[may.mx.test]:\(port)", "verify.test": "smtp:[exim.mx.test]:\(port)",
            "wrong.test": "smtp:[wrong.mx.test]:\(port)",
        ]
        settings.levels = [
            "[may.mx.test]:\(port)": "may", "[exim.mx.test]:\(port)": "verify", "[wrong.mx.test]:\(port)": "verify",
        ]
        let world = try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
        for domain in settings.routes.keys { try world.send(to: domain) }
        #expect(try world.delivered("may.test") == "may TLSv1.3")
        #expect(try world.delivered("verify.test") == "verify TLSv1.3")
        #expect(try world.deferred("wrong.mx.test").contains("Server certificate not verified"))
        let messages = try primary.maildir.wait(for: 2)
        #expect(messages.allSatisfy { $0.text.contains("(TLS1.3)") }, "\(messages.map(\.text))")
        #expect(primary.log.contains("X=TLS1.3"))
    }

    // MARK: Servers that break rules

    @Test(arguments: [PythonPrimary.Handshake.cut, .noise])
    func `at may a handshake that fails is followed by plain text, on a connection of its own`(
        handshake: PythonPrimary.Handshake
    ) throws {
        let authority = try CertificateAuthority()
        let primary = try PythonPrimary(
            certificate: authority.certificate(for: "may.mx.test"), handshake: handshake)
        let port = primary.address.port
        var settings = TLSForwardingWorld.Settings()
        for level in ["may", "encrypt"] {
            settings.routes["\(level).test"] = "smtp:[\(level).mx.test]:\(port)"
            settings.levels["[\(level).mx.test]:\(port)"] = level
        }
        let world = try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
        try world.send(to: "may.test")
        #expect(try world.delivered("may.test") == "none")
        let told = try primary.wait(for: 1)
        #expect(told.allSatisfy { !$0.tls && $0.line != "STARTTLS" }, "\(told)")
        #expect(primary.told.contains { $0.line == "STARTTLS" && $0.session < told[0].session })
        try world.send(to: "encrypt.test")
        #expect(try world.deferred("encrypt.mx.test").contains("TLS handshake failed"))
        #expect(primary.told.filter { $0.content != nil }.count == 1)
    }

    @Test(arguments: ["250 injected\r\n", "250-x\r\n250 AUTH PLAIN\r\n", "2"])
    func `what is injected behind STARTTLS never passes for the server's words`(injected: String) throws {
        let authority = try CertificateAuthority()
        let primary = try PythonPrimary(
            certificate: authority.certificate(for: "*.mx.test"), injected: injected)
        let port = primary.address.port
        var settings = TLSForwardingWorld.Settings()
        for level in ["may", "encrypt", "verify"] {
            settings.routes["\(level).test"] = "smtp:[\(level).mx.test]:\(port)"
            settings.levels["[\(level).mx.test]:\(port)"] = level
        }
        let world = try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
        for level in ["encrypt", "verify"] {
            try world.send(to: "\(level).test")
            #expect(try world.deferred("\(level).mx.test").contains("TLS handshake failed"))
        }
        #expect(primary.told.allSatisfy { $0.line?.hasPrefix("MAIL") != true })
        // In plain text anybody may be heard anyway; what counts is that the connection of the injection is given up.
        try world.send(to: "may.test")
        #expect(try world.delivered("may.test") == "none")
        let told = try primary.wait(for: 1)
        #expect(!told.contains { $0.line == "STARTTLS" })
    }
}
