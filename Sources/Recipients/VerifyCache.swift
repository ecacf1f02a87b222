package import Cache
package import Mail
package import Polling
import Synchronization

/// What was found out about addresses, across restarts (SEMANTICS §9).
///
/// It lives, with its thread, until ``close()``.
package final class VerifyCache: Sendable {
    private let clock: WallClock
    private let cache: PersistentCache<VerifyRecord>
    private let currentPolicy: Mutex<VerifyPolicy>

    /// How long records count is ``VerifyPolicy``. Of too many the refused ones go before the accepted ones.
    package static let usualSettings = CacheSettings(entries: 200_000)

    static let table = "verified"
    private static let bytesPerEntry = 256

    /// Opens the cache in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameter complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, policy: VerifyPolicy = VerifyPolicy(), settings: CacheSettings = VerifyCache.usualSettings,
        clock: WallClock, complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.clock = clock
        self.currentPolicy = Mutex(policy)
        self.cache = try PersistentCache(
            folder: folder, table: Self.table, bytesPerEntry: Self.bytesPerEntry, settings: settings,
            format: .init(encoded: { $0.encoded() }, decoded: { VerifyRecord(record: $0) }),
            contents: "what is learned is"
        ) { complain("verified addresses: \($0)") }
        try self.cache.start("verify cache") { self.kept }
    }

    /// Writes what waits and ends the thread.
    package func close() { self.cache.close() }

    /// How long records count; may change at any time.
    package var policy: VerifyPolicy { self.currentPolicy.withLock { $0 } }

    package func use(_ policy: VerifyPolicy) { self.currentPolicy.withLock { $0 = policy } }

    // MARK: Asking and telling

    /// From any thread. It never waits for a writer.
    package func record(of key: VerifyKey) -> VerifyRecord? { key.bytes.flatMap { self.cache.value(of: $0) } }

    /// From any thread. It counts at once, and is on the disk within the write interval.
    package func set(_ record: VerifyRecord, of key: VerifyKey) { self.put(.set(record), key) }

    package func remove(_ key: VerifyKey) { self.put(.removed, key) }

    private func put(_ change: PersistentCache<VerifyRecord>.Change, _ key: VerifyKey) {
        if let bytes = key.bytes { self.cache.put(change, at: bytes) }
    }

    /// All records of a kind, those that wait to be written included, in no order. It reads the disk.
    package func records(_ kind: VerifyKey.Kind) -> [VerifyKey: VerifyRecord] {
        var records: [VerifyKey: VerifyRecord] = [:]
        for (bytes, record) in self.cache.values(prefix: [kind.rawValue]) {
            if let key = bytes.withUnsafeBytes({ VerifyKey(bytes: $0) }) { records[key] = record }
        }
        return records
    }

    /// Entries on the disk, and changes that wait to be written. For status.
    package var statistics: (entries: Int, waiting: Int) {
        let (entries, waiting, _) = self.cache.statistics
        return (entries, waiting)
    }

    // MARK: Writing

    /// Writes what waits. For the thread and for tests.
    package func flush() { self.cache.flush() }

    /// Forgets what has expired, and if there are too many then those that expire first. For the thread and tests.
    package func cleanUp() { self.cache.cleanUp(self.kept) }

    private var kept: PersistentCache<VerifyRecord>.Retention {
        let (now, policy) = (self.clock.now(), self.policy)
        return .init(before: now.microseconds) { policy.expiry(of: $0).microseconds }
    }
}
