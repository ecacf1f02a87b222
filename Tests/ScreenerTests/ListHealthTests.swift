import Foundation
import Mail
import Screener
import Testing

/// Clients that never come again.
struct FreshClients {
    private var last: UInt32 = 0x0A00_0000

    mutating func next() -> IPAddress {
        self.last += 1
        return .v4(self.last)
    }
}

struct ListHealthTests {
    private var clients = FreshClients()
    private var health = ListHealth(name: "list")

    /// A window of a hundred clients of which so many are listed.
    private mutating func window(_ hits: Int) -> ListHealth.Change? {
        var change: ListHealth.Change?
        for number in 0..<100 {
            let new = self.health.record(self.clients.next(), number < hits ? .listed : .notListed)
            if let new {
                #expect(number == 99)
                change = new
            }
        }
        return change
    }

    /// What the list becomes with windows of so many hits each, one after the other.
    private mutating func standings(_ windows: [Int]) -> [ListHealth.Standing] {
        windows.map { hits in
            let before = self.health.standing
            let change = self.window(hits)
            #expect((change != nil) == (before != self.health.standing))
            #expect(change == nil || change?.from == before && change?.to == self.health.standing)
            return self.health.standing
        }
    }

    struct Story: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let history: [Int]
        let windows: [Int]
        let standings: [ListHealth.Standing]

