import Greylist
import Mail
import Synchronization
import Testing

/// What exempts from greylisting, and which mails are one.
struct GreylistingTests {
    private static let first = GreylistAnswer.delayed(.new, remaining: .seconds(300))

    @Test func `a mail that came again passes, and others of its client do not`() async throws {
        let fixture = try GreylistFixture()
        try await fixture.with { _, greylisting async throws in
            #expect(try await fixture.answer(greylisting, delivery(1)) == Self.first)
            fixture.clock.advance(.seconds(600))
            #expect(
                try await fixture.answer(greylisting, delivery(1)) == .passed(.retried(after: .seconds(600))))
            #expect(try await fixture.answer(greylisting, delivery(2)) == Self.first)
            #expect(
                try await fixture.answer(greylisting, delivery(1, sender: "other@client.example")) == Self.first)
            #expect(try await fixture.answer(greylisting, delivery(1, sender: "")) == Self.first)
            #expect(try await fixture.answer(greylisting, delivery(1, network: 2)) == Self.first)
            #expect(greylisting.statistics.passed == 1)
            #expect(greylisting.statistics.delayed == 5)
        }
    }

    @Test func `another server of the same network may come again, and letters do not count`() async throws {
        let fixture = try GreylistFixture()
        let pairs = [
            ("192.0.2.1", "192.0.2.254", true), ("192.0.2.1", "192.0.3.1", false),
            ("2001:db8::1", "2001:db8::ffff:1", true), ("2001:db8::1", "2001:db8:0:1::1", false),
        ]
        for (one, other, isSame) in pairs {
            try await fixture.with { _, greylisting async throws in
                let sender = "s-\(one.count)-\(other)@x.example".replacing(":", with: "x")
                _ = await fixture.answer(
                    greylisting,
                    GreylistDelivery(
                        client: try #require(IPAddress(one)), sender: try path(sender),
                        recipient: try #require(Mailbox("User@Example.TEST"))))
                fixture.clock.advance(.seconds(600))
                let answer = await fixture.answer(
                    greylisting,
                    GreylistDelivery(
                        client: try #require(IPAddress(other)), sender: try path(sender.uppercased()),
                        recipient: try #require(Mailbox("user@example.test"))))
                #expect((answer == .passed(.retried(after: .seconds(600)))) == isSame, "\(one) \(other)")
            }
        }
    }

    @Test func `exempt clients, recipients and those on allow lists leave no trace`() async throws {
        let fixture = try GreylistFixture()
        let mail = try delivery(1)
        try await fixture.with { store, greylisting async throws in
            let client = GreylistPolicy(isExemptClient: { $0 == mail.client })
            #expect(await greylisting.judge(mail, client) { nil } == .passed(.exemptClient))
            let recipient = GreylistPolicy(isExemptRecipient: { $0 == mail.recipient })
            #expect(await greylisting.judge(mail, recipient) { nil } == .passed(.exemptRecipient))
            let listed = GreylistDelivery(
                client: mail.client, sender: mail.sender, recipient: mail.recipient, isAllowlisted: true)
            #expect(await greylisting.judge(listed, GreylistPolicy()) { nil } == .passed(.allowlisted))
            #expect(store.statistics.waiting == 0)
            var options = GreylistOptions()
            options.dnswl = false
            #expect(await greylisting.judge(listed, GreylistPolicy(options: options)) { nil } == Self.first)
            #expect(store.statistics.waiting == 1)
        }
    }

    @Test func `SPF is asked only about mail that would have to come again`() async throws {
        let fixture = try GreylistFixture()
        let mail = try delivery(1)
        let asked = Mutex(0)
        let domain = try #require(DomainName("client.example"))
        let spf: @Sendable () async -> DomainName? = {
            asked.withLock { $0 += 1 }
            return domain
        }
        let trusting = GreylistPolicy(trustsSPF: { $0 == domain })
        try await fixture.with { store, greylisting async throws in
            #expect(await greylisting.judge(mail, trusting, spfPass: spf) == .passed(.spf(domain)))
            #expect(asked.withLock { $0 } == 1)
            #expect(store.statistics.waiting == 0, "nothing has to be remembered")
            #expect(await greylisting.judge(mail, GreylistPolicy(), spfPass: spf) == Self.first)
            #expect(asked.withLock { $0 } == 1, "nobody is exempt by SPF")
            let other = GreylistPolicy(trustsSPF: { _ in false })
            fixture.clock.advance(.seconds(10))
            #expect(
                await greylisting.judge(mail, other, spfPass: spf)
                    == .delayed(.early(after: .seconds(10)), remaining: .seconds(290)))
            #expect(asked.withLock { $0 } == 2)
            fixture.clock.advance(.seconds(600))
            #expect(await greylisting.judge(mail, trusting, spfPass: spf) == .passed(.retried(after: .seconds(610))))
            #expect(asked.withLock { $0 } == 2, "it passes anyway")
        }
    }

    @Test func `a preview remembers nothing`() async throws {
        let fixture = try GreylistFixture()
        let mail = try delivery(1)
        try await fixture.with { store, greylisting async throws in
            #expect(await greylisting.preview(mail, GreylistPolicy()) { nil } == Self.first)
            #expect(store.statistics.waiting == 0)
            #expect(greylisting.statistics.delayed == 0)
        }
    }

    @Test func `a network is allowed across its recipients and senders`() async throws {
        let fixture = try GreylistFixture()
        try await fixture.with { _, greylisting async throws in
            for number in 1...5 {
                #expect(try await fixture.answer(greylisting, delivery(number)) == Self.first)
                fixture.clock.advance(.seconds(4000))
                #expect(
                    try await fixture.answer(greylisting, delivery(number)) == .passed(.retried(after: .seconds(4000))))
            }
            #expect(
                try await fixture.answer(greylisting, delivery(77, sender: "new@other.example"))
                    == .passed(.client(passes: 5)))
            #expect(try await fixture.answer(greylisting, delivery(77, network: 9)) == Self.first)
        }
    }
}
