import LMDB
import Mail
import Synchronization

/// What an administrator asked for.
final class OperateJob: WriteJob, @unchecked Sendable {
    private let operation: QueueOperation
    private let ids: [QueueID]
    private let now: Timestamp
    private let completion: @Sendable (Result<[QueueID], QueueError>) -> Void
    /// Of the last run of `apply`, which is the one that was committed.
    private var changed: [QueueID] = []

    init(
        _ operation: QueueOperation, _ ids: [QueueID], now: Timestamp,
        completion: @escaping @Sendable (Result<[QueueID], QueueError>) -> Void
    ) {
        self.operation = operation
        self.ids = ids
        self.now = now
        self.completion = completion
    }

    override var bytes: Int { self.ids.count * 4096 }

    override func finished(_ result: Result<Void, QueueError>) {
        self.completion(result.map { self.changed })
    }

    override func apply(
        _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        self.changed = []
        var changes: [ScheduleChange] = []
        for id in self.ids {
            guard let progress = try transaction.currentProgress(of: id, in: tables) else { continue }
            if let done = try self.operate(id, progress, transaction, tables) {
                changes += done
                self.changed.append(id)
            }
        }
        return changes
    }

    /// nil if there is nothing to change.
    private func operate(
        _ id: QueueID, _ progress: Progress, _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange]? {
        var progress = progress
        let occupied = progress.occupiedLanes
        switch self.operation {
        case .delete: return try transaction.remove(id, lanes: occupied, in: tables)
        case .hold:
            guard !progress.isHeld else { return nil }
            progress.isHeld = true
            try transaction.put(progress.encoded(), at: id.key, in: tables.progress)
            return try transaction.unschedule(id, occupied, in: tables)
        case .release:
            guard progress.isHeld else { return nil }
        case .retry:
            guard !progress.isHeld else { return nil }
        }
        progress.isHeld = false
        for index in progress.lanes.indices { progress.lanes[index].due = self.now }
        try transaction.put(progress.encoded(), at: id.key, in: tables.progress)
        let removed = try transaction.unschedule(id, occupied, in: tables)
        return removed + (try transaction.schedule(id, progress.occupiedLanes, in: tables))
    }
}

/// Moves recipients into the lanes that the present routes give them.
final class RelaneJob: WriteJob, @unchecked Sendable {
    private let ids: [QueueID]
    private let naming: LaneNaming
    private let completion: @Sendable (Result<Void, QueueError>) -> Void

    init(_ ids: [QueueID], naming: LaneNaming, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void) {
        self.ids = ids
        self.naming = naming
        self.completion = completion
    }

    override var bytes: Int { self.ids.count * 1024 }

    override func finished(_ result: Result<Void, QueueError>) { self.completion(result) }

    override func apply(
        _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        var changes: [ScheduleChange] = []
        for id in self.ids {
            guard let message = try transaction.message(id, in: tables) else { continue }
            let after = message.progress.relaned(self.names(of: message))
            guard after != message.progress else { continue }
            try transaction.put(after.encoded(), at: id.key, in: tables.progress)
            guard !after.isHeld else { continue }
            changes += try transaction.unschedule(id, message.progress.occupiedLanes, in: tables)
            changes += try transaction.schedule(id, after.occupiedLanes, in: tables)
        }
        return changes
    }
}

extension RelaneJob {
    private func names(of message: QueuedMessage) -> [String] {
        message.envelope.recipients.indices.map { index in
            let present = message.progress.lanes[message.progress.recipients[index].lane].name
            let goesItsOwnWay = LaneNaming.destination(ofFiltered: LaneNaming.requirement(ofLane: present).lane) != nil
            guard !goesItsOwnWay else { return present }
            let name = self.naming.name(message.envelope.recipients[index].mailbox)
            return LaneNaming.lane(name, for: message.envelope.parameters.tls)
        }
    }
}

extension Progress {
    /// The same with each recipient in the lane of this name, due when it was due.
    func relaned(_ names: [String]) -> Progress {
        var progress = self
        progress.lanes = []
        for (index, name) in names.enumerated() {
            let due = self.lanes[self.recipients[index].lane].due
            if let lane = progress.lanes.firstIndex(where: { $0.name == name }) {
                progress.recipients[index].lane = lane
            } else {
                progress.recipients[index].lane = progress.lanes.count
                progress.lanes.append(Lane(name: name, due: due))
            }
        }
        return progress
    }
}

extension WriteTransaction {
    /// The progress of a message, also one that nothing was written of; nil without a message, or a readable one.
    borrowing func currentProgress(of id: QueueID, in tables: Tables) throws(LMDBError) -> Progress? {
        try self.message(id, in: tables)?.progress
    }

    /// nil also for one that cannot be read; readers set it aside.
    borrowing func message(_ id: QueueID, in tables: Tables) throws(LMDBError) -> QueuedMessage? {
        let progress = try self.progress(of: id, in: tables)
        return try self.get(id.key, in: tables.messages) { record in
            try? QueuedMessage(id: id, record: record, progress: progress)  // See above.
        } ?? nil
    }
}
