internal import CUnbound
internal import Polling

/// One event of libunbound: a descriptor, a timer or both.
///
/// libunbound owns it, from ``make(on:functions:descriptor:bits:callback:argument:)`` until it calls `free`. The
/// event base holds it only while it is active, and through the call of its callback, in which it may be freed.
final class Event {
    typealias Callback = @convention(c) (CInt, CShort, UnsafeMutableRawPointer?) -> Void

    private unowned let base: EventBase
    private var descriptor: CInt
    /// `UB_EV_READ`, `UB_EV_WRITE`, `UB_EV_PERSIST`.
    private var bits: CInt
    private var callback: Callback?
    private var argument: UnsafeMutableRawPointer?
    private var watch: UInt64?
    private var timer: TimerHeap<Event>.Token?

    private init(
        base: EventBase, descriptor: CInt, bits: CInt, callback: Callback?, argument: UnsafeMutableRawPointer?
    ) {
        self.base = base
        self.descriptor = descriptor
        self.bits = bits
        self.callback = callback
        self.argument = argument
    }

    static func make(
        on base: EventBase, functions: UnsafeMutablePointer<ub_event_vmt>, descriptor: CInt, bits: CShort,
        callback: Callback?, argument: UnsafeMutableRawPointer?
    ) -> UnsafeMutablePointer<ub_event> {
        let event = Event(
            base: base, descriptor: descriptor, bits: CInt(bits), callback: callback, argument: argument)
        let structure = UnsafeMutablePointer<resolver_event>.allocate(capacity: 1)
        structure.initialize(to: resolver_event())
        structure.pointee.super.magic = UInt(UB_EVENT_MAGIC)
        structure.pointee.super.vmt = functions
        structure.pointee.object = Unmanaged.passRetained(event).toOpaque()
        return UnsafeMutableRawPointer(structure).assumingMemoryBound(to: ub_event.self)
    }

    /// Tells libunbound what has happened, as far as it wants to know.
    func fire(_ happened: CInt) {
        let bits = happened & (self.bits | UB_EV_TIMEOUT)
        guard bits != 0 else { return }
        if bits & UB_EV_TIMEOUT != 0 { self.timer = nil }
        if self.bits & UB_EV_PERSIST == 0 { self.deactivate() }
        self.callback?(self.descriptor, CShort(bits), self.argument)
    }

    private func activate(_ interval: UnsafeMutablePointer<timeval>?) -> CInt {
        self.deactivate()
        if self.descriptor >= 0, self.bits & (UB_EV_READ | UB_EV_WRITE) != 0 {
            self.watch = self.base.watch(self, self.descriptor, bits: self.bits)
            guard self.watch != nil else { return -1 }
        }
        if let interval { self.timer = self.base.startTimer(self, after: interval.pointee) }
        return 0
    }

    private func deactivate() {
        if let watch = self.watch.take() { self.base.stopWatching(self.descriptor, number: watch) }
        if let timer = self.timer.take() { self.base.stopTimer(timer) }
    }

    // MARK: - What libunbound calls

    static var functions: ub_event_vmt {
        var functions = ub_event_vmt()
        functions.add_bits = { event, bits in Event.of(event)?.bits |= CInt(bits) }
        functions.del_bits = { event, bits in Event.of(event)?.bits &= ~CInt(bits) }
        functions.set_fd = { event, descriptor in Event.of(event)?.descriptor = descriptor }
        functions.add = { event, interval in Event.of(event)?.activate(interval) ?? -1 }
        functions.del = { event in
            Event.of(event)?.deactivate()
            return 0
        }
        functions.add_timer = { event, _, callback, argument, interval in
            guard let event = Event.of(event) else { return -1 }
            event.deactivate()
            event.descriptor = -1
            event.callback = callback
            event.argument = argument
            return event.activate(interval)
        }
        functions.del_timer = functions.del
        functions.free = { event in
            guard let event else { return }
            Event.of(event)?.deactivate()
            let structure = UnsafeMutableRawPointer(event).assumingMemoryBound(to: resolver_event.self)
            if let object = structure.pointee.object { Unmanaged<Event>.fromOpaque(object).release() }
            structure.deallocate()
        }
        // libunbound sets up no signals here; the functions for Windows are never called.
        functions.add_signal = { _, _ in -1 }
        functions.del_signal = { _ in -1 }
        return functions
    }

    private static func of(_ event: UnsafeMutablePointer<ub_event>?) -> Event? {
        guard let event else { return nil }
        let structure = UnsafeMutableRawPointer(event).assumingMemoryBound(to: resolver_event.self)
        return structure.pointee.object.map { Unmanaged<Event>.fromOpaque($0).takeUnretainedValue() }
    }
}
