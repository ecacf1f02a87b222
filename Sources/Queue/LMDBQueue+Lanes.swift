import Dispatch
import LMDB
import Mail
import Synchronization

extension LMDBQueue {
    private static let fingerprintKey = Array("lanes".utf8)
    private static let pageSize = 500

    /// Puts every recipient into the lane that the routes of a generation give it, if that has changed.
    ///
    /// Blocks; new messages may arrive meanwhile if they are named by these routes already.
    /// - Parameter fingerprint: tells apart namings that differ.
    package func nameLanes(_ naming: LaneNaming, fingerprint: [String]) throws(QueueError) {
        let mark = Array(fingerprint.joined(separator: "\n").utf8)
        var known: [UInt8]?
        try self.read { transaction throws(LMDBError) in
            known = try transaction.get(Self.fingerprintKey, in: self.tables.meta) { Array($0) }
        }
        // A queue that was never named otherwise has the lanes of a table without addresses.
        guard known ?? [] != mark else { return }
        var end: QueueID?
        repeat {
            let page = try self.messages(after: end, limit: Self.pageSize)
            try self.waitFor { self.submit(RelaneJob(page.messages.map(\.id), naming: naming, completion: $0)) }
            end = page.end
        } while end != nil
        try self.waitFor { self.submit(MarkJob(mark, key: Self.fingerprintKey, completion: $0)) }
    }

    private func waitFor(
        _ start: (@escaping @Sendable (Result<Void, QueueError>) -> Void) -> Void
    ) throws(QueueError) {
        let done = DispatchSemaphore(value: 0)
        let outcome = Mutex<Result<Void, QueueError>>(.failure(.closed))
        start { result in
            outcome.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        try outcome.withLock { $0 }.get()
    }
}

/// Writes a value into `meta`.
private final class MarkJob: WriteJob, @unchecked Sendable {
    private let value: [UInt8]
    private let key: [UInt8]
    private let completion: @Sendable (Result<Void, QueueError>) -> Void

    init(_ value: [UInt8], key: [UInt8], completion: @escaping @Sendable (Result<Void, QueueError>) -> Void) {
        self.value = value
        self.key = key
        self.completion = completion
    }

    override func apply(
        _ transaction: borrowing WriteTransaction, _ tables: Tables
    ) throws(LMDBError) -> [ScheduleChange] {
        try transaction.put(self.value, at: self.key, in: tables.meta)
        return []
    }

    override func finished(_ result: Result<Void, QueueError>) { self.completion(result) }
}
