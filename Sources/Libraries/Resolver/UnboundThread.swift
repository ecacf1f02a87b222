internal import CSystem
internal import CUnbound
internal import Glibc
internal import Polling
internal import Synchronization

/// The thread that libunbound lives on.
///
/// `@unchecked Sendable`: the thread that makes it hands it to the one it starts, and does not touch it any more.
/// libunbound allows its context to be used by any one thread at a time.
final class UnboundThread: @unchecked Sendable {
    private let table: QueryTable
    private let end: ThreadEnd
    private let base: EventBase
    /// Nil only at the end of the thread.
    private var context: UnboundContext?

    init(_ options: ResolverOptions, _ table: QueryTable, _ end: ThreadEnd) throws(ResolverError) {
        self.table = table
        self.end = end
        do { self.base = try EventBase(wakeup: table.wakeup) } catch { throw ResolverError(error) }
        self.context = try UnboundContext(options, on: self.base)
    }

    func start() throws(ResolverError) -> pthread_t {
        let retained = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { UnboundThread.run(Unmanaged.fromOpaque(argument)) }
                return nil
            }, retained.toOpaque())
        guard code == 0 else {
            retained.release()
            throw .system(call: "pthread_create", code: code)
        }
        return thread
    }

    private static func run(_ retained: Unmanaged<UnboundThread>) {
        system_name_this_thread("resolver")
        // Signals are for other threads, and a TCP connection that a name server has closed is no reason to die.
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)

        let end = retained._withUnsafeGuaranteedRef { thread in
            thread.work()
            return thread.end
        }
        retained.release()
        end.signal()
    }

    private func work() {
        while let (questions, nextExpiry) = self.table.takeStarting() {
            for question in questions {
                self.context?.resolve(question) { self.table.finish(question, $0) }
            }
            self.base.turn(until: nextExpiry)
        }
        self.context = nil
    }
}

/// That the thread has freed everything.
final class ThreadEnd: Sendable {
    private enum State {
        case running([CheckedContinuation<Void, Never>])
        case over
    }

    private let state = Mutex(State.running([]))

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOver = self.state.withLock { state in
                guard case .running(let waiting) = state else { return true }
                state = .running(waiting + [continuation])
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    func signal() {
        let waiting = self.state.withLock { state in
            defer { state = .over }
            if case .running(let waiting) = state { return waiting }
            return []
        }
        for continuation in waiting { continuation.resume() }
    }
}
