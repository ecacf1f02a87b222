import Foundation
package import Mail
package import Polling
import Queue
import Synchronization

/// Where log lines go: standard error, written by a thread of its own so that nobody waits for it.
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

    package init(descriptor: Int32 = STDERR_FILENO) throws(SystemError) {
        let thread = try JoinableThread("log") { self.writeUntilClosed(descriptor) }
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

    private func writeUntilClosed(_ descriptor: Int32) {
        while let lines = self.inbox.take() {
            Self.write(lines, descriptor)
            self.backlog.subtract(lines.reduce(0) { $0 + $1.count }, ordering: .relaxed)
            let lost = self.lost.exchange(0, ordering: .relaxed)
            if lost > 0 {
                Self.write([Array("\(lost) log lines were lost: nobody read them in time\n".utf8)], descriptor)
            }
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

/// Makes lines of mail events, and of what else there is to say.
package struct LogFormat: Sendable {
    let format: LogOptions.Format
    let clock: WallClock

    package init(_ format: LogOptions.Format, clock: WallClock) {
        self.format = format
        self.clock = clock
    }

    /// A line with its line end.
    package func line(_ event: MailEvent) -> [UInt8] {
        let fields = event.fields
        return self.line(("event", fields.event), fields.list)
    }

    package func line(level: String, message: String, _ metadata: [(key: String, value: String)]) -> [UInt8] {
        let fields =
            [(key: "message", value: MailEvent.FieldValue.text(message))] + metadata.map { ($0.key, .text($0.value)) }
        return self.line(("level", level), fields)
    }

    private func line(_ first: (String, String), _ fields: [(key: String, value: MailEvent.FieldValue)]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(400)
        let time = self.clock.now().rfc3339
        switch self.format {
        case .text:
            output += "\(time) \(first.0)=\(first.1)".utf8
            for (key, value) in fields {
                output.append(ASCII.space)
                output += key.utf8
                output.append(UInt8(ascii: "="))
                Self.appendText(value, to: &output)
            }
        case .json:
            output += "{\"time\":\"\(time)\",\"\(first.0)\":\"\(first.1)\"".utf8
            for (key, value) in fields {
                output += ",\"".utf8
                output += key.utf8
                output += "\":".utf8
                Self.appendJSON(value, to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
        output.append(ASCII.lineFeed)
        return output
    }

    private static func appendText(_ value: MailEvent.FieldValue, to output: inout [UInt8]) {
        guard case .text(let text) = value else { return Self.appendNumber(value, to: &output) }
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy { $0 > ASCII.space && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        guard !isPlain else {
            output += text.utf8
            return
        }
        Self.appendQuoted(text, to: &output)
    }

    private static func appendJSON(_ value: MailEvent.FieldValue, to output: inout [UInt8]) {
        guard case .text(let text) = value else { return Self.appendNumber(value, to: &output) }
        Self.appendQuoted(text, to: &output)
    }

    /// Texts of events have no control characters any more; others may.
    private static func appendQuoted(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
            case ..<0x20: output += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    private static func appendNumber(_ value: MailEvent.FieldValue, to output: inout [UInt8]) {
        switch value {
        case .text: break
        case .integer(let number): output += String(number).utf8
        case .seconds(let seconds):
            // Three places, without a formatter.
            let milliseconds = Int((abs(seconds) * 1000).rounded())
            let fraction = String(milliseconds % 1000)
            let sign = seconds < 0 && milliseconds > 0 ? "-" : ""
            let zeros = String(repeating: "0", count: 3 - fraction.count)
            output += "\(sign)\(milliseconds / 1000).\(zeros)\(fraction)".utf8
        }
    }
}
