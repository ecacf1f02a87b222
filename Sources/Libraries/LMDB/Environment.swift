internal import CLMDB
internal import Glibc

/// An LMDB environment: one file with named tables, one writer at a time, any number of readers.
///
/// Opened with LMDB's default durability: when ``write(_:)`` returns, what it wrote is on the disk. The map is
/// never writable, as a full disk would then end the process (SIGBUS).
// Sendable: LMDB documents an environment as safe to share between threads; transactions stay in one closure.
package final class Environment: @unchecked Sendable {
    private let env: OpaquePointer
    /// Where the file is mapped, so that pages can be given back; nil if it could not be found out.
    private let map: (start: UnsafeMutableRawPointer, bytes: Int)?

    /// Opens or makes the database `data.mdb` in a folder that exists.
    ///
    /// - Parameters:
    ///   - mapBytes: the largest size of the file; address space, not memory.
    ///   - readers: read transactions that may be open at once, those of other processes included.
    package init(
        folder: String, mapBytes: Int, tables: Int, readers: Int = 126, isReadOnly: Bool = false
    ) throws(LMDBError) {
        var handle: OpaquePointer?
        try check(mdb_env_create(&handle))
        guard let handle else { throw LMDBError(ENOMEM) }
        do throws(LMDBError) {
            try check(mdb_env_set_mapsize(handle, mapBytes))
            try check(mdb_env_set_maxdbs(handle, UInt32(tables)))
            try check(mdb_env_set_maxreaders(handle, UInt32(readers)))
            let flags = UInt32(MDB_NOTLS) | (isReadOnly ? UInt32(MDB_RDONLY) : 0)
            try check(mdb_env_open(handle, folder, flags, 0o640))
        } catch {
            mdb_env_close(handle)
            throw error
        }
        self.env = handle
        self.map = Self.mapping(of: folder + "/data.mdb")
        // Readers of a process that was killed keep pages from being used again.
        var dead: Int32 = 0
        _ = mdb_reader_check(handle, &dead)
    }

    deinit { mdb_env_close(self.env) }

    /// Opens a table, and makes it if it is not there.
    ///
    /// Only before the environment is used from several threads.
    package func table(_ name: String) throws(LMDBError) -> Table {
        var handle: MDB_dbi = 0
        let transaction = try WriteTransaction(self.env)
        try check(mdb_dbi_open(transaction.txn, name, UInt32(MDB_CREATE), &handle))
        try transaction.commit()
        return Table(handle: handle)
    }

    /// Opens a table for reading; nil if there is none.
    package func existingTable(_ name: String) throws(LMDBError) -> Table? {
        var handle: MDB_dbi = 0
        let transaction = try ReadTransaction(self.env)
        let code = mdb_dbi_open(transaction.txn, name, 0, &handle)
        if code == MDB_NOTFOUND { return nil }
        try check(code)
        transaction.commitOpenedTables()
        return Table(handle: handle)
    }

    /// Runs one write transaction, and commits it unless the closure throws.
    ///
    /// The writer's lock belongs to the calling thread, which waits here for any other writer.
    package func write<Result>(
        _ body: (borrowing WriteTransaction) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result {
        let transaction = try WriteTransaction(self.env)
        let result = try body(transaction)
        try transaction.commit()
        return result
    }

    /// Runs one read transaction, a snapshot. While it is open no page that is freed can be used again: keep it short.
    package func read<Result>(
        _ body: (borrowing ReadTransaction) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result {
        try body(try ReadTransaction(self.env))
    }

    /// Copies the database, as it is now, to a file that does not exist yet; free pages are left out.
    package func copy(toFile descriptor: Int32) throws(LMDBError) {
        try check(mdb_env_copyfd2(self.env, descriptor, UInt32(MDB_CP_COMPACT)))
    }

    package struct Size: Sendable {
        /// The file's, up to the last page ever used.
        package let usedBytes: Int
        package let mapBytes: Int
        /// Within the used bytes, on the free list.
        package let freeBytes: Int
    }

    /// Reads the free list, which takes a while after large deletions.
    package func size() throws(LMDBError) -> Size {
        var info = MDB_envinfo()
        var stat = MDB_stat()
        try check(mdb_env_info(self.env, &info))
        try check(mdb_env_stat(self.env, &stat))
        let pageBytes = Int(stat.ms_psize)
        let freePages = try self.read { transaction throws(LMDBError) in
            var pages = 0
            // Table 0 is the free list: under each transaction's number a count, then that many page numbers.
            try transaction.scan(Table(handle: 0), from: []) { _, value in
                pages += value.count >= MemoryLayout<Int>.size ? value.loadUnaligned(as: Int.self) : 0
                return .next
            }
            return pages
        }
        return Size(
            usedBytes: (info.me_last_pgno + 1) * pageBytes, mapBytes: info.me_mapsize, freeBytes: freePages * pageBytes)
    }

    /// Gives back the memory in which pages of the file are mapped. They stay in the system's cache and come
    /// back when they are touched; without this a large queue counts as the process's resident memory.
    package func releaseMappedPages() {
        if let map = self.map { madvise(map.start, map.bytes, MADV_DONTNEED) }
    }

    /// Finds the mapping in /proc/self/maps, since LMDB does not tell.
    private static func mapping(of path: String) -> (UnsafeMutableRawPointer, Int)? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        let name = String(cString: resolved)
        guard let file = fopen("/proc/self/maps", "re") else { return nil }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while getline(&line, &capacity, file) > 0 {
            guard let line, case let text = String(cString: line), text.dropLast().hasSuffix(name) else { continue }
            let bounds = text.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard bounds.count == 2, let start = UnsafeMutableRawPointer(bitPattern: bounds[0]) else { return nil }
            return (start, Int(bounds[1] - bounds[0]))
        }
        return nil
    }
}

/// A table of an environment; valid as long as the environment is.
package struct Table: Sendable {
    let handle: MDB_dbi
}
