import Mail
import Rules
import Testing

/// Restrictions that are decided outside of the lists: `greylist` and `check_spf`.
struct JudgementTests {
    private static let client = IPAddress.v4(0xC000_0263)
    private static let later = Judgement.refused(
        Reply(450, .init(2, 0), "Greylisted, try again in 300 seconds"), why: "first seen")

    private static func question(isAllowlisted: Bool = false) throws -> Lookup {
        .greylist(
            GreylistQuestion(
                client: self.client, helo: "mail.client.example",
                reversePath: .mailbox(try #require(Mailbox("sender@client.example"))),
                recipient: try #require(Mailbox("user@example.test")), isAllowlisted: isAllowlisted))
    }

    private static func spf() throws -> Lookup {
        .spf(
            SPFQuestion(
                client: self.client, helo: "mail.client.example",
                reversePath: .mailbox(try #require(Mailbox("sender@client.example")))))
    }

    private static func judged(
        _ lists: [Stage: [String]], _ lookup: Lookup, _ judgement: Judgement
    ) -> RestrictionFixture {
        var fixture = RestrictionFixture(lists)
        fixture.answers[lookup] = .judged(judgement)
        return fixture
    }

    @Test func `greylisting asks with what the session knows, where the list has it`() throws {
        let question = try Self.question()
        var fixture = RestrictionFixture([.recipient: ["greylist"]])
        #expect(throws: RestrictionFixture.Asked(lookup: question)) { () throws in try fixture.reply() }
        fixture.facts.isAllowlisted = true
        let known = try Self.question(isAllowlisted: true)
        #expect(throws: RestrictionFixture.Asked(lookup: known)) { () throws in try fixture.reply() }
        fixture.lists[.recipient] = ["permit", "greylist"]
        #expect(try fixture.reply() == "accept")
        fixture.lists[.recipient] = ["reject", "greylist"]
        #expect(try fixture.reply().hasPrefix("554"))
    }

    @Test func `what is greylisted comes again later, with its reason`() throws {
        let fixture = Self.judged([.recipient: ["greylist", "reject"]], try Self.question(), Self.later)
        let refusal = try #require(try fixture.outcome().refusal)
        #expect(
            refusal.reply.oneLine
                == "450 4.2.0 <user@example.test>: Recipient address rejected: Greylisted, try again in 300 seconds")
        #expect(refusal.reason.stage == "recipient")
        #expect(refusal.reason.restriction == "greylist")
        #expect(refusal.reason.value == "first seen")
        let trace = try fixture.outcome().trace
        #expect(trace.map(\.reason.value) == ["first seen"])
    }

    @Test func `what passes goes on in the list, and the trace says why`() throws {
        let fixture = Self.judged(
            [.recipient: ["greylist", "reject"]], try Self.question(), .passed("known for 3 days"))
        let outcome = try fixture.outcome()
        #expect(outcome.refusal?.reply.code == 554)
        #expect(outcome.trace.map(\.result).first == "dunno")
        #expect(outcome.trace.map(\.reason.value).first == "known for 3 days")
        #expect(outcome.effects == Effects())
    }

    @Test func `warn_if_reject lets greylisting only warn`() throws {
        let fixture = Self.judged([.recipient: ["warn_if_reject greylist"]], try Self.question(), Self.later)
        let outcome = try fixture.outcome()
        #expect(outcome.refusal == nil)
        #expect(outcome.notes.map(\.kind) == [.rejectWarning])
        #expect(outcome.notes.map(\.reason.value) == ["first seen"])
    }

    @Test func `a judge that cannot tell refuses nobody, and is complained of`() throws {
        let fixture = Self.judged([.recipient: ["greylist"]], try Self.question(), .fault("no memory"))
        let outcome = try fixture.outcome()
        #expect(outcome.refusal == nil)
        #expect(outcome.notes.map(\.kind) == [.fault])
        #expect(outcome.notes.map(\.text) == ["greylist: no memory"])
        // An answer to something else is our own fault.
        var other = RestrictionFixture([.recipient: ["greylist"]])
        other.answers[try Self.question()] = .passed
        #expect(try other.reply() == "451 4.3.5 Server configuration error")
    }

    @Test func `deferrals that were asked for before stay what they are`() throws {
        let question = try Self.question()
        // 450 is not a refusal for good, so there is nothing to soften.
        var fixture = Self.judged([.recipient: ["defer_if_reject", "greylist"]], question, Self.later)
        #expect(try fixture.reply().hasPrefix("450 4.2.0"))
        fixture = Self.judged([.recipient: ["defer_if_permit", "greylist"]], question, .passed("x"))
        #expect(try fixture.reply().hasPrefix("450 4.7.0"))
        fixture = Self.judged([.recipient: ["defer_if_reject", "check_spf"]], try Self.spf(), Self.fail)
        #expect(try fixture.reply().hasPrefix("450 4.7.0"))
    }

    @Test func `greylisting has nothing to ask behind RCPT`() throws {
        var fixture = RestrictionFixture([.data: ["greylist"], .endOfData: ["greylist"]])
        fixture.facts.recipientCount = 1
        #expect(try fixture.reply(.data) == "accept")
        #expect(try fixture.reply(.endOfData) == "accept")
    }

    private static let fail = Judgement.refused(Reply(550, .init(7, 23), "SPF fail"), why: "fail: -all")

    @Test(arguments: [Stage.client, .helo, .sender, .relay, .recipient])
    func `SPF refuses in every list that is asked at RCPT`(_ stage: Stage) throws {
        let fixture = Self.judged([stage: ["check_spf"]], try Self.spf(), Self.fail)
        let refusal = try #require(try fixture.outcome().refusal)
        #expect(refusal.reply.oneLine.hasPrefix("550 5.7.23 <"))
        #expect(refusal.reply.oneLine.hasSuffix(" rejected: SPF fail"))
        #expect(refusal.reason.stage == stage.rawValue)
        #expect(refusal.reason.value == "fail: -all")
    }

    @Test func `SPF is asked at DATA too, and of notices`() throws {
        var fixture = Self.judged([.data: ["check_spf"]], try Self.spf(), Self.fail)
        fixture.facts.recipientCount = 3
        #expect(try fixture.reply(.data) == "550 5.7.23 <DATA>: Data command rejected: SPF fail")
        fixture.facts.reversePath = .null
        let question = Lookup.spf(
            SPFQuestion(client: Self.client, helo: "mail.client.example", reversePath: .null))
        #expect(throws: RestrictionFixture.Asked(lookup: question)) { () throws in try fixture.reply(.data) }
    }

    @Test func `without a sender there is no SPF`() throws {
        var fixture = RestrictionFixture([.client: ["check_spf"]])
        fixture.delays = false
        fixture.facts.reversePath = nil
        #expect(try fixture.reply(.helo) == "accept")
    }

    @Test func `greylisting stands in the list of recipients and its classes only`() throws {
        var fixture = RestrictionFixture()
        fixture.classes = ["strangers": ["greylist"], "everybody": ["strangers"], "sender_policy": ["check_spf"]]
        for stage in Stage.allCases {
            fixture.lists = [stage: ["everybody"]]
            let problem = try fixture.policy().lists[stage]?.problem(in: stage, delaysRefusals: true)
            #expect((problem == nil) == (stage == .recipient))
            #expect(problem?.contains("not into restrictions.\(stage.rawValue)") != false)
            fixture.lists = [stage: ["sender_policy"]]
            let list = try #require(try fixture.policy().lists[stage])
            #expect(list.problem(in: stage, delaysRefusals: true) == nil)
            let early = list.problem(in: stage, delaysRefusals: false)
            #expect((early != nil) == (stage == .client || stage == .helo))
        }
    }

    private static func problem(_ name: String, _ argument: String?) -> String? {
        do throws(OptionProblem) {
            _ = try RestrictionReader(classes: [:]).restriction(name, argument)
            return nil
        } catch { return error.message }
    }

    @Test func `neither takes an argument`() {
        #expect(Self.problem("greylist", nil) == nil)
        #expect(Self.problem("greylist", "x") == "greylist takes no argument")
        #expect(Self.problem("check_spf", "x") == "check_spf takes no argument")
        #expect(Self.problem("graylist", nil) == "there is no restriction 'graylist', did you mean 'greylist'?")
    }
}
