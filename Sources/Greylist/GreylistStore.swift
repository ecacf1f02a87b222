package import Cache
package import Mail
package import Polling
private import Synchronization

/// Who came when, across restarts.
///
/// It lives, with its thread, until ``close()``.
package final class GreylistStore: Sendable {
    private let clock: WallClock
    private let cache: PersistentCache<GreylistEntry>
    private let options: Mutex<GreylistOptions>

    /// How long records count is ``GreylistOptions``. Of too many those go first who have not come again.
    package static let usualSettings = CacheSettings(entries: 500_000)

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
        settings: CacheSettings = GreylistStore.usualSettings, clock: WallClock,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.clock = clock
        self.options = Mutex(options)
        self.cache = try PersistentCache(
            folder: folder, table: Self.table, bytesPerEntry: Self.bytesPerEntry, settings: settings,
            format: .init(encoded: { $0.encoded() }, decoded: { GreylistEntry(record: $0) }),
            contents: "who came when is"
        ) { complain("greylist: \($0)") }
        try self.cache.start("greylist") { self.kept }
    }

    /// Writes what waits and ends the thread.
    package func close() { self.cache.close() }

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
        self.cache.put(.set(entry), at: key)
    }

    /// Entries on the disk, changes that wait to be written, and how often that failed. For status.
    package var statistics: (entries: Int, waiting: Int, writeFailures: Int) { self.cache.statistics }

    // MARK: Writing

    /// Writes what waits. For the thread and for tests.
    package func flush() { self.cache.flush() }

    /// Forgets what does not count any more, and if there are too many then some that do: those who have not come again
    /// before those who have, else those first that would be forgotten first. For the thread and tests.
    package func cleanUp() { self.cache.cleanUp(self.kept) }

    private var kept: PersistentCache<GreylistEntry>.Retention {
        let (now, options) = (self.clock.now(), self.options.withLock { $0 })
        return .init(before: 0) { Self.rank($0, at: now, options) }
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
