import Harness
import Testing

struct CertificateAuthorityTests {
    private func verify(
        _ certificate: CertificateAuthority.Certificate, root: String, name: String
    ) throws -> String {
        let arguments = [
            "verify", "-CAfile", root, "-untrusted", certificate.chain, "-verify_hostname", name,
            certificate.certificate,
        ]
        let finished = try Program("/usr/bin/openssl", arguments).run()
        return finished.ending == .exited(0) ? "OK" : finished.output + finished.errors
    }

    @Test(arguments: [CertificateAuthority.KeyKind.ec, .rsa])
    func `Certificates of an authority are good for their names`(key: CertificateAuthority.KeyKind) throws {
        let authority = try CertificateAuthority(key: key)
        let certificate = try authority.certificate(for: "mx.example.test", "127.0.0.1", key: key)
        #expect(try self.verify(certificate, root: authority.root, name: "mx.example.test") == "OK")
        #expect(try self.verify(certificate, root: authority.root, name: "other.test").contains("hostname mismatch"))
        let stranger = try CertificateAuthority()
        #expect(try self.verify(certificate, root: stranger.root, name: "mx.example.test").contains("error"))
    }

    @Test func `Authorities may be below others`() throws {
        let root = try CertificateAuthority()
        let authority = try CertificateAuthority("Below", below: root)
        let certificate = try authority.certificate(for: "mx.example.test")
        #expect(try self.verify(certificate, root: authority.root, name: "mx.example.test") == "OK")
        let without = try Program(
            "/usr/bin/openssl", ["verify", "-CAfile", root.root, certificate.certificate]
        ).run()
        #expect(without.ending != .exited(0))
    }

    @Test func `Certificates can be over, to come, or nobody's`() throws {
        let authority = try CertificateAuthority()
        let name = "mx.example.test"
        let expired = try authority.certificate(for: name, validity: .expired)
        #expect(try self.verify(expired, root: authority.root, name: name).contains("certificate has expired"))
        let future = try authority.certificate(for: name, validity: .future)
        #expect(try self.verify(future, root: authority.root, name: name).contains("not yet valid"))
        let folder = try TemporaryFolder()
        let own = try CertificateAuthority.selfSigned(name, in: folder)
        #expect(try self.verify(own, root: authority.root, name: name).contains("self-signed"))
        #expect(try self.verify(own, root: own.certificate, name: name) == "OK")
    }
}
