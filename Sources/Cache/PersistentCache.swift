package import Polling

/// What is known, across restarts: a ``BufferedCache`` with the thread that writes it and cleans it up.
///
/// Asking and telling it never waits for the disk's writer. It is a cache: whatever happens to its file, it complains and
/// goes on with what it has. It lives, with its thread, from ``start(_:retention:)`` until ``close()``.
package final class PersistentCache<Value: Hashable & Sendable>: Sendable {
    package typealias Change = BufferedCache<Value>.Change
    package typealias Format = BufferedCache<Value>.Format

    /// What a cleanup keeps.
    package struct Retention {
        let limit: Int64
        let expiry: (Value) -> Int64?

        /// What expired before a limit goes, and if there are too many then those that expire first.
        ///
        /// - Parameter expiry: on the scale of the limit; nil for what need not be kept.
        package init(before limit: Int64, expiry: @escaping (Value) -> Int64?) {
            self.limit = limit
            self.expiry = expiry
        }
    }

    private let cache: BufferedCache<Value>
    private let upkeep: UpkeepThread

    /// Opens the cache in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameters:
    ///   - bytesPerEntry: the most that one takes with its key.
    ///   - contents: what the values are called in complaints, with its verb: "passes are".
    ///   - complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, table: String, bytesPerEntry: Int, settings: CacheSettings, format: Format, contents: String,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        var store = CacheStore.Settings(
            folder: folder, table: table, entries: settings.entries, bytesPerEntry: bytesPerEntry)
        store.commitFault = settings.commitFault
        self.upkeep = try UpkeepThread(cleanupInterval: settings.cleanupInterval, writeInterval: settings.writeInterval)
        self.cache = BufferedCache(
            store, waiting: settings.waiting, batch: settings.batch, format: format, contents: contents,
            complain: complain)
    }

    /// Once.
    ///
    /// - Parameters:
    ///   - name: the thread's, at most 15 octets.
    ///   - retention: asked at each cleanup; held until ``close()``.
    package func start(
        _ name: StaticString, retention: @escaping @Sendable () -> Retention
    ) throws(SystemError) {
        try self.upkeep.start(
            name,
            .init(
                waiting: { self.cache.waiting }, write: { self.flush() }, cleanUp: { self.cleanUp(retention()) },
                isCleanUpDue: { self.cache.isCleanUpDue }))
    }

    /// Writes what waits and ends the thread.
    package func close() {
        self.upkeep.close()
        self.cache.proven()
    }

    /// From any thread. It never waits for a writer. A key has 1 to 511 octets.
    package func value(of key: [UInt8]) -> Value? { self.cache.value(of: key) }

    /// From any thread. It counts at once, and is on the disk within the write interval.
    package func put(_ change: Change, at key: [UInt8]) {
        if self.cache.put(change, at: key) { self.upkeep.signal() }
    }

    /// Those whose keys begin so, what waits to be written included, in no order. It reads the disk.
    package func values(prefix: [UInt8]) -> [[UInt8]: Value] { self.cache.values(prefix: prefix) }

    /// Entries on the disk, changes that wait to be written, and how often that failed. For status.
    package var statistics: (entries: Int, waiting: Int, writeFailures: Int) { self.cache.statistics }

    /// Values that wait to be written, without removals; what was set twice may count twice.
    package var waitingValues: Int { self.cache.waitingValues }

    /// Writes what waits. For the thread and for tests.
    package func flush() { self.cache.flush() }

    /// For the thread and for tests.
    package func cleanUp(_ retention: Retention) {
        self.cache.cleanUp(before: retention.limit, while: { self.upkeep.isOpen }, expiry: retention.expiry)
    }
}
