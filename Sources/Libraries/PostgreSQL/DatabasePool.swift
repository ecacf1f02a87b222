internal import Glibc
package import Polling
internal import Synchronization

/// How a data base is asked.
package struct DatabaseSettings: Sendable {
    /// Threads, each with a connection of its own.
    package var connections = 4
    /// Questions that wait for one of them.
    package var waiting = 1000
    package var connectTimeout = Duration.seconds(5)
    /// From the question to its answer, waiting included; the server gives up a statement as well.
    package var timeout = Duration.seconds(10)
    /// After which a connection that nobody uses is closed.
    package var idle = Duration.seconds(60)
    /// How long a server that failed is left alone if there are others. The only one is tried again at once.
    package var retry = Duration.seconds(60)

    package init() {}
}

/// Asks one of several servers that hold the same, on threads of its own: libpq looks names up and blocks as it does.
///
/// It lives, with its threads, until ``close()``.
package final class DatabasePool: Sendable {
    package typealias Completion = @Sendable (Result<DatabaseRows, DatabaseError>) -> Void

    private let targets: [DatabaseTarget]
    private let settings: DatabaseSettings
    private let wakeup: Wakeup
    private let threads = Mutex<[JoinableThread]>([])
    private let shared: Mutex<Shared>

    private struct Job {
        let statement: String
        let parameters: [String]
        let deadline: UInt64
        let completion: Completion
    }

    private struct Shared {
        var jobs: [Job] = []
        /// Until when a target is left alone, by its place.
        var resting: [UInt64]
        var isClosed = false
    }

    /// - Parameter targets: at least one.
    /// - Throws: if there can be no threads.
    package init(_ targets: [DatabaseTarget], settings: DatabaseSettings = DatabaseSettings()) throws(SystemError) {
        self.targets = targets
        self.settings = settings
        self.wakeup = try Wakeup()
        self.shared = Mutex(Shared(resting: targets.map { _ in 0 }))
        for _ in 0..<max(settings.connections, 1) {
            let thread: JoinableThread
            do throws(SystemError) { thread = try JoinableThread("postgresql") { self.work() } } catch {
                self.close()
                throw error
            }
            self.threads.withLock { $0.append(thread) }
        }
    }

    /// Asks; the completion is called on a thread of the pool, or at once if there is no room.
    ///
    /// - Parameter parameters: the values of `$1`, `$2`, …; without NUL.
    package func query(_ statement: String, _ parameters: [String], _ completion: @escaping Completion) {
        let job = Job(
            statement: statement, parameters: parameters, deadline: Self.deadline(self.settings.timeout),
            completion: completion)
        let refusal = self.shared.withLock { shared -> DatabaseError? in
            if shared.isClosed { return .closed }
            guard shared.jobs.count < self.settings.waiting else { return .busy }
            shared.jobs.append(job)
            return nil
        }
        if let refusal { return completion(.failure(refusal)) }
        self.wakeup.signal()
    }

    package func query(
        _ statement: String, _ parameters: [String] = []
    ) async -> Result<DatabaseRows, DatabaseError> {
        await withCheckedContinuation { continuation in
            self.query(statement, parameters) { continuation.resume(returning: $0) }
        }
    }

    /// Answers what waits with an error, and ends the threads.
    package func close() {
        let jobs = self.shared.withLock { shared in
            shared.isClosed = true
            defer { shared.jobs = [] }
            return shared.jobs
        }
        for job in jobs { job.completion(.failure(.closed)) }
        self.wakeup.signal()
        for thread in self.threads.withLock({ threads in
            defer { threads = [] }
            return threads
        }) { thread.join() }
    }

    private static func deadline(_ limit: Duration) -> UInt64 {
        let (seconds, attoseconds) = limit.components
        return MonotonicTime.now &+ UInt64(clamping: seconds) &* 1_000_000_000
            &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }

    // MARK: A thread

    private enum Next {
        case run(Job)
        case wait
        case end
    }

    private func work() {
        var connection: (Connection, target: Int)?
        var idleSince = MonotonicTime.now
        while true {
            switch self.next() {
            case .end: return
            case .run(let job):
                job.completion(self.run(job, &connection))
                idleSince = MonotonicTime.now
            case .wait:
                let (seconds, _) = self.settings.idle.components
                let closing = idleSince &+ UInt64(clamping: seconds) &* 1_000_000_000
                if connection != nil, MonotonicTime.now >= closing { connection = nil }
                self.wait(until: connection == nil ? nil : closing)
            }
        }
    }

    private func next() -> Next {
        self.wakeup.drain()
        let (next, isMore) = self.shared.withLock { shared -> (Next, Bool) in
            if shared.isClosed { return (.end, true) }
            guard !shared.jobs.isEmpty else { return (.wait, false) }
            return (.run(shared.jobs.removeFirst()), !shared.jobs.isEmpty)
        }
        // What was drained may have been meant for another thread.
        if isMore { self.wakeup.signal() }
        return next
    }

    private func wait(until deadline: UInt64?) {
        let now = MonotonicTime.now
        let milliseconds = deadline.map { $0 > now ? Int32(clamping: ($0 - now) / 1_000_000 + 1) : 0 } ?? -1
        var descriptor = pollfd(fd: self.wakeup.descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&descriptor, 1, milliseconds)
    }

    /// Asks over the connection there is, and over a new one if that broke.
    private func run(
        _ job: Job, _ connection: inout (Connection, target: Int)?
    ) -> Result<DatabaseRows, DatabaseError> {
        guard MonotonicTime.now < job.deadline else { return .failure(.timedOut("waiting for a connection")) }
        if connection?.0.isStale ?? false { connection = nil }
        var last = DatabaseError.unreachable("every server has just failed")
        let reused = connection?.target
        if let (open, target) = connection {
            switch self.ask(open, job) {
            case .success(let rows): return .success(rows)
            case .failure(let error):
                if case .refused = error { return .failure(error) }
                connection = nil
                last = error
                self.rest(target)
                if case .timedOut = error { return .failure(error) }
            }
        }
        for target in self.candidates(after: reused) {
            do throws(DatabaseError) {
                let open = try Connection(
                    self.targets[target], statementTimeout: self.settings.timeout,
                    deadline: min(job.deadline, Self.deadline(self.settings.connectTimeout)))
                let rows = try open.query(job.statement, job.parameters, deadline: job.deadline)
                connection = (open, target)
                return .success(rows)
            } catch {
                if case .refused = error { return .failure(error) }
                last = error
                self.rest(target)
            }
        }
        return .failure(last)
    }

    private func ask(_ connection: Connection, _ job: Job) -> Result<DatabaseRows, DatabaseError> {
        do throws(DatabaseError) {
            return .success(try connection.query(job.statement, job.parameters, deadline: job.deadline))
        } catch { return .failure(error) }
    }

    private func rest(_ target: Int) {
        let end = Self.deadline(self.settings.retry)
        self.shared.withLock { $0.resting[target] = end }
    }

    /// The targets that may be tried, in an order left to chance. The only one there is always may.
    private func candidates(after failed: Int?) -> [Int] {
        guard self.targets.count > 1 else { return [0] }
        let now = MonotonicTime.now
        return self.shared.withLock { shared in
            self.targets.indices.filter { shared.resting[$0] <= now && $0 != failed }
        }.shuffled()
    }
}
