import MTASTS
import Mail
import Resolver
import SMTP
import TLS
import Testing
import ZoneFiles

@testable import Forwarder

/// Levels, policies of domains and what messages ask for, without a connection.
struct SecurityLevelTests {
    private static let print = String(repeating: "ab", count: 32)

    /// A domain with a server of its own, with or without TLSA records.
    private static func fixture(
        _ security: DNSSecurity = .insecure, tlsa: String? = nil
    ) throws -> PlanFixture {
        try PlanFixture(
            (
                "example.test", security,
                "@ MX 10 mx\nmx A 192.0.2.1\n" + (tlsa.map { "_25._tcp.mx TLSA \($0)\n" } ?? "")
            ))
    }

    private static func policy(_ mode: STSPolicy.Mode, _ patterns: String..., fault: STSFault? = nil) -> STSFinding {
        .policy(
            STSPolicy(mode: mode, mxPatterns: patterns, maximumAge: .seconds(1), lines: ["mode: \(mode)"]),
            fault: fault)
    }

    // MARK: Levels

    @Test(arguments: [
        ("none", "none"), ("may", "may or none"), ("encrypt", "encrypt"), ("dane", "may or none"),
        ("dane-only", "skip 4.7.5"), ("fingerprint match=\(print)", "fingerprint fingerprints=1"),
        ("verify", "verify names=mx.example.test sni=mx.example.test"),
        ("secure", "secure names=example.test,.example.test sni=mx.example.test"),
        (
            "secure match=hostname:other.test servername=sni.test",
            "secure names=mx.example.test,other.test sni=sni.test"
        ),
        ("may servername=sni.test", "may or none sni=sni.test"),
    ])
    func `each level asks for what it says`(value: String, expected: String) async throws {
        var fixture = try Self.fixture()
        fixture.policies = [("example.test", value)]
        #expect(try await fixture.outcome() == expected)
        fixture.options.tls.level = .encrypt
        #expect(try await fixture.outcome() == expected, "the table stands above the level of all")
        fixture.policies = [("other.test", value)]
        #expect(try await fixture.outcome() == "encrypt")
    }

    @Test func `versions are those of the table, else of the options`() async throws {
        var fixture = try Self.fixture()
        #expect(try await fixture.plan().connection?.minimumVersion == .v1_2)
        fixture.options.tls.minimumVersion = .v1_3
        #expect(try await fixture.plan().connection?.minimumVersion == .v1_3)
        fixture.policies = [("example.test", "may protocols=>=TLSv1")]
        #expect(try await fixture.plan().connection?.minimumVersion == .v1_0)
    }

    @Test func `the administrator's levels are no business of reports`() async throws {
        var fixture = try Self.fixture()
        for value in ["none", "verify", "secure", "fingerprint match=\(Self.print)"] {
            fixture.policies = [("example.test", value)]
            #expect(try await fixture.plan().connection?.policy == nil)
        }
        fixture.policies = []
        #expect(try await fixture.plan().connection?.policy == .init(type: .none, domain: "example.test"))
        // A host that the administrator named has no domain to report to.
        #expect(try await fixture.plan("[mx.example.test]").connection?.policy == nil)
    }

    // MARK: Policies of domains (RFC 8461)

    @Test func `a policy binds as its mode says`() async throws {
        var fixture = try Self.fixture()
        fixture.finding = { _ in Self.policy(.enforce, "mx.example.test") }
        var plan = try await fixture.plan()
        #expect(plan.short == "sts names=mx.example.test sni=mx.example.test")
        #expect(plan.connection?.policy?.type == .sts && plan.connection?.policy?.strings == ["mode: enforce"])
        fixture.finding = { _ in Self.policy(.enforce, "*.mail.example.test") }
        plan = try await fixture.plan()
        #expect(plan.short == "skip 4.7.5" && plan.failures == [.validationFailure])
        fixture.finding = { _ in Self.policy(.testing, "*.example.test") }
        plan = try await fixture.plan()
        #expect(plan.short == "may or none names=mx.example.test sni=mx.example.test" && plan.failures.isEmpty)
        fixture.finding = { _ in Self.policy(.testing, "elsewhere.test") }
        plan = try await fixture.plan()
        #expect(plan.short == "may or none" && plan.failures == [.validationFailure])
        #expect(plan.connection?.policy == nil, "the failure is reported once")
        fixture.finding = { _ in Self.policy(.none) }
        #expect(try await fixture.outcome() == "may or none")
    }

