internal import CSystem
internal import Glibc
package import NIOCore

/// Descriptors that one thread waits for; an epoll. Everything but the wakeup belongs to that thread.
package final class EventPoll {
    private let epoll: CInt
    private let wakeup: Wakeup
    /// Reports taken from the epoll at once.
    private let batchSize: Int

    /// The number of the wakeup's own reports, which are not handed on.
    package static let wakeupNumber = UInt64.max

    /// What is reported of a descriptor.
    package struct Interest: OptionSet, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) { self.rawValue = rawValue }

        package static let readable = Interest(rawValue: EPOLLIN.rawValue)
        package static let writable = Interest(rawValue: EPOLLOUT.rawValue)
        /// The other side sends no more.
        package static let ended = Interest(rawValue: EPOLLRDHUP.rawValue)
        /// Only what is new since the last report.
        package static let edges = Interest(rawValue: EPOLLET.rawValue)
        /// Both directions are closed, or an error stands. Always reported.
        package static let broken = Interest(rawValue: EPOLLERR.rawValue | EPOLLHUP.rawValue)
    }

    package init(wakeup: Wakeup, batchSize: Int = 64) throws(SystemError) {
        self.wakeup = wakeup
        self.batchSize = batchSize
        self.epoll = try check("epoll_create1", epoll_create1(CInt(EPOLL_CLOEXEC)))
        try self.add(wakeup.descriptor, .readable, number: Self.wakeupNumber)
    }

    deinit { close(self.epoll) }

    /// - Parameter number: what reports of this descriptor carry.
    package func add(_ descriptor: CInt, _ interest: Interest, number: UInt64) throws(SystemError) {
        try check("epoll_ctl", self.control(EPOLL_CTL_ADD, descriptor, interest.rawValue, number))
    }

    /// A descriptor that has been closed is out of the poll already; nothing happens then.
    package func remove(_ descriptor: CInt) {
        _ = self.control(EPOLL_CTL_DEL, descriptor, 0, 0)
    }

    private func control(
        _ operation: CInt, _ descriptor: CInt, _ events: UInt32, _ number: UInt64
    ) -> CInt {
        var event = epoll_event(events: events, data: epoll_data_t(u64: number))
        return epoll_ctl(self.epoll, operation, descriptor, &event)
    }

    /// Waits until something happens, the deadline comes or the wakeup is signalled.
    ///
    /// - Parameter body: called for each report. A report may be about a descriptor that an earlier one of the same
    ///   batch had removed, so numbers must not be used twice.
    package func wait(until deadline: NIODeadline?, _ body: (_ number: UInt64, Interest) -> Void) {
        let wait = Self.milliseconds(until: deadline)
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: self.batchSize) { batch in
            let count = epoll_wait(self.epoll, batch.baseAddress, CInt(batch.count), wait)
            // Less than none: a signal interrupted it.
            for report in batch.prefix(max(Int(count), 0)) {
                if report.data.u64 == Self.wakeupNumber {
                    self.wakeup.drain()
                } else {
                    body(report.data.u64, Interest(rawValue: report.events))
                }
            }
        }
    }

    /// Rounded up, so as not to spin through the last millisecond; but for what is due already it is 0.
    private static func milliseconds(until deadline: NIODeadline?) -> CInt {
        guard let deadline else { return -1 }
        let nanoseconds = max((deadline - .now()).nanoseconds, 0)
        return CInt(clamping: (nanoseconds + 999_999) / 1_000_000)
    }
}
