import Clocks
import Foundation
import Harness
import Mail
import Reports
import Testing

/// What is counted, its bounds, and its file.
struct DailyStoreTests {
    private let folder: TemporaryFolder
    private let clock = TestClock(at: .noon)
    private let complaints = Heard<String>()

    init() throws { self.folder = try TemporaryFolder() }

    private func open(_ change: (inout DailyStoreSettings) -> Void = { _ in }) throws -> DailyStore {
        var settings = DailyStoreSettings()
        settings.writeInterval = .seconds(86_400)
        change(&settings)
        return try DailyStore(
            folder: self.folder.path, settings: settings, clock: self.clock.wallClock, contents: "rows"
        ) {
            self.complaints.add($0)
        }
    }

    private func group(_ name: String = "example.com") throws -> DailyStore.Group {
        try #require(DailyStore.Group(name, on: ReportDay(self.clock.now)))
    }

    @Test func `rows, texts and marks are there at once and after a restart`() async throws {
        let store = try self.open()
        let (one, other) = (try self.group("a.test"), try self.group("a.test.b"))
        store.add([1], to: one, about: [10])
        store.add([1], to: one, about: [11])
        store.add([2, 2], to: one, about: [12])
        store.add([1], to: other, about: [13])
        await store.mark([7], of: other)
        #expect(await store.rows(of: one).map(\.count) == [2, 1])
        store.add([1], to: one, about: [14])
        store.close()
        let again = try self.open()
        defer { again.close() }
        let (groups, rows) = (await again.groups(on: one.day), await again.rows(of: one))
        #expect(groups.map(\.group.name) == ["a.test", "a.test.b"] && groups.map(\.about) == [[14], [13]])
        #expect(rows.map(\.row) == [[1], [2, 2]] && rows.map(\.count) == [3, 1])
        #expect(await again.rows(of: other).map(\.count) == [1])
        #expect(await again.marks(of: one) == [])
        #expect(await again.marks(of: other) == [[7]])
        #expect(self.complaints.all == [])
    }

    @Test func `a name that cannot be a key is no group`() {
        let day = ReportDay(number: 1)
        #expect(DailyStore.Group("", on: day) == nil)
        #expect(DailyStore.Group("a\0b", on: day) == nil)
        #expect(DailyStore.Group(String(repeating: "a", count: 256), on: day) == nil)
        #expect(DailyStore.Group(String(repeating: "a", count: 255), on: day) != nil)
    }

    @Test func `a group has no more rows than it may, and known ones still count`() async throws {
        let store = try self.open { $0.rowsPerGroup = 10 }
        defer { store.close() }
        let group = try self.group()
        for number in 0..<10 { store.add([UInt8(number)], to: group, about: []) }
        store.write()
        for number in 0..<30 { store.add([UInt8(number)], to: group, about: []) }
        store.write()
        #expect(await store.rows(of: group).map(\.count) == Array(repeating: 2, count: 10))
        #expect(store.lost == 20)
        #expect(self.complaints.count == 1)
    }

    @Test func `a day has no more groups than it may, after a restart too`() async throws {
        for start in [0, 10] {
            let store = try self.open { $0.groupsPerDay = 15 }
            for number in start..<start + 10 { store.add([1], to: try self.group("d\(number).test"), about: []) }
            store.close()
        }
        let store = try self.open { $0.groupsPerDay = 15 }
        defer { store.close() }
        #expect(await store.groups(on: ReportDay(self.clock.now)).count == 15)
        self.clock.advance(.seconds(86_400))
        store.add([1], to: try self.group(), about: [])
        #expect(await store.groups(on: ReportDay(self.clock.now)).count == 1)
    }

    @Test func `a family has no more groups than it may, after a restart too, but always its own`() async throws {
        for start in [0, 3] {
            let store = try self.open { $0.groupsPerFamily = 5 }
            for number in start..<start + 10 {
                store.add([1], to: try self.group("d\(number).a.test"), about: [], family: "a.test")
                store.write()
            }
            store.close()
        }
        let store = try self.open { $0.groupsPerFamily = 5 }
        defer { store.close() }
        for name in ["a.test", "b.test"] { store.add([1], to: try self.group(name), about: [], family: name) }
        let names = await store.groups(on: ReportDay(self.clock.now)).map(\.group.name)
        #expect(names == ["a.test", "b.test"] + (0..<5).map { "d\($0).a.test" })
    }

    @Test func `pages of groups have each once, on the disk or not`() async throws {
        let names = (0..<25).map { "d\($0).test" }
        let store = try self.open()
        for name in names where name.count == 7 { store.add([1], to: try self.group(name), about: [1]) }
        store.close()
        let again = try self.open()
        defer { again.close() }
        for name in names { again.add([1], to: try self.group(name), about: [2]) }
        var found: [String] = []
        var last: DailyStore.Group?
        repeat {
            let page = await again.groups(on: ReportDay(self.clock.now), after: last, limit: 4)
            #expect(page.count <= 4 && page.allSatisfy { $0.about == [2] })
            found += page.map(\.group.name)
            last = page.last?.group
        } while last != nil
        #expect(found == names.sorted())
    }

