import Cache
import Crypto
package import Mail
package import Polling
import Synchronization

/// How much a daily store holds.
package struct DailyStoreSettings: Sendable {
    /// Different rows of a group and day, and groups of a day; more are only counted as lost.
    package var rowsPerGroup = 10_000
    package var groupsPerDay = 10_000
    /// Groups of a day that belong to the same family, besides the one that is called like the family.
    package var groupsPerFamily = 20
    /// Of everything; above it the oldest go.
    package var entries = 1_000_000
    /// Days that are kept behind today.
    package var days = 7
    package var cleanupInterval = Duration.seconds(6 * 3600)
    /// How much may be lost in a crash.
    package var writeInterval = Duration.seconds(10)
    /// Rows that are written without waiting for the interval, and that are held at most until they are.
    package var batch = 1000
    package var waiting = 20_000

    package init() {}
}

/// Counts what happens, day by day and by groups such as the domains that want to know, until it has been reported.
///
/// A row is octets: equal ones of a day and group are one, with a count. Of each group there is a text about it, of
/// which the day's last counts, and marks of what has been done. Telling it never waits for the disk: rows are held in
/// memory and written by a thread of its own, on which the disk is read, too. Whatever happens to its file, it
/// complains and goes on with what it has.
///
/// It lives, with its thread, until ``close()``.
package final class DailyStore: Sendable {
    private let settings: DailyStoreSettings
    private let clock: WallClock
    private let cache: BufferedCache<DailyRecord>
    private let upkeep: UpkeepThread
    private let complain: @Sendable (String) -> Void
    private let shared = Mutex(Shared())
    /// Held by whoever merges, which tests do, too. How many groups a day has; read once from the disk.
    private let groupCounts = Mutex<[ReportDay: Int]>([:])

    /// A group of a day.
    package struct Group: Hashable, Sendable {
        package let day: ReportDay
        package let name: String

        /// - Parameter name: 1 to 255 octets without NUL, such as a domain.
        package init?(_ name: String, on day: ReportDay) {
            guard 1...255 ~= name.utf8.count, !name.utf8.contains(0) else { return nil }
            self.name = name
            self.day = day
        }
    }

    private struct Row: Hashable {
        let group: Group
        let bytes: [UInt8]
    }

    /// What was last told of a group.
    private struct About {
        let text: [UInt8]
        let family: Group
    }

    private struct Shared {
        var rows: [Row: UInt64] = [:]
        var groups: [Group: About] = [:]
        var jobs: [@Sendable () -> Void] = []
        var isClosed = false
        var lost: UInt64 = 0
        /// Days on which it has been complained of loss.
        var complained: Set<ReportDay> = []

        /// - Returns: whether it is the first of its day.
        mutating func lose(_ count: UInt64, on day: ReportDay) -> Bool {
            self.lost += count
            return self.complained.insert(day).inserted
        }
    }

    private enum Kind: UInt8 { case group = 1, row, mark, family }

    private static let bytesPerEntry = 512

    /// Opens the store in a folder that exists. What cannot be read is set aside, and complained of.
    ///
    /// - Parameters:
    ///   - contents: what is kept, for complaints: "DMARC results".
    ///   - complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, settings: DailyStoreSettings = DailyStoreSettings(), clock: WallClock, contents: String,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.settings = settings
        self.clock = clock
        self.complain = { complain("\(contents): \($0)") }
        self.upkeep = try UpkeepThread(cleanupInterval: settings.cleanupInterval, writeInterval: settings.writeInterval)
        self.cache = BufferedCache(
            CacheStore.Settings(
                folder: folder, table: "days", entries: settings.entries, bytesPerEntry: Self.bytesPerEntry),
            // A merge changes at most a row, its group and its family for each that waits, and twice as many are held.
            waiting: settings.waiting * 6 + 1000, batch: settings.batch,
            format: .init(encoded: { $0.encoded() }, decoded: { DailyRecord(record: Array($0)) }),
            contents: "\(contents) are", complain: self.complain)
        try self.upkeep.start(
            "daily store",
            .init(
                waiting: { self.waiting }, write: { self.write() }, cleanUp: { self.cleanUp() },
                isCleanUpDue: { self.cache.isCleanUpDue }))
    }

    /// Writes what waits and ends the thread.
    package func close() {
        self.shared.withLock { $0.isClosed = true }
        self.upkeep.close()
        self.cache.proven()
    }

    // MARK: Telling

    /// From any thread. It never waits for the disk.
    ///
    /// - Parameters:
    ///   - about: the text about the group.
    ///   - family: what groups have in common that somebody can make as many of as they like, such as the names below a
    ///     domain of theirs; the group's own name if nil or no name. Nobody can fill the day by themselves.
    package func add(_ row: [UInt8], to group: Group, about: [UInt8], family: String? = nil) {
        let about = About(text: about, family: family.flatMap { Group($0, on: group.day) } ?? group)
        let (wakes, isFirstLoss) = self.shared.withLock { shared -> (Bool, Bool) in
            let row = Row(group: group, bytes: row)
            guard shared.rows[row] != nil || shared.rows.count < self.settings.waiting else {
                return (false, shared.lose(1, on: group.day))
            }
            shared.rows[row, default: 0] += 1
            shared.groups[group] = about
            return (shared.rows.count == 1 || shared.rows.count == self.settings.batch, false)
        }
        if isFirstLoss { self.complainOfLoss(group, "too many come at once") }
        if wakes { self.upkeep.signal() }
    }

    /// Observations that were not kept since the start. For status.
    package var lost: UInt64 { self.shared.withLock { $0.lost } }

    /// Whether a day has lost its first.
    private func lose(_ count: UInt64, _ group: Group, _ reason: String) {
        if self.shared.withLock({ $0.lose(count, on: group.day) }) { self.complainOfLoss(group, reason) }
    }

    private func complainOfLoss(_ group: Group, _ reason: String) {
        self.complain("\(reason); some of \(group.name) are not counted, and perhaps others of this day")
    }

    // MARK: Asking

    /// The next groups of a day, with the text about each, in the order of their names.
    ///
    /// - Parameters:
    ///   - after: the last one that is known; nil for the first.
    ///   - limit: fewer are the last ones.
    package func groups(
        on day: ReportDay, after: Group? = nil, limit: Int = 100
    ) async -> [(group: Group, about: [UInt8])] {
        await self.onThread { cache in
            let last = after.map { Self.prefix(.group, $0) }
            return cache.values(prefix: Self.prefix(.group, day), after: last, limit: limit).compactMap { key, record in
                let name = key.dropFirst(5).prefix { $0 != 0 }
                return Group(String(decoding: name, as: UTF8.self), on: day).map { ($0, record.payload) }
            }
        }
    }

    /// Rows of a group, in the order of their octets.
    package func rows(of group: Group) async -> [(row: [UInt8], count: UInt64)] {
        await self.onThread { cache in
            cache.values(prefix: Self.prefix(.row, group)).values.map { ($0.payload, $0.count) }
                .sorted { $0.0.lexicographicallyPrecedes($1.0) }
        }
    }

    /// Marks a group with something that has been done. When it returns, that is on the disk, if the disk works.
    package func mark(_ text: [UInt8], of group: Group) async {
        await self.onThread { cache in
            guard let key = Self.key(.mark, group, text) else { return }
            _ = cache.put(.set(DailyRecord(day: group.day, count: 1, payload: text)), at: key)
            cache.flush()
        }
    }

    package func marks(of group: Group) async -> Set<[UInt8]> {
        await self.onThread { Set($0.values(prefix: Self.prefix(.mark, group)).values.map(\.payload)) }
    }

    /// Runs something on the thread that may wait for the disk, behind all that was told before.
    private func onThread<Result: Sendable>(
        _ body: @escaping @Sendable (BufferedCache<DailyRecord>) -> Result
    ) async -> Result {
        await withCheckedContinuation { continuation in
            let cache = self.cache
            let isQueued = self.shared.withLock { shared in
                if !shared.isClosed { shared.jobs.append { continuation.resume(returning: body(cache)) } }
                return !shared.isClosed
            }
            // The thread has ended or is about to; nothing else is told any more.
            if isQueued { self.upkeep.signal() } else { continuation.resume(returning: body(cache)) }
        }
    }

    // MARK: Writing

    private var waiting: (isAny: Bool, isMuch: Bool) {
        let (rows, jobs) = self.shared.withLock { ($0.rows.count, $0.jobs.count) }
        let (isAny, isMuch) = self.cache.waiting
        return (rows > 0 || jobs > 0 || isAny, rows >= self.settings.batch || jobs > 0 || isMuch)
    }

    /// Writes what waits. For the thread and for tests.
    package func write() {
        let jobs = self.groupCounts.withLock { counts in
            let (rows, groups, jobs) = self.shared.withLock { shared in
                defer { (shared.rows, shared.groups, shared.jobs) = ([:], [:], []) }
                return (shared.rows, shared.groups, shared.jobs)
            }
            self.merge(rows, groups, &counts)
            self.cache.flush()
            return jobs
        }
        for job in jobs { job() }
    }

    private func merge(_ rows: [Row: UInt64], _ groups: [Group: About], _ counts: inout [ReportDay: Int]) {
        for (group, rows) in Dictionary(grouping: rows, by: \.key.group) {
            guard var record = self.record(of: group, groups[group]?.family ?? group, &counts) else {
                self.lose(rows.reduce(0) { $0 + $1.value }, group, "there are too many others")
                continue
            }
            for (row, count) in rows {
                guard let key = Self.key(.row, group, row.bytes) else { continue }
                let old = self.cache.value(of: key)
                if old == nil {
                    guard record.count < UInt64(self.settings.rowsPerGroup) else {
                        self.lose(count, group, "they are too different")
                        continue
                    }
                    record.count += 1
                }
                let sum = (old?.count ?? 0).addingReportingOverflow(count).partialValue
                _ = self.cache.put(.set(DailyRecord(day: group.day, count: sum, payload: row.bytes)), at: key)
            }
            record.payload = groups[group]?.text ?? record.payload
            _ = self.cache.put(.set(record), at: Self.prefix(.group, group))
        }
    }

    /// Nil if the day or the family has too many others.
    private func record(of group: Group, _ family: Group, _ counts: inout [ReportDay: Int]) -> DailyRecord? {
        if let record = self.cache.value(of: Self.prefix(.group, group)) { return record }
        let familyKey = Self.prefix(.family, family)
        let members = self.cache.value(of: familyKey)?.count ?? 0
        guard group == family || members < UInt64(self.settings.groupsPerFamily) else { return nil }
        let count = counts[group.day] ?? self.cache.values(prefix: Self.prefix(.group, group.day)).count
        counts[group.day] = count + 1
        guard count < self.settings.groupsPerDay else {
            counts[group.day] = count
            return nil
        }
        if group != family {
            _ = self.cache.put(.set(DailyRecord(day: group.day, count: members + 1, payload: [])), at: familyKey)
        }
        return DailyRecord(day: group.day, count: 0, payload: [])
    }

    /// Forgets days that are too old. For the thread and for tests.
    package func cleanUp() {
        let oldest = ReportDay(self.clock.now()).advanced(by: -self.settings.days)
        self.groupCounts.withLock { $0 = $0.filter { $0.key >= oldest } }
        self.shared.withLock { $0.complained = $0.complained.filter { $0 >= oldest } }
        self.cache.cleanUp(before: oldest.start.seconds, while: { self.upkeep.isOpen }) { $0.day.start.seconds }
    }

    // MARK: Keys

    // Kind, day, name, NUL, and for rows and marks 32 octets by which they differ: at most 293.

    private static func prefix(_ kind: Kind, _ day: ReportDay) -> [UInt8] {
        [kind.rawValue] + withUnsafeBytes(of: day.number.bigEndian) { Array($0) }
    }

    private static func prefix(_ kind: Kind, _ group: Group) -> [UInt8] {
        Self.prefix(kind, group.day) + group.name.utf8 + [0]
    }

    /// Nil if there is no memory for a digest.
    private static func key(_ kind: Kind, _ group: Group, _ bytes: [UInt8]) -> [UInt8]? {
        // Not kept for want of memory, which is complained of elsewhere.
        guard var digest = try? Digest(.sha256) else { return nil }
        bytes.withUnsafeBytes { digest.update($0) }
        return Self.prefix(kind, group) + digest.finish()
    }
}
