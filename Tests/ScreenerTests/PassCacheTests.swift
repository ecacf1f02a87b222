import Clocks
import Foundation
import Harness
import LMDB
import Mail
import Screener
import Synchronization
import Testing

/// A pass cache in a folder of its own that writes only when it is told to, unless its options say otherwise.
private struct Fixture {
    let folder: TemporaryFolder
    let clock = TestClock()
    let complaints = Heard<String>()
    var settings = PassCache.usualSettings

    init() throws {
        self.folder = try TemporaryFolder()
        self.settings.entries = 1000
        self.settings.writeInterval = .seconds(86_400)
        self.settings.batch = .max
    }

    func with(_ body: (PassCache) throws -> Void) throws {
        let complaints = self.complaints
        let cache = try PassCache(
            folder: self.folder.path, settings: self.settings, clock: self.clock.wallClock
        ) { complaints.add($0) }
        defer { cache.close() }
        try body(cache)
    }

    /// What a test was passed with until some time from now.
    func record(_ test: ScreeningTest = .pregreet, for duration: Duration = .seconds(3600)) -> PassRecord {
        var record = PassRecord()
        record[test] = .passed(until: self.clock.now + duration)
        return record
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self.folder.path(name)) }
}

private func client(_ number: Int) -> IPNetwork {
    IPAddress.v4(0x0A00_0000 + UInt32(number)).network(prefixLength: 32)
}

struct PassCacheTests {
    private static let networks = ["192.0.2.1", "192.0.2.0/24", "192.0.2.0/25", "2001:db8::/64", "2001:db8::", "::/0"]

    @Test func `what was set is there at once, and after closing and opening`() throws {
        let fixture = try Fixture()
        let networks = try Self.networks.map { try IPNetwork($0) }
        let records = networks.indices.map { fixture.record(for: .seconds(1000 + $0)) }
        try fixture.with { cache in
            for (network, record) in zip(networks, records) { cache.set(record, of: network) }
            #expect(networks.map { cache.record(of: $0) } == records)
            #expect(cache.record(of: client(1)) == nil)
        }
        try fixture.with { cache in
            #expect(networks.map { cache.record(of: $0) } == records)
            #expect(cache.statistics == (records.count, 0, 0))
            cache.remove(networks[0])
            #expect(cache.record(of: networks[0]) == nil)
            let other = fixture.record(.dnsbl)
            cache.set(other, of: networks[1])
            #expect(cache.record(of: networks[1]) == other)
            #expect(cache.statistics.waiting == 2)
            cache.flush()
            #expect(cache.record(of: networks[0]) == nil)
            #expect(cache.record(of: networks[1]) == other)
            #expect(cache.statistics == (records.count - 1, 0, 0))
        }
        try fixture.with { #expect($0.record(of: networks[0]) == nil) }
        #expect(fixture.complaints.all == [])
    }

    @Test func `many changes are written without waiting for the interval`() throws {
        var fixture = try Fixture()
        fixture.settings.batch = 20
        try fixture.with { cache in
            for number in 0..<20 { cache.set(fixture.record(), of: client(number)) }
            cache.set(fixture.record(.dnsbl), of: client(0))
            #expect(cache.statistics == (0, 20, 0), "no more than the batch")
            cache.set(fixture.record(), of: client(20))
            try eventually("they are written") { cache.statistics == (21, 0, 0) }
        }
    }

    @Test func `few changes are written after the interval`() throws {
        var fixture = try Fixture()
        fixture.settings.writeInterval = .milliseconds(1)
        try fixture.with { cache in
            for number in 0..<3 {
                cache.set(fixture.record(), of: client(number))
                try eventually("it is written") { cache.statistics == (number + 1, 0, 0) }
            }
        }
    }

    @Test func `a change that comes while others are written is not taken for written`() throws {
        var fixture = try Fixture()
        let meanwhile = Mutex<(@Sendable () -> Void)?>(nil)
        fixture.settings.commitFault = {
            meanwhile.withLock { $0.take() }?()
            return nil
        }
        let (first, second) = (fixture.record(), fixture.record(.dnsbl))
        try fixture.with { cache in
            cache.set(first, of: client(1))
            cache.set(first, of: client(2))
            meanwhile.withLock {
                $0 = {
                    cache.set(second, of: client(1))
                    cache.remove(client(2))
                }
            }
            cache.flush()
            #expect(cache.statistics == (2, 2, 0))
            #expect(cache.record(of: client(1)) == second)
            #expect(cache.record(of: client(2)) == nil)
        }
        try fixture.with { cache in
            #expect(cache.record(of: client(1)) == second)
            #expect(cache.record(of: client(2)) == nil)
        }
    }
}

struct PassCacheCleanupTests {
    @Test func `a record is kept for the retention behind its last expiry`() throws {
        let fixture = try Fixture()
        try fixture.with { cache in
            var long = fixture.record(for: .seconds(60))
            long[.nonSMTP] = .passed(until: fixture.clock.now + .seconds(86_400))
            cache.set(long, of: client(0))
            cache.set(fixture.record(for: .seconds(60)), of: client(1))
            cache.set(PassRecord(), of: client(2))
            cache.flush()
            cache.cleanUp()
            #expect(cache.statistics.entries == 2, "one has passed nothing")
            fixture.clock.advance(.seconds(7 * 86_400 + 60))
            cache.cleanUp()
            #expect(cache.statistics.entries == 2)
            fixture.clock.advance(.seconds(1))
            cache.cleanUp()
            #expect(cache.record(of: client(1)) == nil)
            #expect(cache.record(of: client(0)) == long)
        }
        fixture.clock.advance(.seconds(86_400))
        try fixture.with { cache in
            try eventually("the start cleans up") { cache.statistics.entries == 0 }
        }
    }

