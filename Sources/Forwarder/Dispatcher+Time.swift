package import Mail
package import Queue

extension Dispatcher {
    /// What time brings: messages that become due, destinations to be probed, connections that nobody needs.
    mutating func tick(_ now: Timestamp, _ actions: inout [Action]) {
        for lane in self.schedule.wake(at: now) { self.pump(lane: lane, now, &actions) }
        for place in self.knownPlaces { self.tick(place, now, &actions) }
        self.lastTick = now
    }

    private mutating func tick(_ place: Int, _ now: Timestamp, _ actions: inout [Action]) {
        self.destinations[place].measureRate(since: self.lastTick, now)
        switch self.destinations[place].state {
        case .down(_, let probe, _):
            if self.options.isOver(probe, now) { self.probe(place, &actions) }
        case .unroutable(let until, _) where self.options.isOver(until, now):
            self.destinations[place].becomeUp()
            self.pump(place, now, &actions)
        // A lane may have been read from the disk in vain; that is tried again.
        case .up: self.pump(place, now, &actions)
        case .probing, .unroutable: break
        }
        self.quitLongIdle(place, now, &actions)
        self.removeIfUnused(place)
    }

    private mutating func quitLongIdle(_ place: Int, _ now: Timestamp, _ actions: inout [Action]) {
        for connection in self.destinations[place].idle {
            guard case .idle(let since)? = self.destinations[place].connections[connection]?.state,
                now - since >= self.options.idleTimeout || now < since
            else { continue }
            self.destinations[place].set(connection, .leaving)
            actions.append(.quit(connection))
        }
    }

    /// It is left alone until it is probed, the longer the longer it has been away.
    mutating func becomeDown(_ place: Int, _ reply: Reply, _ now: Timestamp, _ actions: inout [Action]) {
        var since = now
        switch self.destinations[place].state {
        // Not from a time to come, where the clock was set back.
        case .down(let first, _, _), .probing(let first, _): since = min(first, now)
        case .up, .unroutable: break
        }
        let due = self.options.probeDue(after: now, downSince: since)
        self.destinations[place].becomeDown(since: since, probe: due, reply)
        for lane in self.destinations[place].lanes { self.schedule.forget(lane) }
        actions.append(.record(.destinationDown(self.destinations[place].key, reply: reply, due: due)))
    }

    /// Tries with one connection whether a destination is back, if anybody waits for it.
    mutating func probe(_ place: Int, _ actions: inout [Action]) {
        guard case .down(let since, _, let reply) = self.destinations[place].state,
            self.destinations[place].lanes.contains(where: { self.schedule.count(in: $0) > 0 })
        else { return }
        self.destinations[place].beginProbe(since: since, reply)
        self.open(place, for: nil, excluding: [], &actions)
    }

    /// - Parameter only: a destination, or one of its lanes; nil for all.
    mutating func flush(_ only: String?, _ now: Timestamp, _ actions: inout [Action]) {
        for place in self.knownPlaces {
            if let only, !self.destinations[place].isMeant(by: only) { continue }
            switch self.destinations[place].state {
            case .down: self.probe(place, &actions)
            case .unroutable:
                self.destinations[place].becomeUp()
                self.pump(place, now, &actions)
            case .up, .probing: self.pump(place, now, &actions)
            }
        }
    }

    /// Gives up recipients whose time is over while their destination is away. Where it is not, they are tried
    /// once more when they are due, and given up then.
    mutating func expire(_ message: QueuedMessage, _ now: Timestamp, _ actions: inout [Action]) {
        guard !message.progress.isHeld, now - message.arrival >= self.lifetimes.lifetime(of: message) else { return }
        var leases: [Schedule.Lease] = []
        var results: [Job.Result] = []
        for lane in message.progress.occupiedLanes {
            guard let place = self.laneDestinations[lane.name], let reply = self.destinations[place].reasonForDelay,
                let lease = self.schedule.claim(message, in: lane.name)
            else { continue }
            leases.append(lease)
            results += message.progress.waiting(in: lane.name).map {
                Job.Result(recipient: $0, reply: reply, remote: nil, passedNoticeRequest: false)
            }
        }
        guard let first = leases.first, let place = self.laneDestinations[first.lane] else { return }
        let key = self.destinations[place].key
        let number = self.add { Job($0, message, destination: key, content: nil, leases, unsent: []) }
        guard let job = self.jobs[number] else { return }
        var verdicts = Verdicts(job: job, time: now)
        verdicts.failed = results
        verdicts.hasExpired = true
        verdicts.condition = results.map(\.recipient)
        actions.append(.settle(verdicts))
    }
}

extension QueueOptions {
    /// Mail with the null sender has its own lifetime.
    package func lifetime(of message: QueuedMessage) -> Duration {
        message.envelope.reversePath == .null ? self.noticeLifetime : self.lifetime
    }
}

// MARK: - Status

/// A destination as `postern status` shows it.
package struct DestinationStatus: Sendable {
    package enum State: String, Sendable { case up, down, probing, unroutable, immediate }

    package let destination: String
    package let state: State
    /// Messages.
    package let waiting: Int
    package let connections: Int
    /// Since when it is down.
    package let since: Timestamp?
    /// When it is tried next, or its next message is.
    package let nextAttempt: Timestamp?
    package let lastReply: Reply?
    /// Delivered messages a second, lately.
    package let rate: Double
    /// What waits divided by the rate; nil while nothing moves.
    package let drainSeconds: Double?
    package let lanes: [String]
}

extension Dispatcher {
    package var status: [DestinationStatus] {
        self.knownPlaces.map { self.status(of: self.destinations[$0]) }.sorted { $0.destination < $1.destination }
    }

    private func status(of destination: Destination) -> DestinationStatus {
        let waiting = destination.lanes.reduce(0) { $0 + self.schedule.count(in: $1) }
        var state = destination.route.isImmediate ? DestinationStatus.State.immediate : .up
        var (since, next, reply): (Timestamp?, Timestamp?, Reply?)
        switch destination.state {
        case .up: next = destination.lanes.compactMap { self.schedule.nextDue(in: $0) }.min()
        case .down(let first, let probe, let last): (state, since, next, reply) = (.down, first, probe, last)
        case .probing(let first, let last): (state, since, reply) = (.probing, first, last)
        case .unroutable(let until, let last): (state, next, reply) = (.unroutable, until, last)
        }
        return DestinationStatus(
            destination: destination.key, state: state, waiting: waiting, connections: destination.open, since: since,
            nextAttempt: next, lastReply: reply, rate: destination.rate,
            drainSeconds: destination.rate > 0.01 ? Double(waiting) / destination.rate : nil,
            lanes: destination.lanes.sorted())
    }

    /// Why a message waits in a lane though nothing was attempted with it; nil if nothing is in its way.
    package func reasonForDelay(inLane lane: String) -> Reply? {
        self.laneDestinations[lane].flatMap { self.destinations[$0].reasonForDelay }
    }
}
