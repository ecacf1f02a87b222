import Foundation
import Harness
import LMDB
import MTASTS
import Mail
import Testing

struct STSCacheTests {
    private let policy = STSFixture.policy(.testing, "mx.a.test", "*.b.test")

    @Test func `Policies outlive the program`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: "1")
        fixture.fetcher.set("a.test", .success(self.policy))
        try await fixture.with { service, _ in _ = try await service.finding(of: "a.test").get() }
        fixture.clock.advance(.seconds(3600))
        try await fixture.with { (service, _) async throws in
            #expect(try await service.finding(of: "a.test").get() == .policy(self.policy, fault: nil))
            #expect(service.statistics.entries == 1)
        }
        #expect(fixture.fetcher.asked.count == 1 && fixture.log.all.isEmpty)
        fixture.clock.advance(.seconds(604_800))
        fixture.fetcher.set("a.test", .failure(STSFault(.stsPolicyFetchError, "gone")))
        try await fixture.with { (service, _) async throws in
            #expect(
                try await service.finding(of: "a.test").get() == .unavailable(STSFault(.stsPolicyFetchError, "gone")))
        }
    }

    @Test func `What is written survives a crash`() async throws {
        let fixture = try STSFixture()
        try await fixture.with { (_, cache) async throws in
            cache.set(STSEntry(id: "1", policy: self.policy, fetched: fixture.clock.now), of: "a.test")
            cache.flush()
            cache.set(STSEntry(id: "1", policy: self.policy, fetched: fixture.clock.now), of: "b.test")
            // As the disk is at this moment.
            let left = try TemporaryFolder()
            for name in ["data.mdb", "unproven"] {
                let file = URL(fileURLWithPath: fixture.folder.path(name))
                if let data = try? Data(contentsOf: file) { try left.write(name, bytes: Array(data)) }
            }
            let log = fixture.log
            let next = try STSCache(folder: left.path, clock: fixture.clock.wallClock) { log.add($0) }
            defer { next.close() }
            #expect(next.entry(of: "a.test")?.policy == self.policy)
            #expect(next.entry(of: "b.test") == nil)
        }
        #expect(fixture.log.all.isEmpty)
    }

    @Test func `What expires first goes first, and what has expired at once`() async throws {
        let fixture = try STSFixture()
        try await fixture.with(entries: 10) { (_, cache) async throws in
            for number in 1...20 {
                let policy = STSFixture.policy(.enforce, "mx", age: .seconds(number * 100))
                cache.set(STSEntry(id: "1", policy: policy, fetched: fixture.clock.now), of: "a\(number).test")
            }
            cache.flush()
            cache.cleanUp()
            #expect(cache.statistics.entries == 9)
            #expect(cache.entry(of: "a11.test") == nil && cache.entry(of: "a12.test") != nil)
            fixture.clock.advance(.seconds(1900))
            #expect(cache.entry(of: "a19.test") == nil && cache.entry(of: "a20.test") != nil)
            cache.cleanUp()
            #expect(cache.statistics.entries == 1)
            cache.remove("a20.test")
            #expect(cache.entry(of: "a20.test") == nil)
        }
    }

    @Test func `A damaged file is set aside`() async throws {
        let fixture = try STSFixture()
        try fixture.folder.write("data.mdb", "no data base")
        try fixture.publish("a.test", id: "1")
        fixture.fetcher.set("a.test", .success(self.policy))
        try await fixture.with { (service, _) async throws in
            #expect(try await service.finding(of: "a.test").get() == .policy(self.policy, fault: nil))
        }
        #expect(fixture.log.all.count == 1 && fixture.log.all.allSatisfy { $0.contains("data.mdb.damaged") })
    }

    @Test func `Records of another format are not there`() {
        let entry = STSEntry(id: "1", policy: self.policy, fetched: Timestamp(seconds: 5))
        var bytes = entry.encoded()
        #expect(bytes.withUnsafeBytes { STSEntry(record: $0) } == entry)
        bytes[0] = 2
        #expect(bytes.withUnsafeBytes { STSEntry(record: $0) } == nil)
    }

    @Test func `The largest policy fits where it is kept`() throws {
        let label = String(repeating: "a", count: 60)
        let mx = (0..<64).map { "mx: *.\(label).\(label).\(label).\(label).b\($0)\n" }.joined()
        let lines = String(repeating: "x: \(String(repeating: "y", count: 40))\n", count: 200)
        let text = "version: STSv1\nmode: enforce\nmax_age: 1\n\(lines)\(mx)"
        let policy = try STSPolicy(published: Array(text.utf8))
        let entry = STSEntry(id: "1", policy: policy, fetched: Timestamp(seconds: 5))
        #expect(entry.encoded().count < 64 * 260 + 8192 - 255)
    }
}
