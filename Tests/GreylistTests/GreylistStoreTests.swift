import Foundation
import Greylist
import Harness
import LMDB
import Mail
import Synchronization
import Testing

/// What is remembered across restarts, faults and floods.
struct GreylistStoreTests {
    private static let first = GreylistAnswer.delayed(.new, remaining: .seconds(300))

    @Test func `what was seen is there at once, and after a restart`() async throws {
        let fixture = try GreylistFixture()
        try await fixture.with { _, greylisting async throws in
            _ = try await fixture.answer(greylisting, delivery(1))
            _ = try await fixture.answer(greylisting, delivery(2))
        }
        fixture.clock.advance(.seconds(400))
        try await fixture.with { _, greylisting async throws in
            #expect(
                try await fixture.answer(greylisting, delivery(1)) == .passed(.retried(after: .seconds(400))))
        }
        fixture.clock.advance(.seconds(20 * 86_400))
        try await fixture.with { _, greylisting async throws in
            #expect(
                try await fixture.answer(greylisting, delivery(1)) == .passed(.known(since: .seconds(20 * 86_400))))
            let late = try await fixture.answer(greylisting, delivery(2))
            // Cleaning up at the start may have forgotten it already.
            #expect(late == Self.first || late == .delayed(.expired, remaining: .seconds(300)))
        }
        #expect(fixture.complaints.all == [])
    }

    @Test func `a crash costs what was not written yet and nothing else`() async throws {
        let fixture = try GreylistFixture()
        let copy = try TemporaryFolder()
        try await fixture.with { store, greylisting async throws in
            _ = try await fixture.answer(greylisting, delivery(1))
            store.flush()
            _ = try await fixture.answer(greylisting, delivery(2))
            // As the disk is when the process is killed now.
            try FileManager.default.copyItem(
                atPath: fixture.folder.path("data.mdb"), toPath: copy.path("data.mdb"))
        }
        fixture.clock.advance(.seconds(400))
        try await fixture.with(folder: copy.path) { _, greylisting async throws in
            #expect(
                try await fixture.answer(greylisting, delivery(1)) == .passed(.retried(after: .seconds(400))))
            #expect(try await fixture.answer(greylisting, delivery(2)) == Self.first)
        }
        #expect(fixture.complaints.all == [])
    }

    @Test func `changes are written after the interval`() async throws {
        var fixture = try GreylistFixture()
        fixture.settings.writeInterval = .milliseconds(1)
        try await fixture.with { store, greylisting async throws in
            _ = try await fixture.answer(greylisting, delivery(1))
            try eventually("it is written") { store.statistics == (1, 0, 0) }
        }
    }

    @Test func `what does not count any more is forgotten`() async throws {
        let fixture = try GreylistFixture()
        try await fixture.with { store, greylisting async throws in
            for number in 1...3 { _ = try await fixture.answer(greylisting, delivery(number)) }
            fixture.clock.advance(.seconds(600))
            _ = try await fixture.answer(greylisting, delivery(1))
            store.flush()
            #expect(store.statistics.entries == 4, "three mails, and the network of one that came again")
            fixture.clock.advance(.seconds(2 * 86_400 - 600))
            store.cleanUp()
            #expect(store.statistics.entries == 4)
            fixture.clock.advance(.seconds(1))
            store.cleanUp()
            #expect(store.statistics.entries == 2)
            fixture.clock.advance(.seconds(35 * 86_400))
            store.cleanUp()
            #expect(store.statistics.entries == 0)
        }
    }

    @Test func `times that a reload makes shorter hold for what is there`() async throws {
        let fixture = try GreylistFixture()
        try await fixture.with { store, greylisting async throws in
            _ = try await fixture.answer(greylisting, delivery(1))
            store.flush()
            fixture.clock.advance(.seconds(7200))
            store.cleanUp()
            #expect(store.statistics.entries == 1)
            var options = GreylistOptions()
            options.retryWindow = .seconds(3600)
            greylisting.use(options)
            store.cleanUp()
            #expect(store.statistics.entries == 0)
        }
    }

    @Test func `a flood of strangers does not push out who came again`() async throws {
        let fixture = try GreylistFixture()
        try await fixture.with { store, greylisting async throws in
            for number in 0..<100 { _ = try await fixture.answer(greylisting, delivery(number, network: number)) }
            fixture.clock.advance(.seconds(600))
            for number in 0..<100 { _ = try await fixture.answer(greylisting, delivery(number, network: number)) }
            // Those who came again will be forgotten in a day, strangers only in two.
            fixture.clock.advance(.seconds(34 * 86_400))
            for number in 0..<3000 {
                _ = try await fixture.answer(greylisting, delivery(number, network: 1000 + number))
                fixture.clock.advance(.milliseconds(1))
            }
            store.flush()
            store.cleanUp()
            #expect(store.statistics.entries == 900)
            for number in 0..<100 {
                let answer = try await fixture.answer(greylisting, delivery(number, network: number))
                guard case .passed(.known) = answer else {
                    Issue.record("\(number): \(answer)")
                    continue
                }
            }
            let last = try await fixture.answer(greylisting, delivery(2999, network: 3999))
            guard case .delayed(.early, _) = last else {
                Issue.record("of strangers the latest stay: \(last)")
                return
            }
        }
    }

    @Test func `the bound does not wait for the interval`() async throws {
        var fixture = try GreylistFixture()
        fixture.settings.entries = 50
        fixture.settings.batch = 60
        try await fixture.with { store, greylisting async throws in
            for number in 0...60 { _ = try await fixture.answer(greylisting, delivery(number)) }
            try eventually("they are cut down") { store.statistics == (45, 0, 0) }
        }
    }

    @Test func `a damaged file is set aside, and everybody comes for the first time`() async throws {
        let fixture = try GreylistFixture()
        try await fixture.with { _, greylisting async throws in _ = try await fixture.answer(greylisting, delivery(1)) }
        let file = URL(filePath: fixture.folder.path("data.mdb"))
        try Data("no database".utf8).write(to: file)
        fixture.clock.advance(.seconds(600))
        try await fixture.with { _, greylisting async throws in
            #expect(try await fixture.answer(greylisting, delivery(1)) == Self.first)
        }
        #expect(fixture.exists("data.mdb.damaged"))
        #expect(fixture.complaints.all.count == 1, "\(fixture.complaints.all)")
        #expect(fixture.complaints.all.first?.hasPrefix("greylist: ") == true)
    }

    @Test func `a disk that fails delays nobody twice`() async throws {
        var fixture = try GreylistFixture()
        fixture.settings.commitFault = { .diskFull }
        try await fixture.with { store, greylisting async throws in
            _ = try await fixture.answer(greylisting, delivery(1))
            store.flush()
            fixture.clock.advance(.seconds(600))
            #expect(
                try await fixture.answer(greylisting, delivery(1)) == .passed(.retried(after: .seconds(600))))
            #expect(store.statistics.writeFailures == 1)
        }
    }

    @Test func `records are read as they were written, and others not at all`() {
        let time = Timestamp(microseconds: 1_800_000_000_123_456)
        let entries: [GreylistEntry] = [
            .triplet(.init(firstSeen: time, lastSeen: time + .seconds(5), passes: 0)),
            .triplet(.init(firstSeen: time, lastSeen: time, passes: 1_000_000_001)),
            .client(.init(passes: 7, lastCounted: time, lastSeen: time + .seconds(1))),
        ]
        for entry in entries {
            let bytes = entry.encoded()
            #expect(bytes.withUnsafeBytes { GreylistEntry(record: $0) } == entry)
            for count in 0..<bytes.count {
                #expect(bytes.prefix(count).withUnsafeBytes { GreylistEntry(record: $0) } == nil)
            }
            #expect(([2] + bytes.dropFirst()).withUnsafeBytes { GreylistEntry(record: $0) } == nil)
            #expect((bytes + [0]).withUnsafeBytes { GreylistEntry(record: $0) } == nil)
        }
    }
}