    @Test func `what is wrong with a policy is reported, and what is in force holds`() async throws {
        var fixture = try Self.fixture()
        let fault = STSFault(.stsWebPKIInvalid, "expired")
        fixture.finding = { _ in .unavailable(fault) }
        var plan = try await fixture.plan()
        #expect(plan.short == "may or none" && plan.failures == [.stsWebPKIInvalid])
        #expect(plan.noticed.map(\.isOfDomain) == [true])
        fixture.finding = { _ in Self.policy(.enforce, "mx.example.test", fault: fault) }
        plan = try await fixture.plan()
        #expect(plan.connection?.basis == .sts && plan.failures == [.stsWebPKIInvalid])
    }

    @Test func `a policy that is not known stops no ordinary mail, and is no news for the domain`() async throws {
        var fixture = try Self.fixture()
        fixture.finding = { _ in .unknown("timeout") }
        let plan = try await fixture.plan()
        #expect(plan.short == "may or none" && plan.failures.isEmpty)
        #expect(plan.connection?.policy == .init(type: .none, domain: "example.test"))
    }

    /// Which levels leave a domain's policy to decide: those that would go without proof by themselves.
    @Test(arguments: [
        ("may", "sts"), ("dane", "sts"), ("none", "none"), ("encrypt", "encrypt"), ("verify", "verify"),
        ("secure", "secure"), ("fingerprint match=\(print)", "fingerprint"),
    ])
    func `a policy stands behind explicit levels`(value: String, basis: String) async throws {
        var fixture = try Self.fixture()
        fixture.finding = { _ in Self.policy(.enforce, "mx.example.test") }
        fixture.policies = [("example.test", value)]
        #expect(try await fixture.plan().connection?.basis.rawValue == basis)
        fixture.options.tls.mtaSTS = false
        #expect(try await fixture.plan().connection?.basis != .sts)
    }

    @Test func `a host that the administrator named is under no policy`() async throws {
        var fixture = try Self.fixture()
        fixture.finding = { domain in
            Issue.record("\(domain) was asked for")
            return .none
        }
        #expect(try await fixture.outcome("[mx.example.test]") == "may or none")
        #expect(try await fixture.outcome("[192.0.2.1]:25") == "may or none")
    }

    /// RFC 8461 §2: a policy never stands in for TLSA records.
    @Test func `TLSA records come before a policy`() async throws {
        var fixture = try Self.fixture(.secure, tlsa: "3 1 1 $")
        fixture.finding = { domain in
            Issue.record("\(domain) was asked for, which would cost a fetch")
            return Self.policy(.enforce, "elsewhere.test")
        }
        let dane = "dane 311 names=mx.example.test,example.test sni=mx.example.test"
        #expect(try await fixture.outcome() == dane)
        // Records that cannot be used demand TLS; a policy may demand more.
        var unusable = try Self.fixture(.secure, tlsa: "1 1 1 $")
        for (finding, expected) in [
            (STSFinding.none, "encrypt"), (Self.policy(.none), "encrypt"),
            (Self.policy(.testing, "mx.example.test"), "encrypt names=mx.example.test sni=mx.example.test"),
            (Self.policy(.enforce, "mx.example.test"), "sts names=mx.example.test sni=mx.example.test"),
            (Self.policy(.enforce, "elsewhere.test"), "skip 4.7.5"),
        ] {
            unusable.finding = { _ in finding }
            #expect(try await unusable.outcome() == expected)
        }
    }

