import Harness
import Mail
import NIOCore
import NIOEmbedded
import NIOPosix
import Resolver
import Screener
import Synchronization
import Testing
import ZoneFiles

extension DNSName {
    /// A name that the test knows to be one.
    static func of(_ text: String) -> DNSName { DNSName(text) ?? .root }
}

/// A monitor whose clock and names are those of the test.
private final class Fixture {
    static let zones = ["good", "wild", "dead", "codes", "empty"].map { DNSName.of("\($0).test") }
    static let good = zones[0]

    let loop = EmbeddedEventLoop()
    let names: ZoneService
    let alarms = Heard<ListHealth.Change>()
    let monitor: ListMonitor

    init(zones: [DNSName] = Fixture.zones) throws {
        self.names = try ZoneService(
            "$ORIGIN good.test.\n@ 60 SOA ns admin 1 2 3 4 5\n2.0.0.127 A 127.0.0.2\n",
            "$ORIGIN wild.test.\n@ 60 SOA ns admin 1 2 3 4 5\n* A 127.0.0.2\n",
            "$ORIGIN codes.test.\n@ 60 SOA ns admin 1 2 3 4 5\n* A 127.255.255.254\n",
            "$ORIGIN empty.test.\n@ 60 SOA ns admin 1 2 3 4 5\n")
        for address in ["1.0.0.127", "2.0.0.127"] { try self.names.fail("\(address).dead.test", with: .serverFailure) }
        let alarms = self.alarms
        self.monitor = ListMonitor(
            names: self.names, loop: self.loop,
            isUnavailable: { address, _ in address >> 8 == 0x7FFFFF ? "error code \(IPAddress.v4(address))" : nil },
            alarms: { alarms.add($0) })
        self.monitor.use(zones: zones)
    }

    func pass(_ time: TimeAmount = .zero) {
        self.loop.advanceTime(by: time)
        self.loop.run()
    }

    /// How often each list was asked about 127.0.0.2.
    var tests: [String: Int] {
        Dictionary(grouping: self.names.questions.map(\.name.text).filter { $0.hasPrefix("2.0.0.127.") }) {
            String($0.dropFirst("2.0.0.127.".count))
        }.mapValues(\.count)
    }

    /// A window of clients, of which so many are listed by the good list.
    func window(_ hits: Int, from first: UInt32) {
        for number in 0..<100 as Range<UInt32> {
            self.monitor.record(Self.good, client: .v4(first + number), number < hits ? .listed : .notListed)
        }
    }
}

struct ListMonitorTests {
    @Test func `lists are tested at the start, and only the one that lists everything is demoted`() throws {
        let fixture = try Fixture()
        let isDone = Mutex(false)
        fixture.monitor.selfTest { isDone.withLock { $0 = true } }
        fixture.pass()
        #expect(isDone.withLock { $0 })
        let expected: [(DNSName, ListHealth.Standing, String?, String?)] = [
            (Fixture.zones[0], .trusted, nil, nil),
            (Fixture.zones[1], .demoted, nil, "it lists 127.0.0.1, so it seems to list everything"),
            (Fixture.zones[2], .trusted, "its servers fail", "its self-test had no answer: its servers fail"),
            (
                Fixture.zones[3], .trusted, "error code 127.255.255.254",
                "its self-test had no answer: error code 127.255.255.254"
            ),
            (
                Fixture.zones[4], .trusted, nil,
                "it does not list 127.0.0.2: it is empty, or without the entry for tests"
            ),
        ]
        for (status, (zone, standing, problem, reason)) in zip(fixture.monitor.status, expected) {
            #expect(status.list == zone.text)
            #expect(status.standing == standing && fixture.monitor.standing(of: zone) == standing)
            #expect(status.lastProblem == problem)
            #expect(status.alarm == reason.map { "\(zone) is \(standing.rawValue): \($0)" })
            #expect(status.queries == 0, "self-tests are no queries")
        }
        #expect(fixture.monitor.status.count == 5)
        #expect(fixture.monitor.alarms == fixture.monitor.status.compactMap(\.alarm))
        #expect(fixture.alarms.all.map(\.list) == Fixture.zones.dropFirst().map(\.text))
    }

