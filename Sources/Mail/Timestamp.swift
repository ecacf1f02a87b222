internal import Glibc

/// A point in wall-clock time, in microseconds since 1970-01-01T00:00:00Z.
///
/// What is kept across restarts is dated with it; what only lives in this process uses a monotonic clock.
package struct Timestamp: Hashable, Comparable, Sendable {
    package let microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    package init(seconds: Int64) {
        self.microseconds = seconds * 1_000_000
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    /// Saturates, so that no configured duration can overflow.
    package static func + (left: Timestamp, right: Duration) -> Timestamp {
        let (sum, overflow) = left.microseconds.addingReportingOverflow(right.microseconds)
        return Timestamp(microseconds: overflow ? (right < .zero ? .min : .max) : sum)
    }

    package static func - (left: Timestamp, right: Duration) -> Timestamp {
        left + (.zero - right)
    }

    package static func - (left: Timestamp, right: Timestamp) -> Duration {
        let (difference, overflow) = left.microseconds.subtractingReportingOverflow(right.microseconds)
        return .microseconds(overflow ? (left < right ? .min : .max) : difference)
    }
}

extension Timestamp {
    /// Seconds since 1970, rounded down.
    package var seconds: Int64 { self.microseconds.quotientRoundedDown(by: 1_000_000) }

    /// The date in UTC: `2026-11-21T04:50:00.123Z` (RFC 3339), with milliseconds.
    package var rfc3339: String {
        let parts = CalendarTime(self)
        // The product can lie below the smallest number; the difference does not.
        let milliseconds = (self.microseconds &- self.seconds &* 1_000_000) / 1000
        return "\(parts.year.padded(4))-\(parts.month.padded(2))-\(parts.day.padded(2))T"
            + "\(parts.clock).\(Int(milliseconds).padded(3))Z"
    }

    /// The date as a header field has it: `Sat, 21 Nov 2026 04:50:00 +0000` (RFC 5322 §3.3), always in UTC.
    package var rfc5322: String {
        let parts = CalendarTime(self)
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        return "\(weekdays[parts.weekdayFromThursday]), \(parts.day) \(months[parts.month - 1]) "
            + "\(parts.year.padded(4)) \(parts.clock) +0000"
    }
}

/// The fields of a date in the proleptic Gregorian calendar, UTC.
private struct CalendarTime {
    let year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, weekdayFromThursday: Int

    /// Days to date by the usual shift of the year's start to March, which puts the leap day last.
    init(_ time: Timestamp) {
        let seconds = Int(time.seconds)
        let days = seconds.quotientRoundedDown(by: 86_400)
        let rest = seconds - days * 86_400
        let shifted = days + 719_468
        let era = shifted.quotientRoundedDown(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        self.day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        self.month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        self.year = yearOfEra + era * 400 + (self.month <= 2 ? 1 : 0)
        (self.hour, self.minute, self.second) = (rest / 3600, rest / 60 % 60, rest % 60)
        self.weekdayFromThursday = days - days.quotientRoundedDown(by: 7) * 7
    }

    var clock: String { "\(self.hour.padded(2)):\(self.minute.padded(2)):\(self.second.padded(2))" }
}

extension BinaryInteger {
    /// Division that rounds towards minus infinity, for dates before 1970.
    fileprivate func quotientRoundedDown(by divisor: Self) -> Self {
        let (quotient, remainder) = self.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

extension Int {
    /// Decimal digits, with zeros in front up to this width.
    fileprivate func padded(_ width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}

extension Duration {
    /// Whole microseconds, saturating.
    package var microseconds: Int64 {
        let (seconds, attoseconds) = self.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, overflowToo) = product.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        return overflow || overflowToo ? (seconds < 0 ? .min : .max) : sum
    }

    /// Seconds with their fraction, for logs and reports.
    package var inSeconds: Double { Double(self.microseconds) / 1e6 }
}

/// Where the wall-clock time comes from. A value, so that a test can let ten days pass at once.
package struct WallClock: Sendable {
    package let now: @Sendable () -> Timestamp

    package init(now: @escaping @Sendable () -> Timestamp) {
        self.now = now
    }

    package static let system = WallClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
}
