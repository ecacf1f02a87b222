import Authentication
import Mail
import Testing

struct SeveralAuthorsTests {
    private static let records = [
        "partner.example": "p=reject", "bank.example": "p=reject", "weak.example": "p=quarantine",
    ]

    @Test(arguments: [
        ("x@partner.example", nil), ("x@partner.example, x@sub.partner.example", nil),
        ("x@partner.example, ceo@bank.example", "bank.example"),
        ("ceo@bank.example, x@partner.example", "bank.example"),
        ("x@ours.example", "ours.example"), ("x@ours.example, x@other.example", "ours.example"),
        ("x@weak.example, x@ours.example", "ours.example"), ("x@partner.example, x@ours.example", "ours.example"),
        ("x@broken.example", "broken.example"), ("x@other.example, x@broken.example", "broken.example"),
        ("x@weak.example, x@partner.example", nil),
    ])
    func `an override is for its own author only`(from: String, refused: String?) async throws {
        var fixture = MessageFixture(records: Self.records.merging(["broken.example": "p"]) { first, _ in first })
        fixture.options.dmarc.overrides.values = [
            "partner.example": .none, "ours.example": .reject, "broken.example": .reject,
        ]
        let finding = try await fixture.finding(header: "From: \(from)")
        if case .refuse(let reply, let reason) = finding.decision.verdict {
            #expect(reply.oneLine.hasPrefix("550 5.7.1 ") && reason.key == refused)
        } else {
            #expect(refused == nil)
        }
    }

    /// A message with the seal of somebody who is trusted and saw that it was partner.example's.
    private static func isAccepted(_ from: String, signed: [String]? = nil) async throws -> Bool {
        let dkim = try DKIMFixture()
        var options = ARCSealer.Options()
        options.names = signed
        let sealer = ARCSealer(
            key: try dkim.signingKey(dkim.ed25519), authservID: try #require(DomainName("mx.example.test")),
            options: options)
        var fixture = MessageFixture()
        fixture.names = TestNames(texts: [
            "sel._domainkey.example.test": try dkim.record(dkim.ed25519),
            "_dmarc.partner.example": "v=DMARC1; p=reject", "_dmarc.bank.example": "v=DMARC1; p=reject",
        ])
        fixture.options.arc.trustedSealers = [try #require(DomainName("example.test"))]
        let content = Array("From: \(from)\r\nSubject: x\r\n\r\nHello\r\n".utf8)
        let fields = try sealer.fields(
            for: MessageDigester.digest(content, needing: [sealer.hashing]), chain: ARCResult(.none),
            results: ["dmarc=pass header.from=partner.example"], at: Timestamp(seconds: DKIMFixture.now))
        let finding = try await fixture.finding(Array(fields.utf8) + content)
        #expect(finding.arc.outcome == .pass)
        return finding.decision.verdict == .accept
    }

    @Test func `a sealer's word is for the author it names only`() async throws {
        #expect(try await Self.isAccepted("x@partner.example"))
        #expect(try await !Self.isAccepted("x@partner.example, ceo@bank.example"))
        #expect(try await !Self.isAccepted("x@bank.example"))
    }

    @Test func `a sealer who does not sign From says nothing of the author`() async throws {
        #expect(try await Self.isAccepted("x@partner.example", signed: ["from", "subject"]))
        #expect(try await !Self.isAccepted("x@partner.example", signed: ["subject"]))
    }
}