    @Test func `a pass renewed while old ones are removed stays`() throws {
        let fixture = try Fixture()
        try fixture.with { cache in
            for round in 0..<50 {
                cache.set(fixture.record(), of: client(1))
                cache.flush()
                fixture.clock.advance(.seconds(30 * 86_400))
                let new = fixture.record()
                DispatchQueue.concurrentPerform(iterations: 2) { thread in
                    if thread == 0 {
                        cache.set(new, of: client(1))
                        cache.flush()
                    } else {
                        cache.cleanUp()
                    }
                }
                #expect(cache.record(of: client(1)) == new, "round \(round)")
            }
        }
    }

    @Test func `of too many those that expire first go, a tenth at once`() throws {
        let fixture = try Fixture()
        try fixture.with { cache in
            // 7 shares no factor with 2600: each expiry comes once, in an order of its own.
            for number in 0..<2600 {
                cache.set(fixture.record(for: .seconds(10 + number * 7 % 2600)), of: client(number))
            }
            cache.flush()
            cache.cleanUp()
            #expect(cache.statistics.entries == 900)
            for number in 0..<2600 {
                #expect((cache.record(of: client(number)) != nil) == (number * 7 % 2600 >= 1700), "\(number)")
            }
            cache.cleanUp()
            #expect(cache.statistics.entries == 900)
        }
    }

    @Test func `of those that expire together no more go than must`() throws {
        let fixture = try Fixture()
        try fixture.with { cache in
            for number in 0..<1500 { cache.set(fixture.record(for: .seconds(60)), of: client(number)) }
            for number in 1500..<1510 { cache.set(fixture.record(for: .seconds(30)), of: client(number)) }
            cache.flush()
            cache.cleanUp()
            #expect(cache.statistics.entries == 900)
            #expect((1500..<1510).allSatisfy { cache.record(of: client($0)) == nil })
        }
    }

