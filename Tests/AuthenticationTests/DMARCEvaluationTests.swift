import Mail
import Testing

@testable import Authentication

struct DMARCEvaluationTests {
    typealias Identifier = DMARCEvaluation.Identifier

    private static let suffixes = "com\nnet\norg\nuk\nco.uk\n*.ck\n!www.ck\nblogspot.com\n"

    private static func rfc7489() throws -> DMARCEvaluation.Discovery {
        .publicSuffixes(try PublicSuffixList(Self.suffixes.utf8))
    }

    private static func evaluate(
        _ from: String, _ names: TestNames, _ discovery: DMARCEvaluation.Discovery? = nil, spf: Identifier? = nil,
        dkim: [Identifier] = [], sample: Int = 0
    ) async throws -> DMARCResult {
        let evaluation = DMARCEvaluation(try discovery ?? Self.rfc7489(), names: names.source)
        let field = FromField(fields: [Array(from.utf8)])
        return await evaluation.evaluate(field, spf: spf, dkim: dkim, sample: sample)
    }

    private static func passed(_ domain: String) -> Identifier { Identifier(.pass, DomainName(domain)) }

    // MARK: Discovery of RFC 7489

    @Test func `the organizational domain is asked only if the author domain has no record`() async throws {
        let names = TestNames(texts: ["_dmarc.example.com": "v=DMARC1; p=reject; sp=quarantine"])
        let result = try await Self.evaluate("a@b.c.example.com", names)
        #expect(names.questions.map(\.name) == ["_dmarc.b.c.example.com", "_dmarc.example.com"])
        #expect(result.outcome == .fail && result.policy == .quarantine && result.disposition == .quarantine)
        #expect(result.policyDomain?.ascii == "example.com" && result.organizationalDomain?.ascii == "example.com")
        let own = TestNames(texts: ["_dmarc.b.c.example.com": "v=DMARC1; p=none; sp=reject"])
        let other = try await Self.evaluate("a@b.c.example.com", own)
        #expect(own.questions.count == 1)
        #expect(other.policy == .none && other.policyDomain?.ascii == "b.c.example.com")
    }

    @Test func `several records are none, and other texts do not count`() async throws {
        let query = NameQuery("_dmarc.a.example.com", .txt)
        let parent = ("_dmarc.example.com", "v=DMARC1; p=reject")
        let record = Array("v=DMARC1; p=reject".utf8)
        let several = TestNames([query: .texts([record, record]), NameQuery(parent.0, .txt): .texts([record])])
        #expect(try await Self.evaluate("x@a.example.com", several).outcome == .none)
        #expect(several.questions.count == 1)
        let others = TestNames([query: .texts([Array("v=spf1".utf8)]), NameQuery(parent.0, .txt): .texts([record])])
        #expect(try await Self.evaluate("x@a.example.com", others).outcome == .fail)
    }

    @Test(arguments: [
        ("v=DMARC1; rua=mailto:a@example.com", DMARCResult.Outcome.fail),
        ("v=DMARC1; p=x; rua=mailto:a@example.com", .fail),
        ("v=DMARC1; p=reject; sp=x; rua=mailto:a@example.com", .fail),
        ("v=DMARC1", .none), ("v=DMARC1; p=x", .none), ("v=DMARC1; p=reject; sp=x", .none),
        ("v=DMARC1; p=reject; rua", .permerror),
    ])
    func `without a valid policy mail is at most monitored`(record: String, expected: DMARCResult.Outcome) async throws
    {
        let names = TestNames(texts: ["_dmarc.example.com": record])
        let result = try await Self.evaluate("x@example.com", names)
        #expect(result.outcome == expected && result.policy == .none && result.disposition == .none)
    }

    @Test func `a domain below nothing registered is its own organization`() async throws {
        let names = TestNames(texts: ["_dmarc.com": "v=DMARC1; p=reject", "_dmarc.co.uk": "v=DMARC1; p=reject"])
        #expect(try await Self.evaluate("x@example.com", names).outcome == .none)
        #expect(try await Self.evaluate("x@co.uk", names).outcome == .fail)
        #expect(names.questions.count == 2)
    }

