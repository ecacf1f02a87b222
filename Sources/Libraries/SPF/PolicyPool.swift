internal import Glibc
package import Polling
internal import Synchronization

/// Evaluates policies with libspf2, on threads of its own: libspf2 blocks while it asks.
///
/// It lives, with its threads, until ``close()``.
package final class PolicyPool: Sendable {
    /// From a thread of the pool, which it may block.
    package typealias Lookup = @Sendable (PolicyQuestion) -> PolicyAnswer
    /// Nil: there was no room, or the pool is closed.
    package typealias Completion = @Sendable (PolicyVerdict?) -> Void

    private struct Job {
        let ticket: Ticket
        let name: String
        let client: PolicyClient
        let limits: PolicyLimits
        let lookup: Lookup
        let completion: Completion
    }

    /// An evaluation that may still wait for its thread.
    package struct Ticket: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    private struct Shared {
        var jobs: [Job] = []
        var lastNumber: UInt64 = 0
        var isClosed = false
    }

    private let wakeup: Wakeup
    private let waiting: Int
    private let shared = Mutex(Shared())
    private let threads = Mutex<[JoinableThread]>([])

    /// - Parameters:
    ///   - threads: how many evaluations run at once.
    ///   - waiting: how many may wait for one of them.
    /// - Throws: if there can be no threads.
    package init(threads count: Int = 4, waiting: Int = 1000) throws(SystemError) {
        self.wakeup = try Wakeup()
        self.waiting = waiting
        for _ in 0..<max(count, 1) {
            let thread: JoinableThread
            do throws(SystemError) { thread = try JoinableThread("spf") { self.work() } } catch {
                self.close()
                throw error
            }
            self.threads.withLock { $0.append(thread) }
        }
    }

    /// Evaluates the policy of a name for a client. The completion is called once, on a thread of the pool, or at once
    /// if there is no room. Its time begins when a thread takes it; how long it waits for one is up to the caller.
    @discardableResult
    package func evaluate(
        _ name: String, for client: PolicyClient, limits: PolicyLimits = PolicyLimits(), lookup: @escaping Lookup,
        completion: @escaping Completion
    ) -> Ticket {
        let (ticket, isTaken) = self.shared.withLock { shared in
            shared.lastNumber += 1
            let ticket = Ticket(number: shared.lastNumber)
            guard !shared.isClosed, shared.jobs.count < self.waiting else { return (ticket, false) }
            shared.jobs.append(
                Job(
                    ticket: ticket, name: name, client: client, limits: limits, lookup: lookup, completion: completion))
            return (ticket, true)
        }
        isTaken ? self.wakeup.signal() : completion(nil)
        return ticket
    }

    /// Gives up an evaluation that no thread has taken yet: there is no verdict. From any thread.
    package func withdraw(_ ticket: Ticket) {
        let job = self.shared.withLock { shared in
            shared.jobs.firstIndex { $0.ticket == ticket }.map { shared.jobs.remove(at: $0) }
        }
        job?.completion(nil)
    }

    /// Ends the threads, once what they are at has ended; what waits gets no verdict. Not from one of them.
    package func close() {
        let jobs = self.shared.withLock { shared in
            shared.isClosed = true
            defer { shared.jobs = [] }
            return shared.jobs
        }
        for job in jobs { job.completion(nil) }
        self.wakeup.signal()
        for thread in self.threads.withLock({ threads in
            defer { threads = [] }
            return threads
        }) { thread.join() }
    }

    // MARK: A thread

    private enum Next {
        case run(Job)
        case wait
        case end
    }

    private func work() {
        var server: PolicyServer?
        while true {
            switch self.next() {
            case .end: return
            case .run(let job):
                // Made when it is needed; without memory for it there is no verdict now, but perhaps later.
                if server == nil { server = try? PolicyServer() }
                job.completion(server?.evaluate(job.name, job.client, job.limits, job.lookup))
            case .wait:
                var descriptor = pollfd(fd: self.wakeup.descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&descriptor, 1, -1)
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
}
