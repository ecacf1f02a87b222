import Harness
import Testing

/// Logging in to a real Postfix with Cyrus SASL, in TLS.
@Suite(.serialized) struct TLSForwardingSASLTests {
    private static let zones = [".": TLSForwardingWorld.zone(".", "*.mx.test. A 127.0.0.1")]
    private static let user = "me@\(PostfixPrimary.userRealm)"
    private static let password = "pässword: with = and, 7"
    private static let encoded = "cMOkc3N3b3JkOiB3aXRoID0gYW5kLCA3"

    /// It relays for those who have logged in, and nobody else gets anything in.
    private static func primary(
        _ certificate: CertificateAuthority.Certificate, mechanisms: String = "PLAIN, LOGIN, SCRAM-SHA-256"
    ) throws -> PostfixPrimary {
        let settings = [
            "smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "yes",
            "cyrus_sasl_config_path": "/etc/postfix/sasl",
            "smtpd_sasl_mechanism_filter": mechanisms, "smtpd_sasl_local_domain": PostfixPrimary.userRealm,
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject", "smtpd_sasl_authenticated_header": "yes",
        ]
        return try PostfixPrimary(
            settings: PostfixPrimary.tls(certificate).merging(settings) { $1 }, users: ["me": Self.password])
    }

    private static func settings(_ primary: PostfixPrimary, password: String = Self.password)
        -> TLSForwardingWorld.Settings
    {
        let hop = "[submit.mx.test]:\(primary.address.port)"
        var settings = TLSForwardingWorld.Settings()
        settings.routes = ["example.test": "smtp:\(hop)"]
        settings.passwords = [hop: "\(Self.user):\(password)"]
        return settings
    }

    @Test(arguments: ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
    func `Postfix takes who we are by every mechanism`(mechanism: String) throws {
        let authority = try CertificateAuthority()
        let primary = try Self.primary(try authority.certificate(for: "submit.mx.test"))
        var settings = Self.settings(primary)
        settings.mechanisms = "[\(mechanism)]"
        let world = try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
        for _ in 0..<2 { try world.send(to: "example.test") }
        let messages = try primary.maildir.wait(for: 2)
        #expect(messages.allSatisfy { $0.cameInTLS && $0.text.contains("(Authenticated sender: \(Self.user))") })
        #expect(primary.log.contains("sasl_method=\(mechanism), sasl_username=\(Self.user)"))
        #expect(try world.delivered("example.test") == "secure TLSv1.3")
        try world.postern.waitUntilEmpty()
        #expect(!world.postern.log.contains(Self.password) && !world.postern.log.contains(Self.encoded))
    }

    @Test func `the best mechanism that a server has is used`() throws {
        let authority = try CertificateAuthority()
        for (offered, used) in [("PLAIN, LOGIN, SCRAM-SHA-256", "SCRAM-SHA-256"), ("LOGIN, PLAIN", "PLAIN")] {
            let primary = try Self.primary(
                try authority.certificate(for: "submit.mx.test"), mechanisms: offered)
            let world = try TLSForwardingWorld(Self.settings(primary), zones: Self.zones, authority: authority)
            try world.send(to: "example.test")
            try primary.maildir.wait(for: 1)
            #expect(primary.log.contains("sasl_method=\(used),"))
        }
    }

    @Test(arguments: ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
    func `with a wrong password mail waits for the right one`(mechanism: String) throws {
        let authority = try CertificateAuthority()
        let primary = try Self.primary(try authority.certificate(for: "submit.mx.test"))
        var settings = Self.settings(primary, password: "a wrong one")
        settings.mechanisms = "[\(mechanism)]"
        let world = try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
        try world.send(to: "example.test")
        let reply = try world.deferred("submit.mx.test")
        #expect(reply.hasPrefix("451 4.7.8") && reply.contains("SASL \(mechanism) authentication failed"), "\(reply)")
        #expect(try world.postern.queued() == 1)
        #expect(primary.maildir.count == 0 && world.postern.events("failed").isEmpty)
        #expect(!world.postern.log.contains("a wrong one"))
        try world.set("sasl_passwd", Self.settings(primary).passwords)
        #expect(try world.postern.command("reload").ending == .exited(0))
        try primary.maildir.wait(for: 1)
        try world.postern.waitUntilEmpty()
    }

    @Test func `a password is not said to a server that nobody vouches for, unless the table says so`() throws {
        let authority = try CertificateAuthority()
        let stranger = try CertificateAuthority("Stranger")
        let primary = try Self.primary(try stranger.certificate(for: "submit.mx.test"))
        var settings = Self.settings(primary)
        settings.level = "may"
        settings.mechanisms = "[PLAIN]"
        let world = try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
        try world.send(to: "example.test")
        #expect(try world.deferred("submit.mx.test").contains("Server certificate not verified"))
        // Not for a sender either who would rather have the message go in plain text.
        try world.postern.send(to: ["anyway@example.test"], "TLS-Required: No\r\nSubject: anyway\r\n\r\n")
        try world.postern.event("destination_down", "for the other lane") {
            $0["destination"] != world.postern.events("destination_down").first?["destination"]
                && $0["reply"]?.contains("Server certificate not verified") == true
        }
        #expect(try world.postern.queued() == 2)
        #expect(!primary.log.contains("sasl_"))
        try world.set("tls_policy", ["[submit.mx.test]:\(primary.address.port)": "encrypt"])
        #expect(try world.postern.command("reload").ending == .exited(0))
        try primary.maildir.wait(for: 2)
        #expect(primary.log.contains("sasl_method=PLAIN"))
        #expect(try world.delivered("example.test") == "encrypt TLSv1.3")
    }
}