    // MARK: Alignment

    @Test(arguments: [
        ("", "example.com", true), ("", "a.example.com", true), ("", "A.Example.COM", true), ("", "example.net", false),
        ("", "xexample.com", false), ("", "com", false), ("aspf=s; adkim=s", "example.com", true),
        ("aspf=s; adkim=s", "a.example.com", false),
    ])
    func `domains are compared relaxed or strict`(mode: String, domain: String, isAligned: Bool) async throws {
        let names = TestNames(texts: ["_dmarc.example.com": "v=DMARC1; p=reject; \(mode)"])
        let spf = try await Self.evaluate("x@example.com", names, spf: Self.passed(domain))
        let dkim = try await Self.evaluate("x@example.com", names, dkim: [Self.passed("z.net"), Self.passed(domain)])
        #expect(spf.spf.isAligned == isAligned && !spf.dkim.isAligned)
        #expect(dkim.dkim.isAligned == isAligned && !dkim.spf.isAligned)
        #expect(spf.outcome == (isAligned ? .pass : .fail) && dkim.outcome == spf.outcome)
        #expect(dkim.dkim.domain == (isAligned ? DomainName(domain) : nil))
        #expect(spf.disposition == (isAligned ? .none : .reject) && spf.policy == .reject)
    }

    @Test func `what did not pass does not align`() async throws {
        let names = TestNames(texts: ["_dmarc.example.com": "v=DMARC1; p=reject"])
        let other = Identifier(.other, DomainName("example.com"))
        let result = try await Self.evaluate("x@example.com", names, spf: other, dkim: [other, Identifier(.pass, nil)])
        #expect(result.outcome == .fail)
    }

    @Test func `results of SPF and DKIM become identifiers`() {
        let spf = { SPFResult($0, domain: "a.example", identity: .mailFrom) }
        #expect(Identifier(spf(.pass)) == Identifier(.pass, DomainName("a.example")))
        #expect(Identifier(spf(.temperror)).outcome == .temporaryError && Identifier(spf(.softfail)).outcome == .other)
        var dkim = DKIMResult(outcome: .pass)
        dkim.domain = "a.example"
        #expect(Identifier(dkim) == Identifier(.pass, DomainName("a.example")))
        dkim.unsignedBodyBytes = 1
        #expect(Identifier(dkim).outcome == .other)
        #expect(Identifier(DKIMResult(outcome: .temperror)) == Identifier(.temporaryError, nil))
    }

    // MARK: Faults

    @Test func `a name server that does not answer never costs a message`() async throws {
        let failing = TestNames([NameQuery("_dmarc.example.com", .txt): .failed("SERVFAIL")])
        for discovery in [try Self.rfc7489(), .treeWalk] {
            let result = try await Self.evaluate("x@example.com", failing, discovery)
            #expect(result.outcome == .temperror && result.disposition == .none && !result.reasons.isEmpty)
        }
        let parent = try await Self.evaluate("x@a.example.com", failing)
        #expect(parent.outcome == .temperror)
    }

    @Test func `a temporary error counts only of the author's own domains`() async throws {
        let names = TestNames(texts: ["_dmarc.example.com": "v=DMARC1; p=reject"])
        let own = Identifier(.temporaryError, DomainName("mail.example.com"))
        let foreign = Identifier(.temporaryError, DomainName("attacker.net"))
        for result in [
            try await Self.evaluate("x@example.com", names, spf: own),
            try await Self.evaluate("x@example.com", names, dkim: [foreign, own]),
        ] {
            #expect(result.outcome == .temperror && result.disposition == .none && result.policy == .reject)
        }
        let attack = try await Self.evaluate("x@example.com", names, spf: foreign, dkim: [foreign])
        #expect(attack.outcome == .fail && attack.disposition == .reject)
        let passed = try await Self.evaluate("x@example.com", names, spf: own, dkim: [Self.passed("example.com")])
        #expect(passed.outcome == .pass)
    }

