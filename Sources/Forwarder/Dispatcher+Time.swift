package import Mail
package import Queue

extension Dispatcher {
    /// What time brings: messages that become due, destinations to be probed, connections that nobody needs.
    mutating func tick(_ now: Timestamp) -> [Action] {
        var actions: [Action] = []
        for lane in self.schedule.wake(at: now) {
            guard let key = self.laneDestinations[lane] else { continue }
            self.destinations[key]?.markReady(lane)
            actions += self.pump(key, now)
        }
        for key in self.destinations.keys { actions += self.tick(key, now) }
        self.lastTick = now
        return actions
    }

    private mutating func tick(_ key: String, _ now: Timestamp) -> [Action] {
        guard let destination = self.destinations[key] else { return [] }
        self.destinations[key]?.measureRate(since: self.lastTick, now)
        switch destination.state {
        case .down(_, let probe, _): return probe <= now ? self.probe(key, now) : []
        case .unroutable(let until, _) where until <= now:
            self.destinations[key]?.state = .up
            return self.pump(key, now)
        case .up, .probing, .unroutable: break
        }
        return self.quitLongIdle(key, now)
    }

    private mutating func quitLongIdle(_ key: String, _ now: Timestamp) -> [Action] {
        guard let destination = self.destinations[key] else { return [] }
        var actions: [Action] = []
        for connection in destination.idle {
            guard case .idle(let since)? = destination.connections[connection],
                now - since >= self.options.idleTimeout || now < since
            else { continue }
            self.destinations[key]?.idle.removeAll { $0 == connection }
            self.destinations[key]?.connections[connection] = .leaving
            actions.append(.quit(connection))
        }
        self.removeIfUnused(key)
        return actions
    }

    /// Tries with one connection whether a destination is back.
    mutating func probe(_ key: String, _ now: Timestamp) -> [Action] {
        guard let destination = self.destinations[key], case .down(let since, _, let reply) = destination.state,
            destination.lanes.contains(where: { self.schedule.count(in: $0) > 0 })
        else { return [] }
        self.destinations[key]?.state = .probing(since: since, reply)
        return [self.open(key, for: nil, excluding: [])]
    }

    mutating func flush(_ only: String?, _ now: Timestamp) -> [Action] {
        var actions: [Action] = []
        for (key, destination) in self.destinations where only == nil || key == only || destination.lanes.contains(only ?? "") {
            switch destination.state {
            case .down: actions += self.probe(key, now)
            case .unroutable:
                self.destinations[key]?.state = .up
                actions += self.pump(key, now)
            case .up, .probing: actions += self.pump(key, now)
            }
        }
        return actions
    }

    /// Gives up recipients whose time is over while their destination is away. Where it is not, they are tried
    /// once more when they are due, and given up then.
    mutating func expire(_ message: QueuedMessage, _ now: Timestamp) -> [Action] {
        guard !message.progress.isHeld, now - message.arrival >= self.lifetimes.lifetime(of: message) else { return [] }
        var leases: [Schedule.Lease] = []
        var results: [Job.Result] = []
        for lane in message.progress.occupiedLanes {
            guard let key = self.laneDestinations[lane.name], let reply = self.destinations[key]?.reasonForDelay,
                let lease = self.schedule.claim(message, in: lane.name)
            else { continue }
            leases.append(lease)
            results += message.progress.waiting(in: lane.name).map {
                Job.Result(recipient: $0, reply: reply, remote: nil, passedNoticeRequest: false)
            }
        }
        guard let first = leases.first, let key = self.laneDestinations[first.lane] else { return [] }
        self.lastJob += 1
        var job = Job(
            number: self.lastJob, message: message, destination: key, content: nil, leases: leases, unsent: [])
        job.results = results
        self.jobs[job.number] = job
        var verdicts = Verdicts(job: job, time: now)
        verdicts.failed = results
        verdicts.hasExpired = true
        verdicts.condition = results.map(\.recipient)
        return [.settle(verdicts)]
    }
}

extension QueueOptions {
    /// Mail with the null sender has its own lifetime.
    package func lifetime(of message: QueuedMessage) -> Duration {
        message.envelope.reversePath == .null ? self.noticeLifetime : self.lifetime
    }
}

extension Destination {
    /// Why mail waits here that nobody attempts; nil if it does not.
    var reasonForDelay: Reply? {
        switch self.state {
        case .down(_, _, let reply), .probing(_, let reply): reply
        case .up, .unroutable: nil
        }
    }

    /// Messages a second, smoothed over some ten seconds.
    mutating func measureRate(since last: Timestamp, _ now: Timestamp) {
        let seconds = (now - last).inSeconds
        guard seconds > 0 else { return }
        let weight = min(1, seconds / 10)
        self.rate += (Double(self.delivered) / seconds - self.rate) * weight
        self.delivered = 0
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
        self.destinations.values.map { self.status(of: $0) }.sorted { $0.destination < $1.destination }
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
            destination: destination.key, state: state, waiting: waiting, connections: destination.openConnections,
            since: since, nextAttempt: next, lastReply: reply, rate: destination.rate,
            drainSeconds: destination.rate > 0.01 ? Double(waiting) / destination.rate : nil,
            lanes: destination.lanes.sorted())
    }

    /// Why a message waits in a lane though nothing was attempted with it; nil if nothing is in its way.
    package func reasonForDelay(inLane lane: String) -> Reply? {
        self.laneDestinations[lane].flatMap { self.destinations[$0]?.reasonForDelay }
    }
}
