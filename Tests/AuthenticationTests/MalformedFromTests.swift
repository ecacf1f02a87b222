import Authentication
import Testing

struct MalformedFromTests {
    private static let reject = ["bank.example": "p=reject"]

    /// Each of them can show a reader whatever the sender likes.
    @Test(arguments: [
        ("Subject: x", "550 5.6.0 The message has no From field"),
        ("From: a@a.example\r\nFrom: b@bank.example", "550 5.6.0 The message has several From fields"),
        ("From: CEO", "550 5.6.0 The From field has no address, or one without a domain name"),
        (
            "From: a@a.example, b@[192.0.2.1]",
            "550 5.6.0 The From field has no address, or one without a domain name"
        ),
        (
            "From: a@1.example, a@2.example, a@3.example, a@4.example, ceo@bank.example",
            "550 5.6.0 The From field names more than 4 domains"
        ),
        (
            "From: ceo@bank.example" + String(repeating: "\r\nX: y", count: 1000),
            "552 5.3.4 The header of the message is too large"
        ),
        (
            "From: ceo@bank.example\r\nX: " + String(repeating: "y", count: 262_144),
            "552 5.3.4 The header of the message is too large"
        ),
    ])
    func `a From that cannot be judged is refused`(header: String, expected: String) async throws {
        var fixture = MessageFixture(records: Self.reject)
        #expect(try await fixture.refusal(header: header) == expected)
        let finding = try await fixture.finding(header: header)
        #expect(finding.dmarc.outcome == .permerror && finding.decision.disposition == .reject)
        fixture.options.dmarc.malformedFrom = .hold
        #expect(try await fixture.refusal(header: header) == "hold")
        fixture.options.dmarc.malformedFrom = .mark
        #expect(try await fixture.refusal(header: header) == nil)
    }

    @Test func `clients that are exempt may send it`() async throws {
        var fixture = MessageFixture()
        fixture.isExempt = true
        #expect(try await fixture.refusal(header: "Subject: x") == nil)
    }

    @Test func `a record that cannot be read costs no message`() async throws {
        let fixture = MessageFixture(records: ["bank.example": "p"])
        let finding = try await fixture.finding(header: "From: ceo@bank.example")
        #expect(finding.dmarc.outcome == .permerror && finding.decision == .accepted)
    }
}
