import Foundation

/// Asks until there is an answer. The pauses grow from 1 to 20 ms.
///
/// - Parameter what: what is waited for, as it reads behind "waited for".
/// - Throws: when there is no answer in time, or what `answer` throws.
@discardableResult
package func eventually<Answer>(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(30), _ answer: () throws -> Answer?
) throws -> Answer {
    let deadline = ContinuousClock.now + limit
    var pauseMicroseconds: UInt32 = 1000
    while true {
        // Looked at before the answer is asked for: a machine that was busy gets one more try.
        let isLast = ContinuousClock.now >= deadline
        if let answer = try answer() { return answer }
        guard !isLast else { throw HarnessError("waited for \(what()) in vain for \(limit)") }
        usleep(pauseMicroseconds)
        pauseMicroseconds = min(pauseMicroseconds * 2, 20_000)
    }
}

/// Asks until it is so.
package func eventually(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(30), _ isSo: () throws -> Bool
) throws {
    try eventually(what(), within: limit) { try isSo() ? () : nil }
}

/// Runs something that blocks on a thread of its own.
///
/// Tasks share as many threads as there are cores. A test that runs a server in its own process must not wait
/// for it on one of those: two such tests at once, on two cores, would leave none to the servers. It stays in the
/// test's task, so that what it complains of is the test's.
package func onOwnThread<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
    try await withTaskExecutorPreference(OwnThreadExecutor()) { try body() }
}

/// Runs tasks apart from all others, for those that something else is waiting for.
///
/// The threads that tasks share are taken, for minutes at times, by tests that block; what a task does behind them
/// comes too late for whoever reckons in seconds.
package final class OwnThreadExecutor: TaskExecutor {
    /// Queues of one's own get threads of their own.
    private let queue = DispatchQueue(label: "tasks of a test")

    package init() {}

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
