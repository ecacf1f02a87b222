import Glibc
import LMDB
import Mail
import Synchronization

/// The pass cache on the disk: an LMDB environment of its own.
///
/// LMDB trusts its file: a damaged page can end the process. So each start is counted in the file `unproven`, which is
/// removed when the whole database has been read or the server ends in order. After two starts that did not come that
/// far it is set aside: a cache is not worth a server that does not come up.
final class PassStore: Sendable {
    private let environment: Environment
    private let table: Table
    private let folder: String
    private let probe: PassCacheProbe
    private let hasComeThrough = Atomic<Bool>(false)

    /// Entries looked at in one transaction, so that no writer's free pages are held up for long.
    private static let pageCount = 1000
    private static let unprovenStarts = 2
    /// An entry has 70 octets, pages are half full at worst, and a commit copies those it changes.
    private static let bytesPerEntry = 512

    /// Opens what is in the folder, and if that cannot be, sets it aside and begins anew.
    static func open(
        folder: String, entries: Int, probe: PassCacheProbe, complain: (String) -> Void
    ) throws(LMDBError) -> PassStore {
        let reason: String
        if Self.countStart(folder) > Self.unprovenStarts {
            reason = "the last starts did not survive reading it"
        } else {
            do throws(LMDBError) {
                if try Self.isCutShort(folder) { throw .corrupted }
                return try PassStore(folder: folder, entries: entries, probe: probe)
            } catch {
                guard error.isOfTheFile else { throw error }
                reason = "\(error)"
            }
        }
        if Self.setAside(folder) {
            complain("pass cache: \(folder)/data.mdb: \(reason); it is now data.mdb.damaged, and the cache is empty")
        }
        return try PassStore(folder: folder, entries: entries, probe: probe)
    }

    private init(folder: String, entries: Int, probe: PassCacheProbe) throws(LMDBError) {
        self.folder = folder
        self.probe = probe
        var status = stat()
        let fileBytes = stat(folder + "/data.mdb", &status) == 0 ? Int(status.st_size) : 0
        // The file may be of a time with more entries, and needs free pages to shrink.
        let bytes = max(min(entries, 100_000_000) * Self.bytesPerEntry, 2 * fileBytes, 16 << 20)
        self.environment = try Environment(folder: folder, mapBytes: bytes / 4096 * 4096, tables: 1)
        self.table = try self.environment.table("passes")
    }

    private static func isCutShort(_ folder: String) throws(LMDBError) -> Bool {
        guard access(folder + "/data.mdb", F_OK) == 0 else { return false }
        return try Environment.isCutShort(folder: folder)
    }

    /// Moves the files out of the way. Whoever still reads them goes on reading.
    ///
    /// - Returns: whether there was a database.
    static func setAside(_ folder: String) -> Bool {
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
    func proven() {
        if !self.hasComeThrough.exchange(true, ordering: .relaxed) { unlink(self.folder + "/unproven") }
    }

    /// Whether it is to be read through: it has not been, or is too large.
    func isDue(forEntries limit: Int) throws(LMDBError) -> Bool {
        if !self.hasComeThrough.load(ordering: .relaxed) { return true }
        return try self.count() > limit
    }

    // MARK: Entries

    func record(of client: IPNetwork) throws(LMDBError) -> PassRecord? {
        let record = try self.environment.read { transaction throws(LMDBError) in
            try transaction.get(client.passKey, in: self.table) { PassRecord(record: $0) }
        }
        return record ?? nil
    }

    func count() throws(LMDBError) -> Int {
        try self.environment.read { transaction throws(LMDBError) in try transaction.count(of: self.table) }
    }

    /// In one transaction.
    func write(_ changes: [IPNetwork: PassOverlay.Change]) throws(LMDBError) {
        try self.environment.write { transaction throws(LMDBError) in
            for (client, change) in changes {
                switch change {
                case .set(let record): try transaction.put(record.encoded(), at: client.passKey, in: self.table)
                case .removed: try transaction.delete(client.passKey, in: self.table)
                }
            }
            if let fault = self.probe.commitFault() { throw fault }
        }
    }

    // MARK: Cleaning up

    /// Removes what expired before a time, and what cannot be read.
    ///
    /// - Parameter goesOn: asked between two transactions.
    func removeExpired(before limit: Timestamp, while goesOn: () -> Bool) throws(LMDBError) {
        try self.sweep(while: goesOn) { record in
            guard let expiry = record?.lastExpiry else { return true }
            return expiry < limit
        }
        self.environment.releaseMappedPages()
    }

    /// Removes those that expire first until so many are left. Only their times are held in memory.
    func trim(to count: Int, while goesOn: () -> Bool) throws(LMDBError) {
        var expiries: [Int64] = []
        try self.sweep(while: goesOn) { record in
            expiries.append(record?.lastExpiry?.microseconds ?? .min)
            return false
        }
        let excess = expiries.count - count
        guard excess > 0 else { return }
        expiries.sort()
        let cutOff = expiries[excess - 1]
        // Of those that expire together only as many as must.
        var ties = excess - (expiries.firstIndex(of: cutOff) ?? 0)
        try self.sweep(while: goesOn) { record in
            let expiry = record?.lastExpiry?.microseconds ?? .min
            if expiry == cutOff { ties -= 1 }
            return expiry < cutOff || expiry == cutOff && ties >= 0
        }
        self.environment.releaseMappedPages()
    }

    /// Goes through all entries, in pages, and removes some; none that has changed since it was looked at.
    private func sweep(while goesOn: () -> Bool, removing isDoomed: (PassRecord?) -> Bool) throws(LMDBError) {
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
                    if isDoomed(PassRecord(record: value)) { doomed.append((Array(key), Array(value))) }
                    return .next
                }
            }
            if !doomed.isEmpty { try self.remove(doomed) }
        }
    }

    private func remove(_ entries: [(key: [UInt8], value: [UInt8])]) throws(LMDBError) {
        try self.environment.write { transaction throws(LMDBError) in
            for (key, value) in entries {
                let isSame = try transaction.get(key, in: self.table) { $0.elementsEqual(value) }
                if isSame == true { try transaction.delete(key, in: self.table) }
            }
            if let fault = self.probe.commitFault() { throw fault }
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
