import Foundation
import Harness
import Testing

/// REQUIRETLS (RFC 8689) from a client to the last server, through two of us.
@Suite(.serialized) struct TLSForwardingRequirementTests {
    private static let zones = [".": TLSForwardingWorld.zone(".", "*.mx.test. A 127.0.0.1")]

    /// Sends a message by Python's smtplib, inside TLS, with REQUIRETLS.
    private func sendRequiringTLS(to postern: PosternProcess, recipient: String) throws {
        let script = """
            import smtplib, ssl
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with smtplib.SMTP('127.0.0.1', \(postern.address.port), 'client.example', 30) as server:
                server.ehlo()
                assert not server.has_extn('requiretls')
                server.starttls(context=context)
                server.ehlo()
                assert server.has_extn('requiretls')
                server.sendmail('s@client.test', ['\(recipient)'], 'Subject: secret\\r\\n\\r\\nthe body\\r\\n',
                    mail_options=['REQUIRETLS'])
            """
        try Program("/usr/bin/python3", ["-c", script]).runOrThrow()
    }

    private func world(
        _ route: String, _ authority: CertificateAuthority, hostname: String = "mx2.example.test", more: String = "",
        notices: String? = nil
    ) throws -> TLSForwardingWorld {
        var settings = TLSForwardingWorld.Settings()
        settings.routes = ["example.test": "smtp:\(route)"]
        if let notices { settings.routes["client.test"] = "smtp:\(notices)" }
        settings.more = more
        settings.hostname = hostname
        return try TLSForwardingWorld(settings, zones: Self.zones, authority: authority)
    }

    @Test func `every hop passes REQUIRETLS on, in TLS with the server that is meant`() throws {
        let authority = try CertificateAuthority()
        let last = try PythonPrimary(
            certificate: authority.certificate(for: "last.mx.test"), extensions: ["REQUIRETLS", "SIZE"])
        let certificate = try authority.certificate(for: "second.mx.test")
        chmod(certificate.combined, 0o600)
        let second = try self.world(
            "[last.mx.test]:\(last.address.port)", authority, hostname: "second.example.test",
            more: "tls: {certificates: [\"\(certificate.combined)\"]}")
        let first = try self.world("[second.mx.test]:\(second.postern.address.port)", authority)
        try self.sendRequiringTLS(to: first.postern, recipient: "user@example.test")
        let told = try last.wait(for: 1)
        let mail = try #require(told.first { $0.line?.hasPrefix("MAIL") == true })
        #expect(mail.tls && mail.line?.contains(" REQUIRETLS") == true, "\(told)")
        #expect(try first.delivered("example.test") == "verify TLSv1.3")
        #expect(try second.delivered("example.test") == "verify TLSv1.3")
        // Mail that does not ask for it goes over a connection of its own, and does not say it.
        try first.send(to: "example.test")
        let other = try last.wait(for: 2)
        #expect(other.first?.session != told.first?.session)
        #expect(other.contains { $0.line?.hasPrefix("MAIL") == true && $0.line?.contains("REQUIRETLS") == false })
        try first.postern.waitUntilEmpty()
        try second.postern.waitUntilEmpty()
    }

    @Test func `a server without REQUIRETLS gets nothing, and the sender gets the header back`() throws {
        let authority = try CertificateAuthority()
        // The notice requires TLS as well (RFC 8689 §5).
        let senders = try PythonPrimary(
            certificate: authority.certificate(for: "senders.mx.test"), extensions: ["REQUIRETLS"])
        let primary = try PostfixPrimary(
            settings: PostfixPrimary.tls(try authority.certificate(for: "primary.mx.test")))
        let world = try self.world(
            "[primary.mx.test]:\(primary.address.port)", authority,
            notices: "[senders.mx.test]:\(senders.address.port)")
        try self.sendRequiringTLS(to: world.postern, recipient: "user@example.test")
        let told = try senders.wait(for: 1)
        #expect(
            told.contains {
                $0.tls && $0.line?.hasPrefix("MAIL FROM:<>") == true && $0.line?.contains("REQUIRETLS") == true
            })
        let notice = try #require(told.compactMap(\.content).first)
        #expect(notice.contains("5.7.30") && notice.contains("Subject: secret"), "\(notice)")
        #expect(notice.contains("text/rfc822-headers") && !notice.contains("the body"))
        try world.postern.waitUntilEmpty()
        #expect(primary.maildir.count == 0)
        // The same server is good for other mail.
        try world.send(to: "example.test")
        try primary.maildir.wait(for: 1)
    }

    @Test func `a server that does not prove its name gets nothing that requires TLS`() throws {
        let authority = try CertificateAuthority()
        let last = try PythonPrimary(
            certificate: authority.certificate(for: "other.mx.test"), extensions: ["REQUIRETLS"])
        let world = try self.world("[last.mx.test]:\(last.address.port)", authority)
        try self.sendRequiringTLS(to: world.postern, recipient: "user@example.test")
        #expect(try world.deferred("last.mx.test").contains("Server certificate not verified"))
        #expect(!last.told.contains { $0.line?.hasPrefix("MAIL") == true })
        try world.send(to: "example.test")
        #expect(try last.wait(for: 1).contains { $0.tls && $0.line?.hasPrefix("MAIL") == true })
        #expect(try world.postern.queued() == 1)
    }
}
