import DequeModule
package import Mail

/// Which message of which lane is next: the part of the queue's schedule that is in memory.
///
/// Of each lane it holds a bounded window of messages that are due, read from the disk when it runs empty, and
/// apart from it some that have just come in; both are served in turn, so that a backlog does not delay new
/// mail. Everything it holds or has leased is `claimed` and is not read again.
package struct Schedule: Sendable {
    /// A message that may be attempted now. It stays claimed until it is settled or given back.
    package struct Lease: Sendable {
        package let lane: String
        package let message: QueuedMessage
        /// The content if it is in memory.
        package let content: [UInt8]?
        fileprivate let token: UInt64
    }

    fileprivate struct Lane {
        let name: String
        /// Messages on the disk, claimed or not.
        var waiting = 0
        var window: Deque<Lease> = []
        var fresh: Deque<Lease> = []
        /// What is in `window`, `fresh` or leased, with the token of the entry that counts.
        var claimed: [QueueID: UInt64] = [:]
        /// There may be more on the disk that is due.
        var hasMore = false
        /// What was removed since a refill was asked for, which may still bring it; nil while none is under way.
        var removedSinceRefill: Set<QueueID>?
        /// Not later than when the first that is not due yet becomes so; nil if there is none, or `hasMore`.
        var nextDue: Timestamp?
        var servesFresh = true
    }

    /// Messages of a window, read at once.
    package static let windowSize = 64
    /// Messages kept in memory between their arrival and their turn.
    private static let freshLimit = 128
    /// Octets of content in memory, for all lanes, above which content stays on the disk until its turn.
    private static let heldBytesLimit = 32 << 20

    // Lanes are changed where they lie: copies of them, with all they hold, would cost more than everything else.
    private var lanes: [Lane] = []
    private var places: [String: Int] = [:]
    private var lastToken: UInt64 = 0
    private var heldBytes = 0

    package init() {}

    /// What is on the disk at start.
    package init(_ summaries: [LaneSummary], now: Timestamp) {
        for summary in summaries {
            let place = self.place(of: summary.name)
            self.lanes[place].waiting = summary.count
            if summary.firstDue <= now {
                self.lanes[place].hasMore = true
            } else {
                self.lanes[place].nextDue = summary.firstDue
            }
        }
    }

    package var laneNames: [String] { self.lanes.map(\.name) }

    /// Messages that wait in a lane, leased ones included.
    package func count(in lane: String) -> Int { self.places[lane].map { self.lanes[$0].waiting } ?? 0 }

    /// Messages of a lane that can be leased at once; some of them may turn out stale.
    package func available(in lane: String) -> Int {
        self.places[lane].map { self.lanes[$0].window.count + self.lanes[$0].fresh.count } ?? 0
    }

    /// The lane has something to attempt, now or after a refill.
    package func isReady(_ lane: String) -> Bool {
        guard let place = self.places[lane] else { return false }
        return self.lanes[place].hasMore || !self.lanes[place].window.isEmpty || !self.lanes[place].fresh.isEmpty
    }

    private mutating func place(of name: String) -> Int {
        if let place = self.places[name] { return place }
        self.lanes.append(Lane(name: name))
        self.places[name] = self.lanes.count - 1
        return self.lanes.count - 1
    }

    /// Forgets a lane in which nobody waits. The last takes its place.
    private mutating func removeIfEmpty(_ place: Int) {
        guard self.lanes[place].waiting <= 0, self.lanes[place].removedSinceRefill == nil else { return }
        self.heldBytes -= self.lanes[place].heldBytes
        self.places[self.lanes[place].name] = nil
        if let last = self.lanes.popLast(), place < self.lanes.count {
            self.places[last.name] = place
            self.lanes[place] = last
        }
    }

    // MARK: Changes on the disk

    /// Takes over what was committed.
    ///
    /// - Returns: the lane that may have become ready; nil if none did.
    package mutating func apply(_ change: ScheduleChange, now: Timestamp) -> String? {
        switch change {
        case .added(let id, let name, let due, let shared):
            self.add(id, name, due, shared, now)
            return due <= now ? name : nil
        case .removed(let id, let name):
            guard let place = self.places[name] else { return nil }
            self.lanes[place].waiting -= 1
            self.lanes[place].claimed[id] = nil
            self.lanes[place].removedSinceRefill?.insert(id)
            self.removeIfEmpty(place)
            return nil
        }
    }

    private mutating func add(
        _ id: QueueID, _ name: String, _ due: Timestamp, _ shared: (QueuedMessage, content: [UInt8])?, _ now: Timestamp
    ) {
        let place = self.place(of: name)
        self.lanes[place].waiting += 1
        guard due <= now else {
            self.lanes[place].noteDue(due)
            return
        }
        guard let (message, content) = shared, self.lanes[place].fresh.count < Self.freshLimit,
            self.heldBytes < Self.heldBytesLimit
        else {
            self.lanes[place].hasMore = true
            return
        }
        let lease = self.claim(message, content, in: place)
        self.lanes[place].fresh.append(lease)
        self.heldBytes += content.count
    }

    /// Everything in memory about a message in a lane counts no more but what is made here.
    private mutating func claim(_ message: QueuedMessage, _ content: [UInt8]?, in place: Int) -> Lease {
        self.lastToken += 1
        self.lanes[place].claimed[message.id] = self.lastToken
        return Lease(lane: self.lanes[place].name, message: message, content: content, token: self.lastToken)
    }

    // MARK: Leasing

    /// The next message of a lane; nil if none is in memory, then ``refill(_:)`` says if more can be read.
    package mutating func lease(from name: String) -> Lease? {
        guard let place = self.places[name] else { return nil }
        while let lease = self.lanes[place].pop() {
            self.heldBytes -= lease.content?.count ?? 0
            // Entries of messages that were deleted, held or leased through another lane meanwhile are stale.
            if self.lanes[place].claimed[lease.message.id] == lease.token { return lease }
        }
        return nil
    }

    /// Leases a message through another of its lanes as well, because its recipients there go the same way.
    ///
    /// Only if it waits there in memory, which proves that it still does.
    package mutating func leaseToo(_ id: QueueID, in name: String) -> Lease? {
        guard let place = self.places[name], let held = self.lanes[place].held(id) else { return nil }
        return self.claim(held.message, held.content, in: place)
    }

    /// Leases a message that was found otherwise than by its turn; nil if it is leased already.
    ///
    /// The message may be out of date: what is written for it must depend on what is then on the disk.
    package mutating func claim(_ message: QueuedMessage, in name: String) -> Lease? {
        guard let place = self.places[name],
            self.lanes[place].claimed[message.id] == nil || self.lanes[place].held(message.id) != nil
        else { return nil }
        return self.claim(message, nil, in: place)
    }

    /// Ends a lease: it was settled, or nothing was attempted. If the message still waits in the lane it will be
    /// read again, its content too: while a destination is away its backlog must not fill the memory.
    package mutating func end(_ lease: Lease) {
        guard let place = self.places[lease.lane], self.lanes[place].claimed[lease.message.id] == lease.token else {
            return
        }
        self.lanes[place].claimed[lease.message.id] = nil
        self.lanes[place].hasMore = true
    }

    /// Forgets what is in memory of a lane whose destination is away; it is read again later.
    package mutating func forget(_ name: String) {
        guard let place = self.places[name] else { return }
        self.heldBytes -= self.lanes[place].heldBytes
        self.lanes[place].forget()
    }

    // MARK: Reading from the disk

    /// Content up to this size is to be read together with a window.
    package var contentLimit: Int { self.heldBytes < Self.heldBytesLimit ? 16 * 1024 : 0 }

    /// What to skip when the next window of a lane is read; nil if that is of no use now.
    package mutating func refill(_ name: String) -> Set<QueueID>? {
        guard let place = self.places[name], self.lanes[place].hasMore, self.lanes[place].removedSinceRefill == nil,
            self.lanes[place].window.count < Self.windowSize / 4
        else { return nil }
        self.lanes[place].removedSinceRefill = []
        self.lanes[place].hasMore = false
        return Set(self.lanes[place].claimed.keys)
    }

    /// Takes what was read.
    package mutating func refilled(_ name: String, with due: DueMessages) {
        guard let place = self.places[name], let removed = self.lanes[place].removedSinceRefill else { return }
        self.lanes[place].removedSinceRefill = nil
        guard self.lanes[place].waiting > 0 else { return self.removeIfEmpty(place) }
        if due.hasMore { self.lanes[place].hasMore = true }
        if let next = due.nextDue { self.lanes[place].noteDue(next) }
        for (message, content) in due.messages
        where self.lanes[place].claimed[message.id] == nil && !removed.contains(message.id) {
            let lease = self.claim(message, content, in: place)
            self.lanes[place].window.append(lease)
            self.heldBytes += content?.count ?? 0
        }
    }

    /// Reading failed; it may be tried again.
    package mutating func refillFailed(_ name: String) {
        guard let place = self.places[name] else { return }
        self.lanes[place].removedSinceRefill = nil
        self.lanes[place].hasMore = true
    }

    // MARK: Time

    /// Lanes in which something has become due.
    package mutating func wake(at now: Timestamp) -> [String] {
        var ready: [String] = []
        for place in self.lanes.indices {
            guard let due = self.lanes[place].nextDue, due <= now else { continue }
            self.lanes[place].nextDue = nil
            self.lanes[place].hasMore = true
            ready.append(self.lanes[place].name)
        }
        return ready
    }

    /// When the next message of a lane becomes due, of those that are not yet.
    package func nextDue(in lane: String) -> Timestamp? { self.places[lane].flatMap { self.lanes[$0].nextDue } }
}

extension Schedule.Lane {
    var heldBytes: Int {
        [self.window, self.fresh].joined().reduce(0) { $0 + ($1.content?.count ?? 0) }
    }

    mutating func noteDue(_ due: Timestamp) { self.nextDue = min(self.nextDue ?? due, due) }

    mutating func pop() -> Schedule.Lease? {
        let takesFresh = self.window.isEmpty || (self.servesFresh && !self.fresh.isEmpty)
        self.servesFresh = !takesFresh
        return takesFresh ? self.fresh.popFirst() : self.window.popFirst()
    }

    /// The entry of a message that waits in memory and is not leased.
    func held(_ id: QueueID) -> Schedule.Lease? {
        guard let token = self.claimed[id] else { return nil }
        return self.fresh.first { $0.token == token } ?? self.window.first { $0.token == token }
    }

    mutating func forget() {
        for lease in [self.window, self.fresh].joined() where self.claimed[lease.message.id] == lease.token {
            self.claimed[lease.message.id] = nil
            self.hasMore = true
        }
        self.window = []
        self.fresh = []
    }
}
