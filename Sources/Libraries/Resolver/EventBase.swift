internal import CUnbound
internal import Glibc
internal import NIOCore
internal import Polling

/// What libunbound runs on: file descriptors in an epoll, and timers. All of it belongs to the thread that calls
/// ``turn(until:)``.
final class EventBase {
    private let poll: EventPoll
    private var timers = TimerHeap<Event>()
    /// The events in the epoll, each by the number it was put there with. Numbers are not used twice: a report about
    /// an event that a callback before it took out finds nobody, even if the descriptor has been opened anew.
    private var watched: [UInt64: Event] = [:]
    private var lastNumber: UInt64 = 0
    private let baseFunctions: UnsafeMutablePointer<ub_event_base_vmt>
    private let eventFunctions: UnsafeMutablePointer<ub_event_vmt>
    private let structure: UnsafeMutablePointer<resolver_event_base>

    init(wakeup: Wakeup) throws(SystemError) {
        self.poll = try EventPoll(wakeup: wakeup)
        self.baseFunctions = .allocate(capacity: 1)
        self.baseFunctions.initialize(to: Self.functions)
        self.eventFunctions = .allocate(capacity: 1)
        self.eventFunctions.initialize(to: Event.functions)
        self.structure = .allocate(capacity: 1)
        self.structure.initialize(to: resolver_event_base())
        self.structure.pointee.super.magic = UInt(UB_EVENT_MAGIC)
        self.structure.pointee.super.vmt = self.baseFunctions
        self.structure.pointee.object = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit {
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
        let next = [deadline, self.timers.nextDeadline()].compactMap(\.self).min()
        self.poll.wait(until: next) { self.handle($0, $1) }
        let now = NIODeadline.now()
        while let event = self.timers.next(dueAt: now) { event.fire(UB_EV_TIMEOUT) }
    }

    private func handle(_ number: UInt64, _ report: EventPoll.Interest) {
        let isBroken = !report.isDisjoint(with: .broken)
        var bits: CInt = 0
        if isBroken || report.contains(.readable) { bits |= UB_EV_READ }
        if isBroken || report.contains(.writable) { bits |= UB_EV_WRITE }
        self.watched[number]?.fire(bits)
    }

    // MARK: - For events

    /// - Returns: the number to stop with; nil if the system refuses.
    func watch(_ event: Event, _ descriptor: CInt, bits: CInt) -> UInt64? {
        var interest: EventPoll.Interest = []
        if bits & UB_EV_READ != 0 { interest.insert(.readable) }
        if bits & UB_EV_WRITE != 0 { interest.insert(.writable) }
        self.lastNumber += 1
        do { try self.poll.add(descriptor, interest, number: self.lastNumber) } catch { return nil }
        self.watched[self.lastNumber] = event
        return self.lastNumber
    }

    func stopWatching(_ descriptor: CInt, number: UInt64) {
        self.watched[number] = nil
        self.poll.remove(descriptor)
    }

    func startTimer(_ event: Event, after interval: timeval) -> TimerHeap<Event>.Token {
        let amount = TimeAmount.seconds(Int64(interval.tv_sec)) + .microseconds(Int64(interval.tv_usec))
        return self.timers.start(event, at: .now() + amount)
    }

    func stopTimer(_ token: TimerHeap<Event>.Token) {
        self.timers.stop(token)
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
