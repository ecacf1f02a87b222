import Mail
import NIOCore
import Recipients
import Testing

/// Asking, remembering and waiting, with a primary that a test controls.
struct VerifierTests {
    @Test func `an address is asked about once and remembered`() async throws {
        let fixture = try VerifierFixture()
        for _ in 0..<2 {
            #expect(try await fixture.verdict() == .accepted)
            #expect(try await fixture.verdict("b@example.test") == .refused)
        }
        #expect(fixture.primary.asked == ["a@example.test", "nobody", "b@example.test"])
        #expect(fixture.reports.all == [])
    }

    @Test func `good answers survive an outage, and only unknown addresses wait for its end`() async throws {
        let fixture = try VerifierFixture(["a@example.test", "new@example.test"])
        #expect(try await fixture.verdict() == .accepted)
        fixture.primary.fail(with: .unreachable)
        for _ in 0..<30 {
            fixture.clock.advance(.seconds(86_400))
            #expect(try await fixture.verdict() == .accepted)
            #expect(try await fixture.verdict("new@example.test") == .undecided(.down))
        }
        #expect(fixture.verifier.troubles.keys.sorted() == ["example.test"])
        fixture.primary.fail(with: nil)
        fixture.clock.advance(.seconds(60))
        #expect(try await fixture.verdict("new@example.test") == .accepted)
        #expect(fixture.verifier.troubles.isEmpty)
        #expect(fixture.reports.all.map(\.name) == ["unreachable", "answers"])
    }

    @Test func `while the primary is away it is asked once in a while, whoever is asked about`() async throws {
        let fixture = try VerifierFixture()
        fixture.primary.fail(with: .unreachable)
        for number in 0..<100 {
            #expect(try await fixture.verdict("x\(number)@example.test") == .undecided(.down))
        }
        #expect(fixture.primary.asked.count == 1)
        fixture.clock.advance(.seconds(60))
        for number in 0..<100 { _ = try await fixture.verdict("y\(number)@example.test") }
        #expect(fixture.primary.asked.count == 2)
        #expect(try await fixture.verdict("z@other.test") == .undecided(.down))
        #expect(fixture.primary.asked.count == 3)
    }

    @Test func `a refusal of our questions is no refusal of the address`() async throws {
        let fixture = try VerifierFixture()
        fixture.primary.fail(with: .blocked)
        #expect(try await fixture.verdict() == .undecided(.unanswered))
        #expect(fixture.reports.all.map(\.name) == ["blocked"])
        fixture.primary.fail(with: nil)
        fixture.clock.advance(.seconds(300))
        #expect(try await fixture.verdict() == .accepted)
    }

    @Test func `an old answer is given at once while a new one is fetched`() async throws {
        let fixture = try VerifierFixture()
        #expect(try await fixture.verdict() == .accepted)
        fixture.clock.advance(.seconds(8 * 86_400))
        fixture.primary.fallSilent()
        #expect(try await fixture.verdict() == .accepted)
        #expect(try await fixture.verdict() == .accepted)
        #expect(fixture.primary.asked.count { $0 == "a@example.test" } == 2)
        fixture.primary.speak(.unknown)
        #expect(try await fixture.verdict() == .accepted)
        fixture.clock.advance(.seconds(24 * 86_400))
        #expect(try await fixture.verdict("a@example.test") == .accepted)
    }

    @Test func `all who ask about a new address wait for the same answer`() async throws {
        let fixture = try VerifierFixture()
        fixture.primary.fallSilent()
        let address = try mailbox("a@example.test")
        let answers = (0..<3).map { _ in fixture.verifier.verify(address, on: fixture.loop) }
        #expect(fixture.primary.asked.count == 1)
        fixture.primary.speak(.accepted)
        for answer in answers { #expect(try await answer.get().verdict == .accepted) }
    }

    @Test func `nobody waits longer than is configured, and the answer is there the next time`() async throws {
        var options = RecipientVerificationOptions.patient
        options.wait = .milliseconds(1)
        let fixture = try VerifierFixture(options: options)
        fixture.primary.fallSilent()
        #expect(try await fixture.verdict() == .undecided(.unanswered))
        #expect(try await fixture.verdict() == .undecided(.unanswered))
        #expect(fixture.primary.asked.count == 1)
        fixture.primary.speak(.accepted)
        try await fixture.loop.submit {}.get()
        #expect(try await fixture.verdict() == .accepted)
    }

    @Test func `a primary that accepts everything is found out`() async throws {
        let fixture = try VerifierFixture(["*"])
        #expect(try await fixture.verdict() == .accepted)
        #expect(fixture.reports.all == [.acceptsAll("example.test")])
        #expect(fixture.verifier.acceptAllDomains == ["example.test"])
        #expect(try await fixture.verdict("b@example.test") == .accepted)
        #expect(fixture.primary.asked == ["a@example.test", "nobody", "b@example.test"])
        let answer = try await fixture.verifier.verify(try mailbox("b@example.test"), on: fixture.loop).get()
        #expect(answer.reason.contains("accepts every address"))
        fixture.primary.set(recipients: ["c@example.test"])
        fixture.clock.advance(.seconds(8 * 86_400))
        #expect(try await fixture.verdict("c@example.test") == .accepted)
        #expect(fixture.reports.all == [.acceptsAll("example.test"), .acceptsAllNoMore("example.test")])
        #expect(fixture.verifier.acceptAllDomains.isEmpty)
    }

    @Test func `senders are asked about by themselves, and nothing is reported of their servers`() async throws {
        let fixture = try VerifierFixture(["*"], kind: .sender)
        #expect(try await fixture.verdict() == .accepted)
        fixture.primary.fail(with: .unreachable)
        let verdict = await fixture.verifier.verdict(
            on: try mailbox("b@example.test"), reject: .permanent, loop: fixture.loop)
        guard case .undecided(let reply) = verdict.answer else {
            Issue.record("\(verdict)")
            return
        }
        #expect(reply.oneLine.hasPrefix("450 4.1.7 Sender address rejected"))
        #expect(fixture.primary.asked == ["a@example.test", "b@example.test"])
        #expect(fixture.reports.all == [])
        #expect(fixture.cache.records(.recipient).isEmpty && fixture.cache.records(.sender).count == 2)
    }
}

extension VerifierReport {
    var name: String {
        switch self {
        case .acceptsAll: "acceptsAll"
        case .acceptsAllNoMore: "acceptsAllNoMore"
        case .blocked: "blocked"
        case .unreachable: "unreachable"
        case .answers: "answers"
        }
    }
}
