internal import CSystem
internal import Glibc

/// Interrupts the waiting of a thread in an ``EventPoll``; an eventfd.
package final class Wakeup: Sendable {
    package let descriptor: CInt

    package init() throws(SystemError) {
        self.descriptor = try check("eventfd", eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK)))
    }

    deinit { close(self.descriptor) }

    /// From any thread.
    package func signal() {
        // It fails only when the counter is full, and then the thread is woken already.
        eventfd_write(self.descriptor, 1)
    }

    /// Before looking for what there is to do, so that nothing is missed.
    package func drain() {
        var count: eventfd_t = 0
        eventfd_read(self.descriptor, &count)
    }
}