        init(_ name: String, _ history: [Int], _ windows: [Int], _ standings: [ListHealth.Standing]) {
            (self.testDescription, self.history, self.windows, self.standings) = (name, history, windows, standings)
        }
    }

    @Test(arguments: [
        Story("as usual", [20, 22, 18, 20, 20], [20, 30, 10, 0, 40], Array(repeating: .trusted, count: 5)),
        Story("a little less than a jump", [20, 20, 20, 20, 20], [54], [.trusted]),
        Story("a little more", [20, 20, 20, 20, 20], [56], [.suspect]),
        Story("a jump, and back", [20, 20, 20, 20, 20], [90, 20, 90, 20], [.suspect, .trusted, .suspect, .trusted]),
        Story(
            "two jumps, more of them, and back", [20, 20, 20, 20, 20], [90, 90, 90, 100, 20],
            [.suspect, .demoted, .demoted, .demoted, .trusted]),
        Story("nobody is listed any more", [60, 60, 60, 60, 60], [0, 0, 0], [.trusted, .trusted, .trusted]),
        Story("a rate that goes up and down", [0, 60, 0, 60, 0, 60, 0, 60], [70, 90], [.trusted, .trusted]),
        Story("a list that never had a hit", [0, 0, 0, 0, 0], [36, 36], [.suspect, .demoted]),
        Story("all of them, where most were", [80, 80, 80, 80, 80], [99, 100, 100], [.trusted, .suspect, .demoted]),
        Story("all of them, where nearly all were", [97, 97, 97, 97, 97], [100, 100], [.trusted, .trusted]),
        Story("no history to judge by", [0, 0, 0, 0], [100], [.trusted]),
        Story("everything from the start", [], [100, 100, 100, 100, 100, 100], Array(repeating: .trusted, count: 6)),
    ])
    mutating func `a list is judged by its own history`(story: Story) {
        let learned = self.standings(story.history)
        #expect(learned.allSatisfy { $0 == .trusted })
        let standings = self.standings(story.windows)
        #expect(standings == story.standings)
    }

    @Test mutating func `what changes is said, with the figures and the name for display`() {
        _ = self.standings([20, 20, 20, 20, 20])
        #expect(self.health.alarm == nil)
        let first = self.window(97)
        let reason = "it listed 97 of 100 clients, usual are 20"
        #expect(first == ListHealth.Change(list: "list", from: .trusted, to: .suspect, reason: reason))
        #expect(first.map { "\($0)" } == "list is suspect, was trusted: \(reason)")
        #expect(self.health.alarm == "list is suspect: \(reason)")
        let second = self.window(97)
        #expect(second?.to == .demoted)
        #expect(self.health.alarm == "list is demoted: \(reason)")
        let third = self.window(20)
        let back = "it listed 20 of 100 clients, usual are 20"
        #expect(third == ListHealth.Change(list: "list", from: .demoted, to: .trusted, reason: back))
        #expect(self.health.alarm == nil)
    }

    @Test mutating func `a client that comes again and again counts once`() {
        _ = self.standings([20, 20, 20, 20, 20])
        let bots = (1...3).map { IPAddress.v6(high: 0x2001_0DB8_0000_0000 + $0, low: 0) }
        for round in 0..<10_000 as Range<UInt64> {
            let bot = bots[Int(round % 3)]
            guard case .v6(let high, _) = bot else { continue }
            // Another address of the same /64 each time.
            let change = self.health.record(.v6(high: high, low: round), .listed)
            #expect(change == nil)
        }
        #expect(self.health.hits == 100 + 10_000)
        // The bots are 3 of this window.
        for _ in 0..<96 { _ = self.health.record(self.clients.next(), .notListed) }
        #expect(self.health.history.windows == 5)
        _ = self.health.record(self.clients.next(), .notListed)
        #expect(self.health.history.windows == 6)
        #expect(self.health.standing == .trusted)
    }

    @Test mutating func `a client that comes again after many others counts again`() {
        let clients = (0..<200).map { _ in self.clients.next() }
        for _ in 0..<3 { for client in clients { _ = self.health.record(client, .notListed) } }
        #expect(self.health.history.windows == 6)
        for _ in 0..<10 { for client in clients.prefix(128) { _ = self.health.record(client, .notListed) } }
        #expect(self.health.history.windows == 7, "the last 128 are known")
    }

    @Test mutating func `no answer is neither a hit nor none`() {
        _ = self.standings([20, 20, 20, 20, 20])
        for _ in 0..<500 {
            let change = self.health.record(self.clients.next(), .unavailable("error code 127.255.255.254"))
            #expect(change == nil)
        }
        #expect(self.health.queries == 1000)
        #expect(self.health.hits == 100)
        #expect(self.health.unavailable == 500)
        #expect(self.health.unavailableInARow == 500)
        #expect(self.health.lastProblem == "error code 127.255.255.254")
        #expect(self.health.history.windows == 5)
        #expect(self.health.standing == .trusted)
        _ = self.health.record(self.clients.next(), .notListed)
        #expect(self.health.unavailableInARow == 0)
        #expect(self.health.lastProblem != nil)
    }

    @Test(arguments: [(80, 20...40), (60, 20...40), (100, 700...1000)])
    mutating func `what lasts is accepted in the end`(hits: Int, windows: ClosedRange<Int>) {
        for _ in 0..<50 { _ = self.window(20) }
        var count = 0
        repeat {
            _ = self.window(hits)
            count += 1
        } while self.health.standing != .trusted && count < 2000
        #expect(windows.contains(count))
        _ = self.window(hits)
        #expect(self.health.standing == .trusted)
    }

    @Test mutating func `the history is kept across restarts, and judged by at once`() throws {
        _ = self.standings([20, 22, 18, 20, 20, 24])
        let json = try JSONEncoder().encode(self.health.history)
        let history = try JSONDecoder().decode(HitRateHistory.self, from: json)
        #expect(history == self.health.history)
        self.health = ListHealth(name: "list", history: history)
        #expect(self.standings([90, 90]) == [.suspect, .demoted])
    }

    @Test(
        arguments: [
            (-0.1, 0.0, 9), (1.1, 0, 9), (.nan, 0, 9), (.infinity, 0, 9), (0.5, -0.1, 9), (0.5, 0.3, 9), (0.5, .nan, 9),
            (0.5, 0, -1),
        ] as [(Double, Double, Int)])
    func `figures that no history has make an empty one`(mean: Double, variance: Double, windows: Int) {
        #expect(HitRateHistory(mean: mean, variance: variance, windows: windows) == HitRateHistory())
    }

    @Test func `no number of windows is too many`() {
        var history = HitRateHistory(mean: 0.2, variance: 0, windows: .max)
        let isJump = history.take(hits: 90)
        #expect(isJump)
    }
}

/// RFC 5782 §5.
struct ListSelfTestTests {
    private var health = ListHealth(name: "list")