    // MARK: Policies

    @Test(arguments: [
        ("reject", 50, 49, DMARCPolicy.reject), ("reject", 50, 50, .quarantine), ("quarantine", 50, 99, .none),
        ("none", 0, 0, .none), ("reject", 0, 0, .quarantine), ("reject", 100, 99, .reject),
    ])
    func `messages that are sampled out get the next milder policy`(
        policy: String, percentage: Int, sample: Int, expected: DMARCPolicy
    ) async throws {
        let names = TestNames(texts: ["_dmarc.example.com": "v=DMARC1; p=\(policy); pct=\(percentage)"])
        let result = try await Self.evaluate("x@example.com", names, sample: sample)
        #expect(result.disposition == expected && result.policy.rawValue == policy)
        let walk = try await Self.evaluate("x@example.com", names, .treeWalk, sample: sample)
        #expect(walk.disposition.rawValue == policy, "RFC 9989 knows no pct")
    }

    @Test func `np applies to names that do not exist, and is asked for only then`() async throws {
        let record = "v=DMARC1; p=none; sp=quarantine; np=reject"
        var replies = [NameQuery("_dmarc.example.com", .txt): NameReply.texts([Array(record.utf8)])]
        let missing = TestNames(replies)
        #expect(try await Self.evaluate("x@a.example.com", missing).policy == .reject)
        #expect(try await Self.evaluate("x@example.com", missing).policy == .none)
        replies[NameQuery("a.example.com", .mx)] = .noRecords
        #expect(try await Self.evaluate("x@a.example.com", TestNames(replies)).policy == .quarantine)
        replies[NameQuery("a.example.com", .mx)] = .noSuchName
        replies[NameQuery("a.example.com", .aaaa)] = .noSuchName
        replies[NameQuery("a.example.com", .a)] = .failed("timeout")
        let unknown = try await Self.evaluate("x@a.example.com", TestNames(replies))
        #expect(unknown.outcome == .temperror && unknown.disposition == .none && unknown.policy == .reject)
        let plain = TestNames(texts: ["_dmarc.example.com": "v=DMARC1; p=none; sp=reject; np=reject"])
        _ = try await Self.evaluate("x@a.example.com", plain)
        #expect(plain.questions.allSatisfy { $0.kind == .txt })
    }

    // MARK: From fields

    @Test func `of several author domains the strictest that fails counts`() async throws {
        let names = TestNames(texts: [
            "_dmarc.example.com": "v=DMARC1; p=quarantine", "_dmarc.example.net": "v=DMARC1; p=reject",
        ])
        let dkim = [Self.passed("example.com")]
        let from = "a@example.com, b@example.net"
        let one = try await Self.evaluate(from, names, dkim: dkim)
        #expect(one.outcome == .fail && one.disposition == .reject && one.fromDomain?.ascii == "example.net")
        let none = try await Self.evaluate(from, names)
        #expect(none.disposition == .reject)
        let both = try await Self.evaluate(from, names, spf: Self.passed("example.net"), dkim: dkim)
        #expect(both.outcome == .pass)
        let unprotected = try await Self.evaluate("a@example.com, b@example.org", names, dkim: dkim)
        #expect(unprotected.outcome == .none)
        let literal = try await Self.evaluate("a@example.com, b@[192.0.2.1]", names, dkim: dkim)
        #expect(literal.outcome == .permerror)
        let tricked = try await Self.evaluate("a@example.net <b@example.com>", names, dkim: dkim)
        #expect(tricked.disposition == .reject)
    }

    @Test func `a From field that cannot be evaluated is told`() async throws {
        let evaluation = DMARCEvaluation(.treeWalk, names: TestNames([:]).source)
        for (field, fault) in [
            (FromField(fields: []), FromField.Fault.noField), (FromField(fields: [[], []]), .severalFields),
            (FromField(fields: [Array("Undisclosed:;".utf8)]), .noDomain),
        ] {
            let result = await evaluation.evaluate(field, spf: nil, dkim: [], sample: 0)
            #expect(result.outcome == .permerror && result.fromFault == fault && result.disposition == .none)
        }
    }