    @Test func `no more is held in memory than may wait`() async throws {
        let store = try self.open { ($0.waiting, $0.batch) = (100, .max) }
        defer { store.close() }
        let group = try self.group()
        for number in 0..<250 { store.add([UInt8(number)], to: group, about: []) }
        for number in 0..<50 { store.add([UInt8(number)], to: group, about: []) }
        #expect(store.lost == 150)
        #expect(await store.rows(of: group).map(\.count).reduce(0, +) == 150)
        #expect(self.complaints.count == 1)
    }

    @Test func `old days go, and with them their marks`() async throws {
        let store = try self.open { $0.days = 7 }
        defer { store.close() }
        let old = try self.group()
        store.add([1], to: old, about: [])
        await store.mark([1], of: old)
        self.clock.advance(.seconds(7 * 86_400))
        store.cleanUp()
        #expect(await store.rows(of: old).count == 1)
        self.clock.advance(.seconds(86_400))
        store.cleanUp()
        #expect(await store.rows(of: old).isEmpty)
        #expect(await store.marks(of: old).isEmpty)
        #expect(await store.groups(on: old.day).isEmpty)
    }

    @Test func `many rows are written without waiting for the interval`() async throws {
        let store = try self.open { $0.batch = 20 }
        let group = try self.group()
        for number in 0..<20 { store.add([UInt8(number)], to: group, about: []) }
        try eventually("they are on the disk") {
            let file = self.folder.path("data.mdb")
            return (try? Data(contentsOf: URL(fileURLWithPath: file)))?.range(of: Data("example.com".utf8)) != nil
        }
        store.close()
    }

    @Test func `a damaged file is set aside, and counting goes on`() async throws {
        let first = try self.open()
        first.add([1], to: try self.group(), about: [])
        first.close()
        try Data(repeating: 7, count: 20_000).write(to: URL(fileURLWithPath: self.folder.path("data.mdb")))
        let store = try self.open()
        defer { store.close() }
        store.add([2], to: try self.group(), about: [])
        #expect(await store.rows(of: try self.group()).map(\.row) == [[2]])
        #expect(self.complaints.count == 1)
        #expect(FileManager.default.fileExists(atPath: self.folder.path("data.mdb.damaged")))
    }

    @Test func `many threads lose nothing`() async throws {
        let store = try self.open { ($0.batch, $0.writeInterval) = (50, .milliseconds(1)) }
        let group = try self.group()
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            for round in 0..<2000 { store.add([UInt8(round % 100)], to: group, about: [UInt8(thread)]) }
        }
        let rows = await store.rows(of: group)
        #expect(rows.count == 100 && rows.allSatisfy { $0.count == 80 })
        store.close()
        let again = try self.open()
        defer { again.close() }
        #expect(await again.rows(of: group).map(\.count) == rows.map(\.count))
    }

    @Test func `asking after the end is answered`() async throws {
        let store = try self.open()
        store.add([1], to: try self.group(), about: [])
        store.close()
        #expect(await store.rows(of: try self.group()).count == 1)
    }
}

/// Results as they are kept.
struct RecordCodingTests {
    private func result() throws -> DMARCObservation.Result {
        let fixture = try ReportingFixture()
        return try fixture.observation(source: "2001:db8::1") { result in
            result.envelopeTo = "example.test"
            result.overrides = [.init(.trustedForwarder, comment: "ü"), .init(.forwarded)]
            result.dkim = [.init(domain: "d", selector: nil, outcome: .neutral, human: "h")]
        }.result
    }

    @Test func `a result is read as it was written, and nothing that is cut short or longer is`() throws {
        let result = try self.result()
        let bytes = result.encoded()
        #expect(DMARCObservation.Result(record: bytes) == result)
        for count in 0..<bytes.count { #expect(DMARCObservation.Result(record: Array(bytes[..<count])) == nil) }
        #expect(DMARCObservation.Result(record: bytes + [0]) == nil)
    }

    @Test func `a policy is read as it was written`() throws {
        var policy = DMARCObservation.PublishedPolicy(
            domain: "example.com", policy: .none, subdomainPolicy: .reject,
            destinations: [ReportURI("mailto:a@b.c"), ReportURI("mailto:d@e.f", limitBytes: 5)])
        (policy.dkimAlignment, policy.spfAlignment, policy.percent) = (.strict, .strict, 0)
        for action in [nil, DMARCObservation.PublishedPolicy.Action.none, .quarantine, .reject] {
            policy.nonexistentPolicy = action
            #expect(DMARCObservation.PublishedPolicy(record: policy.encoded()) == policy)
        }
        let bytes = policy.encoded()
        for count in 0..<bytes.count {
            #expect(DMARCObservation.PublishedPolicy(record: Array(bytes[..<count])) == nil)
        }
    }

    @Test func `what a peer made long is cut, and not within a character`() throws {
        var result = try self.result()
        result.envelopeFrom = String(repeating: "é", count: 500)
        result.dkim = Array(repeating: .init(domain: "d", selector: "s", outcome: .pass), count: 500)
        let read = try #require(DMARCObservation.Result(record: result.encoded()))
        #expect(read.envelopeFrom == String(repeating: "é", count: 127))
        #expect(read.dkim.count == 10)
    }
}
