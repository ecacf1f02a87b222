package import Cache
package import Mail
package import Polling

/// What clients have passed, across restarts (SEMANTICS §1, cache record).
///
/// It lives, with its thread, until ``close()``.
package final class PassCache: Sendable {
    private let clock: WallClock
    private let retention: Duration
    private let cache: PersistentCache<PassRecord>

    /// 10 MB of changes at most wait for a disk that fails.
    package static let usualSettings = CacheSettings(entries: 500_000)
    /// How long a record is kept behind its last expiry: that a client once passed makes it less of a stranger.
    package static let usualRetention = Duration.seconds(7 * 86_400)

    private static let table = "passes"
    /// Some 70, and room.
    private static let bytesPerEntry = 128

    /// Opens the cache in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameter complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, settings: CacheSettings = PassCache.usualSettings,
        retention: Duration = PassCache.usualRetention, clock: WallClock, complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.clock = clock
        self.retention = retention
        self.cache = try PersistentCache(
            folder: folder, table: Self.table, bytesPerEntry: Self.bytesPerEntry, settings: settings,
            format: .init(encoded: { $0.encoded() }, decoded: { PassRecord(record: $0) }), contents: "passes are"
        ) { complain("pass cache: \($0)") }
        try self.cache.start("pass cache") { self.kept }
    }

    /// Writes what waits and ends the thread.
    package func close() { self.cache.close() }

    // MARK: Asking and telling

    /// From any thread. It never waits for a writer.
    package func record(of client: IPNetwork) -> PassRecord? { self.cache.value(of: client.passKey) }

    /// From any thread. It counts at once, and is on the disk within the write interval.
    package func set(_ record: PassRecord, of client: IPNetwork) { self.cache.put(.set(record), at: client.passKey) }

    package func remove(_ client: IPNetwork) { self.cache.put(.removed, at: client.passKey) }

    /// Entries on the disk, changes that wait to be written, and how often that failed. For status.
    package var statistics: (entries: Int, waiting: Int, writeFailures: Int) { self.cache.statistics }

    /// Clients remembered, for status, without removals, of which a flood of bots brings many. Who has just passed again
    /// may be counted twice.
    package var clientCount: Int { self.statistics.entries + self.cache.waitingValues }

    // MARK: Writing

    /// Writes what waits. For the thread and for tests.
    package func flush() { self.cache.flush() }

    /// Forgets what expired long ago, and if there are too many then those that expire first. For the thread and tests.
    package func cleanUp() { self.cache.cleanUp(self.kept) }

    private var kept: PersistentCache<PassRecord>.Retention {
        .init(before: (self.clock.now() - self.retention).microseconds) { $0.lastExpiry?.microseconds }
    }
}
