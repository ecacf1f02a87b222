import LMDB
package import Mail
package import Polling
import Synchronization

/// How much is remembered of verified addresses. How long is ``VerifyPolicy``.
package struct VerifyCacheSettings: Sendable {
    /// Above so many those that expire first are forgotten, down to nine tenths: refused ones before accepted ones.
    package var entries = 200_000
    package var cleanupInterval = Duration.seconds(12 * 3600)
    /// How much may be lost in a crash. Addresses are then only asked about once more.
    package var writeInterval = Duration.seconds(10)
    /// Changes that are written without waiting for the interval, and that are held while the disk fails.
    package var batch = 1000
    package var waiting = 50_000

    package init() {}
}

/// What was found out about addresses, across restarts (SEMANTICS §9).
///
/// Asking and telling it never waits for the disk's writer: changes are held in memory and written by a thread of its
/// own. It is a cache: whatever happens to its file, it complains and goes on with what it has.
///
/// It lives, with its thread, until ``close()``.
package final class VerifyCache: Sendable {
    private let clock: WallClock
    private let cache: BufferedCache<VerifyRecord>
    private let upkeep: UpkeepThread
    private let currentPolicy: Mutex<VerifyPolicy>

    static let table = "verified"
    private static let bytesPerEntry = 256

    /// Opens the cache in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameter complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, policy: VerifyPolicy = VerifyPolicy(), settings: VerifyCacheSettings = VerifyCacheSettings(),
        clock: WallClock, complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.clock = clock
        self.currentPolicy = Mutex(policy)
        self.upkeep = try UpkeepThread(cleanupInterval: settings.cleanupInterval, writeInterval: settings.writeInterval)
        self.cache = BufferedCache(
            CacheStore.Settings(
                folder: folder, table: Self.table, entries: settings.entries, bytesPerEntry: Self.bytesPerEntry),
            waiting: settings.waiting, batch: settings.batch,
            format: .init(encoded: { $0.encoded() }, decoded: { VerifyRecord(record: $0) }),
            contents: "what is learned is"
        ) { complain("verified addresses: \($0)") }
        try self.upkeep.start(
            "verify cache",
            .init(
                waiting: { self.cache.waiting }, write: { self.flush() }, cleanUp: { self.cleanUp() },
                isCleanUpDue: { self.cache.isCleanUpDue }))
    }

    /// Writes what waits and ends the thread.
    package func close() {
        self.upkeep.close()
        self.cache.proven()
    }

    /// How long records count; may change at any time.
    package var policy: VerifyPolicy { self.currentPolicy.withLock { $0 } }

    package func use(_ policy: VerifyPolicy) { self.currentPolicy.withLock { $0 = policy } }

    // MARK: Asking and telling

    /// From any thread. It never waits for a writer.
    package func record(of key: VerifyKey) -> VerifyRecord? { key.bytes.flatMap { self.cache.value(of: $0) } }

    /// From any thread. It counts at once, and is on the disk within the write interval.
    package func set(_ record: VerifyRecord, of key: VerifyKey) { self.put(.set(record), key) }

    package func remove(_ key: VerifyKey) { self.put(.removed, key) }

    private func put(_ change: BufferedCache<VerifyRecord>.Change, _ key: VerifyKey) {
        guard let bytes = key.bytes else { return }
        if self.cache.put(change, at: bytes) { self.upkeep.signal() }
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
    package func cleanUp() {
        let (now, policy) = (self.clock.now(), self.policy)
        self.cache.cleanUp(before: now.microseconds, while: { self.upkeep.isOpen }) {
            policy.expiry(of: $0).microseconds
        }
    }
}
