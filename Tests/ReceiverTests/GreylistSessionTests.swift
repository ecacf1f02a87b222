import Authentication
import Greylist
import Harness
import Mail
import Receiver
import Resolver
import Rules
import Screener
import Synchronization
import Testing
import ZoneFiles

/// Whom a server asks that greylists, and the names that its screener knows.
struct JudgedBy: Sendable {
    var names: ZoneService?
    /// What the server's own questions are answered by; none of its names exists if nil.
    var resolver: (any NameService)?
    var authentication: AuthenticationPolicy?
    var restriction = "greylist"
    var judge: @Sendable (Lookup) async -> Judgement = { _ in .notAsked }

    /// Recipients are looked at first, and greylisted then, or whatever the restriction is.
    func policy(_ relay: RelayPolicy) -> RestrictionPolicy {
        var policy = RestrictionPolicy.relayOnly(relay)
        let words = ["reject_unlisted_recipient", self.restriction]
        let list = try? RestrictionReader(classes: [:]).list("recipient", words: words, file: nil, line: nil)
        policy.lists[.recipient] = list
        return policy
    }
}

/// Greylisting in sessions, on real sockets, with a clock that tests set.
struct GreylistSessionTests {
    private final class Clock: Sendable {
        private let time = Mutex(Timestamp(seconds: 1_800_000_000))

        func advance(_ duration: Duration) { self.time.withLock { $0 = $0 + duration } }

        var wallClock: WallClock { WallClock { self.time.withLock { $0 } } }
    }

    private final class Asked: Sendable {
        private let list = Mutex<[GreylistQuestion]>([])

        var all: [GreylistQuestion] { self.list.withLock { $0 } }

        func add(_ question: GreylistQuestion) { self.list.withLock { $0.append(question) } }
    }

    private func relay() throws -> RelayPolicy {
        RelayPolicy(
            relayDomains: DomainSet(keys: ["example.test"]), relayNetworks: [],
            recipients: [try TextTable("user@example.test x\nother@example.test x\n")], unverified: .refused,
            postmaster: Mailbox("postmaster@example.test"), delimiter: nil)
    }

    /// As the daemon answers.
    private static func judge(
        _ greylisting: Greylisting, _ asked: Asked
    ) -> @Sendable (Lookup) async -> Judgement {
        { lookup in
            guard case .greylist(let question) = lookup else { return .notAsked }
            asked.add(question)
            let answer = await greylisting.judge(
                GreylistDelivery(
                    client: question.client, sender: question.reversePath, recipient: question.recipient,
                    isAllowlisted: question.isAllowlisted), GreylistPolicy()
            ) { nil }
            return answer.reply(GreylistOptions()).map { .refused($0, why: answer.why) } ?? .passed(answer.why)
        }
    }

    private static let later =
        "450 4.2.0 <user@example.test>: Recipient address rejected: Greylisted, try again in 300 seconds"

    @Test func `a recipient is refused until the mail comes again`() async throws {
        let folder = try TemporaryFolder()
        let (clock, asked) = (Clock(), Asked())
        let store = try GreylistStore(folder: folder.path, clock: clock.wallClock) { Issue.record("\($0)") }
        let greylisting = Greylisting(store: store, clock: clock.wallClock)
        defer { greylisting.close() }
        try await withServer(policy: try self.relay(), greylist: JudgedBy(judge: Self.judge(greylisting, asked))) {
            server in
            try await onOwnThread {
                let client = try server.client()
                #expect(try client.command("MAIL FROM:<sender@client.example>").code == 250)
                #expect(try client.command("RCPT TO:<nobody@example.test>").code == 550)
                #expect(try client.command("RCPT TO:<user@elsewhere.example>").code == 554)
                #expect(asked.all.isEmpty, "what costs less comes first")
                #expect(try client.command("RCPT TO:<user@example.test>").description == Self.later)
                #expect(try client.command("RCPT TO:<User@Example.test>").code == 450)
                #expect(try client.command("DATA").code == 554, "nobody is left")
                clock.advance(.seconds(301))
                #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
                #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
                #expect(
                    try client.command("RCPT TO:<other@example.test>").description
                        == Self.later.replacing("<user@", with: "<other@"), "each recipient has its own time")
                #expect(try client.command("DATA").code == 354)
                #expect(try client.command("Subject: x\r\n\r\nx\r\n.").code == 250)
                // A session of its own, and another sender.
                let second = try server.client()
                #expect(try second.command("MAIL FROM:<>").code == 250)
                #expect(try second.command("RCPT TO:<user@example.test>").code == 450)
                #expect(try second.command("RSET").code == 250)
                #expect(try second.command("MAIL FROM:<Sender@Client.example>").code == 250)
                #expect(try second.command("RCPT TO:<user@example.test>").code == 250)
            }
            #expect(try server.messages().count == 1)
            let reasons = server.log.compactMap { event -> String? in
                guard case .refused(let refusal) = event, refusal.reply.code == 450 else { return nil }
                return refusal.reason.map { "\($0.stage) \($0.restriction): \($0.value ?? "")" }
            }
            #expect(reasons.first == "recipient greylist: not seen before")
            #expect(reasons.dropFirst().first == "recipient greylist: came again after 0 seconds already")
        }
        #expect(asked.all.first?.helo == "client.example")
        #expect(greylisting.statistics.passed == 3)
    }

    @Test func `whom the screener's lists know is not delayed`() async throws {
        let folder = try TemporaryFolder()
        let (clock, asked) = (Clock(), Asked())
        let store = try GreylistStore(folder: folder.path, clock: clock.wallClock) { Issue.record("\($0)") }
        let greylisting = Greylisting(store: store, clock: clock.wallClock)
        defer { greylisting.close() }
        var screener = ScreenerOptions()
        screener.pregreet = .off
        screener.dnsbl = [try DNSBLSite("good.example*-2")]
        let names = try ZoneService("$ORIGIN good.example.\n@ SOA ns admin 1 1h 1h 1d 60\n1.0.0.127 A 127.0.5.3\n")
        try await withServer(
            policy: try self.relay(), screener: screener,
            greylist: JudgedBy(names: names, judge: Self.judge(greylisting, asked))
        ) { server in
            try await onOwnThread {
                for (source, code) in [("127.0.0.1", 250), ("127.0.0.2", 450), ("127.0.0.1", 250)] {
                    let client = try server.client(from: source)
                    try client.command("MAIL FROM:<sender@client.example>")
                    #expect(try client.command("RCPT TO:<user@example.test>").code == code, "\(source)")
                }
            }
        }
        // The third session is of a client that is known by then, and not looked up again.
        #expect(asked.all.map(\.isAllowlisted) == [true, false, true])
    }
}
