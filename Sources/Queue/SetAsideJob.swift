import LMDB
import Mail

/// Takes a message that cannot be read out of everybody's way. Its records go to `damaged`, its content stays
/// where it is, and `fsck --salvage` gets at both. An entry of a lane that leads nowhere is just removed.
final class SetAsideJob: WriteJob, @unchecked Sendable {
    private let id: QueueID
    private let reason: String
    private let laneKey: [UInt8]?
    private let events: EventSink

    init(_ id: QueueID, reason: String, laneKey: [UInt8]?, events: EventSink) {
        self.id = id
        self.reason = reason
        self.laneKey = laneKey
        self.events = events
    }

    override var bytes: Int { 8192 }

    override func apply(
        _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        let copy = { (bytes: UnsafeRawBufferPointer) in Array(bytes) }
        if let record = try transaction.get(self.id.key, in: tables.messages, copy) {
            let progress = try transaction.get(self.id.key, in: tables.progress, copy) ?? []
            let aside = DamagedRecord(reason: self.reason, message: record, progress: progress)
            try transaction.put(aside.bytes, at: self.id.key, in: tables.damaged)
            try transaction.delete(self.id.key, in: tables.messages)
            try transaction.delete(self.id.key, in: tables.progress)
        }
        guard let key = self.laneKey, try transaction.delete(key, in: tables.lanes) else { return [] }
        let lane = key.withUnsafeBytes { LaneKey($0)?.lane }
        return lane.map { [.removed(self.id, lane: $0)] } ?? []
    }

    override func finished(_ result: Result<Void, QueueError>) {
        if case .success = result { self.events.record(.damaged(self.id, detail: self.reason)) }
    }
}
