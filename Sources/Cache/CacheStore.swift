internal import Glibc
package import LMDB
private import Synchronization

/// A cache on the disk: an environment of its own with one table, which is set aside when it is damaged.
///
/// LMDB trusts its file: a damaged page can end the process. So each start is counted in the file `unproven`, which is
/// removed when the whole database has been read or the program ends in order. After two starts that did not come that
/// far it is set aside: a cache is not worth a program that does not come up.
package final class CacheStore: Sendable {
    private let environment: Environment
    private let table: Table
    private let folder: String
    private let commitFault: @Sendable () -> LMDBError?
    private let hasComeThrough = Atomic<Bool>(false)

    /// Entries looked at in one transaction, so that no writer's free pages are held up for long.
    private static let pageCount = 1000
    private static let unprovenStarts = 2

    package struct Settings: Sendable {
        package let folder: String
        package let table: String
        /// The largest number of entries, and of octets that one takes with its key.
        package let entries: Int
        package let bytesPerEntry: Int
        /// What is taken for the fault of a commit: for tests; nothing in production.
        package var commitFault: @Sendable () -> LMDBError? = { nil }

        package init(folder: String, table: String, entries: Int, bytesPerEntry: Int) {
            self.folder = folder
            self.table = table
            self.entries = entries
            self.bytesPerEntry = bytesPerEntry
        }
    }

    /// Opens what is in the folder, which exists, and if that cannot be, sets it aside and begins anew.
    package static func open(_ settings: Settings, complain: (String) -> Void) throws(LMDBError) -> CacheStore {
        let folder = settings.folder
        let reason: String
        if Self.countStart(folder) > Self.unprovenStarts {
            reason = "the last starts did not survive reading it"
        } else {
            do throws(LMDBError) {
                if try Self.isCutShort(folder) { throw .corrupted }
                return try CacheStore(settings)
            } catch {
                guard error.isOfTheFile else { throw error }
                reason = "\(error)"
            }
        }
        if Self.setAside(folder) {
            complain("\(folder)/data.mdb: \(reason); it is now data.mdb.damaged, and the cache is empty")
        }
        return try CacheStore(settings)
    }

    private init(_ settings: Settings) throws(LMDBError) {
        self.folder = settings.folder
        self.commitFault = settings.commitFault
        var status = stat()
        let fileBytes = stat(folder + "/data.mdb", &status) == 0 ? Int(status.st_size) : 0
        // Pages are half full at worst, and a commit copies those it changes. The file may be of a time with more
        // entries, and needs free pages to shrink.
        let wanted = min(settings.entries, 100_000_000) * settings.bytesPerEntry * 4
        let bytes = max(wanted, 2 * fileBytes, 16 << 20)
        self.environment = try Environment(folder: folder, mapBytes: bytes / 4096 * 4096, tables: 1)
        self.table = try self.environment.table(settings.table)
    }

    private static func isCutShort(_ folder: String) throws(LMDBError) -> Bool {
        guard access(folder + "/data.mdb", F_OK) == 0 else { return false }
        return try Environment.isCutShort(folder: folder)
    }

    /// Moves the files out of the way. Whoever still reads them goes on reading.
    ///
    /// - Returns: whether there was a database.
    package static func setAside(_ folder: String) -> Bool {
        unlink(folder + "/lock.mdb")
        unlink(folder + "/unproven")
        return rename(folder + "/data.mdb", folder + "/data.mdb.damaged") == 0
    }

    /// - Returns: how many starts, this one included, have not been ``proven()``.
    private static func countStart(_ folder: String) -> Int {
        let file = Glibc.open(folder + "/unproven", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { return 0 }  // Without it nothing is counted; opening the database will say why.
        defer { close(file) }
        var status = stat()
        guard Glibc.write(file, "+", 1) == 1, fstat(file, &status) == 0 else { return 0 }
        return Int(status.st_size)
    }

    /// Nothing in it ends the process.
    package func proven() {
        if !self.hasComeThrough.exchange(true, ordering: .relaxed) { unlink(self.folder + "/unproven") }
    }

    /// Whether it is to be read through: it has not been, or is too large.
    package func isDue(forEntries limit: Int) throws(LMDBError) -> Bool {
        if !self.hasComeThrough.load(ordering: .relaxed) { return true }
        return try self.count() > limit
    }

    // MARK: Entries

    package func value<Result>(
        of key: [UInt8], _ read: (UnsafeRawBufferPointer) -> Result?
    ) throws(LMDBError) -> Result? {
        let found = try self.environment.read { transaction throws(LMDBError) in
            try transaction.get(key, in: self.table) { read($0) }
        }
        return found ?? nil
    }

    /// Goes through the entries whose keys begin so, in their order and in one transaction: not for many.
    ///
    /// - Parameters:
    ///   - after: a key that begins so, to begin behind it.
    ///   - body: returns whether to go on.
    package func scan(
        prefix: [UInt8], after: [UInt8]? = nil,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) throws(LMDBError) {
        // No key comes between one and the same with a NUL behind it.
        let start = after.map { $0 + [0] } ?? prefix
        try self.environment.read { transaction throws(LMDBError) in
            try transaction.scan(self.table, from: start) { key, value in
                key.starts(with: prefix) && body(key, value) ? .next : .stop
            }
        }
    }

    package func count() throws(LMDBError) -> Int {
        try self.environment.read { transaction throws(LMDBError) in try transaction.count(of: self.table) }
    }

    /// In one transaction.
    package func write<Value>(
        _ changes: [[UInt8]: CacheOverlay<Value>.Change], encoded: (Value) -> [UInt8]
    ) throws(LMDBError) {
        try self.environment.write { transaction throws(LMDBError) in
            for (key, change) in changes {
                switch change {
                case .set(let value): try transaction.put(encoded(value), at: key, in: self.table)
                case .removed: try transaction.delete(key, in: self.table)
                }
            }
            if let fault = self.commitFault() { throw fault }
        }
    }

    // MARK: Cleaning up

    /// Goes through all entries, in pages, and removes some; none that has changed since it was looked at.
    ///
    /// - Parameter goesOn: asked between two transactions.
    package func sweep(
        while goesOn: () -> Bool,
        removing isDoomed: (_ value: UnsafeRawBufferPointer) -> Bool
    ) throws(LMDBError) {
        var start: [UInt8]? = []
        while let first = start, goesOn() {
            start = nil
            var seen = 0
            var doomed: [(key: [UInt8], value: [UInt8])] = []
            try self.environment.read { transaction throws(LMDBError) in
                try transaction.scan(self.table, from: first) { key, value in
                    guard seen < Self.pageCount else {
                        start = Array(key)
                        return .stop
                    }
                    seen += 1
                    if isDoomed(value) { doomed.append((Array(key), Array(value))) }
                    return .next
                }
            }
            if !doomed.isEmpty { try self.remove(doomed) }
        }
        self.environment.releaseMappedPages()
    }

    /// Removes those that expire first until so many are left. Only their times are held in memory.
    package func trim(
        to count: Int, while goesOn: () -> Bool, expiry: (UnsafeRawBufferPointer) -> Int64
    ) throws(LMDBError) {
        var expiries: [Int64] = []
        try self.sweep(while: goesOn) { value in
            expiries.append(expiry(value))
            return false
        }
        let excess = expiries.count - count
        guard excess > 0 else { return }
        expiries.sort()
        let cutOff = expiries[excess - 1]
        // Of those that expire together only as many as must.
        var ties = excess - (expiries.firstIndex(of: cutOff) ?? 0)
        try self.sweep(while: goesOn) { value in
            let time = expiry(value)
            if time == cutOff { ties -= 1 }
            return time < cutOff || time == cutOff && ties >= 0
        }
    }

    private func remove(_ entries: [(key: [UInt8], value: [UInt8])]) throws(LMDBError) {
        try self.environment.write { transaction throws(LMDBError) in
            for (key, value) in entries {
                let isSame = try transaction.get(key, in: self.table) { $0.elementsEqual(value) }
                if isSame == true { try transaction.delete(key, in: self.table) }
            }
            if let fault = self.commitFault() { throw fault }
        }
    }
}

extension LMDBError {
    /// Whether another file would help. A full disk or missing memory says nothing of this one.
    fileprivate var isOfTheFile: Bool {
        switch self {
        case .corrupted, .incompatible: true
        case .mapFull, .transactionFull, .diskFull: false
        case .other(let code, _): code != ENOMEM && code != EAGAIN && code != EMFILE
        }
    }
}