    @Test func `good lists are tested hourly, others every five minutes until they are good`() throws {
        let fixture = try Fixture(zones: [Fixture.zones[0], Fixture.zones[1]])
        fixture.monitor.startSelfTests(every: .hours(1), retry: .minutes(5))
        fixture.pass()
        #expect(fixture.tests == ["good.test": 1, "wild.test": 1])
        for _ in 0..<3 { fixture.pass(.minutes(5)) }
        #expect(fixture.tests == ["good.test": 1, "wild.test": 4])
        #expect(fixture.alarms.all.count == 1)
        try fixture.names.set("$ORIGIN wild.test.\n@ 60 SOA ns admin 1 2 3 4 5\n2.0.0.127 A 127.0.0.2\n")
        fixture.pass(.minutes(5))
        #expect(fixture.monitor.standing(of: Fixture.zones[1]) == .trusted)
        #expect(fixture.alarms.all.map(\.to) == [.demoted, .trusted])
        #expect(fixture.monitor.alarms == [])
        fixture.pass(.minutes(39))
        #expect(fixture.tests == ["good.test": 1, "wild.test": 5])
        fixture.pass(.minutes(1))
        #expect(fixture.tests == ["good.test": 2, "wild.test": 5])
        fixture.pass(.minutes(20))
        #expect(fixture.tests == ["good.test": 2, "wild.test": 6])
        fixture.monitor.stop()
        fixture.pass(.hours(10))
        #expect(fixture.tests == ["good.test": 2, "wild.test": 6])
    }

    @Test func `a list that becomes suspect is tested at once`() throws {
        let fixture = try Fixture(zones: [Fixture.good])
        fixture.monitor.startSelfTests(every: .hours(1), retry: .minutes(5))
        fixture.pass()
        for window in 0..<5 as Range<UInt32> { fixture.window(20, from: window * 100) }
        fixture.pass()
        #expect(fixture.tests["good.test"] == 1)
        try fixture.names.set("$ORIGIN good.test.\n@ 60 SOA ns admin 1 2 3 4 5\n* A 127.0.0.2\n")
        fixture.window(100, from: 1000)
        #expect(fixture.monitor.standing(of: Fixture.good) == .suspect)
        fixture.pass()
        #expect(fixture.monitor.standing(of: Fixture.good) == .demoted, "it need not wait for another hundred clients")
        #expect(fixture.alarms.all.map(\.to) == [.suspect, .demoted])
        fixture.monitor.stop()
    }

    @Test func `a list that answers nobody is tested at once, and again until it does`() throws {
        let fixture = try Fixture(zones: [Fixture.good])
        fixture.monitor.startSelfTests(every: .hours(1), retry: .minutes(5))
        fixture.pass()
        for address in ["1.0.0.127", "2.0.0.127"] { try fixture.names.fail("\(address).good.test", with: .timeout) }
        for client in 0..<9 as Range<UInt32> {
            fixture.monitor.record(Fixture.good, client: .v4(client), .unavailable("no answer in time"))
        }
        fixture.pass()
        #expect(fixture.tests["good.test"] == 1)
        for client in 9..<50 as Range<UInt32> {
            fixture.monitor.record(Fixture.good, client: .v4(client), .unavailable("no answer in time"))
        }
        fixture.pass()
        #expect(fixture.tests["good.test"] == 2)
        #expect(fixture.monitor.alarms == ["good.test is trusted: its self-test had no answer: no answer in time"])
        for address in ["1.0.0.127", "2.0.0.127"] { try fixture.names.fail("\(address).good.test", with: nil) }
        fixture.pass(.minutes(5))
        #expect(fixture.monitor.alarms == [])
        #expect(fixture.alarms.all.map(\.reason).last == "its self-test is good")
        fixture.monitor.stop()
    }

