package import LMDB
package import Mail
package import Polling

/// How policies are kept. How long is theirs to say.
package struct STSCacheSettings: Sendable {
    /// Above so many those that expire first are forgotten, down to nine tenths.
    package var entries = 10_000
    package var cleanupInterval = Duration.seconds(12 * 3600)
    /// How much may be lost in a crash. Policies are then fetched again.
    package var writeInterval = Duration.seconds(10)
    /// Changes that are written without waiting for the interval.
    package var batch = 100
    /// Changes that are held in memory while the disk fails.
    package var waiting = 1000
    /// What is taken for the fault of a commit: for tests; nothing in production.
    package var commitFault: @Sendable () -> LMDBError? = { nil }

    package init() {}
}

/// The policies of domains, across restarts (RFC 8461 §3.3: what was once fetched protects until it expires, whatever
/// becomes of record and server meanwhile).
///
/// Asking and telling it never waits for the disk's writer. It is a cache: whatever happens to its file, it complains and
/// goes on with what it has. It lives, with its thread, until ``close()``.
package final class STSCache: Sendable {
    private let clock: WallClock
    private let cache: BufferedCache<STSEntry>
    private let upkeep: UpkeepThread

    private static let table = "policies"
    /// The most: ``STSPolicy/mostPatterns`` names, ``STSPolicy/longestReport`` octets of lines, and room. Nearly all are
    /// a tenth of that, and the file is no larger than what is in it.
    private static let bytesPerEntry = 64 * 260 + 8192

    /// Opens the cache in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameter complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, settings: STSCacheSettings = STSCacheSettings(), clock: WallClock,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.clock = clock
        self.upkeep = try UpkeepThread(cleanupInterval: settings.cleanupInterval, writeInterval: settings.writeInterval)
        var store = CacheStore.Settings(
            folder: folder, table: Self.table, entries: settings.entries, bytesPerEntry: Self.bytesPerEntry)
        store.commitFault = settings.commitFault
        self.cache = BufferedCache(
            store, waiting: settings.waiting, batch: settings.batch,
            format: .init(encoded: { $0.encoded() }, decoded: { STSEntry(record: $0) }), contents: "policies are"
        ) { complain("MTA-STS: \($0)") }
        try self.upkeep.start(
            "MTA-STS",
            .init(
                waiting: { self.cache.waiting }, write: { self.flush() }, cleanUp: { self.cleanUp() },
                isCleanUpDue: { self.cache.isCleanUpDue }))
    }

    /// Writes what waits and ends the thread.
    package func close() {
        self.upkeep.close()
        self.cache.proven()
    }

    /// What is in force; nil if there is none or it has expired. From any thread.
    ///
    /// - Parameter domain: in lower case, ASCII, at most 255 octets.
    package func entry(of domain: String) -> STSEntry? {
        guard let entry = self.cache.value(of: Array(domain.utf8)), entry.isCurrent(at: self.clock.now()) else {
            return nil
        }
        return entry
    }

    /// From any thread. It counts at once, and is on the disk within the write interval.
    package func set(_ entry: STSEntry, of domain: String) {
        if self.cache.put(.set(entry), at: Array(domain.utf8)) { self.upkeep.signal() }
    }

    package func remove(_ domain: String) {
        if self.cache.put(.removed, at: Array(domain.utf8)) { self.upkeep.signal() }
    }

    /// Entries on the disk, changes that wait to be written, and how often that failed. For status.
    package var statistics: (entries: Int, waiting: Int, writeFailures: Int) { self.cache.statistics }

    /// Writes what waits. For the thread and for tests.
    package func flush() { self.cache.flush() }

    /// Forgets what has expired, and if there are too many then those that expire first. For the thread and tests.
    package func cleanUp() {
        let limit = self.clock.now() + .microseconds(1)
        self.cache.cleanUp(before: limit.microseconds, while: { self.upkeep.isOpen }) { $0.expires.microseconds }
    }
}
