import Logging
import Synchronization

/// Tells systemd that the daemon still works (sd_watchdog_enabled(3)): only when each of its parts has answered since
/// it was last told. A part that hangs ends that, and systemd ends the process and starts another.
package struct Watchdog: Sendable {
    /// Something that has a thread of its own, or some.
    package struct Part: Sendable {
        let name: String
        /// Has the part call the closure as soon as it gets to it. May never.
        let ask: @Sendable (_ answer: @escaping @Sendable () -> Void) -> Void

        package init(_ name: String, _ ask: @escaping @Sendable (_ answer: @escaping @Sendable () -> Void) -> Void) {
            self.name = name
            self.ask = ask
        }
    }

    private let parts: [Part]
    private let tell: @Sendable () async -> Void
    private let complain: @Sendable (_ silent: [String]) -> Void

    /// - Parameters:
    ///   - tell: after all have answered.
    ///   - complain: those that have not after half the time that systemd gives us.
    package init(
        _ parts: [Part], tell: @escaping @Sendable () async -> Void,
        complain: @escaping @Sendable (_ silent: [String]) -> Void
    ) {
        self.parts = parts
        self.tell = tell
        self.complain = complain
    }

    /// Asks and tells until the task is cancelled.
    ///
    /// - Parameter interval: between two times; half of what systemd waits for, so that the other half is left for the
    ///   answers.
    func run(every interval: Duration) async {
        while !Task.isCancelled {
            await self.ask(patience: interval / 2)
            try? await Task.sleep(for: interval)  // Throws when the task is cancelled, which ends the loop.
        }
    }

    /// Asks all at once, and tells when all have answered; returns without that when the task is cancelled.
    package func ask(patience: Duration) async {
        let silent = Silent(self.parts.indices)
        let (answers, continuation) = AsyncStream<Int>.makeStream()
        for (index, part) in self.parts.enumerated() { part.ask { continuation.yield(index) } }
        await withTaskGroup { group in
            group.addTask {
                // A cancelled sleep throws: nobody waits any more.
                guard (try? await Task.sleep(for: patience)) != nil else { return }
                self.complain(silent.indices.map { self.parts[$0].name })
            }
            for await index in answers where silent.remove(index) { break }
            group.cancelAll()
        }
        if silent.indices.isEmpty { await self.tell() }
    }

    /// The parts that have not answered yet.
    private final class Silent: Sendable {
        private let parts: Mutex<Set<Int>>

        init(_ indices: Range<Int>) { self.parts = Mutex(Set(indices)) }

        var indices: [Int] { self.parts.withLock { $0.sorted() } }

        /// - Returns: whether it was the last.
        func remove(_ index: Int) -> Bool {
            self.parts.withLock { parts in
                parts.remove(index)
                return parts.isEmpty
            }
        }
    }
}
