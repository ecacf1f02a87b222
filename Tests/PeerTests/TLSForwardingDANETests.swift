import Foundation
import Harness
import Testing

/// DANE (RFC 7672) before a real Postfix, with zones that a real name server signed.
@Suite(.serialized) struct TLSForwardingDANETests {
    /// One Postfix with servers at four addresses, on the same port: TLSA records stand under the port.
    private struct Servers {
        let authority: CertificateAuthority
        let postfix: PostfixPrimary
        let port: Int
        /// Digests of the keys that they show; nobody vouches for the first two.
        let good: String
        let expired: String
        /// Of the certificate of the authority in the third's chain; the third has the name `mx.usage2.signed.test`.
        let issuer: String
        private let folder: TemporaryFolder
        /// With whose files the third works.
        private let below: CertificateAuthority

        static let good = "127.0.0.21"
        static let expired = "127.0.0.22"
        static let issued = "127.0.0.23"
        /// It has no TLS.
        static let plain = "127.0.0.24"

        init(_ domains: [String]) throws {
            self.folder = try TemporaryFolder()
            self.port = try freePort()
            self.authority = try CertificateAuthority()
            self.below = try CertificateAuthority("Below", below: try CertificateAuthority("Other"))
            let good = try CertificateAuthority.selfSigned("nobody.test", in: self.folder)
            let expired = try CertificateAuthority.selfSigned("nobody.test", in: self.folder, validity: .expired)
            let issued = try self.below.certificate(for: "mx.usage2.signed.test")
            self.good = try CertificateDigest.key(good.certificate)
            self.expired = try CertificateDigest.key(expired.certificate)
            self.issuer = try CertificateDigest.certificate(self.below.certificate)
            let port = self.port
            let servers = [(Self.good, good), (Self.expired, expired), (Self.issued, issued)].map {
                PostfixPrimary.Server(Endpoint($0.0, port), settings: PostfixPrimary.tls($0.1))
            }
            self.postfix = try PostfixPrimary(
                domains: domains, servers: servers + [.init(Endpoint(Self.plain, port), settings: [:])])
        }

        /// A domain in `signed.test` with a host `mx`, at an address, with a TLSA record.
        func domain(_ name: String, _ address: String, _ record: String? = nil) -> String {
            let tlsa = record.map { "_\(self.port)._tcp.mx.\(name) TLSA \($0)\n" } ?? ""
            return "\(name) MX 10 mx.\(name)\nmx.\(name) A \(address)\n\(tlsa)"
        }

        func world(
            _ names: [String], zones: [String: String], anchors: [String], level: String = "dane",
            levels: [String: String] = [:]
        ) throws -> TLSForwardingWorld {
            var settings = TLSForwardingWorld.Settings()
            settings.level = level
            settings.levels = levels
            settings.anchors = anchors
            for name in names { settings.routes[name] = "smtp:\(name):\(self.port)" }
            return try TLSForwardingWorld(settings, zones: zones, authority: self.authority)
        }
    }

    private static func names(_ names: [String]) -> [String] { names.map { "\($0).signed.test" } }

    @Test func `mail goes where TLSA records match, whatever else is wrong with the certificate`() throws {
        let names = Self.names(["good", "expired", "usage2", "unusable", "none", "alias", "both", "mixed"])
        let servers = try Servers(names)
        let (port, good) = (servers.port, servers.good)
        let records = [
            servers.domain("good", Servers.good, "3 1 1 \(good)"),
            servers.domain("expired", Servers.expired, "3 1 1 \(servers.expired)"),
            servers.domain("usage2", Servers.issued, "2 0 1 \(servers.issuer)"),
            servers.domain("unusable", Servers.good, "1 1 1 \(good)"),
            servers.domain("none", Servers.good),
            "alias MX 10 mx.alias\nmx.alias CNAME real.alias\nreal.alias A \(Servers.good)",
            "_\(port)._tcp.real.alias TLSA 3 1 1 \(good)",
            // The first does not have the key that is published for it.
            "both MX 10 first.both\nboth MX 20 second.both",
            "first.both A \(Servers.expired)\n_\(port)._tcp.first.both TLSA 3 1 1 \(good)",
            "second.both A \(Servers.good)\n_\(port)._tcp.second.both TLSA 3 1 1 \(good)",
            servers.domain("mixed", Servers.good, "3 1 1 \(servers.expired)"),
            "_\(port)._tcp.mx.mixed TLSA 0 0 1 \(good)\n_\(port)._tcp.mx.mixed TLSA 3 1 1 \(good)",
        ]
        let signed = try SignedZone(
            "signed.test", TLSForwardingWorld.zone("signed.test", records.joined(separator: "\n")))
        let world = try servers.world(names, zones: ["signed.test": signed.text], anchors: [signed.anchor])
        for name in names { try world.send(to: name) }
        for name in names {
            let level = ["none": "may", "unusable": "encrypt"][String(name.prefix { $0 != "." })] ?? "dane"
            #expect(try world.delivered(name) == "\(level) TLSv1.3", "\(name)")
            #expect(try servers.postfix.message(name).cameInTLS)
        }
        let both = try world.postern.event("delivered") { $0["to"] == "user@both.signed.test" }
        #expect(both["remote"]?.contains("second.both") == true)
        try world.postern.waitUntilEmpty()
        #expect(servers.postfix.maildir.count == names.count)
    }

