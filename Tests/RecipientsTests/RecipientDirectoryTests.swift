import Mail
import Recipients
import Testing

/// Who the recipients are, of all sources together.
struct RecipientDirectoryTests {
    private func answer(
        _ address: String, _ fixture: VerifierFixture? = nil,
        options: RecipientVerificationOptions = .patient, change: (inout RecipientSources) -> Void = { _ in }
    ) async throws -> RecipientVerdict {
        let fixture = try fixture ?? VerifierFixture(options: options)
        var sources = RecipientSources()
        sources.listed = { $0.localPart.unquoted == "listed" ? "recipients:1" : nil }
        sources.verifier = fixture.verifier
        sources.verification = options
        change(&sources)
        let directory = RecipientDirectory(sources, hostname: "mx2.example.test")
        return await directory.answer(try mailbox(address), on: fixture.loop)
    }

    private func options(
        _ setting: UnknownWhileDown = .defer, reject: RejectCode = .temporary
    ) -> RecipientVerificationOptions {
        var options = RecipientVerificationOptions.patient
        options.reject = reject
        options.domains.values["example.test"]?.unknownWhileDown = setting
        return options
    }

    @Test func `whom a list has is known, and nobody else is asked`() async throws {
        let fixture = try VerifierFixture()
        let verdict = try await self.answer("listed@example.test", fixture)
        #expect(verdict == RecipientVerdict(.known, "recipients:1"))
        #expect(fixture.primary.asked.isEmpty)
    }

    @Test func `whom the primary has is known, and others get what is configured`() async throws {
        #expect(try await self.answer("a@example.test").answer == .known)
        for (code, reply) in [(RejectCode.temporary, "450 4.1.1"), (.permanent, "550 5.1.1")] {
            let verdict = try await self.answer("b@example.test", options: self.options(reject: code))
            guard case .unknown(let found) = verdict.answer else {
                Issue.record("\(verdict)")
                continue
            }
            #expect(found.oneLine.hasPrefix(reply))
            #expect(verdict.reason.contains("no such user") && !found.oneLine.contains("no such user"))
        }
    }

    @Test(arguments: UnknownWhileDown.allCases)
    func `each domain says what unknown addresses get while its primary is away`(
        setting: UnknownWhileDown
    ) async throws {
        let fixture = try VerifierFixture()
        _ = try await fixture.verdict("a@example.test")
        fixture.primary.fail(with: .unreachable)
        let options = self.options(setting)
        #expect(try await self.answer("a@example.test", fixture, options: options).answer == .known)
        let answer = try await self.answer("b@example.test", fixture, options: options).answer
        switch (setting, answer) {
        case (.defer, .undecided(let reply)): #expect(reply.oneLine.hasPrefix("450 4.1.1"))
        case (.acceptAndHold, .acceptAndHold): break
        case (.reject, .unknown(let reply)): #expect(reply.oneLine.hasPrefix("550 5.1.1"))
        default: Issue.record("\(setting): \(answer)")
        }
    }

    @Test func `a primary that is there but does not say makes nobody held or refused`() async throws {
        for setting in UnknownWhileDown.allCases {
            for result in [ProbeResult.blocked, .temporary] {
                let fixture = try VerifierFixture()
                fixture.primary.fail(with: result)
                let answer = try await self.answer("b@example.test", fixture, options: self.options(setting)).answer
                guard case .undecided = answer else {
                    Issue.record("\(setting), \(result): \(answer)")
                    continue
                }
            }
        }
    }

    @Test func `a data base that fails makes nobody unknown`() async throws {
        let found = try await self.answer("b@example.test") {
            $0.databases = [{ _ in .missing }, { _ in .found("db") }]
        }
        #expect(found == RecipientVerdict(.known, "db"))
        // Also not a recipient whom the primary does not have, or who is in no list.
        for address in ["b@example.test", "b@other.test"] {
            let failed = try await self.answer(address) {
                $0.databases = [{ _ in .failed("away") }, { _ in .missing }]
            }
            guard case .undecided(let reply) = failed.answer else {
                Issue.record("\(failed)")
                continue
            }
            #expect(reply.code == 451 && failed.reason == "away")
        }
        #expect(try await self.answer("a@example.test") { $0.databases = [{ _ in .failed("away") }] }.answer == .known)
    }

    @Test func `recipients of other domains are not asked about`() async throws {
        let fixture = try VerifierFixture()
        guard case .unknown(let reply) = try await self.answer("a@other.test", fixture).answer else {
            Issue.record("not unknown")
            return
        }
        #expect(reply.oneLine.hasPrefix("550 5.1.1"))
        let accepted = try await self.answer("a@other.test", fixture) { $0.acceptsUnlisted = { _ in true } }
        #expect(accepted.answer == .known)
        #expect(fixture.primary.asked.isEmpty)
    }

    @Test func `mail to the sender of our probes is thrown away`() async throws {
        let fixture = try VerifierFixture()
        #expect(try await self.answer("Double-Bounce@MX2.example.test", fixture).answer == .discard)
        #expect(fixture.primary.asked.isEmpty)
        let verdict = try await self.answer("double-bounce@mx2.example.test") { $0.verifier = nil }
        #expect(verdict.answer != .discard)
    }

    @Test func `the most exact name of a domain counts`() throws {
        var options = RecipientVerificationOptions()
        for (name, setting) in [
            ("a.example.test", UnknownWhileDown.reject), (".example.test", .acceptAndHold), ("*", .defer),
        ] {
            var domain = DomainVerificationOptions()
            domain.unknownWhileDown = setting
            options.domains.values[name] = domain
        }
        for (name, setting) in [
            ("a.example.test", UnknownWhileDown.reject), ("b.example.test", .acceptAndHold), ("example.test", .defer),
        ] {
            let domain = try #require(DomainName(name))
            #expect(options.options(for: domain)?.unknownWhileDown == setting)
        }
        options.domains.values["*"] = nil
        #expect(options.options(for: try #require(DomainName("example.test"))) == nil)
    }
}
