import LMDB
import Mail

/// The tables of the database and their keys, all of whose numbers are in network order.
struct Tables: Sendable {
    /// `format`, `last-id`: numbers.
    let meta: Table
    /// ID: message record.
    let messages: Table
    /// ID: progress record; absent until something has been tried.
    let progress: Table
    /// ID, number of the record: format number and at most ``IncomingContent/recordBytes`` octets of content. From
    /// ``ContentKey/firstOfHead`` on they stand in front of the others.
    let content: Table
    /// Lane, 0, due time, ID: nothing. What waits, in the order in which it is due.
    let lanes: Table
    /// ID: nothing. Content that has no message record yet.
    let receiving: Table
    /// ID: what was found wrong, then what there was of the message.
    let damaged: Table

    static let count = 7
    /// The number of this layout, in `meta`.
    static let format: UInt64 = 1
    static let formatKey = Array("format".utf8)
    static let lastIDKey = Array("last-id".utf8)

    init(_ environment: Environment) throws(LMDBError) {
        self.meta = try environment.table("meta")
        self.messages = try environment.table("messages")
        self.progress = try environment.table("progress")
        self.content = try environment.table("content")
        self.lanes = try environment.table("lanes")
        self.receiving = try environment.table("receiving")
        self.damaged = try environment.table("damaged")
    }
}

extension QueueID {
    var key: FixedKey<UInt64> { FixedKey(self.value.bigEndian) }

    init(key: UnsafeRawBufferPointer) {
        self.init(value: key.count >= 8 ? UInt64(bigEndian: key.loadUnaligned(as: UInt64.self)) : 0)
    }
}

/// A key of `content`.
struct ContentKey: KeyBytes {
    private let id: UInt64
    private let index: UInt32

    static let firstOfHead = 1 << 31

    init(_ id: QueueID, record index: Int) {
        self.id = id.value.bigEndian
        self.index = UInt32(clamping: index).bigEndian
    }

    func withBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result {
        try withUnsafeBytes(of: (self.id, self.index)) { bytes throws(LMDBError) in
            // The pair has four octets more than its parts at the end of its stride, and none inside.
            try body(UnsafeRawBufferPointer(rebasing: bytes.prefix(12)))
        }
    }
}

/// A key of `lanes`.
struct LaneKey {
    let lane: String
    let due: Timestamp
    let id: QueueID

    init(lane: String, due: Timestamp, id: QueueID) {
        self.lane = lane
        self.due = due
        self.id = id
    }

    /// What all keys of a lane begin with. A lane has no NUL in its name, so none begins like another's.
    static func prefix(_ lane: String) -> [UInt8] { Array(lane.utf8.prefix(480)) + [0] }

    var bytes: [UInt8] {
        var bytes = Self.prefix(self.lane)
        for number in [UInt64(clamping: self.due.microseconds), self.id.value] {
            withUnsafeBytes(of: number.bigEndian) { bytes += $0 }
        }
        return bytes
    }

    init?(_ key: UnsafeRawBufferPointer) {
        guard key.count > 17, key[key.count - 17] == 0 else { return nil }
        self.lane = String(decoding: key[..<(key.count - 17)], as: UTF8.self)
        let due = UInt64(bigEndian: key.loadUnaligned(fromByteOffset: key.count - 16, as: UInt64.self))
        self.due = Timestamp(microseconds: Int64(clamping: due))
        self.id = QueueID(
            value: UInt64(bigEndian: key.loadUnaligned(fromByteOffset: key.count - 8, as: UInt64.self)))
    }
}

/// Format number in front of each record of content.
let contentFormat: UInt8 = 1