    /// Whoever forges MX records may name a host of his own, with TLSA records.
    @Test func `TLSA records of a host that nobody proves do not lead past a policy`() async throws {
        var fixture = try PlanFixture(
            ("example.test", .insecure, "@ MX 10 mx.forged.test."),
            ("forged.test", .secure, "mx A 192.0.2.1\n_25._tcp.mx TLSA 3 1 1 $"))
        fixture.finding = { _ in Self.policy(.enforce, "mx.example.test") }
        for setting in [ForwarderTLSOptions.InsecureMX.dane, .encrypt, .may] {
            fixture.options.tls.insecureMX = setting
            #expect(try await fixture.outcome() == "skip 4.7.5")
        }
        fixture.finding = { _ in Self.policy(.enforce, "*.forged.test") }
        fixture.options.tls.insecureMX = .dane
        #expect(try await fixture.outcome() == "dane 311 names=mx.forged.test sni=mx.forged.test")
    }

    // MARK: TLS-Required: No (RFC 8689 §4.1)

    @Test(
        arguments: [
            (nil, "may or none"), ("none", "none"), ("encrypt", "encrypt"),
            ("verify", "verify names=mx.example.test sni=mx.example.test"),
            (
                "dane protocols=>=TLSv1.3 servername=sni.test",
                "dane 311 names=mx.example.test,example.test sni=sni.test"
            ),
        ] as [(String?, String)])
    func `the sender overrules what the domain publishes, and no agreement with a next hop`(
        value: String?, expected: String
    ) async throws {
        var fixture = try Self.fixture(.secure, tlsa: "3 1 1 $")
        fixture.requirement = .optional
        fixture.finding = { domain in
            Issue.record("\(domain) was asked for")
            return .none
        }
        fixture.policies = value.map { [("example.test", $0)] } ?? []
        for level in [TLSLevel.may, .dane, .encrypt, .verify, .secure] {
            fixture.options.tls.level = level
            let plan = try await fixture.plan()
            #expect(plan.short == expected && plan.connection?.policy == nil)
            let minimum: TLSVersion = value?.contains("TLSv1.3") == true ? .v1_3 : .v1_2
            #expect(plan.connection?.minimumVersion == minimum)
        }
        fixture.policies = []
        fixture.options.tls.level = .none
        #expect(try await fixture.outcome() == "none")
    }

    @Test(arguments: ["example.test", "mx.example.test"])
    func `the sender does not say who gets our password`(key: String) async throws {
        var fixture = try Self.fixture(.secure, tlsa: "3 1 1 $")
        fixture.passwords = [(key, "me:hidden")]
        fixture.requirement = .optional
        let plan = try await fixture.plan()
        #expect(plan.short == "dane 311 names=mx.example.test,example.test sni=mx.example.test")
        #expect(plan.connection?.credentials?.user == "me" && plan.connection?.policy == nil)
        fixture.options.tls.level = .daneOnly
        #expect(try await fixture.plan().connection?.basis == .dane)
        fixture.options.tls.level = .verify
        #expect(try await fixture.plan().connection?.basis == .verify)
        // A policy of the domain binds too.
        fixture = try Self.fixture()
        fixture.passwords = [(key, "me:hidden")]
        fixture.requirement = .optional
        fixture.finding = { _ in Self.policy(.enforce, "elsewhere.test") }
        #expect(try await fixture.outcome() == "skip 4.7.5")
    }

    // MARK: REQUIRETLS (RFC 8689 §4.2.1)