    @Test func `a reload keeps what is known of lists that stay, and tests new ones`() throws {
        let fixture = try Fixture(zones: [Fixture.zones[0], Fixture.zones[1]])
        fixture.monitor.startSelfTests(every: .hours(1), retry: .minutes(5))
        fixture.pass()
        fixture.window(30, from: 0)
        let wild = Fixture.zones[1]
        fixture.monitor.use(zones: [wild, Fixture.good, Fixture.zones[3], wild], displayNames: [wild: "paid list"])
        fixture.pass()
        #expect(fixture.monitor.status.map(\.list) == ["paid list", "good.test", "codes.test"])
        #expect(fixture.monitor.status.map(\.queries) == [0, 100, 0])
        #expect(fixture.monitor.status.map(\.standing) == [.demoted, .trusted, .trusted])
        #expect(fixture.tests == ["good.test": 1, "wild.test": 1, "codes.test": 1])
        fixture.monitor.use(zones: [wild])
        fixture.monitor.record(Fixture.good, client: .v4(1), .listed)
        fixture.pass(.hours(1))
        #expect(fixture.tests["good.test"] == 1 && fixture.tests["codes.test"] == 1, "nobody asks them any more")
        fixture.monitor.use(zones: [Fixture.good])
        #expect(fixture.monitor.status.map(\.queries) == [0])
        #expect(fixture.monitor.standing(of: wild) == .trusted)
        fixture.monitor.stop()
    }

    @Test func `no text has the zone of a list that has another name`() throws {
        let fixture = try Fixture(zones: [])
        let names = Dictionary(uniqueKeysWithValues: Fixture.zones.enumerated().map { ($1, "list \($0)") })
        fixture.monitor.use(zones: Fixture.zones, displayNames: names)
        fixture.monitor.selfTest()
        fixture.pass()
        for window in 0..<5 as Range<UInt32> { fixture.window(20, from: window * 100) }
        fixture.window(100, from: 1000)
        let texts =
            fixture.alarms.all.map { "\($0)" } + fixture.monitor.alarms + fixture.monitor.status.map { "\($0)" }
        #expect(texts.count == 5 + 5 + 5)
        #expect(texts.allSatisfy { $0.contains("list ") && !$0.contains("test.") && !$0.contains(".test") })
    }

    @Test func `the history outlives the monitor`() throws {
        let first = try Fixture(zones: [Fixture.good])
        for window in 0..<5 as Range<UInt32> { first.window(20, from: window * 100) }
        let second = try Fixture(zones: [])
        second.monitor.use(zones: [Fixture.good], history: first.monitor.history)
        second.window(90, from: 0)
        #expect(second.monitor.standing(of: Fixture.good) == .suspect)
    }

    @Test func `a monitor that is stopped, and lists that are gone, take no late answer`() throws {
        let fixture = try Fixture(zones: [Fixture.zones[1]])
        fixture.monitor.startSelfTests(every: .hours(1), retry: .minutes(5))
        fixture.monitor.use(zones: [Fixture.good])
        fixture.monitor.stop()
        fixture.pass()
        #expect(fixture.monitor.status.map(\.standing) == [.trusted])
        fixture.pass(.hours(2))
        #expect((fixture.tests["good.test"] ?? 0) <= 1)
        #expect(fixture.alarms.all == [])
    }

    @Test func `a zone too long for an address is a problem of its own`() throws {
        let zone = DNSName.of(Array(repeating: "abcdefghi", count: 25).joined(separator: "."))
        let fixture = try Fixture(zones: [zone])
        fixture.monitor.selfTest()
        fixture.pass()
        #expect(fixture.monitor.status.first?.lastProblem == "its zone is too long")
    }

    @Test func `many threads can tell it of clients while lists change and are tested`() async throws {
        let names = try ZoneService("$ORIGIN good.test.\n@ 60 SOA ns admin 1 2 3 4 5\n2.0.0.127 A 127.0.0.2\n")
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let monitor = ListMonitor(names: names, loop: loop, isUnavailable: { _, _ in nil }, alarms: { _ in })
        let other = DNSName.of("other.test")
        monitor.use(zones: [Fixture.good, other])
        await withTaskGroup { group in
            for task in 0..<8 as Range<UInt32> {
                group.addTask {
                    for number in 0..<1000 as Range<UInt32> {
                        monitor.record(Fixture.good, client: .v4(task << 16 + number), .notListed)
                        if task == 0 { monitor.use(zones: number % 2 == 0 ? [Fixture.good] : [other, Fixture.good]) }
                        if task == 1, number % 100 == 0 {
                            await withCheckedContinuation { done in monitor.selfTest { done.resume() } }
                        }
                    }
                }
            }
        }
        #expect(monitor.status.last?.queries == 8000)
        #expect(monitor.history[Fixture.good]?.windows == 80)
    }
}
