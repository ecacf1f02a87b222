import Mail

/// Until when a client must have read enough of its replies that more can be said.
///
/// It runs from when the connection takes nothing more until it does again, whatever is waited for otherwise: a client
/// that never reads would keep its place for ever, since nothing of it is read meanwhile either. The limit is that of a
/// command.
package struct OutputDeadline: Sendable {
    private var limitNanoseconds: UInt64
    /// Nanoseconds of the monotonic clock; nil while more can be written.
    package private(set) var deadline: UInt64?

    package init(_ limits: SessionLimits) {
        self.limitNanoseconds = Self.nanoseconds(limits)
    }

    /// Nothing more can be written. Said again, it prolongs nothing.
    package mutating func stop(at now: UInt64) {
        if self.deadline == nil { self.deadline = now &+ self.limitNanoseconds }
    }

    package mutating func resume() { self.deadline = nil }

    /// Limits that are shorter hold from now on, also for what has begun.
    package mutating func hurry(_ limits: SessionLimits, at now: UInt64) {
        self.limitNanoseconds = min(self.limitNanoseconds, Self.nanoseconds(limits))
        self.deadline = self.deadline.map { min($0, now &+ self.limitNanoseconds) }
    }

    private static func nanoseconds(_ limits: SessionLimits) -> UInt64 {
        let (product, overflow) = UInt64(clamping: limits.commandTimeout.microseconds).multipliedReportingOverflow(
            by: 1000)
        return overflow ? .max / 4 : min(product, .max / 4)
    }
}
