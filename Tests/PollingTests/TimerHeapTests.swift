import NIOCore
import Testing

@testable import Polling

struct TimerHeapTests {
    private let start = NIODeadline.uptimeNanoseconds(0)

    @Test func `Timers come up in the order of their deadlines, equal ones as they were started`() {
        var heap = TimerHeap<Int>()
        let delays = (0..<500).map { _ in Int64.random(in: 0..<50) }
        for (index, delay) in delays.enumerated() { _ = heap.start(index, at: self.start + .milliseconds(delay)) }
        var order: [Int] = []
        while let index = heap.next(dueAt: self.start + .milliseconds(49)) { order.append(index) }
        #expect(order == delays.indices.sorted { (delays[$0], $0) < (delays[$1], $1) })
        #expect(heap.count == 0 && heap.nextDeadline() == nil)
    }

    @Test func `A timer that is not due does not come up`() {
        var heap = TimerHeap<Int>()
        _ = heap.start(1, at: self.start + .seconds(1))
        #expect(heap.next(dueAt: self.start) == nil)
        #expect(heap.nextDeadline() == self.start + .seconds(1))
    }

    @Test func `A stopped timer does not come up, and takes no room for long`() {
        var heap = TimerHeap<Int>()
        var tokens: [TimerHeap<Int>.Token] = []
        for index in 0..<1000 {
            tokens.append(heap.start(index, at: self.start + .milliseconds(Int64(index * 7 % 1000))))
        }
        for (index, token) in tokens.enumerated() where index % 10 != 0 {
            heap.stop(token)
            heap.stop(token)
        }
        #expect(heap.count == 100)
        var order: [Int] = []
        while let index = heap.next(dueAt: self.start + .seconds(1)) { order.append(index) }
        #expect(order == (0..<100).map { $0 * 10 }.sorted { $0 * 7 % 1000 < $1 * 7 % 1000 })
    }
}
