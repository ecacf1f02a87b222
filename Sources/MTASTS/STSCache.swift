package import Cache
package import Mail
package import Polling

/// The policies of domains, across restarts (RFC 8461 §3.3: what was once fetched protects until it expires, whatever
/// becomes of record and server meanwhile).
///
/// It lives, with its thread, until ``close()``.
package final class STSCache: Sendable {
    private let clock: WallClock
    private let cache: PersistentCache<STSEntry>

    /// How long policies are kept is theirs to say.
    package static let usualSettings = CacheSettings(entries: 10_000, batch: 100, waiting: 1000)

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
        folder: String, settings: CacheSettings = STSCache.usualSettings, clock: WallClock,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.clock = clock
        self.cache = try PersistentCache(
            folder: folder, table: Self.table, bytesPerEntry: Self.bytesPerEntry, settings: settings,
            format: .init(encoded: { $0.encoded() }, decoded: { STSEntry(record: $0) }), contents: "policies are"
        ) { complain("MTA-STS: \($0)") }
        try self.cache.start("MTA-STS") { self.kept }
    }

    /// Writes what waits and ends the thread.
    package func close() { self.cache.close() }

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
    package func set(_ entry: STSEntry, of domain: String) { self.cache.put(.set(entry), at: Array(domain.utf8)) }

    package func remove(_ domain: String) { self.cache.put(.removed, at: Array(domain.utf8)) }

    /// Entries on the disk, changes that wait to be written, and how often that failed. For status.
    package var statistics: (entries: Int, waiting: Int, writeFailures: Int) { self.cache.statistics }

    /// Writes what waits. For the thread and for tests.
    package func flush() { self.cache.flush() }

    /// Forgets what has expired, and if there are too many then those that expire first. For the thread and tests.
    package func cleanUp() { self.cache.cleanUp(self.kept) }

    private var kept: PersistentCache<STSEntry>.Retention {
        .init(before: (self.clock.now() + .microseconds(1)).microseconds) { $0.expires.microseconds }
    }
}
