import Mail
import Synchronization

/// A time that tests set.
final class TestClock: Sendable {
    private let time = Mutex(Timestamp(seconds: 1_800_000_000))

    var now: Timestamp { self.time.withLock { $0 } }

    func advance(_ duration: Duration) { self.time.withLock { $0 = $0 + duration } }

    var wallClock: WallClock { WallClock { self.now } }
}

/// What was said to somebody, in order.
final class Heard<Value: Sendable>: Sendable {
    private let list = Mutex<[Value]>([])

    var all: [Value] { self.list.withLock { $0 } }

    func add(_ value: Value) { self.list.withLock { $0.append(value) } }
}
