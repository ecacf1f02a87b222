import Foundation
import Harness
import Testing

/// MTA-STS (RFC 8461) with policies from a server that is not ours, before a real Postfix.
@Suite(.serialized) struct TLSForwardingSTSTests {
    /// Two Postfix servers on one port: one shows a certificate for `*.sts.test`, one a certificate for somebody else.
    private struct Servers {
        static let good = "127.0.0.25"
        static let other = "127.0.0.26"

        let authority: CertificateAuthority
        let postfix: PostfixPrimary
        let port: Int
        let key: String

        init(_ domains: [String]) throws {
            self.port = try freePort()
            self.authority = try CertificateAuthority()
            let good = try self.authority.certificate(for: "*.sts.test")
            let other = try self.authority.certificate(for: "mx.somebody.test")
            self.key = try CertificateDigest.key(other.certificate)
            let port = self.port
            self.postfix = try PostfixPrimary(
                domains: domains,
                servers: [(Self.good, good), (Self.other, other)].map {
                    PostfixPrimary.Server(Endpoint($0.0, port), settings: PostfixPrimary.tls($0.1))
                })
        }

        /// Policies of domains, by their first label.
        func policies(_ policies: [String: String]) throws -> HTTPSServer {
            var hosts: [String: HTTPSServer.Host] = [:]
            for (name, text) in policies {
                let host = "mta-sts.\(name).sts.test"
                hosts[host] = .policy(try self.authority.certificate(for: host), text)
            }
            return try HTTPSServer(hosts)
        }

        func world(_ names: [String], zone: String, anchors: [String], policies port: Int) throws -> TLSForwardingWorld
        {
            var settings = TLSForwardingWorld.Settings()
            for name in names { settings.routes["\(name).sts.test"] = "smtp:\(name).sts.test:\(self.port)" }
            settings.anchors = anchors
            settings.more = """
                mta_sts: {port: \(port), allow_loopback: true, timeout: 10s, authorities: \(self.authority.root)}
                tls_reports: {enabled: true, contact: tls@mx2.example.test}
                """
            return try TLSForwardingWorld(settings, zones: ["sts.test": zone], authority: self.authority)
        }
    }

    private static func policy(_ mode: String, _ host: String) -> String {
        "version: STSv1\r\nmode: \(mode)\r\nmx: \(host)\r\nmax_age: 86400\r\n"
    }

    /// A domain with a policy and one host.
    private static func domain(_ name: String, host: String, _ address: String) -> String {
        """
        \(name) MX 10 \(host)
        \(host) A \(address)
        _mta-sts.\(name) TXT "v=STSv1; id=1;"
        mta-sts.\(name) A 127.0.0.1

        """
    }

    @Test func `a policy that is enforced wants a host that it names, and a certificate of that`() throws {
        let names = ["good", "wrong", "unlisted", "testing"]
        let servers = try Servers(names.map { "\($0).sts.test" })
        let policies = try servers.policies([
            "good": Self.policy("enforce", "*.sts.test"), "wrong": Self.policy("enforce", "mx-wrong.sts.test"),
            "unlisted": Self.policy("enforce", "mx.elsewhere.test"),
            "testing": Self.policy("testing", "mx-testing.sts.test"),
        ])
        let zone = TLSForwardingWorld.zone(
            "sts.test",
            [
                Self.domain("good", host: "mx-good", Servers.good),
                Self.domain("wrong", host: "mx-wrong", Servers.other),
                Self.domain("unlisted", host: "mx-unlisted", Servers.good),
                Self.domain("testing", host: "mx-testing", Servers.other),
            ].joined())
        let world = try servers.world(names, zone: zone, anchors: [], policies: policies.port)
        for name in names { try world.send(to: "\(name).sts.test") }
        #expect(try world.delivered("good.sts.test") == "sts TLSv1.3")
        #expect(try world.delivered("testing.sts.test") == "may TLSv1.3")
        let wrong = try world.deferred("wrong.sts.test")
        #expect(wrong.contains("Server certificate not verified") && wrong.hasPrefix("451 4.7.5"), "\(wrong)")
        let unlisted = try world.deferred("unlisted.sts.test")
        #expect(unlisted.contains("MTA-STS policy of unlisted.sts.test does not name it"), "\(unlisted)")
        #expect(try world.postern.queued() == 2)
        #expect(servers.postfix.maildir.count == 2)
        // What the sender says of its message holds for that message.
        try world.postern.send(to: ["anyway@wrong.sts.test"], "TLS-Required: No\r\nSubject: anyway\r\n\r\n")
        #expect(try servers.postfix.message("anyway").cameInTLS)
        #expect(try world.postern.queued() == 2)
        #expect(policies.requests.allSatisfy { $0.path == "/.well-known/mta-sts.txt" })
        // What was seen is on the disk, for tomorrow's report.
        #expect(try world.postern.stop() == .exited(0))
        let rows = try self.rows(world.postern.folder)
        for row in ["certificate-host-mismatch", "testing.sts.test", "good.sts.test", "validation-failure"] {
            #expect(rows.contains(row), "\(row)")
        }
    }

