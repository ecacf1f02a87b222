import LMDB
import Mail

/// What came of an attempt. Works on the progress as it is on the disk, not as it was leased: the administrator
/// may have held or deleted the message meanwhile, and other lanes of it may have been settled.
final class SettleJob: WriteJob, @unchecked Sendable {
    private let settlement: Settlement
    private let notices: [(NewMessage, record: [UInt8])]
    private let completion: @Sendable (Result<Void, QueueError>) -> Void

    init(_ settlement: Settlement, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void) {
        self.settlement = settlement
        self.notices = settlement.notices.map { ($0, record: $0.message.encoded()) }
        self.completion = completion
    }

    /// A delivery that is forgotten in a crash is made twice, so this waits hardly at all; but one flush for it
    /// and the next message that comes in is better than two.
    override var delay: Duration { .milliseconds(2) }

    override var bytes: Int { self.notices.reduce(512) { $0 + $1.record.count + $1.0.tail.count } }

    override func finished(_ result: Result<Void, QueueError>) { self.completion(result) }

    override func apply(
        _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        let message = self.settlement.message
        guard try transaction.get(message.id.key, in: tables.messages, { _ in true }) ?? false else { return [] }
        let before = try transaction.progress(of: message.id, in: tables) ?? message.initialProgress
        guard self.isStillTrue(before) else { return [] }
        var changes = try self.update(before, transaction, tables)
        for (notice, record) in self.notices { changes += try transaction.store(notice, record: record, in: tables) }
        return changes
    }

    private func isStillTrue(_ progress: Progress) -> Bool {
        guard let condition = self.settlement.condition else { return true }
        return !progress.isHeld && !(self.settlement.notifiesDelay && progress.wasDelayNotified)
            && condition.allSatisfy {
                progress.recipients.indices.contains($0) && progress.recipients[$0].status == .waiting
            }
    }

    private func update(
        _ before: Progress, _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        let id = self.settlement.message.id
        let after = before.settled(self.settlement)
        if after.isFinished { return try transaction.remove(id, lanes: before.occupiedLanes, in: tables) }
        try transaction.put(after.encoded(), at: id.key, in: tables.progress)
        guard !before.isHeld else { return [] }
        let (old, new) = (before.occupiedLanes, after.occupiedLanes)
        let removed = try transaction.unschedule(id, old.filter { !new.contains($0) }, in: tables)
        return removed + (try transaction.schedule(id, new.filter { !old.contains($0) }, in: tables))
    }
}

extension QueuedMessage {
    /// The progress that a message without progress record has.
    var initialProgress: Progress {
        var progress = Progress(
            lanes: self.progress.lanes.map { Progress.Lane(name: $0.name, due: self.arrival) },
            recipients: self.progress.recipients.map { Progress.RecipientState(lane: $0.lane) })
        progress.isHeld = false
        return progress
    }
}

extension Progress {
    /// With the results of an attempt. Recipients that are done with already stay as they are.
    package func settled(_ settlement: Settlement) -> Progress {
        var progress = self
        for result in settlement.results where progress.recipients.indices.contains(result.recipient) {
            var state = progress.recipients[result.recipient]
            guard state.status == .waiting else { continue }
            if settlement.condition == nil {
                state.attempts += 1
                state.lastAttempt = settlement.time
            }
            state.lastReply = result.reply
            state.lastRemote = result.remote
            switch result.result {
            case .delivered: state.status = .delivered
            case .failed: state.status = .failed
            case .deferred(let due): progress.lanes[state.lane].due = due
            }
            progress.recipients[result.recipient] = state
        }
        if settlement.notifiesDelay { progress.wasDelayNotified = true }
        return progress
    }
}
