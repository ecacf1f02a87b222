import Cache
import Clocks
import Foundation
import Harness
import Mail
import Recipients
import Testing

/// What is known across restarts, damage and floods.
struct VerifyCacheTests {
    private let policy = VerifyPolicy()
    private let clock = TestClock()

    private func with(
        _ folder: TemporaryFolder, _ complaints: Heard<String> = Heard(),
        settings: CacheSettings = VerifyCache.usualSettings, _ body: (VerifyCache) throws -> Void
    ) throws {
        let cache = try VerifyCache(folder: folder.path, settings: settings, clock: self.clock.wallClock) {
            complaints.add($0)
        }
        defer { cache.close() }
        try body(cache)
    }

    private func key(_ name: String, _ kind: VerifyKey.Kind = .recipient) throws -> VerifyKey {
        VerifyKey(kind, try mailbox("\(name)@example.test"))
    }

    private func record(_ result: ProbeResult) -> VerifyRecord {
        self.policy.updated(nil, with: result, at: self.clock.now)
    }

    @Test func `what was learned is there at once, and after a restart`() throws {
        let folder = try TemporaryFolder()
        let (known, unknown) = (self.record(.accepted), self.record(.unknown))
        try self.with(folder) { cache in
            cache.set(known, of: try self.key("a"))
            cache.set(unknown, of: try self.key("B"))
            cache.set(unknown, of: try self.key("a", .sender))
            #expect(cache.record(of: try self.key("a")) == known)
            #expect(cache.records(.recipient) == [try self.key("a"): known, try self.key("b"): unknown])
        }
        try self.with(folder) { cache in
            #expect(cache.record(of: try self.key("A")) == known)
            #expect(cache.record(of: try self.key("a", .sender)) == unknown)
            cache.remove(try self.key("a"))
            #expect(cache.records(.recipient) == [try self.key("b"): unknown])
        }
        let left = [try self.key("b"): unknown]
        try self.with(folder) { cache in #expect(cache.records(.recipient) == left) }
    }

    @Test func `a damaged file is set aside`() throws {
        let folder = try TemporaryFolder()
        try self.with(folder) { $0.set(self.record(.accepted), of: try self.key("a")) }
        try Data(repeating: 7, count: 20_000).write(to: URL(fileURLWithPath: folder.path("data.mdb")))
        let complaints = Heard<String>()
        try self.with(folder, complaints) { cache in
            #expect(cache.record(of: try self.key("a")) == nil)
            cache.set(self.record(.accepted), of: try self.key("a"))
        }
        #expect(complaints.all.count == 1 && complaints.all.first?.contains("data.mdb.damaged") == true)
        #expect(FileManager.default.fileExists(atPath: folder.path("data.mdb.damaged")))
        try self.with(folder) { cache in
            let record = cache.record(of: try self.key("a"))
            #expect(record != nil)
        }
    }

    @Test func `what has expired is forgotten`() throws {
        let folder = try TemporaryFolder()
        try self.with(folder) { cache in
            cache.set(self.record(.accepted), of: try self.key("a"))
            cache.set(self.record(.unknown), of: try self.key("b"))
            cache.flush()
            self.clock.advance(.seconds(4 * 86_400))
            cache.cleanUp()
            #expect(cache.records(.recipient).keys.map(\.text) == ["a@example.test"])
        }
    }

    @Test func `a flood of unknown addresses takes no known one away`() throws {
        let folder = try TemporaryFolder()
        var settings = VerifyCache.usualSettings
        (settings.entries, settings.writeInterval) = (100, .seconds(86_400))
        try self.with(folder, settings: settings) { cache in
            for number in 0..<20 { cache.set(self.record(.accepted), of: try self.key("known\(number)")) }
            for number in 0..<1000 { cache.set(self.record(.unknown), of: try self.key("x\(number)")) }
            cache.flush()
            cache.cleanUp()
            let texts = cache.records(.recipient).keys.map(\.text)
            #expect(texts.count == 90)
            #expect(texts.count { $0.hasPrefix("known") } == 20)
        }
    }

    @Test func `an address that is longer than a key can be is not kept`() throws {
        let folder = try TemporaryFolder()
        try self.with(folder) { cache in
            let key = VerifyKey(.recipient, String(repeating: "a", count: 600))
            cache.set(self.record(.accepted), of: key)
            #expect(cache.record(of: key) == nil)
        }
    }
}
