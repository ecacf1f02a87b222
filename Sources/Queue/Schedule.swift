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
        package let due: Timestamp
        /// The content if it is in memory.
        package let content: [UInt8]?
        fileprivate let token: UInt64
    }

    fileprivate struct Lane {
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

    private var lanes: [String: Lane] = [:]
    private var lastToken: UInt64 = 0
    private var heldBytes = 0

    package init() {}

    /// What is on the disk at start.
    package init(_ summaries: [LaneSummary], now: Timestamp) {
        for summary in summaries {
            var lane = Lane()
            lane.waiting = summary.count
            if summary.firstDue <= now { lane.hasMore = true } else { lane.nextDue = summary.firstDue }
            self.lanes[summary.name] = lane
        }
    }

    package var laneNames: [String] { Array(self.lanes.keys) }

    /// Messages that wait in a lane, leased ones included.
    package func count(in lane: String) -> Int { self.lanes[lane]?.waiting ?? 0 }

    /// Messages of a lane that can be leased at once; some of them may turn out stale.
    package func available(in lane: String) -> Int { self.lanes[lane].map { $0.window.count + $0.fresh.count } ?? 0 }

    /// The lane has something to attempt, now or after a refill.
    package func isReady(_ name: String) -> Bool {
        guard let lane = self.lanes[name] else { return false }
        return !lane.window.isEmpty || !lane.fresh.isEmpty || lane.hasMore
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
            guard var lane = self.lanes.removeValue(forKey: name) else { return nil }
            lane.waiting -= 1
            lane.claimed[id] = nil
            lane.removedSinceRefill?.insert(id)
            if lane.waiting > 0 || lane.removedSinceRefill != nil { self.lanes[name] = lane }
            return nil
        }
    }

    private mutating func add(
        _ id: QueueID, _ name: String, _ due: Timestamp, _ shared: (QueuedMessage, content: [UInt8])?, _ now: Timestamp
    ) {
        var lane = self.lanes.removeValue(forKey: name) ?? Lane()
        defer { self.lanes[name] = lane }
        lane.waiting += 1
        guard due <= now else {
            lane.nextDue = min(lane.nextDue ?? due, due)
            return
        }
        guard let (message, content) = shared, lane.fresh.count < Self.freshLimit, self.heldBytes < Self.heldBytesLimit else {
            lane.hasMore = true
            return
        }
        self.lastToken += 1
        lane.claimed[id] = self.lastToken
        lane.fresh.append(Lease(lane: name, message: message, due: due, content: content, token: self.lastToken))
        self.heldBytes += content.count
    }

    // MARK: Leasing

    /// The next message of a lane; nil if none is in memory, then ``refill(_:)`` says if more can be read.
    package mutating func lease(from name: String) -> Lease? {
        guard self.lanes[name] != nil else { return nil }
        while true {
            guard let lease = self.pop(name) else { return nil }
            // Entries of messages that were deleted, held or leased through another lane meanwhile are stale.
            if self.lanes[name]?.claimed[lease.message.id] == lease.token { return lease }
        }
    }

    private mutating func pop(_ name: String) -> Lease? {
        guard let lane = self.lanes[name] else { return nil }
        let takesFresh = lane.window.isEmpty || (lane.servesFresh && !lane.fresh.isEmpty)
        self.lanes[name]?.servesFresh = !takesFresh
        let lease = takesFresh ? self.lanes[name]?.fresh.popFirst() : self.lanes[name]?.window.popFirst()
        self.heldBytes -= lease?.content?.count ?? 0
        return lease
    }

    /// Leases a message through another of its lanes as well, because its recipients there go the same way.
    ///
    /// Only if it waits there in memory, which proves that it still does.
    package mutating func leaseToo(_ id: QueueID, in name: String) -> Lease? {
        guard let lane = self.lanes[name], let held = lane.held(id) else { return nil }
        return self.claim(held.message, in: name, due: held.due, content: held.content)
    }

    /// Leases a message that was found otherwise than by its turn; nil if it is leased already.
    ///
    /// The message may be out of date: what is written for it must depend on what is then on the disk.
    package mutating func claim(_ message: QueuedMessage, in name: String) -> Lease? {
        guard let lane = self.lanes[name], lane.claimed[message.id] == nil || lane.held(message.id) != nil else { return nil }
        return self.claim(message, in: name, due: message.arrival, content: nil)
    }

    private mutating func claim(_ message: QueuedMessage, in name: String, due: Timestamp, content: [UInt8]?) -> Lease {
        self.lastToken += 1
        self.lanes[name]?.claimed[message.id] = self.lastToken
        return Lease(lane: name, message: message, due: due, content: content, token: self.lastToken)
    }

    /// Puts back a lease of which nothing was attempted; it is the next of its lane.
    package mutating func giveBack(_ lease: Lease) {
        guard self.lanes[lease.lane]?.claimed[lease.message.id] == lease.token else { return }
        // Content is read again: while a destination is away its backlog must not fill the memory.
        self.lanes[lease.lane]?.claimed[lease.message.id] = nil
        self.lanes[lease.lane]?.hasMore = true
    }

    /// Ends a lease that was settled. If the message still waits in the lane it can be read again when it is due.
    package mutating func end(_ lease: Lease) {
        guard self.lanes[lease.lane]?.claimed[lease.message.id] == lease.token else { return }
        self.lanes[lease.lane]?.claimed[lease.message.id] = nil
        self.lanes[lease.lane]?.hasMore = true
    }

    /// Forgets what is in memory of a lane whose destination is away; it is read again later.
    package mutating func forget(_ name: String) {
        guard let lane = self.lanes[name] else { return }
        for lease in [lane.window, lane.fresh].joined() {
            self.heldBytes -= lease.content?.count ?? 0
            guard lane.claimed[lease.message.id] == lease.token else { continue }
            self.lanes[name]?.claimed[lease.message.id] = nil
            self.lanes[name]?.hasMore = true
        }
        self.lanes[name]?.window = []
        self.lanes[name]?.fresh = []
    }

    // MARK: Reading from the disk

    /// Content up to this size is to be read together with a window.
    package var contentLimit: Int { self.heldBytes < Self.heldBytesLimit ? 16 * 1024 : 0 }

    /// What to skip when the next window of a lane is read; nil if that is of no use now.
    package mutating func refill(_ name: String) -> Set<QueueID>? {
        guard let lane = self.lanes[name], lane.hasMore, lane.removedSinceRefill == nil,
            lane.window.count < Self.windowSize / 4
        else { return nil }
        self.lanes[name]?.removedSinceRefill = []
        self.lanes[name]?.hasMore = false
        return Set(lane.claimed.keys)
    }

    /// Takes what was read.
    package mutating func refilled(_ name: String, with due: DueMessages) {
        guard var lane = self.lanes.removeValue(forKey: name) else { return }
        let removed = lane.removedSinceRefill ?? []
        lane.removedSinceRefill = nil
        guard lane.waiting > 0 else { return }
        lane.hasMore = lane.hasMore || due.hasMore
        if let next = due.nextDue { lane.nextDue = min(lane.nextDue ?? next, next) }
        for (message, time, content) in due.messages where lane.claimed[message.id] == nil && !removed.contains(message.id) {
            self.lastToken += 1
            lane.claimed[message.id] = self.lastToken
            lane.window.append(Lease(lane: name, message: message, due: time, content: content, token: self.lastToken))
            self.heldBytes += content?.count ?? 0
        }
        self.lanes[name] = lane
    }

    /// Reading failed; it may be tried again.
    package mutating func refillFailed(_ name: String) {
        self.lanes[name]?.removedSinceRefill = nil
        self.lanes[name]?.hasMore = true
    }

    // MARK: Time

    /// Lanes in which something has become due.
    package mutating func wake(at now: Timestamp) -> [String] {
        var ready: [String] = []
        for (name, lane) in self.lanes {
            guard let due = lane.nextDue, due <= now else { continue }
            self.lanes[name]?.nextDue = nil
            self.lanes[name]?.hasMore = true
            ready.append(name)
        }
        return ready
    }

    /// When the next message of a lane becomes due, of those that are not yet.
    package func nextDue(in lane: String) -> Timestamp? { self.lanes[lane]?.nextDue }

    /// Takes the lane for ready whatever is in it, as after a flush.
    package mutating func markReady(_ name: String) { self.lanes[name]?.hasMore = true }
}

extension Schedule.Lane {
    /// The entry of a message that waits in memory and is not leased.
    fileprivate func held(_ id: QueueID) -> Schedule.Lease? {
        let token = self.claimed[id]
        let isIt = { (lease: Schedule.Lease) in lease.message.id == id && lease.token == token }
        return self.fresh.first(where: isIt) ?? self.window.first(where: isIt)
    }
}
