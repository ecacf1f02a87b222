import Harness
import Testing

/// Clients that say by a certificate who they are.
@Suite(.serialized) struct TLSReceivingClientCertificateTests {
    private static func options(_ certificate: CertificateAuthority.Certificate) -> [String] {
        ["-cert", certificate.certificate, "-key", certificate.key, "-cert_chain", certificate.chain]
    }

    /// Certificates that lead to an authority, or to nobody.
    private struct Clients {
        let authority: CertificateAuthority
        let trusted: CertificateAuthority.Certificate
        let other: CertificateAuthority.Certificate
        let stranger: CertificateAuthority.Certificate
        private let folder: TemporaryFolder

        init() throws {
            self.folder = try TemporaryFolder()
            self.authority = try CertificateAuthority("Client root")
            self.trusted = try self.authority.certificate(for: "trusted.client.example")
            self.other = try self.authority.certificate(for: "other.client.example", key: .rsa)
            self.stranger = try CertificateAuthority.selfSigned("stranger.client.example", in: self.folder)
        }
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `the field says whose certificate it was, and whether it leads to an authority`(version: String) throws {
        let clients = try Clients()
        let world = try TLSReceivingWorld(
            [.init(name: "mx2.example.test"), .init(name: "other.example")],
            tls: "client_certificates: true, authorities: \(clients.authority.root)")
        let cases: [(options: [String], line: String?)] = [
            (
                Self.options(clients.trusted),
                "\t(Client CN \"trusted.client.example\", Issuer \"Client root\" (verified OK))"
            ),
            (
                Self.options(clients.trusted) + ["-servername", "other.example"],
                "\t(Client CN \"trusted.client.example\", Issuer \"Client root\" (verified OK))"
            ),
            (
                Self.options(clients.stranger),
                "\t(Client CN \"stranger.client.example\", Issuer \"stranger.client.example\" (not verified))"
            ),
            ([], nil),
        ]
        for (number, client) in cases.enumerated() {
            for way in OpenSSLClient.Way.allCases {
                let report = try world.send(way, client.options + [version])
                #expect(report.codes.suffix(2) == [250, 221], "\(report)")
            }
            try world.sink.wait(for: 2 * number + 2)
            for trace in try world.traces().suffix(2) {
                let lines = trace.components(separatedBy: "\n")
                #expect(lines[1].hasPrefix("\t(using TLSv1."))
                #expect(lines.first { $0.hasPrefix("\t(Client") } == client.line, "\(trace)")
            }
        }
    }

    @Test func `a client that was trusted is so in a session that goes on`() throws {
        let clients = try Clients()
        let world = try TLSReceivingWorld(tls: "client_certificates: true, authorities: \(clients.authority.root)")
        for version in ["-tls1_2", "-tls1_3"] {
            let file = world.postern.folder.path("session\(version)")
            let options = Self.options(clients.trusted) + [version]
            #expect(try world.send(.startTLS, options + ["-sess_out", file]).new != nil)
            let again = try world.send(.startTLS, options + ["-sess_in", file])
            #expect(again.resumed != nil && again.codes.suffix(2) == [250, 221], "\(again)")
        }
        try world.sink.wait(for: 4)
        #expect(try world.traces().allSatisfy { $0.contains("Issuer \"Client root\" (verified OK)") })
    }

    @Test func `rules know a certificate by its fingerprint`() throws {
        let clients = try Clients()
        let fingerprint = try OpenSSLClient.fingerprint(clients.stranger.certificate)
        let world = try TLSReceivingWorld(
            tls: "client_certificates: true",
            more: "restrictions: {client: [{check_ccert_access: texthash:certificates}]}"
        ) { world in
            try world.postern.rewrite("rules/certificates", "\(fingerprint) REJECT known too well\n")
        }
        let known = try world.send(.startTLS, Self.options(clients.stranger))
        #expect(known.says("554 5.7.1 <"), "\(known)")
        #expect(known.says("Client certificate rejected: known too well"), "\(known)")
        for options in [Self.options(clients.other), []] {
            #expect(try world.send(.startTLS, options).codes.suffix(2) == [250, 221])
        }
        try world.sink.wait(for: 2)
    }

    @Test func `who shows a listed certificate may relay, by it or by its key, and nobody else`() throws {
        let clients = try Clients()
        let world = try TLSReceivingWorld(
            tls: "client_certificates: true, relay_certificates: texthash:certificates",
            more: "restrictions: {relay: [permit_tls_clientcerts, reject_unauth_destination]}",
            elsewhere: "elsewhere.example"
        ) { world in
            let digits = Array(try OpenSSLClient.publicKeyDigest(clients.other.key).uppercased())
            let key = stride(from: 0, to: digits.count, by: 2).map { String(digits[$0...$0 + 1]) }
            try world.postern.rewrite(
                "rules/certificates",
                """
                \(try OpenSSLClient.fingerprint(clients.trusted.certificate)) by certificate
                \(key.joined(separator: ":")) by key

                """)
        }
        let recipient = ["friend@elsewhere.example"]
        for listed in [clients.trusted, clients.other] {
            let report = try world.send(.startTLS, Self.options(listed), to: recipient)
            #expect(report.codes.suffix(2) == [250, 221], "\(report)")
        }
        for options in [Self.options(clients.stranger), []] {
            #expect(try world.send(.startTLS, options, to: recipient).says("554 5.7.1 <friend@elsewhere.example>: "))
        }
        try world.sink.wait(for: 2)
    }

    @Test func `who shows a certificate of the authority may relay where all those may`() throws {
        let clients = try Clients()
        let world = try TLSReceivingWorld(
            tls: "client_certificates: true, authorities: \(clients.authority.root)",
            more: "restrictions: {relay: [permit_tls_all_clientcerts, reject_unauth_destination]}",
            elsewhere: "elsewhere.example")
        let recipient = ["friend@elsewhere.example"]
        let trusted = try world.send(.startTLS, Self.options(clients.trusted), to: recipient)
        #expect(trusted.codes.suffix(2) == [250, 221], "\(trusted)")
        let expired = try clients.authority.certificate(for: "late.client.example", validity: .expired)
        for options in [Self.options(clients.stranger), Self.options(expired), []] {
            #expect(try world.send(.startTLS, options, to: recipient).says("554 5.7.1 <friend@elsewhere.example>: "))
        }
        try world.sink.wait(for: 1)
    }
}