    /// The zone, its records, a policy, and what becomes of the server.
    @Test(
        arguments: [
            (DNSSecurity.secure, "3 1 1 $", nil, "dane 311 names=mx.example.test,example.test sni=mx.example.test"),
            (.secure, nil, nil, "verify names=mx.example.test sni=mx.example.test"),
            (.secure, "1 1 1 $", nil, "verify names=mx.example.test sni=mx.example.test"),
            (.insecure, nil, nil, "skip 5.7.10"),
            (.insecure, nil, "enforce", "sts names=mx.example.test sni=mx.example.test"),
            (.insecure, nil, "testing", "sts names=mx.example.test sni=mx.example.test"),
            (.insecure, nil, "none", "skip 5.7.10"),
            (.insecure, nil, "other", "skip 5.7.10"),
            (.insecure, nil, "unavailable", "skip 4.7.5"),
            (.insecure, nil, "unknown", "skip 4.7.5"),
        ] as [(DNSSecurity, String?, String?, String)])
    func `the way must be proven and the server too`(
        security: DNSSecurity, tlsa: String?, finding: String?, expected: String
    ) async throws {
        for level in [TLSLevel.may, .encrypt, .dane] {
            var fixture = try Self.fixture(security, tlsa: tlsa)
            fixture.requirement = .required
            fixture.options.tls.level = level
            fixture.finding = { _ in
                switch finding {
                case "enforce": Self.policy(.enforce, "mx.example.test")
                case "testing": Self.policy(.testing, "mx.example.test")
                case "none": Self.policy(.none)
                case "other": Self.policy(.enforce, "elsewhere.test")
                case "unavailable": .unavailable(STSFault(.stsPolicyFetchError, "404"))
                case "unknown": .unknown("timeout")
                case _: STSFinding.none
                }
            }
            let plan = try await fixture.plan()
            #expect(plan.short == expected, "\(level)")
            #expect(plan.connection.map { $0.isRequireTLS && !$0.mayGoWithout } ?? true)
        }
    }

    /// Only where nobody promised STARTTLS does its absence say that the server will never have it.
    @Test(
        arguments: [
            (nil, nil, .none, false), (nil, nil, policy(.none), false), ("3 1 1 $", nil, .none, true),
            ("1 1 1 $", nil, .none, true), (nil, nil, policy(.enforce, "mx.example.test"), true),
            (nil, nil, policy(.testing, "mx.example.test"), true), (nil, nil, .unknown("timeout"), true),
            (nil, nil, .unavailable(STSFault(.stsPolicyFetchError, "404")), true), (nil, "may", .none, false),
            (nil, "encrypt", .none, true), (nil, "verify", .none, true), (nil, "secure", .none, true),
            (nil, "fingerprint match=\(print)", .none, true),
        ] as [(String?, String?, STSFinding, Bool)])
    func `who promised TLS is waited for`(tlsa: String?, value: String?, finding: STSFinding, waits: Bool) async throws
    {
        var fixture = try Self.fixture(.secure, tlsa: tlsa)
        fixture.requirement = .required
        fixture.finding = { _ in finding }
        fixture.policies = value.map { [("example.test", $0)] } ?? []
        let plan = try #require(try await fixture.plan().connection)
        #expect(SecurityProblem.notOffered.isLasting(for: plan) == !waits)
        #expect(SecurityProblem.requireTLSNotOffered.isLasting(for: plan))
        #expect(!SecurityProblem.refused.isLasting(for: plan))
        #expect(!SecurityProblem.notOffered.isLasting(for: plan.withoutTLS))
    }