    // MARK: The tree walk of RFC 9989

    @Test func `a walk takes eight questions at most`() async throws {
        let names = TestNames([:])
        _ = try await Self.evaluate("x@a.b.c.d.e.f.g.h.i.example.com", names, .treeWalk)
        let parents = ["e.f.g.h.i.", "f.g.h.i.", "g.h.i.", "h.i.", "i.", ""].map { "_dmarc.\($0)example.com" }
        #expect(
            names.questions.map(\.name) == ["_dmarc.a.b.c.d.e.f.g.h.i.example.com"] + parents + ["_dmarc.com"])
    }

    /// RFC 9989 §4.10.2; each with the organizational domain and the place of the policy.
    @Test(arguments: [
        (["example.com": "p=reject"], "a.mail.example.com", "example.com", "example.com"),
        (
            ["mail.example.com": "p=none", "example.com": "p=reject"], "a.mail.example.com", "example.com",
            "example.com"
        ),
        (
            ["a.mail.example.com": "p=none", "example.com": "p=reject"], "a.mail.example.com", "example.com",
            "a.mail.example.com"
        ),
        (
            ["mail.example.com": "p=none;psd=n", "example.com": "p=reject"], "a.mail.example.com", "mail.example.com",
            "mail.example.com"
        ),
        (["com": "p=reject;psd=y"], "a.mail.example.com", "example.com", "com"),
        (["com": "p=none;psd=y", "example.com": "p=reject"], "a.example.com", "example.com", "example.com"),
        (["com": "p=reject"], "a.example.com", "com", "com"),
        (["example.com": "p=reject;psd=y"], "example.com", "example.com", "example.com"),
        (["example.com": "p=reject;psd=y"], "a.b.example.com", "b.example.com", "example.com"),
    ])
    func `the walk finds organization and policy`(
        records: [String: String], author: String, organization: String, place: String
    ) async throws {
        let names = TestNames(
            texts: Dictionary(uniqueKeysWithValues: records.map { ("_dmarc." + $0.key, "v=DMARC1;" + $0.value) }))
        let result = try await Self.evaluate("x@\(author)", names, .treeWalk)
        #expect(result.organizationalDomain?.ascii == organization)
        #expect(result.policyDomain?.ascii == place)
    }

    @Test func `identifiers are aligned by walks of their own`() async throws {
        let names = TestNames(texts: [
            "_dmarc.example.com": "v=DMARC1; p=reject", "_dmarc.other.example.com": "v=DMARC1; p=none; psd=n",
        ])
        let outside = try await Self.evaluate(
            "x@example.com", names, .treeWalk, dkim: [Self.passed("a.other.example.com")])
        #expect(outside.outcome == .fail)
        let inside = try await Self.evaluate("x@example.com", names, .treeWalk, dkim: [Self.passed("b.example.com")])
        #expect(inside.outcome == .pass)
        let count = names.questions.count
        _ = try await Self.evaluate("x@example.com", names, .treeWalk, dkim: [Self.passed("attacker.net")])
        #expect(names.questions.count == count + 2, "names of others need no question")
    }

    @Test func `tests, missing policies and wrong ones of RFC 9989`() async throws {
        for (record, outcome, policy) in [
            ("p=reject; t=y", DMARCResult.Outcome.fail, DMARCPolicy.quarantine), ("p=quarantine;t=y", .fail, .none),
            ("rua=mailto:a@b.example", .fail, .none), ("adkim=s", .fail, .none), ("p=reject;np=x", .none, .none),
            ("p=reject;np=x;rua=mailto:a@b.example", .fail, .none), ("p=x", .none, .none), ("p", .permerror, .none),
        ] {
            let names = TestNames(texts: ["_dmarc.example.com": "v=DMARC1; " + record])
            let result = try await Self.evaluate("x@example.com", names, .treeWalk)
            #expect(result.outcome == outcome && result.policy == policy, "\(record)")
            #expect(result.disposition == policy, "\(record)")
        }
    }
}
