import Daemon
import Forwarder
import Harness
import Mail
import NIOCore
import NIOPosix
import Queue
import Recipients
import Synchronization
import Testing
import ZoneFiles

/// Verification of recipients at a real Postfix that goes away and comes back.
@Suite(.serialized) struct CalloutTests {
    /// A time that a test moves.
    private final class Clock: Sendable {
        private let time = Mutex(Timestamp(seconds: 1_800_000_000))

        var wall: WallClock { WallClock { self.time.withLock { $0 } } }

        func advance(_ duration: Duration) { self.time.withLock { $0 = $0 + duration } }
    }

    /// A directory over what the daemon puts together.
    private final class Fixture: Sendable {
        let clock = Clock()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let folder: TemporaryFolder
        let verification: Verification
        let directory: RecipientDirectory
        let warnings = Warnings()

        init(
            _ address: Harness.Endpoint, _ setting: UnknownWhileDown = .defer, zone: String = "",
            policies: PolicyLookup? = nil
        ) throws {
            var options = RecipientVerificationOptions()
            var domain = DomainVerificationOptions()
            domain.unknownWhileDown = setting
            options.domains.values["example.test"] = domain
            options.wait = .seconds(60)
            self.folder = try TemporaryFolder()
            let hop = try NextHop(text: "[\(address.host)]:\(address.port)")
            var forwarding = ForwarderOptions()
            forwarding.loopbackMX = true
            let generation = ForwarderGeneration(
                options: forwarding, lifetimes: QueueOptions(),
                routes: RouteTable { lane in lane == "example.test" ? .nextHops([hop]) : .discard }, lanes: .byDomain)
            let warnings = self.warnings
            self.verification = try Verification(
                options,
                Verification.Context(
                    state: self.folder.path, hostname: "mx2.example.test", listeners: [], interfaces: [],
                    loop: self.loop, names: try ZoneService("$ORIGIN test.\n@ SOA ns admin 1 1h 1h 1d 60\n" + zone),
                    clock: self.clock.wall, policies: policies, generation: { generation }, warn: { warnings.add($0) }))
            var sources = RecipientSources()
            sources.verifier = self.verification.recipients
            sources.verification = options
            self.directory = RecipientDirectory(sources, hostname: "mx2.example.test")
        }

        func answer(_ name: String) async throws -> RecipientAnswer {
            let mailbox = try #require(Mailbox("\(name)@example.test"))
            return await self.directory.answer(mailbox, on: self.loop).answer
        }

        func end() async { await self.verification.shutDown() }
    }

    private final class Warnings: Sendable {
        private let list = Mutex<[String]>([])

        func add(_ text: String) { self.list.withLock { $0.append(text) } }

        var all: [String] { self.list.withLock { $0 } }
    }

    @Test func `recipients are told while Postfix is there, and those that were known also while it is not`()
        async throws
    {
        let primary = try PostfixPrimary(recipients: .only(["a@example.test", "b@example.test"]))
        let fixture = try Fixture(primary.address, .acceptAndHold)
        #expect(try await fixture.answer("a") == .known)
        guard case .unknown(let reply) = try await fixture.answer("nobody") else {
            Issue.record("nobody is not unknown")
            return
        }
        #expect(reply.oneLine.hasPrefix("450 4.1.1"))
        try await onOwnThread { try primary.stop() }
        #expect(try await fixture.answer("b") == .acceptAndHold)
        for _ in 0..<3 {
            fixture.clock.advance(.seconds(8 * 86_400))
            #expect(try await fixture.answer("a") == .known)
        }
        try await onOwnThread { try primary.start() }
        fixture.clock.advance(.seconds(600))
        #expect(try await fixture.answer("b") == .known)
        #expect(primary.maildir.count == 0)
        await fixture.end()
    }

    @Test func `a Postfix that does not like us says nothing of its recipients`() async throws {
        for (settings, isRefusal) in [
            (["smtpd_sender_restrictions": "check_sender_access static:reject"], true),
            (["smtpd_client_restrictions": "reject", "smtpd_delay_reject": "no"], true),
            (["smtpd_recipient_restrictions": "check_client_access static:reject"], true), ([:], false),
        ] {
            let primary = try await onOwnThread {
                try PostfixPrimary(recipients: .only(["a@example.test"]), settings: settings)
            }
            let fixture = try Fixture(primary.address)
            let answer = try await fixture.answer("a")
            await fixture.end()
            guard isRefusal else {
                #expect(answer == .known)
                continue
            }
            guard case .undecided(let reply) = answer else {
                Issue.record("\(settings): \(answer)")
                continue
            }
            #expect(reply.code == 450)
        }
    }

    @Test func `before a server is asked, its domain's policy is`() async throws {
        let asked = Warnings()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let fixture = try Fixture(try .free(), zone: "sender MX 10 mx\nmx A 127.0.0.9\n") { domain in
            asked.add(domain)
            return loop.makeSucceededFuture(.none)
        }
        let sender = try #require(Mailbox("s@sender.test"))
        _ = try await fixture.verification.senders.verify(sender, on: fixture.loop).get()
        #expect(asked.all == ["sender.test"])
        await fixture.end()
    }

    @Test func `a Postfix that takes everybody is found out`() async throws {
        let primary = try PostfixPrimary(recipients: .all)
        let fixture = try Fixture(primary.address)
        #expect(try await fixture.answer("whoever") == .known)
        try await onOwnThread {
            try eventually("the second question") { !fixture.verification.alarms.isEmpty }
        }
        #expect(fixture.verification.alarms == ["the primary of example.test accepts every address"])
        #expect(fixture.warnings.all.count == 1)
        await fixture.end()
    }
}