    private static let everything = "it lists 127.0.0.1, so it seems to list everything"
    private static let empty = "it does not list 127.0.0.2: it is empty, or without the entry for tests"

    @Test(arguments: [
        (ListHealth.Outcome.listed, ListHealth.Outcome.notListed, ListHealth.Standing.trusted, nil as String?),
        (.listed, .listed, .demoted, everything), (.notListed, .listed, .demoted, everything),
        (.unavailable("x"), .listed, .demoted, everything), (.notListed, .notListed, .trusted, empty),
        (.unavailable("x"), .notListed, .trusted, "its self-test had no answer: x"),
        (.listed, .unavailable("x"), .trusted, "its self-test had no answer: x"),
        (.notListed, .unavailable("x"), .trusted, "its self-test had no answer: x"),
        (.unavailable("y"), .unavailable("x"), .trusted, "its self-test had no answer: x"),
    ])
    mutating func `every result of a self-test is judged`(
        present: ListHealth.Outcome, absent: ListHealth.Outcome, standing: ListHealth.Standing, reason: String?
    ) {
        let change = self.health.selfTested(present: present, absent: absent)
        #expect(self.health.standing == standing)
        #expect(self.health.isSelfTestBad == (reason != nil))
        #expect(self.health.alarm == reason.map { "list is \(standing.rawValue): \($0)" })
        #expect(change == reason.map { ListHealth.Change(list: "list", from: .trusted, to: standing, reason: $0) })
        let again = self.health.selfTested(present: present, absent: absent)
        #expect(again == nil, "nothing is said twice")
        let good = self.health.selfTested(present: .listed, absent: .notListed)
        #expect((good != nil) == (reason != nil))
        #expect(self.health.standing == .trusted && self.health.alarm == nil && !self.health.isSelfTestBad)
    }

    @Test mutating func `a list of everything stays demoted until 127.0.0.1 is not listed`() {
        _ = self.health.selfTested(present: .listed, absent: .listed)
        for (present, absent) in [
            (.listed, .unavailable("x")), (.unavailable("x"), .unavailable("x")), (.notListed, .unavailable("x")),
        ] as [(ListHealth.Outcome, ListHealth.Outcome)] {
            let change = self.health.selfTested(present: present, absent: absent)
            #expect(change == nil)
            #expect(self.health.standing == .demoted)
        }
        #expect(self.health.lastProblem == "x")
        let change = self.health.selfTested(present: .listed, absent: .notListed)
        #expect(
            change == ListHealth.Change(list: "list", from: .demoted, to: .trusted, reason: "its self-test is good"))
    }

    @Test mutating func `a list without entries for tests is believed once it stops listing everything`() {
        _ = self.health.selfTested(present: .listed, absent: .listed)
        let change = self.health.selfTested(present: .notListed, absent: .notListed)
        #expect(change == ListHealth.Change(list: "list", from: .demoted, to: .trusted, reason: Self.empty))
    }

    @Test mutating func `neither of the two judgements undoes the other`() {
        var clients = FreshClients()
        func window(_ hits: Int, _ health: inout ListHealth) -> ListHealth.Change? {
            (0..<100).compactMap { health.record(clients.next(), $0 < hits ? .listed : .notListed) }.last
        }
        for _ in 0..<5 { _ = window(20, &self.health) }
        _ = window(90, &self.health)
        _ = self.health.selfTested(present: .listed, absent: .notListed)
        #expect(self.health.standing == .suspect, "a good self-test says nothing of the rate")
        let demoted = self.health.selfTested(present: .listed, absent: .listed)
        #expect(demoted?.from == .suspect && demoted?.to == .demoted)
        #expect(
            self.health.alarm
                == "list is demoted: it listed 90 of 100 clients, usual are 20; \(Self.everything)")
        let still = window(20, &self.health)
        #expect(still == nil)
        #expect(self.health.standing == .demoted, "a usual rate says nothing of the self-test")
        _ = window(90, &self.health)
        let back = self.health.selfTested(present: .listed, absent: .notListed)
        #expect(back?.to == .suspect)
    }
}
