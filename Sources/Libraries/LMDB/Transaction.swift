internal import CLMDB

/// What a scan does after each entry.
package enum ScanStep: Sendable { case next, stop }

/// A snapshot to read from. Pointers that it hands out are valid in the closure that gets them.
package struct ReadTransaction: ~Copyable {
    let txn: OpaquePointer

    init(_ env: OpaquePointer) throws(LMDBError) {
        var handle: OpaquePointer?
        try check(mdb_txn_begin(env, nil, UInt32(MDB_RDONLY), &handle))
        guard let handle else { throw .corrupted }
        self.txn = handle
    }

    deinit { mdb_txn_abort(self.txn) }

    /// Keeps the handles of tables that were opened in this transaction.
    consuming func commitOpenedTables() {
        let txn = self.txn
        discard self
        mdb_txn_commit(txn)
    }

    /// The value of a key; the closure is not called if there is none.
    package func get<Result>(
        _ key: some KeyBytes, in table: Table, _ body: (UnsafeRawBufferPointer) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result? {
        try getValue(self.txn, key, table, body)
    }

    /// Goes through the entries from the first key that is not below `start`, in the order of the keys' octets.
    package func scan(
        _ table: Table, from start: some KeyBytes,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(LMDBError) -> ScanStep
    ) throws(LMDBError) {
        try scanEntries(self.txn, table, from: start, body)
    }

    /// The last key of a table; the closure is not called if it is empty.
    package func last<Result>(
        in table: Table, _ body: (UnsafeRawBufferPointer) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result? {
        let cursor = try Cursor(self.txn, table)
        guard let (key, _) = try cursor.move(MDB_LAST) else { return nil }
        return try body(key)
    }

    package func count(of table: Table) throws(LMDBError) -> Int {
        var stat = MDB_stat()
        try check(mdb_stat(self.txn, table.handle, &stat))
        return stat.ms_entries
    }
}

/// A write in progress. It is aborted unless it is committed.
package struct WriteTransaction: ~Copyable {
    let txn: OpaquePointer

    init(_ env: OpaquePointer) throws(LMDBError) {
        var handle: OpaquePointer?
        try check(mdb_txn_begin(env, nil, 0, &handle))
        guard let handle else { throw .corrupted }
        self.txn = handle
    }

    deinit { mdb_txn_abort(self.txn) }

    consuming func commit() throws(LMDBError) {
        let txn = self.txn
        discard self  // mdb_txn_commit frees the transaction even when it fails.
        try check(mdb_txn_commit(txn))
    }

    package func get<Result>(
        _ key: some KeyBytes, in table: Table, _ body: (UnsafeRawBufferPointer) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result? {
        try getValue(self.txn, key, table, body)
    }

    package func scan(
        _ table: Table, from start: some KeyBytes,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(LMDBError) -> ScanStep
    ) throws(LMDBError) {
        try scanEntries(self.txn, table, from: start, body)
    }

    /// Sets the value of a key.
    package func put(_ value: some KeyBytes, at key: some KeyBytes, in table: Table) throws(LMDBError) {
        try value.withBytes { value throws(LMDBError) in
            try self.put(bytes: value.count, at: key, in: table) { $0.copyMemory(from: value) }
        }
    }

    /// Sets the value of a key to so many octets, which the closure writes to where they are kept.
    package func put(
        bytes count: Int, at key: some KeyBytes, in table: Table, _ fill: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(LMDBError) {
        try key.withBytes { key throws(LMDBError) in
            var name = MDB_val(key)
            var place = MDB_val(mv_size: count, mv_data: nil)
            try check(mdb_put(self.txn, table.handle, &name, &place, UInt32(MDB_RESERVE)))
            fill(UnsafeMutableRawBufferPointer(start: place.mv_data, count: count))
        }
    }

    /// - Returns: whether there was such a key.
    @discardableResult
    package func delete(_ key: some KeyBytes, in table: Table) throws(LMDBError) -> Bool {
        try key.withBytes { key throws(LMDBError) in
            var name = MDB_val(key)
            let code = mdb_del(self.txn, table.handle, &name, nil)
            if code == MDB_NOTFOUND { return false }
            try check(code)
            return true
        }
    }

    /// Deletes every entry whose key begins with these octets, up to a number.
    ///
    /// - Returns: how many there were.
    @discardableResult
    package func deleteAll(
        prefix: some KeyBytes, in table: Table, upTo limit: Int = .max
    ) throws(LMDBError) -> Int {
        try prefix.withBytes { prefix throws(LMDBError) in
            let cursor = try Cursor(self.txn, table)
            var count = 0
            var entry = try cursor.seek(prefix)
            while let (key, _) = entry, key.starts(with: prefix), count < limit {
                try cursor.delete()
                count += 1
                entry = try cursor.move(MDB_NEXT)  // Behind a deletion this is the entry that took its place.
            }
            return count
        }
    }
}

/// Octets that can be a key: an array, or a number in network order.
package protocol KeyBytes {
    func withBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result
}

extension Array: KeyBytes where Element == UInt8 {
    package func withBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result {
        var result: Swift.Result<Result, LMDBError> = .failure(.corrupted)
        self.withUnsafeBytes { bytes in
            do throws(LMDBError) { result = .success(try body(bytes)) } catch { result = .failure(error) }
        }
        return try result.get()
    }
}

// MARK: - Shared by both kinds of transaction

private func getValue<Result>(
    _ txn: OpaquePointer, _ key: some KeyBytes, _ table: Table,
    _ body: (UnsafeRawBufferPointer) throws(LMDBError) -> Result
) throws(LMDBError) -> Result? {
    try key.withBytes { key throws(LMDBError) in
        var name = MDB_val(key)
        var value = MDB_val()
        let code = mdb_get(txn, table.handle, &name, &value)
        if code == MDB_NOTFOUND { return nil }
        try check(code)
        return try body(UnsafeRawBufferPointer(value))
    }
}

private func scanEntries(
    _ txn: OpaquePointer, _ table: Table, from start: some KeyBytes,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(LMDBError) -> ScanStep
) throws(LMDBError) {
    let cursor = try Cursor(txn, table)
    var entry = try start.withBytes { start throws(LMDBError) in try cursor.seek(start) }
    while let (key, value) = entry, try body(key, value) == .next {
        entry = try cursor.move(MDB_NEXT)
    }
}

private struct Cursor: ~Copyable {
    private let cursor: OpaquePointer

    init(_ txn: OpaquePointer, _ table: Table) throws(LMDBError) {
        var handle: OpaquePointer?
        try check(mdb_cursor_open(txn, table.handle, &handle))
        guard let handle else { throw .corrupted }
        self.cursor = handle
    }

    deinit { mdb_cursor_close(self.cursor) }

    /// The first entry whose key is not below this one.
    func seek(_ key: UnsafeRawBufferPointer) throws(LMDBError) -> (UnsafeRawBufferPointer, UnsafeRawBufferPointer)? {
        key.isEmpty ? try self.move(MDB_FIRST) : try self.move(MDB_SET_RANGE, MDB_val(key))
    }

    func move(
        _ operation: MDB_cursor_op, _ key: MDB_val = MDB_val()
    ) throws(LMDBError) -> (UnsafeRawBufferPointer, UnsafeRawBufferPointer)? {
        var key = key
        var value = MDB_val()
        let code = mdb_cursor_get(self.cursor, &key, &value, operation)
        if code == MDB_NOTFOUND { return nil }
        try check(code)
        return (UnsafeRawBufferPointer(key), UnsafeRawBufferPointer(value))
    }

    func delete() throws(LMDBError) {
        try check(mdb_cursor_del(self.cursor, 0))
    }
}

extension MDB_val {
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}

extension UnsafeRawBufferPointer {
    fileprivate init(_ value: MDB_val) {
        self.init(start: value.mv_data, count: value.mv_size)
    }
}
