import LMDB
import Mail

extension LMDBQueue {
    /// Brings the database into a state that the table above ``MailQueue`` allows at start.
    ///
    /// - Returns: the highest ID ever given.
    static func recover(_ environment: Environment, _ tables: Tables) throws(QueueError) -> QueueID {
        do throws(LMDBError) {
            try self.checkFormat(environment, tables)
            while try self.removeReceiving(environment, tables) {}
            return try self.lastID(environment, tables)
        } catch {
            throw error == .incompatible ? .unusable("the queue has an unknown format") : QueueError(error)
        }
    }

    private static func checkFormat(_ environment: Environment, _ tables: Tables) throws(LMDBError) {
        let format = try environment.read { transaction throws(LMDBError) in
            try transaction.get(Tables.formatKey, in: tables.meta) { Self.number($0) }
        }
        switch format {
        case Tables.format: return
        case nil:
            try environment.write { transaction throws(LMDBError) in
                try transaction.put(QueueID(value: Tables.format).bytes, at: Tables.formatKey, in: tables.meta)
            }
        default: throw .incompatible
        }
    }

    /// Removes content whose message was never stored; some at a time.
    ///
    /// - Returns: whether there may be more.
    private static func removeReceiving(_ environment: Environment, _ tables: Tables) throws(LMDBError) -> Bool {
        try environment.write { transaction throws(LMDBError) in
            var first: QueueID?
            try transaction.scan(tables.receiving, from: []) { key, _ in
                first = QueueID(key: key)
                return .stop
            }
            guard let id = first else { return false }
            // A message of some hundred megabytes is as much as one transaction should touch.
            let limit = 50_000
            if try transaction.deleteAll(prefix: id.key, in: tables.content, upTo: limit) < limit {
                try transaction.delete(id.key, in: tables.receiving)
            }
            return true
        }
    }

    /// The one written down with the last commit; content and messages cannot be ahead of it, but a restored
    /// backup's `meta` might be of another time.
    private static func lastID(_ environment: Environment, _ tables: Tables) throws(LMDBError) -> QueueID {
        try environment.read { transaction throws(LMDBError) in
            let written = try transaction.get(Tables.lastIDKey, in: tables.meta) { Self.number($0) } ?? 0
            var last = QueueID(value: written)
            for table in [tables.messages, tables.content, tables.damaged] {
                last = max(last, try transaction.last(in: table) { QueueID(key: $0) } ?? last)
            }
            return last
        }
    }

    private static func number(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        bytes.count == 8 ? UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)) : 0
    }
}
