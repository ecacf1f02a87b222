internal import Glibc
package import Polling
private import Synchronization

/// A thread that looks after something that is kept: cleans it up at the start and then at an interval, and writes what
/// waits, some time after there is something or at once when it is much.
package final class UpkeepThread: Sendable {
    package struct Work: Sendable {
        /// Whether anything waits to be written, and whether that is too much to wait for the interval.
        package let waiting: @Sendable () -> (isAny: Bool, isMuch: Bool)
        package let write: @Sendable () -> Void
        package let cleanUp: @Sendable () -> Void
        /// Asked after writing: whether cleaning up cannot wait for its interval.
        package let isCleanUpDue: @Sendable () -> Bool

        package init(
            waiting: @escaping @Sendable () -> (isAny: Bool, isMuch: Bool), write: @escaping @Sendable () -> Void,
            cleanUp: @escaping @Sendable () -> Void, isCleanUpDue: @escaping @Sendable () -> Bool
        ) {
            self.waiting = waiting
            self.write = write
            self.cleanUp = cleanUp
            self.isCleanUpDue = isCleanUpDue
        }
    }

    private let cleanupInterval: Duration
    private let writeInterval: Duration
    private let wakeup: Wakeup
    private let thread = Mutex<JoinableThread?>(nil)
    private let isClosed = Atomic<Bool>(false)

    /// - Parameter cleanupInterval: at least a second.
    package init(cleanupInterval: Duration, writeInterval: Duration) throws(SystemError) {
        self.cleanupInterval = max(cleanupInterval, .seconds(1))
        self.writeInterval = writeInterval
        self.wakeup = try Wakeup()
    }

    /// Once. The work is held until ``close()``.
    package func start(_ name: StaticString, _ work: Work) throws(SystemError) {
        let thread = try JoinableThread(name) { self.run(work) }
        self.thread.withLock { $0 = thread }
    }

    /// Writes what waits and ends the thread.
    package func close() {
        self.isClosed.store(true, ordering: .sequentiallyConsistent)
        self.wakeup.signal()
        self.thread.withLock { $0.take() }?.join()
    }

    /// Long work asks whether it is to go on.
    package var isOpen: Bool { !self.isClosed.load(ordering: .sequentiallyConsistent) }

    /// From any thread: there is something to write, or now it is much.
    package func signal() { self.wakeup.signal() }

    private func run(_ work: Work) {
        let clock = SuspendingClock()
        var cleanup = clock.now
        var write: SuspendingClock.Instant?
        while self.isOpen {
            let now = clock.now
            if now >= cleanup {
                work.cleanUp()
                cleanup = clock.now + self.cleanupInterval
            }
            if work.waiting().isMuch || write.map({ now >= $0 }) ?? false {
                work.write()
                if work.isCleanUpDue() { work.cleanUp() }
                write = nil
            }
            if write == nil, work.waiting().isAny { write = now + self.writeInterval }
            self.wait(clock.now.duration(to: min(cleanup, write ?? cleanup)))
        }
        work.write()
    }

    /// A signal may end it early, and nothing is due then.
    private func wait(_ duration: Duration) {
        let milliseconds = max(duration, .zero) / .milliseconds(1)
        var descriptor = pollfd(fd: self.wakeup.descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&descriptor, 1, CInt(min(milliseconds.rounded(.up), 86_400_000)))
        self.wakeup.drain()
    }
}
