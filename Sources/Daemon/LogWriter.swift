import Glibc
import Mail
package import Polling
import Queue
import Synchronization

/// Where log lines go: standard error or the journal, written by a thread of its own so that nobody waits for it.
///
/// Lines that come while others are being written are written together. If whoever reads the log stands still,
/// lines are dropped above a bound, and counted: mail is more important than its log.
package final class LogWriter: Sendable {
    private let inbox = Inbox<[UInt8]>()
    private let backlog = Atomic<Int>(0)
    private let lost = Atomic<Int>(0)
    private let thread: Mutex<JoinableThread?> = Mutex(nil)

    /// Octets that wait to be written, above which lines are dropped.
    private static let backlogLimit = 16 << 20

    package convenience init(descriptor: Int32 = STDERR_FILENO) throws(SystemError) {
        try self.init(descriptor: descriptor, journal: nil)
    }

    /// - Parameter journal: gets each line as an entry of its own; what it does not take goes to the descriptor.
    init(descriptor: Int32 = STDERR_FILENO, journal: Journal?) throws(SystemError) {
        let thread = try JoinableThread("log") { self.writeUntilClosed(descriptor, journal) }
        self.thread.withLock { $0 = thread }
    }

    package func write(_ line: [UInt8]) {
        guard self.backlog.load(ordering: .relaxed) < Self.backlogLimit else {
            self.lost.add(1, ordering: .relaxed)
            return
        }
        self.backlog.add(line.count, ordering: .relaxed)
        _ = self.inbox.put(line, delay: .milliseconds(10))
    }

    /// Writes what is left.
    package func close() {
        self.inbox.close()
        self.thread.withLock { $0.take() }?.join()
    }

    private func writeUntilClosed(_ descriptor: Int32, _ journal: Journal?) {
        var isJournalLost = false
        while let lines = self.inbox.take() {
            if let journal {
                Self.write(lines, journal, descriptor, &isJournalLost)
            } else {
                Self.write(lines, descriptor)
            }
            self.backlog.subtract(lines.reduce(0) { $0 + $1.count }, ordering: .relaxed)
            let lost = self.lost.exchange(0, ordering: .relaxed)
            if lost > 0 {
                Self.write([Array("\(lost) log lines were lost: nobody read them in time\n".utf8)], descriptor)
            }
        }
    }

    /// - Parameter isLost: whether it has been said that the journal takes nothing; it is asked again all the same.
    private static func write(_ entries: [[UInt8]], _ journal: Journal, _ descriptor: Int32, _ isLost: inout Bool) {
        for entry in entries {
            guard let reason = journal.send(entry) else {
                isLost = false
                continue
            }
            if !isLost {
                let text = "the journal takes no lines, they go to standard error: \(reason)\n"
                Self.write([Array(text.utf8)], descriptor)
            }
            isLost = true
            Self.write([JournalEntry.message(of: entry) + [ASCII.lineFeed]], descriptor)
        }
    }

    private static func write(_ lines: [[UInt8]], _ descriptor: Int32) {
        let bytes = Array(lines.joined())
        var start = 0
        while start < bytes.count {
            let written = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + start }, bytes.count - start)
            }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return }
            start += written
        }
    }
}
