package import NIOCore

/// Deadlines in order, as a binary heap. A timer that is stopped stays inside until it comes up or until stopped
/// timers are the majority: most timers guard something that happens in time.
package struct TimerHeap<Element> {
    private struct Entry {
        let deadline: NIODeadline
        let number: UInt64
        let element: Element
    }

    /// A timer that was started.
    package struct Token: Hashable {
        fileprivate let number: UInt64
    }

    private var entries: [Entry] = []
    private var running: Set<UInt64> = []
    private var lastNumber: UInt64 = 0

    package init() {}

    package var count: Int { self.running.count }

    package mutating func start(_ element: Element, at deadline: NIODeadline) -> Token {
        self.lastNumber += 1
        self.running.insert(self.lastNumber)
        self.entries.append(Entry(deadline: deadline, number: self.lastNumber, element: element))
        self.siftUp(self.entries.count - 1)
        return Token(number: self.lastNumber)
    }

    /// Stopping a timer that has come up or was stopped already does nothing.
    package mutating func stop(_ token: Token) {
        guard self.running.remove(token.number) != nil else { return }
        if self.entries.count > 2 * self.running.count + 64 {
            self.entries.removeAll { !self.running.contains($0.number) }
            for index in (0..<self.entries.count / 2).reversed() { self.siftDown(index) }
        }
    }

    /// When the next timer comes up.
    package mutating func nextDeadline() -> NIODeadline? {
        self.dropStopped()
        return self.entries.first?.deadline
    }

    /// Takes the first timer whose deadline has come.
    package mutating func next(dueAt now: NIODeadline) -> Element? {
        self.dropStopped()
        guard let first = self.entries.first, first.deadline <= now else { return nil }
        self.running.remove(first.number)
        self.removeFirst()
        return first.element
    }

    private mutating func dropStopped() {
        while let first = self.entries.first, !self.running.contains(first.number) { self.removeFirst() }
    }

    private mutating func removeFirst() {
        self.entries.swapAt(0, self.entries.count - 1)
        self.entries.removeLast()
        self.siftDown(0)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0, self.isBefore(index, (index - 1) / 2) {
            self.entries.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < self.entries.count {
                if self.isBefore(child, smallest) { smallest = child }
            }
            guard smallest != index else { return }
            self.entries.swapAt(index, smallest)
            index = smallest
        }
    }

    /// Timers with the same deadline come up in the order they were started.
    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        let (left, right) = (self.entries[left], self.entries[right])
        return (left.deadline, left.number) < (right.deadline, right.number)
    }
}
