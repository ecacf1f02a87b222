import Foundation
import Harness
import Testing

/// Certificates change on the disk, and what clients then see.
@Suite(.serialized) struct TLSReceivingFilesTests {
    private typealias Shown = TLSReceivingWorld.Shown

    /// Serial numbers tell certificates for one name apart.
    private func serial(_ world: TLSReceivingWorld, _ way: OpenSSLClient.Way = .startTLS) throws -> String {
        let report = try world.connect(way, ["-CAfile", world.root.root])
        #expect(report.verification == "ok")
        guard let start = report.description.range(of: "-----BEGIN CERTIFICATE-----"),
            let end = report.description.range(of: "-----END CERTIFICATE-----\n")
        else { throw HarnessError("no certificate: \(report)") }
        var program = Program("/usr/bin/openssl", ["x509", "-noout", "-serial"])
        program.input = Array(report.description[start.lowerBound..<end.upperBound].utf8)
        return try program.runOrThrow().output
    }

    private func serial(of certificate: CertificateAuthority.Certificate) throws -> String {
        try Program("/usr/bin/openssl", ["x509", "-noout", "-serial", "-in", certificate.certificate])
            .runOrThrow().output
    }

    @Test func `a certificate that is replaced is what the next client sees, without a reload`() throws {
        let world = try TLSReceivingWorld(tls: "watch: 1s")
        let session = world.postern.folder.path("session")
        #expect(try world.connect(.startTLS, ["-sess_out", session]).new != nil)
        let before = try self.serial(world)
        let new = try world.certificate(Shown(name: TLSReceivingWorld.host))
        try world.install(new, as: "1.pem")
        let wanted = try self.serial(of: new)
        #expect(before != wanted)
        try eventually("the new certificate") { try self.serial(world) == wanted }
        #expect(try self.serial(world, .atOnce) == wanted)
        #expect(world.postern.log.contains("new certificates are shown: mx2.example.test (ECDSA, until "))
        #expect(try world.alarms().isEmpty)
        // What began with the old one is a new session now, and works.
        let later = try world.send(.startTLS, ["-sess_in", session])
        #expect(later.resumed == nil && later.codes.suffix(2) == [250, 221], "\(later)")
    }

    @Test func `half of a pair is an alarm, and the old pair is shown until the other half comes`() throws {
        // In the place of "1.pem" in the configuration.
        let files = "{chain: chain.pem, key: key.pem}"
        let world = try TLSReceivingWorld([], tls: "watch: 1s") { world in
            let first = try world.certificate(Shown(name: TLSReceivingWorld.host))
            try world.install(file: first.chain, as: "chain.pem")
            try world.install(file: first.key, as: "key.pem")
            let text = world.postern.file("postern.yaml")
            try world.postern.rewrite(
                "postern.yaml", text.replacing("certificates: []", with: "certificates: [\(files)]"))
        }
        let before = try self.serial(world)
        let new = try world.certificate(Shown(name: TLSReceivingWorld.host))
        try world.install(file: new.chain, as: "chain.pem")
        try eventually("an alarm") {
            try world.alarms().contains { $0.hasPrefix("new certificates cannot be used, the old ones are shown: ") }
        }
        let alarm = try #require(try world.alarms().first)
        #expect(alarm.contains("/chain.pem") && alarm.contains("/key.pem"), "it names the files: \(alarm)")
        #expect(try world.postern.command("status").output.contains("the old ones are shown"))
        #expect(try self.serial(world) == before)
        // A reload reads the same files.
        let refused = try world.postern.command("reload")
        #expect(refused.ending != .exited(0))
        #expect((refused.output + refused.errors).contains("/chain.pem"), "\(refused)")
        #expect(try self.serial(world) == before)

        try world.install(file: new.key, as: "key.pem")
        let wanted = try self.serial(of: new)
        try eventually("the new certificate") { try self.serial(world) == wanted }
        #expect(try world.alarms().isEmpty)
        #expect(try world.postern.command("reload").ending == .exited(0))
        #expect(try self.serial(world) == wanted)
    }

    @Test func `a reload with a bad file is refused, which says what is bad`() throws {
        let world = try TLSReceivingWorld(
            [Shown(name: TLSReceivingWorld.host), Shown(name: "other.example")], tls: "watch: 0s")
        let before = try self.serial(world)
        let certificate = try world.certificate(Shown(name: "other.example"))
        let good = world.postern.file("2.pem")
        let other = try String(contentsOfFile: certificate.key, encoding: .utf8)
        let bad: [(text: String, mode: mode_t)] = [
            ("", 0o600), ("no certificate\n", 0o600), (good.prefix(good.count / 2) + "\n", 0o600),
            (try String(contentsOfFile: certificate.chain, encoding: .utf8), 0o600),
            (world.postern.file("1.pem").components(separatedBy: "-----BEGIN PRIVATE")[0] + other, 0o600),
            (good, 0o644),
        ]
        for (text, mode) in bad {
            try world.postern.rewrite("2.pem", text)
            chmod(world.postern.folder.path("2.pem"), mode)
            let refused = try world.postern.command("reload")
            #expect(refused.ending != .exited(0), "\(text.prefix(40))")
            let said = refused.output + refused.errors
            #expect(said.contains("/2.pem") && !said.contains("/1.pem"), "\(said)")
            #expect(!said.contains("PRIVATE"), "\(said)")
            #expect(try self.serial(world) == before)
            #expect(try world.connect(.startTLS, ["-servername", "other.example"]).subject == "other.example")
        }
        try world.postern.rewrite("2.pem", good)
        chmod(world.postern.folder.path("2.pem"), 0o600)
        #expect(try world.postern.command("reload").ending == .exited(0))
        #expect(try world.send().codes.suffix(2) == [250, 221])
    }

    @Test func `a certificate that soon ends is an alarm, and one that has ended`() throws {
        let world = try TLSReceivingWorld(
            [
                Shown(name: TLSReceivingWorld.host, validity: .days(3)),
                Shown(name: "late.example", key: .rsa, validity: .expired),
                Shown(name: "good.example", validity: .days(20)),
            ], tls: "watch: 1s")
        let alarms = try world.alarms()
        #expect(alarms.count == 2, "\(alarms)")
        #expect(alarms.contains { $0.hasPrefix("the ECDSA certificate for mx2.example.test expires on ") })
        #expect(alarms.contains { $0.hasPrefix("the RSA certificate for late.example has expired on ") })
        // It is shown all the same: most clients do not look.
        #expect(try world.connect(.startTLS, ["-servername", "late.example"]).subject == "late.example")
        try world.install(try world.certificate(Shown(name: TLSReceivingWorld.host)), as: "1.pem")
        try world.install(try world.certificate(Shown(name: "late.example", key: .rsa)), as: "2.pem")
        try eventually("the end of the alarms") { try world.alarms().isEmpty }
    }
}
