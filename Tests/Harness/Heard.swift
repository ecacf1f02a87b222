import Synchronization

/// What was told, from any thread, in order.
package final class Heard<Value: Sendable>: Sendable {
    private let list = Mutex<[Value]>([])

    package init() {}

    package func add(_ value: Value) { self.list.withLock { $0.append(value) } }

    package var all: [Value] { self.list.withLock { $0 } }
    package var count: Int { self.list.withLock { $0.count } }
}
