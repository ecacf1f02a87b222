import Authentication
import Mail
import Testing

/// Mail whose author's domain has a signature under a name server that does not answer.
struct TemporaryDMARCTests {
    private static func fixture(_ record: String?) throws -> MessageFixture {
        let dkim = try DKIMFixture()
        var replies: [NameQuery: NameReply] = [
            NameQuery("lame._domainkey.example.test", .txt): .failed("SERVFAIL"),
            NameQuery("sel._domainkey.example.test", .txt): .texts([Array(try dkim.record(dkim.ed25519).utf8)]),
        ]
        if let record { replies[NameQuery("_dmarc.example.test", .txt)] = .texts([Array(record.utf8)]) }
        var fixture = MessageFixture()
        fixture.names = TestNames(replies)
        return fixture
    }

    /// Whose body is the one that is signed, so that its key is asked for.
    private static func signed() throws -> [UInt8] {
        try DKIMFixture().signed("v=1; a=ed25519-sha256; d=example.test; s=lame; h=from")
    }

    @Test(arguments: [
        ("v=DMARC1; p=reject", [false, true, true]), ("v=DMARC1; p=quarantine", [false, true, true]),
        ("v=DMARC1; p=none", [false, false, true]), ("v=DMARC1; p=none; sp=reject", [false, false, true]),
    ])
    func `a temporary error is no way round a policy, and no refusal for good`(
        record: String, isDeferred: [Bool]
    ) async throws {
        var fixture = try Self.fixture(record)
        for (setting, isDeferred) in zip(DMARCOptions.Temperror.allCases, isDeferred) {
            fixture.options.dmarc.temperror = setting
            let finding = try await fixture.finding(Self.signed())
            #expect(finding.dmarc.outcome == .temperror && finding.decision.disposition == .none)
            switch finding.decision.verdict {
            case .accept: #expect(!isDeferred, "\(setting)")
            case .refuse(let reply, _): #expect(reply.code == 451 && isDeferred, "\(setting)")
            case .hold: Issue.record("held")
            }
        }
    }

    @Test func `it is deferred by default, but not of exempt clients or against an override`() async throws {
        var fixture = try Self.fixture("v=DMARC1; p=reject")
        guard case .refuse(let reply, _) = try await fixture.finding(Self.signed()).decision.verdict else {
            Issue.record("accepted")
            return
        }
        #expect(reply.outcome == .temporary)
        fixture.options.dmarc.overrides.values = ["example.test": .none]
        #expect(try await fixture.finding(Self.signed()).decision == .accepted)
        fixture.options.dmarc.overrides.values = [:]
        fixture.isExempt = true
        #expect(try await fixture.finding(Self.signed()).decision == .accepted)
    }

    @Test func `a record that nobody can ask for costs nothing by default`() async throws {
        var fixture = MessageFixture()
        fixture.names = TestNames([NameQuery("_dmarc.example.test", .txt): .failed("SERVFAIL")])
        #expect(try await fixture.refusal(header: "From: a@example.test") == nil)
        fixture.options.dmarc.temperror = .defer
        #expect(try await fixture.refusal(header: "From: a@example.test")?.hasPrefix("451 4.7.1 ") == true)
    }
}
