import Mail
import Synchronization
import Testing

@testable import Authentication

/// What a message can cost, however it is made.
struct MessageBudgetTests {
    private let fixture: DKIMFixture
    private let now = Timestamp(seconds: DKIMFixture.now)

    init() throws { self.fixture = try DKIMFixture() }

    private func name(_ label: String) -> String { "\(label).a.b.c.d.e.f.g.example.test" }

    /// Ten signatures and fifty seals of ever different domains, and four authors below many labels.
    private func message() throws -> [UInt8] {
        let authors = (1...4).map { "x@\(self.name("author\($0)"))" }.joined(separator: ", ")
        var content = Array("From: \(authors)\r\nTo: b@example.net\r\nSubject: x\r\n\r\nHello\r\n".utf8)
        for number in 1...10 {
            content = try self.fixture.signed(
                "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=\(self.name("s\(number).author1")); s=sel; h=from:to:subject",
                content)
        }
        for instance in 1...50 {
            let key = SigningKey(
                domain: try #require(DomainName("seal\(instance).test")), selector: try #require(DomainName("sel")),
                key: self.fixture.ed25519)
            let sealer = ARCSealer(key: key, authservID: try #require(DomainName("mx.example.test")))
            let chain = ARCResult(instance == 1 ? .none : .pass)
            let fields = try sealer.fields(
                for: MessageDigester.digest(content, needing: [sealer.hashing]), chain: chain, results: ["dkim=none"],
                at: self.now)
            content = Array(fields.utf8) + content
        }
        return content
    }

    private func finding(
        _ content: [UInt8], _ names: NameSource, signatures: Int = 10,
        clock: @escaping MonotonicClock = { ContinuousClock.now }
    ) async throws -> AuthenticationFinding? {
        var options = AuthenticationOptions()
        options.enabled = true
        options.dkim.signatures = signatures
        let client = AuthenticatedClient(
            address: try #require(IPAddress("192.0.2.1")), helo: "mail.example.test", reversePath: .null)
        let policy = AuthenticationPolicy(
            options: options, authservID: "mx.example.test", spf: SPFPolicy(options.spf, receiver: "mx.example.test"),
            discovery: .treeWalk)
        let message = MessageAuthentication(policy, client: client, changesBody: false)
        _ = message.receive(content)
        let none = SPFResult(.none, domain: "mail.example.test", identity: .helo)
        return await message.finish(
            spf: { SPFFinding(helo: nil, mailFrom: none) }, names: names, at: self.now, sample: 0, clock: clock)
    }

    @Test func `signatures, seals and authors ask no more than the budget, and the policy is found all the same`()
        async throws
    {
        let record = try self.fixture.record(self.fixture.ed25519)
        let asked = Mutex<[NameQuery]>([])
        let victim = "_dmarc.\(self.name("author4"))"
        let names = NameSource { query in
            asked.withLock { $0.append(query) }
            if query.name.contains("._domainkey.") { return .texts([Array(record.utf8)]) }
            return query.name == victim ? .texts([Array("v=DMARC1; p=reject; psd=n".utf8)]) : .noSuchName
        }
        let finding = try #require(try await self.finding(try self.message(), names))
        let questions = asked.withLock { $0 }
        #expect(questions.count <= 150, "\(questions.count)")
        #expect(questions.count { $0.name.contains(".seal") } == MessageBudget.arc)
        #expect(finding.dkim.count == 10 && finding.dkim.allSatisfy { $0.outcome == .pass })
        #expect(finding.arc.outcome == .pass)
        #expect(finding.dmarc.outcome == .fail && finding.dmarc.disposition == .reject)
    }

    @Test func `authors who make us ask much leave the others what they need`() async throws {
        let authors = ["author1", "author2", "author3", "victim"]
        let from = authors.map { "x@\($0).test" }.joined(separator: ", ")
        var content = Array("From: \(from)\r\nTo: b@example.net\r\nSubject: x\r\n\r\nHello\r\n".utf8)
        for author in authors.prefix(3) {
            for number in 1...8 {
                let domain = "p.q.r.s.t.u\(number).\(author).test"
                content = try self.fixture.signed(
                    "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=\(domain); s=sel; h=from", content)
            }
        }
        let record = try self.fixture.record(self.fixture.ed25519)
        let asked = Mutex(0)
        let names = NameSource { query in
            if query.name.contains("._domainkey.") { return .texts([Array(record.utf8)]) }
            asked.withLock { $0 += 1 }
            switch query.name {
            // Never the same organization as the author's, so that the next signature is looked at.
            case _ where query.name.hasPrefix("_dmarc.u"): return .texts([Array("v=DMARC1; p=none; psd=n".utf8)])
            case "_dmarc.victim.test": return .texts([Array("v=DMARC1; p=reject; psd=n".utf8)])
            case _ where query.name.hasPrefix("_dmarc.author"): return .texts([Array("v=DMARC1; p=none; psd=n".utf8)])
            default: return .noSuchName
            }
        }
        let finding = try #require(try await self.finding(content, names, signatures: 40))
        #expect((60...80).contains(asked.withLock { $0 }))
        #expect(finding.dmarc.outcome == .fail && finding.dmarc.disposition == .reject)
    }

    @Test func `nothing is asked any more once a message has taken its time`() async throws {
        let start = ContinuousClock.now
        let now = Mutex(start)
        let asked = Mutex(0)
        let names = NameSource { _ in
            asked.withLock { $0 += 1 }
            now.withLock { $0 += MessageBudget.time }
            return .noSuchName
        }
        let content = Array("From: x@\(self.name("author"))\r\n\r\nHello\r\n".utf8)
        let finding = try #require(try await self.finding(content, names) { now.withLock { $0 } })
        #expect(asked.withLock { $0 } == 1)
        #expect(finding.dmarc.outcome == .temperror && finding.dmarc.reasons.first?.hasSuffix("out of time") == true)
    }

    @Test func `who shares a budget shares it whole`() async {
        let names = NameSource { _ in .noRecords }.budgeted(questions: 5)
        let answered = await withTaskGroup(of: NameReply.self) { group in
            for number in 0..<20 { group.addTask { await names.ask(NameQuery("n\(number).test", .a)) } }
            return await group.reduce(0) { $0 + ($1 == .noRecords ? 1 : 0) }
        }
        #expect(answered == 5)
        #expect(await names.ask(NameQuery("x.test", .a)) == .failed("too many questions"))
    }
}
