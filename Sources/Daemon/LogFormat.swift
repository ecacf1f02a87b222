package import Mail

/// Makes lines of mail events, and of what else there is to say.
package struct LogFormat: Sendable {
    /// Of a journal: entries instead of lines.
    private enum Shape: Sendable {
        case text, json, journal
    }

    private let shape: Shape
    let clock: WallClock

    package init(_ format: LogOptions.Format, clock: WallClock) {
        self.shape =
            switch format {
            case .text: .text
            case .json: .json
            }
        self.clock = clock
    }

    private init(_ shape: Shape, clock: WallClock) {
        self.shape = shape
        self.clock = clock
    }

    /// Entries for ``Journal``.
    static func journal(clock: WallClock) -> LogFormat { LogFormat(.journal, clock: clock) }

    /// A line with its line end.
    package func line(_ event: MailEvent) -> [UInt8] {
        let fields = event.fields
        return self.line(("event", fields.event), fields.list, event.priority)
    }

    package func line(level: String, message: String, _ metadata: [(key: String, value: String)]) -> [UInt8] {
        let fields =
            [(key: "message", value: MailEvent.FieldValue.text(message))] + metadata.map { ($0.key, .text($0.value)) }
        return self.line(("level", level), fields, JournalEntry.Priority(level: level))
    }

    private typealias Fields = [(key: String, value: MailEvent.FieldValue)]

    private func line(_ first: (String, String), _ fields: Fields, _ priority: JournalEntry.Priority) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(400)
        let time = self.clock.now().rfc3339
        switch self.shape {
        case .text:
            output += "\(time) ".utf8
            Self.appendPairs(first, fields, to: &output)
        case .json:
            output += "{\"time\":\"\(time)\",\"\(first.0)\":\"\(first.1)\"".utf8
            for (key, value) in fields {
                output += ",\"".utf8
                output += key.utf8
                output += "\":".utf8
                Self.appendJSON(value, to: &output)
            }
            output.append(UInt8(ascii: "}"))
        case .journal: return Self.entry(time, first, fields, priority)
        }
        output.append(ASCII.lineFeed)
        return output
    }

    private static func appendPairs(_ first: (String, String), _ fields: Fields, to output: inout [UInt8]) {
        output += "\(first.0)=\(first.1)".utf8
        for (key, value) in fields {
            output.append(ASCII.space)
            output += key.utf8
            output.append(UInt8(ascii: "="))
            Self.appendText(value, to: &output)
        }
    }

    /// The message is the line without its time, which the journal has.
    private static func entry(
        _ time: String, _ first: (String, String), _ fields: Fields, _ priority: JournalEntry.Priority
    ) -> [UInt8] {
        var message: [UInt8] = []
        message.reserveCapacity(400)
        Self.appendPairs(first, fields, to: &message)
        var entry = JournalEntry(message: message, priority: priority)
        entry.add(key: "time", time.utf8)
        entry.add(key: first.0, first.1.utf8)
        for (key, value) in fields where key != "message" {
            if case .text(let text) = value {
                entry.add(key: key, text.utf8)
            } else {
                var number: [UInt8] = []
                Self.appendNumber(value, to: &number)
                entry.add(key: key, number)
            }
        }
        return entry.bytes
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

extension JournalEntry.Priority {
    /// By the name of a level of swift-log.
    fileprivate init(level: String) {
        switch level {
        case "trace", "debug": self = .debug
        case "notice": self = .notice
        case "warning": self = .warning
        case "error", "critical": self = .error
        case _: self = .info
        }
    }
}

extension MailEvent {
    /// What somebody has to look after is a warning; the rest is what a mail server does all day.
    fileprivate var priority: JournalEntry.Priority {
        switch self {
        case .destinationDown, .damaged, .unsigned, .reloadRefused, .alarm(_, isRaised: true): .warning
        case .refused, .screened, .tlsFailed, .noted, .queued, .attempted, .delivered, .failed, .operated,
            .destinationUp, .alarm, .started, .ended, .reloaded:
            .info
        }
    }
}
