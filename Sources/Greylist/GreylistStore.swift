package import LMDB
package import Mail
package import Polling
private import Synchronization

/// How the records are kept; how long they count is ``GreylistOptions``.
package struct GreylistStoreSettings: Sendable {
    /// Above so many some are forgotten, down to nine tenths: first those who have not come again.
    package var entries = 500_000
    package var cleanupInterval = Duration.seconds(12 * 3600)
    /// How much may be lost in a crash. Clients are then only delayed once more.
    package var writeInterval = Duration.seconds(10)
    /// Changes that are written without waiting for the interval.
    package var batch = 1000
    /// Changes that are held in memory while the disk fails; some 10 MB.
    package var waiting = 50_000
    /// What is taken for the fault of a commit: for tests; nothing in production.
    package var commitFault: @Sendable () -> LMDBError? = { nil }

    package init() {}
}

/// Who came when, across restarts.
///
/// Asking and telling it never waits for the disk's writer: changes are held in memory and written by a thread of its
/// own. It is a cache: whatever happens to its file, it complains and goes on with what it has.
///
/// It lives, with its thread, until ``close()``.
package final class GreylistStore: Sendable {
    private let clock: WallClock
    private let cache: BufferedCache<GreylistEntry>
    private let upkeep: UpkeepThread
    private let options: Mutex<GreylistOptions>

    private static let table = "greylist"
    /// Key and record are 61 at most, and room.
    private static let bytesPerEntry = 96

    /// Opens the store in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameters:
    ///   - options: how long records count; may be changed with ``use(_:)``.
    ///   - complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, options: GreylistOptions = GreylistOptions(),
        settings: GreylistStoreSettings = GreylistStoreSettings(), clock: WallClock,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.clock = clock
        self.options = Mutex(options)
        self.upkeep = try UpkeepThread(cleanupInterval: settings.cleanupInterval, writeInterval: settings.writeInterval)
        var cacheSettings = CacheStore.Settings(
            folder: folder, table: Self.table, entries: settings.entries, bytesPerEntry: Self.bytesPerEntry)
        cacheSettings.commitFault = settings.commitFault
        self.cache = BufferedCache(
            cacheSettings, waiting: settings.waiting, batch: settings.batch,
            format: .init(encoded: { $0.encoded() }, decoded: { GreylistEntry(record: $0) }),
            contents: "who came when is"
        ) { complain("greylist: \($0)") }
        try self.upkeep.start(
            "greylist",
            .init(
                waiting: { self.cache.waiting }, write: { self.flush() }, cleanUp: { self.cleanUp() },
                isCleanUpDue: { self.cache.isCleanUpDue }))
    }

    /// Writes what waits and ends the thread.
    package func close() {
        self.upkeep.close()
        self.cache.proven()
    }

    /// How long records count from now on.
    package func use(_ options: GreylistOptions) { self.options.withLock { $0 = options } }

    // MARK: Asking and telling

    /// From any thread. It never waits for a writer.
    package func state(_ network: IPNetwork, sender: ReversePath, recipient: Mailbox) -> GreylistState {
        GreylistState(
            triplet: self.cache.value(of: GreylistKey.triplet(network, sender: sender, recipient: recipient))?.record,
            client: self.cache.value(of: GreylistKey.client(network))?.client)
    }

    /// Remembers what has changed. From any thread; it counts at once, and is on the disk within the write interval.
    package func change(
        _ old: GreylistState, to new: GreylistState, _ network: IPNetwork, sender: ReversePath, recipient: Mailbox
    ) {
        if let record = new.triplet, record != old.triplet {
            self.put(.triplet(record), GreylistKey.triplet(network, sender: sender, recipient: recipient))
        }
        if let client = new.client, client != old.client { self.put(.client(client), GreylistKey.client(network)) }
    }

    private func put(_ entry: GreylistEntry, _ key: [UInt8]) {
        if self.cache.put(.set(entry), at: key) { self.upkeep.signal() }
    }

    /// Entries on the disk, changes that wait to be written, and how often that failed. For status.
    package var statistics: (entries: Int, waiting: Int, writeFailures: Int) { self.cache.statistics }

    // MARK: Writing

    /// Writes what waits. For the thread and for tests.
    package func flush() { self.cache.flush() }

    /// Forgets what does not count any more, and if there are too many then some that do: those who have not come again
    /// before those who have, else those first that would be forgotten first. For the thread and tests.
    package func cleanUp() {
        let (now, options) = (self.clock.now(), self.options.withLock { $0 })
        self.cache.cleanUp(before: 0, while: { self.upkeep.isOpen }) { Self.rank($0, at: now, options) }
    }

    /// Lies between the ranks of who has and who has not come again; no option can be as long.
    private static let step: Int64 = 1 << 61

    /// The higher, the longer it is kept; below 0 it is not at all.
    private static func rank(_ entry: GreylistEntry, at now: Timestamp, _ options: GreylistOptions) -> Int64 {
        let rest = (entry.end(options) - now).microseconds
        guard rest >= 0 else { return -1 }
        return min(rest, Self.step) + (entry.hasPassed ? Self.step : 0)
    }
}
