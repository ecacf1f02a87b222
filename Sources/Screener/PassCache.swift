package import LMDB
package import Mail
package import Polling

/// How much is remembered of clients that passed, and for how long.
package struct PassCacheOptions: Sendable {
    /// Above so many those that expire first are forgotten, down to nine tenths.
    package var entries = 500_000
    /// How long a record is kept behind its last expiry: that a client once passed makes it less of a stranger.
    package var retention = Duration.seconds(7 * 86_400)
    package var cleanupInterval = Duration.seconds(12 * 3600)
    /// How much may be lost in a crash. Clients are then only tested once more.
    package var writeInterval = Duration.seconds(10)
    /// Changes that are written without waiting for the interval.
    package var batch = 1000
    /// Changes that are held in memory while the disk fails; some 10 MB.
    package var waiting = 50_000

    package init() {}
}

/// Faults that tests make happen; nothing in production.
package struct PassCacheProbe: Sendable {
    /// What is taken for the fault of a commit.
    package var commitFault: @Sendable () -> LMDBError? = { nil }

    package init() {}
}

/// What clients have passed, across restarts (SEMANTICS §1, cache record).
///
/// Asking and telling it never waits for the disk's writer: changes are held in memory and written by a thread of its
/// own. It is a cache: whatever happens to its file, it complains and goes on with what it has.
///
/// It lives, with its thread, until ``close()``.
package final class PassCache: Sendable {
    private let options: PassCacheOptions
    private let clock: WallClock
    private let cache: BufferedCache<PassRecord>
    private let upkeep: UpkeepThread

    private static let table = "passes"
    /// Some 70, and room.
    private static let bytesPerEntry = 128

    /// Opens the cache in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameter complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, options: PassCacheOptions = PassCacheOptions(), clock: WallClock,
        probe: PassCacheProbe = PassCacheProbe(), complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.options = options
        self.clock = clock
        self.upkeep = try UpkeepThread(cleanupInterval: options.cleanupInterval, writeInterval: options.writeInterval)
        var settings = CacheStore.Settings(
            folder: folder, table: Self.table, entries: options.entries, bytesPerEntry: Self.bytesPerEntry)
        settings.commitFault = probe.commitFault
        self.cache = BufferedCache(
            settings, waiting: options.waiting, batch: options.batch,
            format: .init(encoded: { $0.encoded() }, decoded: { PassRecord(record: $0) }), contents: "passes are"
        ) { complain("pass cache: \($0)") }
        try self.upkeep.start(
            "pass cache",
            .init(
                waiting: { self.cache.waiting }, write: { self.flush() }, cleanUp: { self.cleanUp() },
                isCleanUpDue: { self.cache.isCleanUpDue }))
    }

    /// Writes what waits and ends the thread.
    package func close() {
        self.upkeep.close()
        self.cache.proven()
    }

    // MARK: Asking and telling

    /// From any thread. It never waits for a writer.
    package func record(of client: IPNetwork) -> PassRecord? { self.cache.value(of: client.passKey) }

    /// From any thread. It counts at once, and is on the disk within the write interval.
    package func set(_ record: PassRecord, of client: IPNetwork) { self.put(.set(record), of: client) }

    package func remove(_ client: IPNetwork) { self.put(.removed, of: client) }

    private func put(_ change: BufferedCache<PassRecord>.Change, of client: IPNetwork) {
        if self.cache.put(change, at: client.passKey) { self.upkeep.signal() }
    }

    /// Entries on the disk, changes that wait to be written, and how often that failed. For status.
    package var statistics: (entries: Int, waiting: Int, writeFailures: Int) { self.cache.statistics }

    /// Clients remembered, for status, without removals, of which a flood of bots brings many. Who has just passed again
    /// may be counted twice.
    package var clientCount: Int { self.statistics.entries + self.cache.waitingValues }

    // MARK: Writing

    /// Writes what waits. For the thread and for tests.
    package func flush() { self.cache.flush() }

    /// Forgets what expired long ago, and if there are too many then those that expire first. For the thread and tests.
    package func cleanUp() {
        let limit = self.clock.now() - self.options.retention
        self.cache.cleanUp(before: limit.microseconds, while: { self.upkeep.isOpen }) { $0.lastExpiry?.microseconds }
    }
}
