import Glibc
import Mail

/// Work on its way to one thread, which sleeps while there is none.
///
/// Sendable: everything in it is guarded by its lock.
package final class Inbox<Item: Sendable>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let arrived = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var items: [Item] = []
    /// When an item that can wait must be taken; nil if none waits or one is there that cannot.
    private var patience: timespec?
    /// The taker sleeps until there are so many; nil while it does not wait for a number.
    private var wanted: Int?
    /// The taker sleeps until it is woken, and would not notice an item that can wait.
    private var isAsleep = false
    private var isClosed = false

    /// How long the taker looks out for what can wait before it falls asleep: where there is much to do, nobody has to
    /// wake it for that.
    private let doze = Duration.milliseconds(3)

    package init() {
        pthread_mutex_init(self.mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(self.arrived, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_mutex_destroy(self.mutex)
        pthread_cond_destroy(self.arrived)
        self.mutex.deallocate()
        self.arrived.deallocate()
    }

    /// - Parameter delay: how long the item may wait for others to be taken together with it.
    /// - Returns: false if the inbox is closed; the item was not taken.
    package func put(_ item: Item, delay: Duration = .zero) -> Bool {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        guard !self.isClosed else { return false }
        let wasEmpty = self.items.isEmpty
        self.items.append(item)
        if let wanted {
            if self.items.count >= wanted { pthread_cond_signal(self.arrived) }
            return true
        }
        if delay == .zero {
            let wakes = wasEmpty || self.patience != nil
            self.patience = nil
            if wakes { pthread_cond_signal(self.arrived) }
        } else if wasEmpty {
            self.patience = Self.deadline(after: delay)
            if self.isAsleep { pthread_cond_signal(self.arrived) }
        }
        return true
    }

    /// Waits for items and takes all there are; nil once the inbox is closed and empty.
    package func take() -> [Item]? {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        var dozeEnd = Self.deadline(after: self.doze)
        var isDozing = true
        while !self.isClosed {
            guard !self.items.isEmpty else {
                if isDozing {
                    isDozing = pthread_cond_timedwait(self.arrived, self.mutex, &dozeEnd) != ETIMEDOUT
                } else {
                    self.isAsleep = true
                    pthread_cond_wait(self.arrived, self.mutex)
                    self.isAsleep = false
                }
                continue
            }
            guard var deadline = self.patience else { break }
            if pthread_cond_timedwait(self.arrived, self.mutex, &deadline) == ETIMEDOUT { break }
        }
        defer {
            self.items = []
            self.patience = nil
        }
        return self.items.isEmpty ? nil : self.items
    }

    /// Waits a moment for more to be taken together with what has been, until there are so many.
    package func takeMore(_ count: Int, within delay: Duration) -> [Item] {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        var deadline = Self.deadline(after: delay)
        self.wanted = count
        while !self.isClosed, self.items.count < count {
            if pthread_cond_timedwait(self.arrived, self.mutex, &deadline) == ETIMEDOUT { break }
        }
        self.wanted = nil
        defer {
            self.items = []
            self.patience = nil
        }
        return self.items
    }

    /// Takes no more; what is there will still be taken.
    package func close() {
        pthread_mutex_lock(self.mutex)
        self.isClosed = true
        pthread_cond_broadcast(self.arrived)
        pthread_mutex_unlock(self.mutex)
    }

    private static func deadline(after delay: Duration) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let nanoseconds = time.tv_nsec + Int(delay.microseconds % 1_000_000) * 1000
        time.tv_sec += Int(delay.microseconds / 1_000_000) + nanoseconds / 1_000_000_000
        time.tv_nsec = nanoseconds % 1_000_000_000
        return time
    }
}
