import Greylist
import Mail
import Testing

/// The decision itself, on values: days pass at once.
struct GreylistDecisionTests {
    private static let start = Timestamp(seconds: 1_800_000_000)
    private static let day = Duration.seconds(86_400)
    private let options = GreylistOptions()

    private func fresh() -> GreylistState { GreylistState(triplet: nil, client: nil) }

    @Test func `who comes first has to come again, and passes when the time is over`() {
        var state = self.fresh()
        let first = state.judge(at: Self.start, self.options)
        #expect(first == .delayed(.new, remaining: .seconds(300)))
        let early = state.judge(at: Self.start + .seconds(299), self.options)
        #expect(early == .delayed(.early(after: .seconds(299)), remaining: .seconds(1)))
        let retried = state.judge(at: Self.start + .seconds(300), self.options)
        #expect(retried == .passed(.retried(after: .seconds(300))))
        let known = state.judge(at: Self.start + .seconds(400), self.options)
        #expect(known == .passed(.known(since: .seconds(100))))
        #expect(state.triplet?.passes == 2)
    }

    @Test func `coming too early does not begin the time anew, and changes nothing`() {
        var state = self.fresh()
        _ = state.judge(at: Self.start, self.options)
        let before = state
        for seconds in stride(from: Int64(1), to: 300, by: 30) {
            let answer = state.judge(at: Self.start + .seconds(seconds), self.options)
            #expect(
                answer == .delayed(.early(after: .seconds(seconds)), remaining: .seconds(300 - seconds)))
        }
        #expect(state == before)
    }

    @Test func `who takes too long to come again begins anew`() {
        var state = self.fresh()
        _ = state.judge(at: Self.start, self.options)
        var other = state
        let last = other.judge(at: Self.start + self.options.retryWindow, self.options)
        #expect(last == .passed(.retried(after: self.options.retryWindow)))
        let late = Self.start + self.options.retryWindow + .microseconds(1)
        let answer = state.judge(at: late, self.options)
        #expect(answer == .delayed(.expired, remaining: .seconds(300)))
        #expect(state.triplet?.firstSeen == late)
    }

    @Test func `what came again is known from its last mail`() {
        var state = self.fresh()
        _ = state.judge(at: Self.start, self.options)
        var now = Self.start + .seconds(600)
        _ = state.judge(at: now, self.options)
        for _ in 0..<5 {
            now = now + .seconds(34 * 86_400)
            let answer = state.judge(at: now, self.options)
            #expect(answer == .passed(.known(since: .seconds(34 * 86_400))))
        }
        now = now + self.options.expiry + .microseconds(1)
        let answer = state.judge(at: now, self.options)
        #expect(answer == .delayed(.expired, remaining: .seconds(300)))
        #expect(state.triplet?.passes == 0)
    }

    @Test func `the same recipient again in one session changes nothing`() {
        var state = self.fresh()
        _ = state.judge(at: Self.start, self.options)
        let now = Self.start + .seconds(600)
        _ = state.judge(at: now, self.options)
        let before = state
        for seconds in [Int64(0), 1, 59] {
            let answer = state.judge(at: now + .seconds(seconds), self.options)
            #expect(answer == .passed(.known(since: .seconds(seconds))))
        }
        #expect(state == before)
        _ = state.judge(at: now + .seconds(60), self.options)
        #expect(state.triplet?.passes == 2)
    }

    @Test func `a clock that goes backwards makes nobody wait longer than the delay`() {
        var state = self.fresh()
        _ = state.judge(at: Self.start, self.options)
        let earlier = Self.start - .seconds(30 * 86_400)
        let answer = state.judge(at: earlier, self.options)
        #expect(answer == .delayed(.new, remaining: .seconds(300)))
        let later = state.judge(at: earlier + .seconds(300), self.options)
        #expect(later == .passed(.retried(after: .seconds(300))))
        let known = state.judge(at: earlier - Self.day, self.options)
        #expect(known == .passed(.known(since: .zero)))
    }

    /// A state of a network of which so many mails have come again.
    private func passed(_ count: Int, every interval: Duration, _ now: inout Timestamp) -> GreylistState {
        var client: GreylistClient?
        for _ in 0..<count {
            var state = GreylistState(triplet: nil, client: client)
            _ = state.judge(at: now - self.options.delay, self.options)
            _ = state.judge(at: now, self.options)
            client = state.client
            now = now + interval
        }
        return GreylistState(triplet: nil, client: client)
    }

    @Test func `a network of which five mails have come again in different hours is not delayed`() {
        var now = Self.start
        var four = self.passed(4, every: .seconds(3600), &now)
        let delayed = four.judge(at: now, self.options)
        #expect(delayed == .delayed(.new, remaining: .seconds(300)))
        var later = Self.start
        var five = self.passed(5, every: .seconds(3600), &later)
        let allowed = five.judge(at: later, self.options)
        #expect(allowed == .passed(.client(passes: 5)))
        #expect(five.triplet == nil, "nothing has to be remembered of it")
        var lost = five
        let expired = lost.judge(at: later + self.options.autoAllowExpiry + .seconds(1), self.options)
        #expect(expired == .delayed(.new, remaining: .seconds(300)))
        var never = self.options
        never.autoAllow = 0
        let strict = five.judge(at: later, never)
        #expect(strict == .delayed(.new, remaining: .seconds(300)))
    }

    @Test func `mails that come again within an hour count once`() {
        var now = Self.start
        let many = self.passed(50, every: .seconds(60), &now)
        #expect(many.client?.passes == 1)
        #expect(many.client?.lastCounted == Self.start)
        var slow = Self.start
        #expect(self.passed(3, every: .seconds(3599), &slow).client?.passes == 2)
    }

    @Test func `a mail that is known already does not count for its network again`() {
        var state = self.fresh()
        _ = state.judge(at: Self.start, self.options)
        for day in 1...10 { _ = state.judge(at: Self.start + .seconds(Int64(day) * 86_400), self.options) }
        #expect(state.client?.passes == 1)
    }

    @Test func `the reply tells how long to wait, rounded up`() {
        let answer = GreylistAnswer.delayed(.early(after: .seconds(1)), remaining: .milliseconds(298_001))
        #expect(answer.reply(self.options)?.oneLine == "450 4.2.0 Greylisted, try again in 299 seconds")
        var options = self.options
        options.text = "see https://mx.example.test/greylisting"
        #expect(
            answer.reply(options)?.oneLine
                == "450 4.2.0 Greylisted, try again in 299 seconds; see https://mx.example.test/greylisting")
        #expect(GreylistAnswer.passed(.allowlisted).reply(self.options) == nil)
    }

    @Test func `options that make no sense are refused`() throws {
        #expect(throws: Never.self) { () throws in try GreylistOptions().validate() }
        let wrong: [(inout GreylistOptions) -> Void] = [
            { $0.delay = .zero }, { $0.retryWindow = $0.delay }, { $0.expiry = .zero }, { $0.autoAllowExpiry = .zero },
            { $0.ipv4Prefix = 0 }, { $0.ipv4Prefix = 33 }, { $0.ipv6Prefix = 129 }, { $0.entries = 0 },
            { $0.text = String(repeating: "x", count: 201) },
        ]
        for change in wrong {
            var options = GreylistOptions()
            change(&options)
            #expect(throws: OptionProblem.self) { () throws in try options.validate() }
        }
    }
}
