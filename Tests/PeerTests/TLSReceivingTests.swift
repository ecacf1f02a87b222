import Harness
import Testing

/// TLS for those who bring mail, as `openssl s_client` sees it.
@Suite(.serialized) struct TLSReceivingTests {
    private typealias Shown = TLSReceivingWorld.Shown

    @Test func `TLS 1.2 and 1.3 are spoken at both ports, and nothing older`() throws {
        let world = try TLSReceivingWorld()
        for way in OpenSSLClient.Way.allCases {
            for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
                let report = try world.send(way, [option, "-CAfile", world.root.root, "-verify_return_error"])
                #expect(report.new?.hasPrefix("\(version), ") == true, "\(way): \(report)")
                #expect(report.verification == "ok", "the chain leads to the root: \(report)")
                #expect(report.codes.suffix(2) == [250, 221], "\(report)")
            }
            for option in ["-tls1", "-tls1_1"] {
                let report = try world.connect(way, [option, "-cipher", "ALL:@SECLEVEL=0"])
                #expect(report.new == nil && report.says("alert protocol version"), "\(way) \(option): \(report)")
            }
        }
        try world.sink.wait(for: 4)
        let traces = try world.traces()
        #expect(traces.allSatisfy { $0.contains("\n\tby mx2.example.test (Postern) with ESMTPS id ") }, "\(traces)")
        let old = "\t(using TLSv1.2 with cipher ECDHE-ECDSA-AES256-GCM-SHA384 (256/256 bits))"
        let new = "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))"
        #expect(traces.filter { $0.contains(old) }.count == 2, "\(traces)")
        #expect(traces.filter { $0.contains(new) }.count == 2, "\(traces)")
        try eventually("the log") { world.postern.events("queued").count >= 4 }
        let logged = world.postern.events("queued").compactMap { $0["tls"] }
        let both = ["TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384/256", "TLSv1.3/TLS_AES_256_GCM_SHA384/256"]
        #expect(logged.sorted() == [both[0], both[0], both[1], both[1]])
    }

    @Test func `only TLS 1.3 is spoken where nothing older is wanted`() throws {
        let world = try TLSReceivingWorld(tls: "minimum_version: TLSv1.3")
        #expect(try world.connect(.startTLS, ["-tls1_2"]).new == nil)
        #expect(try world.connect(.startTLS, ["-tls1_3"]).new?.hasPrefix("TLSv1.3, ") == true)
    }

    @Test func `at the port for TLS at once nothing else is understood`() throws {
        let world = try TLSReceivingWorld()
        let client = try SMTPClient(world.implicit)
        try client.send("EHLO client.example\r\n")
        #expect(try !client.readToEnd().bytes.starts(with: "2".utf8))
        try world.postern.event("tls_failed") { _ in true }
    }

    @Test func `of an ECDSA and an RSA certificate a client gets the one that it can check`() throws {
        let host = TLSReceivingWorld.host
        let world = try TLSReceivingWorld([Shown(name: host), Shown(name: host, key: .rsa)])
        let cases: [(options: [String], signature: String)] = [
            (["-tls1_3"], "ECDSA"),
            (["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"], "ECDSA"),
            (["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], "RSA-PSS"),
            (["-tls1_2"], "ECDSA"),
            (["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"], "RSA-PSS"),
            (["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384", "-sigalgs", "RSA+SHA256"], "RSA"),
            (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "ECDSA"),
        ]
        for (options, signature) in cases {
            let report = try world.connect(.startTLS, options + ["-CAfile", world.root.root])
            #expect(report.signature == signature, "\(options): \(report)")
            #expect(report.verification == "ok", "\(options): \(report)")
        }
        // For those who have nothing better.
        let old = try world.connect(.startTLS, ["-tls1_2", "-cipher", "AES128-GCM-SHA256"])
        #expect(old.new == "TLSv1.2, Cipher is AES128-GCM-SHA256")
    }

    @Test func `a client gets the certificate of the name that it asks for`() throws {
        let world = try TLSReceivingWorld([
            Shown(name: "mx2.example.test"), Shown(name: "other.example"), Shown(name: "*.wild.example", key: .rsa),
        ])
        let cases: [(options: [String], subject: String)] = [
            (["-noservername"], "mx2.example.test"), (["-servername", "mx2.example.test"], "mx2.example.test"),
            (["-servername", "other.example"], "other.example"),
            (["-servername", "OTHER.example"], "other.example"),
            (["-servername", "a.wild.example"], "*.wild.example"),
            (["-servername", "a.b.wild.example"], "mx2.example.test"),
            (["-servername", "nobody.example"], "mx2.example.test"),
        ]
        for way in OpenSSLClient.Way.allCases {
            for version in ["-tls1_2", "-tls1_3"] {
                for (options, subject) in cases {
                    let report = try world.connect(way, options + [version, "-CAfile", world.root.root])
                    #expect(report.subject == subject, "\(way) \(version) \(options): \(report)")
                    #expect(report.verification == "ok", "the chain of each is sent")
                }
            }
        }
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `a session goes on at the service where it began, and nowhere else`(version: String) throws {
        let world = try TLSReceivingWorld([Shown(name: "mx2.example.test"), Shown(name: "other.example")])
        for (began, elsewhere) in [(OpenSSLClient.Way.startTLS, OpenSSLClient.Way.atOnce), (.atOnce, .startTLS)] {
            let file = world.postern.folder.path("session-\(began)")
            #expect(try world.connect(began, [version, "-sess_out", file]).new != nil)
            let again = try world.send(began, [version, "-sess_in", file])
            #expect(again.resumed != nil && again.codes.suffix(2) == [250, 221], "\(again)")
            let other = try world.send(elsewhere, [version, "-sess_in", file])
            #expect(other.resumed == nil && other.new != nil, "at the other service it is a new one: \(other)")
            #expect(other.codes.suffix(2) == [250, 221])
        }
        try world.sink.wait(for: 4)
        #expect(try world.traces().allSatisfy { $0.contains(" with ESMTPS id ") && $0.contains("(using TLSv1.") })
    }

    @Test func `a session of TLS 1.2 cannot be negotiated anew`() throws {
        let world = try TLSReceivingWorld()
        let client = try OpenSSLDialog(world.postern.address, ["-tls1_2"])
        try client.send("NOOP\r\n")
        try client.wait(for: 1, "250 2.0.0 ")
        try client.send("R\n")
        try client.wait("RENEGOTIATING")
        try client.wait("no renegotiation")
        try world.postern.waitUntilDeserted()
        #expect(try world.connect().new != nil)
    }
}
