internal import CUnbound
internal import Glibc

/// Interrupts the waiting of the resolver's thread; an eventfd.
final class Wakeup: Sendable {
    let descriptor: CInt

    init() throws(ResolverError) {
        self.descriptor = try check("eventfd", eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK)))
    }

    deinit { close(self.descriptor) }

    /// From any thread.
    func signal() {
        // It fails only when the counter is full, and then the thread is woken already.
        eventfd_write(self.descriptor, 1)
    }

    /// Before looking for what there is to do, so that nothing is missed.
    func drain() {
        var count: eventfd_t = 0
        eventfd_read(self.descriptor, &count)
    }
}

/// For calls that return a number below zero and set errno.
@discardableResult
func check(_ call: String, _ code: CInt) throws(ResolverError) -> CInt {
    guard code >= 0 else { throw .system(call: call, code: errno) }
    return code
}