    @Test func `hosts and levels of the administrator are proof enough`() async throws {
        var fixture = try Self.fixture()
        fixture.requirement = .required
        #expect(
            try await fixture.outcome("[mx.example.test]:587") == "verify names=mx.example.test sni=mx.example.test")
        #expect(try await fixture.outcome("[192.0.2.1]:25") == "skip 5.7.10", "there is no name to prove")
        for (value, expected) in [
            ("none", "skip 5.7.10"), ("fingerprint match=\(Self.print)", "fingerprint fingerprints=1"),
            ("secure", "secure names=example.test,.example.test sni=mx.example.test"), ("verify", "skip 5.7.10"),
            ("dane-only", "skip 5.7.10"),
        ] {
            fixture.policies = [("example.test", value)]
            #expect(try await fixture.outcome() == expected, "\(value)")
        }
    }

    @Test func `a look-up that fails is no refusal`() async throws {
        var fixture = try Self.fixture(.secure, tlsa: "3 1 1 $")
        fixture.requirement = .required
        try fixture.names.fail("_25._tcp.mx.example.test", .tlsa, with: .timeout)
        #expect(try await fixture.outcome() == "skip 4.7.5")
    }

    // MARK: What destinations add

    @Test func `who has a password or begins with TLS does not go without`() async throws {
        var fixture = try Self.fixture()
        fixture.passwords = [("example.test", "me:hidden")]
        for level in [TLSLevel.none, .may, .encrypt, .dane] {
            fixture.options.tls.level = level
            let plan = try await fixture.plan()
            #expect(plan.short == "secure names=example.test,.example.test sni=mx.example.test", "\(level)")
            #expect(plan.connection?.credentials?.user == "me")
            fixture.requirement = .optional
            #expect(try await fixture.plan().connection?.security == .authenticated, "the sender cannot take it back")
            fixture.requirement = .unspecified
        }
        for level in ["none", "may", "encrypt"] {
            fixture.policies = [("example.test", level)]
            let plan = try await fixture.plan().connection
            #expect(plan?.security == .encrypted && plan?.mayGoWithout == false, "the administrator says who gets it")
        }
        for level in ["dane", "verify", "secure"] {
            fixture.policies = [("example.test", level)]
            #expect(try await fixture.plan().connection?.security == .authenticated)
        }
        fixture.policies = []
        fixture.options.tls.level = .verify
        #expect(try await fixture.plan().connection?.security == .authenticated)
        fixture.passwords = []
        var destination = DestinationOptions()
        destination.implicitTLS = true
        fixture.options.destinations.values["example.test:465"] = destination
        for level in [TLSLevel.none, .may] {
            fixture.options.tls.level = level
            let plan = try await fixture.plan("example.test:465").connection
            #expect(plan?.security == .encrypted && plan?.isImplicit == true && plan?.mayGoWithout == false)
        }
        #expect(try await fixture.plan().connection?.isImplicit == false)
    }

    @Test func `a password goes to the host that the administrator named, and to nobody else`() async throws {
        var fixture = try Self.fixture(.secure, tlsa: "3 1 1 $")
        fixture.options.tls.level = .may
        for (hop, expected) in [
            ("[mx.example.test]:587", "secure names=mx.example.test,.mx.example.test sni=mx.example.test"),
            ("[192.0.2.1]:25", "secure names=192.0.2.1"),
        ] {
            fixture.passwords = [(hop, "me:hidden")]
            #expect(try await fixture.outcome(hop) == expected)
        }
        fixture.passwords = [("example.test", "me:hidden")]
        fixture.options.tls.level = .dane
        #expect(try await fixture.plan().connection?.basis == .dane)
        for requirement in [TLSRequirement.optional, .unspecified] {
            fixture.requirement = requirement
            fixture.policies = [("example.test", "dane")]
            #expect(try await fixture.plan().connection?.security == .authenticated)
        }
    }

    @Test func `a failure is for good only if all servers are lost for good`() {
        var opening = Opening(destination: "x", requirement: .required, excluded: [])
        opening.fail(Reply(550, .init(7, 30), "a"))
        #expect(opening.failure == .permanent(Reply(550, .init(7, 30), "a")))
        opening.fail(Reply(451, .init(4, 1), "b"))
        #expect(opening.failure == .temporary(Reply(451, .init(4, 1), "b")))
        opening.fail(Reply(550, .init(7, 10), "c"))
        #expect(opening.failure == .temporary(Reply(451, .init(4, 1), "b")))
    }
}
