package import Mail

/// When the reports of a day are made: some hours after its end, and not all hosts of the world at once.
package struct ReportSchedule: Hashable, Sendable {
    /// Behind the end of a day. What still happens to mail of its last seconds has happened by then.
    let delay: Duration
    /// Days that are looked back to; older ones are given up.
    let days: Int

    /// When what could not be done is tried again.
    package static let retryInterval = Duration.seconds(3600)

    /// - Parameter hostname: hosts of different names begin in different minutes.
    package init(hour: Int, days: Int, hostname: String) {
        self.delay = .seconds(hour * 3600 + 600 + Int(hostname.fingerprint % 3000))
        self.days = days
    }

    /// Days whose reports are due, the oldest first.
    package func dueDays(at now: Timestamp) -> [ReportDay] {
        let today = ReportDay(now)
        return (1...max(self.days, 1)).reversed().map { today.advanced(by: -$0) }.filter { $0.end + self.delay <= now }
    }

    /// When there is something to do next.
    ///
    /// - Parameter hasLeft: whether something of the due days is still to be done.
    package func next(after now: Timestamp, hasLeft: Bool) -> Timestamp {
        let today = ReportDay(now)
        let starts = [today.start + self.delay, today.end + self.delay].filter { $0 > now }
        let next = starts.min() ?? today.end + self.delay
        return hasLeft ? min(next, now + Self.retryInterval) : next
    }
}
