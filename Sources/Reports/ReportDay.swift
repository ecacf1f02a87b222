package import Mail

/// A day in UTC, which is what daily reports are about (RFC 7489 §7.2, RFC 8460 §4.1).
package struct ReportDay: Hashable, Comparable, Sendable {
    /// Since 1970-01-01.
    package let number: Int32

    package init(number: Int32) {
        self.number = number
    }

    /// The day of a time.
    package init(_ time: Timestamp) {
        let seconds = time.seconds
        let days = seconds / 86_400 - (seconds % 86_400 < 0 ? 1 : 0)
        self.number = Int32(clamping: days)
    }

    package static func < (left: ReportDay, right: ReportDay) -> Bool { left.number < right.number }

    package var start: Timestamp { Timestamp(seconds: Int64(self.number) * 86_400) }
    /// The last whole second of it.
    package var lastSecond: Timestamp { Timestamp(seconds: Int64(self.number) * 86_400 + 86_399) }
    /// When the next one starts.
    package var end: Timestamp { Timestamp(seconds: Int64(self.number) * 86_400 + 86_400) }

    package func advanced(by days: Int) -> ReportDay {
        ReportDay(number: Int32(clamping: Int64(self.number) + Int64(days)))
    }
}
