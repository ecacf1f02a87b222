import LMDB
import Mail

/// One thing to be written. Several share a commit; if that fails each is tried alone, so ``apply(_:_:)`` may
/// run more than once and must not change anything but the transaction.
///
/// Sendable: a job is used by the thread that makes it, then by the writing thread only.
class WriteJob: @unchecked Sendable {
    /// How long it may wait for company.
    var delay: Duration { .zero }
    /// Whether a client waits for it.
    var isAwaited: Bool { false }
    /// About how much it writes, in octets.
    var bytes: Int { 0 }

    /// - Returns: what changes in the schedule once it is committed.
    func apply(_ transaction: borrowing WriteTransaction, _ tables: Tables) throws(LMDBError) -> [ScheduleChange] { [] }

    /// Called on the writing thread when the fate of the job is known.
    func finished(_ result: Result<Void, QueueError>) {}
}

/// A piece of content that is still coming in.
final class AppendJob: WriteJob, @unchecked Sendable {
    private let piece: ContentPiece
    private let completion: @Sendable (Result<Void, QueueError>) -> Void

    init(_ piece: ContentPiece, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void) {
        self.piece = piece
        self.completion = completion
    }

    override var bytes: Int { self.piece.bytes.count }

    override func apply(
        _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        // With each piece: one in front of it may have failed.
        try transaction.put([], at: self.piece.id.key, in: tables.receiving)
        try transaction.putContent(self.piece.bytes, of: self.piece.id, offset: self.piece.offset, in: tables)
        return []
    }

    override func finished(_ result: Result<Void, QueueError>) { self.completion(result) }
}

/// A whole message.
final class StoreJob: WriteJob, @unchecked Sendable {
    private let message: NewMessage
    private let record: [UInt8]
    private let completion: @Sendable (Result<Void, QueueError>) -> Void

    /// Content above this size is read from the disk when it is forwarded.
    static let sharedContentBytes = 64 * 1024

    init(_ message: NewMessage, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void) {
        self.message = message
        self.record = message.message.encoded()
        self.completion = completion
    }

    override var isAwaited: Bool { true }

    override var bytes: Int { self.message.head.count + self.message.tail.count + self.record.count }

    override func apply(
        _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        try transaction.store(self.message, record: self.record, in: tables)
    }

    override func finished(_ result: Result<Void, QueueError>) { self.completion(result) }
}

/// Content whose message will not be stored.
final class DropJob: WriteJob, @unchecked Sendable {
    private let id: QueueID
    private let failed: @Sendable (QueueID) -> Void

    /// - Parameter failed: called if it is to be tried again.
    init(_ id: QueueID, failed: @escaping @Sendable (QueueID) -> Void) {
        self.id = id
        self.failed = failed
    }

    override var delay: Duration { .milliseconds(100) }

    override func apply(
        _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        if try transaction.delete(self.id.key, in: tables.receiving) {
            try transaction.deleteAll(prefix: self.id.key, in: tables.content)
        }
        return []
    }

    override func finished(_ result: Result<Void, QueueError>) {
        // After a restart nothing is left of it anyway.
        if case .failure(let error) = result, error != .closed { self.failed(self.id) }
    }
}

extension WriteTransaction {
    /// - Parameter offset: a multiple of the size of a record.
    borrowing func putContent(
        _ bytes: [UInt8], of id: QueueID, offset: Int, in tables: Tables
    ) throws(LMDBError) {
        var start = 0
        var index = offset / IncomingContent.recordBytes
        while start < bytes.count {
            let count = min(IncomingContent.recordBytes, bytes.count - start)
            try self.put(bytes: count + 1, at: ContentKey(id, record: index), in: tables.content) { place in
                place[0] = contentFormat
                bytes.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(rebasing: place[1...])
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + count]))
                }
            }
            start += count
            index += 1
        }
    }

    borrowing func store(
        _ new: NewMessage, record: [UInt8], in tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        let message = new.message
        try self.putContent(new.tail, of: message.id, offset: new.tailOffset, in: tables)
        try self.putContent(
            new.head, of: message.id, offset: ContentKey.firstOfHead * IncomingContent.recordBytes, in: tables)
        try self.put(record, at: message.id.key, in: tables.messages)
        if new.wasAppended { try self.delete(message.id.key, in: tables.receiving) }
        guard !message.progress.isHeld else {
            try self.put(message.progress.encoded(), at: message.id.key, in: tables.progress)
            return []
        }
        let shared = new.wasAppended || new.tail.count > StoreJob.sharedContentBytes ? nil : new.tail
        var changes: [ScheduleChange] = []
        for lane in message.progress.occupiedLanes {
            try self.put([], at: LaneKey(lane: lane.name, due: lane.due, id: message.id).bytes, in: tables.lanes)
            changes.append(
                .added(message.id, lane: lane.name, due: lane.due, message: shared.map { (message, content: $0) }))
        }
        return changes
    }

    /// Removes every trace of a message whose lanes are these.
    borrowing func remove(_ id: QueueID, lanes: [Progress.Lane], in tables: Tables) throws(LMDBError)
        -> [ScheduleChange]
    {
        try self.delete(id.key, in: tables.messages)
        try self.delete(id.key, in: tables.progress)
        try self.deleteAll(prefix: id.key, in: tables.content)
        return try self.unschedule(id, lanes, in: tables)
    }

    borrowing func unschedule(
        _ id: QueueID, _ lanes: [Progress.Lane], in tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        var changes: [ScheduleChange] = []
        for lane in lanes where try self.delete(LaneKey(lane: lane.name, due: lane.due, id: id).bytes, in: tables.lanes)
        {
            changes.append(.removed(id, lane: lane.name))
        }
        return changes
    }

    borrowing func schedule(
        _ id: QueueID, _ lanes: [Progress.Lane], in tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        var changes: [ScheduleChange] = []
        for lane in lanes {
            try self.put([], at: LaneKey(lane: lane.name, due: lane.due, id: id).bytes, in: tables.lanes)
            changes.append(.added(id, lane: lane.name, due: lane.due, message: nil))
        }
        return changes
    }

    /// The progress of a message as it is now; nil if nothing has been written of it. Throws `corrupted` if it
    /// cannot be read.
    borrowing func progress(of id: QueueID, in tables: Tables) throws(LMDBError) -> Progress? {
        try self.get(id.key, in: tables.progress) { record throws(LMDBError) in
            do { return try Progress(record: record) } catch { throw LMDBError.corrupted }
        }
    }
}
