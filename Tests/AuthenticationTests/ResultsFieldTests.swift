import Authentication
import Mail
import Testing

struct ResultsFieldTests {
    /// A message with so many signatures, none of which is one.
    private static func header(signatures: Int, identity: String = "") -> String {
        let signature = "DKIM-Signature: v=1; d=evil.example; s=sel; i=\(identity)@evil.example; a=rsa-sha256"
        return "From: ceo@bank.example\r\n"
            + Array(repeating: signature, count: signatures).joined(separator: "\r\n")
    }

    private static func names(_ finding: AuthenticationFinding) -> [String] { finding.results.methods.map(\.name) }

    @Test func `what is verified is told, behind what the sender cannot make long`() async throws {
        let fixture = MessageFixture(records: ["bank.example": "p=none"])
        let few = try await fixture.finding(header: Self.header(signatures: 10))
        #expect(Self.names(few) == ["spf", "dmarc", "arc"] + Array(repeating: "dkim", count: 10))
        #expect(!few.fields.contains("not shown"))
        let many = try await fixture.finding(header: Self.header(signatures: 900))
        #expect(Self.names(many) == Self.names(few))
        #expect(many.dkim.count == 10)
        let last = try #require(many.results.methods.last?.comment)
        #expect(last.hasPrefix("890 more not shown, "))
        let none = try await fixture.finding(header: "From: ceo@bank.example")
        #expect(Self.names(none) == ["spf", "dmarc", "arc", "dkim"] && none.results.methods.last?.result == "none")
    }

    @Test func `the field is no longer than eight kilobytes`() async throws {
        var fixture = MessageFixture(records: ["bank.example": "p=none"])
        fixture.options.dkim.signatures = 100
        fixture.options.spf.field = false
        // Quotation marks take two octets each.
        let identity = String(repeating: "\"", count: 240)
        let finding = try await fixture.finding(header: Self.header(signatures: 100, identity: identity))
        #expect(finding.fields.utf8.count <= 8192 && finding.fields.utf8.count > 4096)
        let shown = finding.results.methods(named: "dkim").count
        #expect(Self.names(finding).prefix(3) == ["spf", "dmarc", "arc"] && shown > 5)
        let last = try #require(finding.results.methods.last?.comment)
        #expect(last.hasPrefix("\(100 - shown) more not shown, "))
    }

    @Test(arguments: [
        (nil, true, false), ("user@client.example", true, false), ("user@bücher.example", true, true),
        ("ü@client.example", true, true), ("ü@client.example", false, false),
    ])
    func `only a message that needs SMTPUTF8 anyway gets more than ASCII`(
        path: String?, isInternational: Bool, mayHave: Bool
    ) async throws {
        var fixture = MessageFixture()
        fixture.isInternational = isInternational
        if let path { fixture.reversePath = .mailbox(try #require(Mailbox(path))) }
        fixture.options.spf.field = false
        let finding = try await fixture.finding(header: "From: a@bücher.example")
        #expect(finding.fields.isASCII == !mayHave)
        #expect(finding.fields.contains("header.from=\(mayHave ? "bücher" : "xn--bcher-kva").example"))
    }
}
