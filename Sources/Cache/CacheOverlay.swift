/// Changes of a cache on their way to the disk, which count before what the disk has.
///
/// In two generations: the recent ones, and those that are being written. If the disk fails for long the older ones
/// are forgotten, so that there are never more than the limit, and the latest are still known.
package struct CacheOverlay<Value: Hashable & Sendable>: Sendable {
    package enum Change: Hashable, Sendable {
        case set(Value)
        case removed
    }

    private var recent: [[UInt8]: Change] = [:]
    private var older: [[UInt8]: Change] = [:]
    /// Tells one older generation from the next.
    private var number = 0
    private let limit: Int

    /// - Parameter limit: changes that may wait; at least 2.
    package init(limit: Int) {
        self.limit = max(limit, 2)
    }

    package var recentCount: Int { self.recent.count }
    /// A key can be in both.
    package var count: Int { self.recent.count + self.older.count }
    /// Without removals. What was set in both generations counts twice.
    package var setCount: Int { [self.recent, self.older].reduce(0) { $0 + $1.values.count { $0 != .removed } } }
    /// Whether there is a generation that is being written, or that could not be.
    package var hasOlder: Bool { !self.older.isEmpty }

    package subscript(key: [UInt8]) -> Change? { self.recent[key] ?? self.older[key] }

    /// All that waits, each key with its last change.
    package var changes: [[UInt8]: Change] { self.older.merging(self.recent) { $1 } }

    /// - Returns: how many others had to be forgotten.
    package mutating func put(_ change: Change, at key: [UInt8]) -> Int {
        var forgotten = 0
        if self.recent.count >= self.limit / 2, self.recent[key] == nil {
            forgotten = self.older.count
            self.advance()
        }
        self.recent[key] = change
        return forgotten
    }

    /// What is to be written next; nil if there is nothing. It stays here until it has been.
    package mutating func beginWriting() -> (number: Int, changes: [[UInt8]: Change])? {
        if self.older.isEmpty { self.advance() }
        return self.older.isEmpty ? nil : (self.number, self.older)
    }

    /// Those of this number are on the disk.
    package mutating func endWriting(_ number: Int) {
        if self.number == number { self.older = [:] }
    }

    private mutating func advance() {
        self.older = self.recent
        self.recent = [:]
        self.number += 1
    }
}