    @Test func `the bound does not wait for the interval`() throws {
        var fixture = try Fixture()
        fixture.settings.entries = 50
        fixture.settings.batch = 60
        try fixture.with { cache in
            for number in 0...60 { cache.set(fixture.record(), of: client(number)) }
            try eventually("they are cut down") { cache.statistics == (45, 0, 0) }
        }
    }
}

struct PassCacheFaultTests {
    @Test func `a disk that fails is complained of once, loses nothing and is forgiven`() throws {
        var fixture = try Fixture()
        let fault = Mutex<LMDBError?>(.diskFull)
        fixture.settings.commitFault = { fault.withLock { $0 } }
        let record = fixture.record()
        try fixture.with { cache in
            for number in 0..<3 {
                cache.set(record, of: client(number))
                cache.flush()
            }
            #expect(cache.statistics == (0, 3, 3))
            #expect(fixture.complaints.all.count == 1)
            #expect((0..<3).allSatisfy { cache.record(of: client($0)) == record })
            fault.withLock { $0 = nil }
            cache.flush()
            #expect(cache.statistics == (3, 0, 3))
            #expect(fixture.complaints.all.count == 2)
            #expect(fixture.complaints.all.last?.hasSuffix("is written again") == true)
        }
        try fixture.with { cache in #expect((0..<3).allSatisfy { cache.record(of: client($0)) == record }) }
    }

    @Test func `while the disk fails no more than so many changes are held, the latest of them`() throws {
        var fixture = try Fixture()
        fixture.settings.waiting = 200
        let fault = Mutex<LMDBError?>(.diskFull)
        fixture.settings.commitFault = { fault.withLock { $0 } }
        let record = fixture.record()
        try fixture.with { cache in
            for number in 0..<1000 {
                cache.set(record, of: client(number))
                if number.isMultiple(of: 30) { cache.flush() }
                #expect(cache.statistics.waiting <= 200)
                #expect((max(0, number - 99)...number).allSatisfy { cache.record(of: client($0)) == record })
            }
            #expect(fixture.complaints.all.count == 2, "that it fails, and that passes are forgotten")
            fault.withLock { $0 = nil }
            cache.flush()
            #expect(cache.statistics.waiting == 0)
            #expect((900..<1000).allSatisfy { cache.record(of: client($0)) == record })
        }
    }

    /// What may stand in place of a database.
    private static let damages: [(String, @Sendable (Data) -> Data)] = [
        ("text", { _ in Data("no database".utf8) }), ("nothing but zeros", { Data(count: $0.count) }),
        ("one page", { $0.prefix(4096) }), ("the first pages", { $0.prefix(12_288) }),
        ("all but the last octet", { $0.dropLast() }),
        ("another version", { $0.prefix(20) + [99] + $0[21..<4116] + [99] + $0[4117...] }),
    ]

    @Test(arguments: damages.indices)
    func `a damaged database is set aside, and the cache begins anew`(index: Int) throws {
        let (name, damage) = Self.damages[index]
        let fixture = try Fixture()
        try fixture.with { cache in
            for number in 0..<500 { cache.set(fixture.record(), of: client(number)) }
        }
        let file = URL(filePath: fixture.folder.path("data.mdb"))
        let damaged = damage(try Data(contentsOf: file))
        try damaged.write(to: file)
        let record = fixture.record(.dnsbl)
        try fixture.with { cache in
            #expect(cache.record(of: client(1)) == nil, "\(name)")
            cache.set(record, of: client(1))
            cache.flush()
            #expect(cache.statistics == (1, 0, 0))
        }
        #expect(try Data(contentsOf: URL(filePath: fixture.folder.path("data.mdb.damaged"))) == damaged)
        try fixture.with { #expect($0.record(of: client(1)) == record) }
        #expect(fixture.complaints.all.count == 1, "\(fixture.complaints.all)")
    }

    @Test func `damage that is found later sets the database aside, and what waits is kept`() throws {
        var fixture = try Fixture()
        let fault = Mutex<LMDBError?>(nil)
        fixture.settings.commitFault = { fault.withLock { $0.take() } }
        let record = fixture.record()
        try fixture.with { cache in
            cache.set(record, of: client(1))
            cache.flush()
            fault.withLock { $0 = .corrupted }
            cache.set(record, of: client(2))
            cache.flush()
            #expect(cache.statistics == (1, 1, 1))
            cache.flush()
            #expect(cache.statistics == (1, 0, 1))
            #expect(cache.record(of: client(1)) == nil)
            #expect(cache.record(of: client(2)) == record)
        }
        #expect(fixture.exists("data.mdb.damaged"))
        try fixture.with { #expect($0.record(of: client(2)) == record) }
    }

    @Test func `a database that two starts did not survive is set aside`() throws {
        let fixture = try Fixture()
        try fixture.with { $0.set(fixture.record(), of: client(1)) }
        try fixture.folder.write("unproven", "+")
        try fixture.with { #expect($0.record(of: client(1)) != nil) }
        #expect(!fixture.exists("unproven"), "it ended in order")
        try fixture.folder.write("unproven", "++")
        try fixture.with { cache in
            #expect(cache.record(of: client(1)) == nil)
            try eventually("it is read through") { !fixture.exists("unproven") }
        }
        #expect(fixture.exists("data.mdb.damaged"))
        #expect(fixture.complaints.all.count == 1)
    }

    @Test func `without a folder it lives in memory until there is one`() throws {
        let fixture = try Fixture()
        let path = fixture.folder.path("later")
        let complaints = fixture.complaints
        let cache = try PassCache(folder: path, settings: fixture.settings, clock: fixture.clock.wallClock) {
            complaints.add($0)
        }
        defer { cache.close() }
        cache.set(fixture.record(), of: client(1))
        cache.flush()
        cache.flush()
        #expect(cache.record(of: client(1)) == fixture.record())
        #expect(complaints.all.count == 1)
        try fixture.folder.make(folder: "later")
        cache.flush()
        #expect(cache.statistics.entries == 1)
        #expect(cache.record(of: client(1)) == fixture.record())
    }

    @Test func `entries that cannot be read are absent, and go with the next cleanup`() throws {
        let fixture = try Fixture()
        try fixture.with { $0.set(fixture.record(), of: client(1)) }
        do {
            let environment = try Environment(folder: fixture.folder.path, mapBytes: 16 << 20, tables: 1)
            let table = try environment.table("passes")
            try environment.write { transaction throws(LMDBError) in
                try transaction.put([9, 9, 9] as [UInt8], at: [4, 10, 0, 0, 1, 32], in: table)
                try transaction.put([] as [UInt8], at: [5] as [UInt8], in: table)
            }
        }
        try fixture.with { cache in
            #expect(cache.record(of: client(1)) == nil)
            cache.cleanUp()
            #expect(cache.statistics.entries == 0)
        }
    }
}

struct PassCacheThreadTests {
    @Test func `each thread sees its own last word while all write and the disk is written`() throws {
        var fixture = try Fixture()
        fixture.settings.batch = 50
        fixture.settings.writeInterval = .milliseconds(1)
        let start = fixture.clock.now
        try fixture.with { cache in
            DispatchQueue.concurrentPerform(iterations: 8) { thread in
                for round in 0..<2000 {
                    let network = client(thread * 100 + round % 97)
                    var record = PassRecord()
                    record[.dnsbl] = .passed(until: start + .seconds(round + 1))
                    if round % 5 == 4 { cache.remove(network) } else { cache.set(record, of: network) }
                    let expected = round % 5 == 4 ? nil : record
                    let found = cache.record(of: network)
                    if found != expected { Issue.record("\(network): \(String(describing: found))") }
                    let before = client(thread * 100 + (round + 96) % 97)
                    let isThere = cache.record(of: before) != nil
                    if round > 0, isThere != ((round - 1) % 5 != 4) { Issue.record("\(before) after round \(round)") }
                }
            }
        }
        // The last of every client is what the disk has.
        try fixture.with { cache in
            for thread in 0..<8 {
                for round in 1903..<2000 {
                    let record = cache.record(of: client(thread * 100 + round % 97))
                    let end = start + .seconds(round + 1)
                    #expect(record?[.dnsbl] == (round % 5 == 4 ? nil : .passed(until: end)), "\(thread), \(round)")
                }
            }
        }
    }

    @Test func `readers never miss a client that stays, while others write, clean up and fail`() throws {
        var fixture = try Fixture()
        fixture.settings.batch = 10
        let count = Atomic<Int>(0)
        fixture.settings.commitFault = {
            count.wrappingAdd(1, ordering: .relaxed).newValue.isMultiple(of: 3) ? .diskFull : nil
        }
        let record = fixture.record()
        try fixture.with { cache in
            for number in 0..<100 { cache.set(record, of: client(number)) }
            DispatchQueue.concurrentPerform(iterations: 8) { thread in
                for round in 0..<1000 {
                    switch thread {
                    case 0: if round.isMultiple(of: 20) { cache.flush() }
                    case 1: if round.isMultiple(of: 100) { cache.cleanUp() }
                    case 2: cache.set(record, of: client(round % 100))
                    case 3: cache.set(record, of: client(100 + round % 300))
                    default:
                        guard cache.record(of: client((round * 7 + thread) % 100)) != record else { continue }
                        Issue.record("missed in round \(round)")
                    }
                }
            }
        }
    }
}
