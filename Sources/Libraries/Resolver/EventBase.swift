internal import CUnbound
internal import Glibc
internal import NIOCore

/// What libunbound runs on: file descriptors in an epoll, and timers. All of it belongs to the thread that calls
/// ``turn(until:)``.
final class EventBase {
    private let epoll: CInt
    private let wakeup: Wakeup
    private var timers = TimerHeap<Event>()
    /// The events in the epoll, each by the number it was put there with. Numbers are not used twice: a report about
    /// an event that a callback before it took out finds nobody, even if the descriptor has been opened anew.
    private var watched: [UInt64: Event] = [:]
    private var lastNumber = EventBase.wakeupNumber
    private let baseFunctions: UnsafeMutablePointer<ub_event_base_vmt>
    private let eventFunctions: UnsafeMutablePointer<ub_event_vmt>
    private let structure: UnsafeMutablePointer<resolver_event_base>

    private static let wakeupNumber: UInt64 = 0
    /// Reports taken from the epoll at once.
    private static let batchSize = 64

    init(wakeup: Wakeup) throws(ResolverError) {
        self.epoll = try check("epoll_create1", epoll_create1(CInt(EPOLL_CLOEXEC)))
        self.wakeup = wakeup
        self.baseFunctions = .allocate(capacity: 1)
        self.baseFunctions.initialize(to: Self.functions)
        self.eventFunctions = .allocate(capacity: 1)
        self.eventFunctions.initialize(to: Event.functions)
        self.structure = .allocate(capacity: 1)
        self.structure.initialize(to: resolver_event_base())
        self.structure.pointee.super.magic = UInt(UB_EVENT_MAGIC)
        self.structure.pointee.super.vmt = self.baseFunctions
        self.structure.pointee.object = Unmanaged.passUnretained(self).toOpaque()
        try check("epoll_ctl", self.control(EPOLL_CTL_ADD, wakeup.descriptor, EPOLLIN.rawValue, Self.wakeupNumber))
    }

    deinit {
        close(self.epoll)
        self.structure.deallocate()
        self.eventFunctions.deallocate()
        self.baseFunctions.deallocate()
    }

    /// What `ub_ctx_create_ub_event` takes. It is borrowed: the base must outlive the context.
    var handle: UnsafeMutablePointer<ub_event_base> {
        UnsafeMutableRawPointer(self.structure).assumingMemoryBound(to: ub_event_base.self)
    }

    // MARK: - The loop

    /// Waits until something happens or the deadline comes, and lets libunbound handle what has happened.
    func turn(until deadline: NIODeadline?) {
        let wait = Self.milliseconds(until: [deadline, self.timers.nextDeadline()].compactMap(\.self).min())
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: Self.batchSize) { batch in
            let count = epoll_wait(self.epoll, batch.baseAddress, CInt(batch.count), wait)
            // Less than none: a signal interrupted it.
            for report in batch.prefix(max(Int(count), 0)) { self.handle(report) }
        }
        let now = NIODeadline.now()
        while let event = self.timers.next(dueAt: now) { event.fire(UB_EV_TIMEOUT) }
    }

    /// Rounded up, so as not to spin through the last millisecond; but for what is due already it is 0.
    private static func milliseconds(until deadline: NIODeadline?) -> CInt {
        guard let deadline else { return -1 }
        let nanoseconds = max((deadline - .now()).nanoseconds, 0)
        return CInt(clamping: (nanoseconds + 999_999) / 1_000_000)
    }

    private func handle(_ report: epoll_event) {
        guard report.data.u64 != Self.wakeupNumber else { return self.wakeup.drain() }
        let isBroken = report.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
        var bits: CInt = 0
        if isBroken || report.events & EPOLLIN.rawValue != 0 { bits |= UB_EV_READ }
        if isBroken || report.events & EPOLLOUT.rawValue != 0 { bits |= UB_EV_WRITE }
        self.watched[report.data.u64]?.fire(bits)
    }

    // MARK: - For events

    /// - Returns: the number to stop with; nil if the system refuses.
    func watch(_ event: Event, _ descriptor: CInt, bits: CInt) -> UInt64? {
        var events: UInt32 = 0
        if bits & UB_EV_READ != 0 { events |= EPOLLIN.rawValue }
        if bits & UB_EV_WRITE != 0 { events |= EPOLLOUT.rawValue }
        self.lastNumber += 1
        guard self.control(EPOLL_CTL_ADD, descriptor, events, self.lastNumber) == 0 else { return nil }
        self.watched[self.lastNumber] = event
        return self.lastNumber
    }

    func stopWatching(_ descriptor: CInt, number: UInt64) {
        self.watched[number] = nil
        // It fails if the descriptor has been closed, which takes it out of the epoll as well.
        _ = self.control(EPOLL_CTL_DEL, descriptor, 0, number)
    }

    func startTimer(_ event: Event, after interval: timeval) -> TimerHeap<Event>.Token {
        let amount = TimeAmount.seconds(Int64(interval.tv_sec)) + .microseconds(Int64(interval.tv_usec))
        return self.timers.start(event, at: .now() + amount)
    }

    func stopTimer(_ token: TimerHeap<Event>.Token) {
        self.timers.stop(token)
    }

    private func control(_ operation: CInt, _ descriptor: CInt, _ events: UInt32, _ number: UInt64) -> CInt {
        var event = epoll_event(events: events, data: epoll_data_t(u64: number))
        return epoll_ctl(self.epoll, operation, descriptor, &event)
    }

    // MARK: - What libunbound calls

    private static var functions: ub_event_base_vmt {
        var functions = ub_event_base_vmt()
        functions.new_event = { base, descriptor, bits, callback, argument in
            guard let base = EventBase.of(base) else { return nil }
            return Event.make(
                on: base, functions: base.eventFunctions, descriptor: descriptor, bits: bits, callback: callback,
                argument: argument)
        }
        // libunbound does not call these on a base that is not its own.
        functions.free = { _ in }
        functions.dispatch = { _ in -1 }
        functions.loopexit = { _, _ in -1 }
        functions.new_signal = { _, _, _, _ in nil }
        return functions
    }

    static func of(_ base: UnsafeMutablePointer<ub_event_base>?) -> EventBase? {
        guard let base else { return nil }
        let structure = UnsafeMutableRawPointer(base).assumingMemoryBound(to: resolver_event_base.self)
        return structure.pointee.object.map { Unmanaged<EventBase>.fromOpaque($0).takeUnretainedValue() }
    }
}
