import Mail

/// Changes of the pass cache on their way to the disk, which count before what the disk has.
///
/// In two generations: the recent ones, and those that are being written. If the disk fails for long the older ones
/// are forgotten, so that there are never more than the limit, and so that who comes back soon is still known.
struct PassOverlay {
    enum Change: Hashable, Sendable {
        case set(PassRecord)
        case removed
    }

    private var recent: [IPNetwork: Change] = [:]
    private var older: [IPNetwork: Change] = [:]
    /// Tells one older generation from the next.
    private var number = 0
    private let limit: Int

    /// - Parameter limit: changes that may wait; at least 2.
    init(limit: Int) {
        self.limit = max(limit, 2)
    }

    var recentCount: Int { self.recent.count }
    /// A client can be in both.
    var count: Int { self.recent.count + self.older.count }
    /// Without removals, of which a flood of bots brings many.
    var passCount: Int { [self.recent, self.older].reduce(0) { $0 + $1.values.count { $0 != .removed } } }
    /// Whether there is a generation that is being written, or that could not be.
    var hasOlder: Bool { !self.older.isEmpty }

    subscript(client: IPNetwork) -> Change? { self.recent[client] ?? self.older[client] }

    /// - Returns: how many others had to be forgotten.
    mutating func put(_ change: Change, of client: IPNetwork) -> Int {
        var forgotten = 0
        if self.recent.count >= self.limit / 2, self.recent[client] == nil {
            forgotten = self.older.count
            self.advance()
        }
        self.recent[client] = change
        return forgotten
    }

    /// What is to be written next; nil if there is nothing. It stays here until it has been.
    mutating func beginWriting() -> (number: Int, changes: [IPNetwork: Change])? {
        if self.older.isEmpty { self.advance() }
        return self.older.isEmpty ? nil : (self.number, self.older)
    }

    /// Those of this number are on the disk.
    mutating func endWriting(_ number: Int) {
        if self.number == number { self.older = [:] }
    }

    private mutating func advance() {
        self.older = self.recent
        self.recent = [:]
        self.number += 1
    }
}
