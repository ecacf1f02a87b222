import Mail
import Rules
import Testing

/// What clients' certificates are good for in restrictions.
struct CertificateTests {
    private static let certificate = [UInt8](repeating: 0xA1, count: 3) + [0x0B]
    private static let key = [UInt8](repeating: 0xC3, count: 4)

    private static func tls(_ subject: String = "c", isTrusted: Bool = false) -> TLSSummary {
        TLSSummary(
            version: "TLSv1.2", cipher: "ECDHE-RSA-AES128-GCM-SHA256", bits: 128, keyBits: 128,
            certificate: CertificateFacts(
                subject: subject, issuer: "An Authority+=", fingerprint: self.certificate,
                publicKeyFingerprint: self.key, isTrusted: isTrusted))
    }

    @Test(arguments: [("A1:A1:A1:0B", "by certificate"), ("c3:c3:c3:c3", "by key")])
    func `a table knows a certificate by itself or its key`(key: String, text: String) throws {
        var fixture = RestrictionFixture([.client: ["check_ccert_access hash:c"]])
        fixture.tables = ["hash:c": "\(key) REJECT \(text)\n"]
        #expect(try fixture.reply() == "accept")
        fixture.facts.tls = Self.tls()
        #expect(try fixture.reply() == "554 5.7.1 <c>: Client certificate rejected: \(text)")
        fixture.facts.tls?.certificate = nil
        #expect(try fixture.reply() == "accept", "it showed none")
    }

    @Test func `the certificate comes before its key, unless nothing is said of it`() throws {
        var fixture = RestrictionFixture([.client: ["check_ccert_access hash:c"]])
        fixture.facts.tls = Self.tls()
        fixture.tables = ["hash:c": "A1:A1:A1:0B OK\nC3:C3:C3:C3 REJECT\n"]
        #expect(try fixture.reply() == "accept")
        fixture.tables = ["hash:c": "A1:A1:A1:0B DUNNO\nC3:C3:C3:C3 REJECT\n"]
        #expect(try fixture.reply().hasPrefix("554"))
    }

    @Test func `a listed certificate relays, whoever signed it`() throws {
        var fixture = RestrictionFixture([.relay: ["permit_tls_clientcerts", "reject_unauth_destination"]])
        fixture.facts.forwardPath = Mailbox("x@elsewhere.example").map { .mailbox($0) }
        fixture.facts.tls = Self.tls()
        #expect(try fixture.relays() == false, "there is no list")
        for text in ["A1:A1:A1:0B x\n", "C3:C3:C3:C3 x\n"] {
            fixture.certificates = text
            #expect(try fixture.relays())
        }
        fixture.certificates = "A1:A1:A1:0C x\n"
        #expect(try fixture.relays() == false)
        fixture.certificates = "A1:A1:A1:0B x\n"
        fixture.facts.tls = nil
        #expect(try fixture.relays() == false)
    }

    @Test func `a certificate of a trusted authority relays where that is configured`() throws {
        var fixture = RestrictionFixture([.relay: ["permit_tls_all_clientcerts", "reject_unauth_destination"]])
        fixture.facts.forwardPath = Mailbox("x@elsewhere.example").map { .mailbox($0) }
        for isTrusted in [false, true] {
            fixture.facts.tls = Self.tls(isTrusted: isTrusted)
            #expect(try fixture.relays() == isTrusted)
        }
    }

    @Test func `policy services are told as Postfix tells them`() throws {
        func attributes(_ tls: TLSSummary?) throws -> [String: String] {
            var fixture = RestrictionFixture([.client: ["check_policy_service inet:x:1"]])
            fixture.facts.tls = tls
            do { _ = try fixture.outcome() } catch let asked as RestrictionFixture.Asked {
                guard case .policy(_, let list) = asked.lookup else { return [:] }
                return Dictionary(uniqueKeysWithValues: list.map { ($0.name, $0.value) })
            }
            return [:]
        }
        let plain = try attributes(nil)
        #expect(plain["encryption_protocol"] == "" && plain["encryption_keysize"] == "0")
        #expect(plain["ccert_fingerprint"] == "")
        let doubtful = try attributes(Self.tls("a b"))
        #expect(doubtful["encryption_protocol"] == "TLSv1.2" && doubtful["encryption_keysize"] == "128")
        #expect(doubtful["encryption_cipher"] == "ECDHE-RSA-AES128-GCM-SHA256")
        #expect(doubtful["ccert_subject"] == "" && doubtful["ccert_issuer"] == "", "anybody can sign anything")
        #expect(doubtful["ccert_fingerprint"] == "A1:A1:A1:0B" && doubtful["ccert_pubkey_fingerprint"] == "C3:C3:C3:C3")
        let trusted = try attributes(Self.tls("a\nb ü", isTrusted: true))
        #expect(trusted["ccert_subject"] == "a+0Ab+20+C3+BC" && trusted["ccert_issuer"] == "An+20Authority+2B=")
        #expect(trusted["protocol_name"] == "ESMTP", "also through TLS")
    }
}

extension RestrictionFixture {
    /// Whether mail to somebody else is taken; the list of recipients is another matter.
    fileprivate func relays() throws -> Bool { try !self.reply().contains("Relay access denied") }
}