    @Test func `where TLSA records do not match mail waits, and goes when the zone is right`() throws {
        let labels = ["wrong", "name", "stripped", "unusable", "tampered"]
        let names = Self.names(labels)
        let servers = try Servers(names)
        let marker = String(repeating: "AB", count: 32)
        let records = [
            servers.domain("wrong", Servers.good, "3 1 1 \(servers.expired)"),
            // The certificate is for another host.
            servers.domain("name", Servers.issued, "2 0 1 \(servers.issuer)"),
            servers.domain("stripped", Servers.plain, "3 1 1 \(servers.good)"),
            servers.domain("unusable", Servers.plain, "1 1 1 \(servers.good)"),
            servers.domain("tampered", Servers.good, "3 1 1 \(marker)"),
        ]
        let text = TLSForwardingWorld.zone("signed.test", records.joined(separator: "\n"))
        let signed = try SignedZone("signed.test", text)
        // As somebody on the way would, to have his own key in it.
        let tampered = signed.text.replacing(marker.lowercased(), with: servers.good)
            .replacing(marker, with: servers.good)
        #expect(tampered != signed.text)
        let world = try servers.world(names, zones: ["signed.test": tampered], anchors: [signed.anchor])
        for name in names { try world.send(to: name) }
        for (name, why) in [
            ("wrong", "Server certificate not verified"), ("name", "Server certificate not verified"),
            ("stripped", "451 4.7.4"), ("unusable", "451 4.7.4"), ("tampered", "TLSA look-up error"),
        ] {
            #expect(try world.deferred("\(name).signed.test").contains(why), "\(name)")
        }
        #expect(servers.postfix.maildir.count == 0)
        #expect(try world.postern.queued() == names.count)
        // A message whose sender wants it to arrive rather than to be safe does.
        try world.postern.send(to: ["anyway@wrong.signed.test"], "TLS-Required: No\r\nSubject: anyway\r\n\r\n")
        #expect(try servers.postfix.message("anyway").cameInTLS)
        #expect(try world.postern.queued() == names.count)
        let right = labels.map { servers.domain($0, Servers.good, "3 1 1 \(servers.good)") }
        let resigned = try SignedZone(
            "signed.test", TLSForwardingWorld.zone("signed.test", right.joined(separator: "\n")), like: signed)
        try world.names.serve(["signed.test": resigned.text])
        // What was false may be remembered for a minute, in memory.
        for name in names where !name.hasPrefix("tampered") {
            #expect(try world.delivered(name) == "dane TLSv1.3", "\(name)")
            #expect(try servers.postfix.message(name).cameInTLS)
        }
        #expect(try world.postern.stop() == .exited(0))
        try world.postern.start()
        try world.postern.command("flush")
        #expect(try servers.postfix.message("tampered.signed.test").cameInTLS)
        try world.postern.waitUntilEmpty()
        #expect(servers.postfix.maildir.count == names.count + 1)
    }

    @Test func `a zone that is not signed binds to nothing, and one whose signatures have expired stops mail`() throws {
        let names = ["insecure.test", "late.test", "only.test"]
        let servers = try Servers(names)
        let records = { (name: String, digest: String) in
            TLSForwardingWorld.zone(
                name, "@ MX 10 mx\nmx A \(Servers.good)\n_\(servers.port)._tcp.mx TLSA 3 1 1 \(digest)\n")
        }
        let late = try SignedZone(
            "late.test", records("late.test", servers.good), options: ["-i", "20200101", "-e", "20200201"])
        let world = try servers.world(
            names,
            zones: [
                "insecure.test": records("insecure.test", servers.expired), "late.test": late.text,
                "only.test": records("only.test", servers.good),
            ], anchors: [late.anchor], levels: ["only.test:\(servers.port)": "dane-only"])
        for name in names { try world.send(to: name) }
        #expect(try world.delivered("insecure.test") == "may TLSv1.3")
        #expect(try world.deferred("late.test").hasPrefix("451 4."))
        #expect(try world.deferred("only.test").contains("not proven"))
        #expect(try world.postern.queued() == 2)
        #expect(servers.postfix.maildir.count == 1)
    }
}