    /// The data base of TLS reports, in which texts stand as they are.
    private func rows(_ folder: TemporaryFolder) throws -> String {
        let state = folder.path("state")
        let files = try #require(FileManager.default.subpaths(atPath: state))
        let bases = files.filter { $0.contains("tls") && $0.hasSuffix(".mdb") && !$0.contains("lock") }
        #expect(!bases.isEmpty, "\(files)")
        return bases.map { path in
            String(decoding: FileManager.default.contents(atPath: "\(state)/\(path)") ?? Data(), as: UTF8.self)
        }.joined()
    }

    @Test func `a policy that is known holds over a restart, while its server is down`() throws {
        let name = "kept.sts.test"
        let servers = try Servers([name])
        var policies: HTTPSServer? = try servers.policies(["kept": Self.policy("enforce", "mx.sts.test")])
        let zone = { (address: String) in
            TLSForwardingWorld.zone("sts.test", Self.domain("kept", host: "mx", address))
        }
        let world = try servers.world(
            ["kept"], zone: zone(Servers.good), anchors: [], policies: try #require(policies?.port))
        try world.send(to: name)
        #expect(try world.delivered(name) == "sts TLSv1.3")
        #expect(policies?.requests.count == 1)
        #expect(try world.postern.stop() == .exited(0))
        policies = nil
        // Somebody else's server is there instead.
        try world.names.serve(["sts.test": zone(Servers.other)])
        try world.postern.start()
        try world.send(to: name)
        #expect(try world.deferred(name).contains("Server certificate not verified"))
        #expect(servers.postfix.maildir.count == 1)
        // And somebody takes the record away as well.
        try world.names.serve([
            "sts.test": TLSForwardingWorld.zone("sts.test", "kept MX 10 mx\nmx A \(Servers.other)\n")
        ])
        #expect(try world.postern.stop() == .exited(0))
        try world.postern.start()
        #expect(try world.deferred(name).contains("Server certificate not verified"))
        #expect(servers.postfix.maildir.count == 1)
        try world.names.serve(["sts.test": zone(Servers.good)])
        #expect(try world.delivered(name) == "sts TLSv1.3")
        try world.postern.waitUntilEmpty()
        #expect(servers.postfix.maildir.count == 2)
    }

    @Test func `TLSA records come before a policy`() throws {
        let names = ["dane", "mismatch"]
        let servers = try Servers(names.map { "\($0).sts.test" })
        // By the policies alone the first would be refused, and the second be good.
        let policies = try servers.policies([
            "dane": Self.policy("enforce", "mx.elsewhere.test"),
            "mismatch": Self.policy("enforce", "mx-mismatch.sts.test"),
        ])
        let records = [
            Self.domain("dane", host: "mx-dane", Servers.other),
            Self.domain("mismatch", host: "mx-mismatch", Servers.good),
            "_\(servers.port)._tcp.mx-dane TLSA 3 1 1 \(servers.key)",
            "_\(servers.port)._tcp.mx-mismatch TLSA 3 1 1 \(servers.key)",
        ]
        let signed = try SignedZone("sts.test", TLSForwardingWorld.zone("sts.test", records.joined(separator: "\n")))
        let world = try servers.world(names, zone: signed.text, anchors: [signed.anchor], policies: policies.port)
        for name in names { try world.send(to: "\(name).sts.test") }
        #expect(try world.delivered("dane.sts.test") == "dane TLSv1.3")
        #expect(try world.deferred("mismatch.sts.test").contains("Server certificate not verified"))
        #expect(servers.postfix.maildir.count == 1)
    }
}
