package import Mail
import Synchronization

/// A time that tests set.
package final class TestClock: Sendable {
    private let time: Mutex<Timestamp>

    package init(at time: Timestamp = Timestamp(seconds: 1_800_000_000)) { self.time = Mutex(time) }

    package var now: Timestamp { self.time.withLock { $0 } }

    package func advance(_ duration: Duration) { self.time.withLock { $0 = $0 + duration } }

    package func set(_ time: Timestamp) { self.time.withLock { $0 = time } }

    package var wallClock: WallClock { WallClock { self.now } }
}
