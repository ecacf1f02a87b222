package import Mail
package import Queue
import SMTP

/// Decides what is sent where and when (SEMANTICS §10): a value, with events in and actions out.
///
/// Mail is grouped by destination. A destination that cannot be reached holds up all its mail, and it alone is
/// probed, however many messages wait; when it answers, they follow at once, over one connection first and over
/// more with each success. Lanes of a destination take turns, and each destination has its own connections, so
/// that no backlog delays other mail. A message that its next hop has seen and deferred waits by itself.
package struct Dispatcher: Sendable {
    private(set) var options: ForwarderOptions
    private(set) var lifetimes: QueueOptions
    var schedule: Schedule
    private var routes: RouteTable
    var destinations: [String: Destination] = [:]
    var laneDestinations: [String: String] = [:]
    var jobs: [Int: Job] = [:]
    private var connectionDestinations: [ConnectionID: String] = [:]
    /// Destinations that wait for one of all connections to end.
    private var waitingForConnection: [String] = []
    private var lastConnection = 0
    var lastJob = 0
    private var isStopped = false
    var lastTick: Timestamp

    /// - Parameters:
    ///   - lanes: what is in the queue at start.
    ///   - lifetimes: how long mail is kept.
    package init(
        options: ForwarderOptions, lifetimes: QueueOptions, routes: RouteTable, lanes: [LaneSummary], now: Timestamp
    ) {
        self.options = options
        self.lifetimes = lifetimes
        self.routes = routes
        self.schedule = Schedule(lanes, now: now)
        self.lastTick = now
        for lane in self.schedule.laneNames { self.attach(lane) }
    }

    /// Takes over another generation; then `routesChanged` is to be handled.
    package mutating func use(options: ForwarderOptions, lifetimes: QueueOptions, routes: RouteTable) {
        self.options = options
        self.lifetimes = lifetimes
        self.routes = routes
    }

    package mutating func handle(_ event: Event, at now: Timestamp) -> [Action] {
        switch event {
        case .changed(let changes): return self.changed(changes, now)
        case .refilled(let lane, let due):
            self.schedule.refilled(lane, with: due)
            return self.pump(lane: lane, now)
        case .refillFailed(let lane):
            self.schedule.refillFailed(lane)
            return []
        case .ready(let connection, let remote): return self.ready(connection, remote, now)
        case .finished(let connection, let outcome): return self.finished(connection, outcome, now)
        case .openFailed(let connection, let failure): return self.openFailed(connection, failure, now)
        case .closed(let connection): return self.closed(connection, now)
        case .settled(let job): return self.settled(job, now)
        case .tick: return self.tick(now)
        case .overdue(let messages):
            var actions: [Action] = []
            for message in messages { actions += self.expire(message, now) }
            return actions
        case .flush(let destination): return self.flush(destination, now)
        case .routesChanged: return self.routesChanged(now)
        case .stop: return self.stop()
        }
    }

    /// Jobs that have not come to their end.
    package var activeJobs: Int { self.jobs.count }
}

// MARK: - Lanes

extension Dispatcher {
    /// Puts a lane to the destination that the routes give it.
    private mutating func attach(_ lane: String) {
        guard self.laneDestinations[lane] == nil else { return }
        let route = self.routes.route(ofLane: lane)
        let key = route.key + (route.isImmediate ? lane : "")
        self.laneDestinations[lane] = key
        if self.destinations[key] == nil {
            self.destinations[key] = Destination(
                key: key, route: route,
                initialConcurrency: min(self.options.initialConcurrency, self.options.concurrency(of: key)))
        }
        self.destinations[key]?.lanes.insert(lane)
        if self.schedule.isReady(lane) { self.destinations[key]?.markReady(lane) }
    }

    private mutating func changed(_ changes: [ScheduleChange], _ now: Timestamp) -> [Action] {
        var touched: [String] = []
        for change in changes {
            guard let lane = self.schedule.apply(self.withoutContentIfDown(change), now: now) else { continue }
            self.attach(lane)
            if let key = self.laneDestinations[lane] {
                self.destinations[key]?.markReady(lane)
                if !touched.contains(key) { touched.append(key) }
            }
        }
        var actions: [Action] = []
        for key in touched { actions += self.pump(key, now) }
        return actions
    }

    /// Nothing is kept in memory for a destination that takes nothing.
    private func withoutContentIfDown(_ change: ScheduleChange) -> ScheduleChange {
        guard case .added(let id, let lane, let due, .some) = change, let key = self.laneDestinations[lane],
            self.destinations[key]?.isDown ?? false
        else { return change }
        return .added(id, lane: lane, due: due, message: nil)
    }

    private mutating func pump(lane: String, _ now: Timestamp) -> [Action] {
        guard let key = self.laneDestinations[lane] else { return [] }
        self.destinations[key]?.markReady(lane)
        return self.pump(key, now)
    }

    private mutating func routesChanged(_ now: Timestamp) -> [Action] {
        let old = self.destinations
        self.laneDestinations = [:]
        for key in old.keys {
            self.destinations[key]?.lanes = []
            self.destinations[key]?.ready = []
        }
        for lane in self.schedule.laneNames { self.attach(lane) }
        var actions: [Action] = []
        for (key, destination) in self.destinations {
            actions += destination.lanes.isEmpty ? self.quitIdle(key) : self.pump(key, now)
            self.removeIfUnused(key)
        }
        return actions
    }

    /// Forgets destinations that have no mail and no connections; what was learned of them goes too.
    mutating func removeIfUnused(_ key: String) {
        guard let destination = self.destinations[key], destination.connections.isEmpty,
            destination.lanes.allSatisfy({ self.schedule.count(in: $0) == 0 })
        else { return }
        for lane in destination.lanes { self.laneDestinations[lane] = nil }
        self.destinations[key] = nil
    }
}

// MARK: - Giving work to connections

extension Dispatcher {
    /// Gives a destination's connections as much to do as there is and as they may.
    mutating func pump(_ key: String, _ now: Timestamp) -> [Action] {
        guard !self.isStopped, let destination = self.destinations[key] else { return [] }
        switch destination.route {
        case .nextHops: break
        case .fail(let reply), .retry(let reply): return self.answerAll(key, reply, now)
        case .discard: return self.answerAll(key, Reply(250, .init(0, 0), "discarded by the transport table"), now)
        }
        switch destination.state {
        case .up: break
        case .down(_, let probe, _): return probe <= now ? self.probe(key, now) : []
        case .probing: return []
        case .unroutable(_, let reply): return self.answerAll(key, reply, now)
        }
        var actions: [Action] = []
        while let connection = self.destinations[key]?.idle.last {
            guard let job = self.nextJob(key, now, &actions) else { break }
            self.destinations[key]?.idle.removeLast()
            actions += self.start(job, on: connection, key)
        }
        let opened = self.openConnections(key, &actions, now)
        return actions + opened
    }

    /// Opens one connection for each message in memory that none is being opened for, as far as allowed.
    private mutating func openConnections(_ key: String, _ actions: inout [Action], _ now: Timestamp) -> [Action] {
        var opened: [Action] = []
        while let destination = self.destinations[key], destination.idle.isEmpty, self.mayOpen(destination) {
            guard self.hasWork(destination, beyond: destination.opening, &actions) else { break }
            guard self.connectionDestinations.count < self.options.connections else {
                if !self.waitingForConnection.contains(key) { self.waitingForConnection.insert(key, at: 0) }
                break
            }
            opened.append(self.open(key, for: nil, excluding: []))
        }
        return opened
    }

    private func mayOpen(_ destination: Destination) -> Bool {
        destination.openConnections < min(Int(destination.window), self.options.concurrency(of: destination.key))
    }

    /// Whether more messages can be leased than these; what must be read for it is asked for.
    private mutating func hasWork(_ destination: Destination, beyond count: Int, _ actions: inout [Action]) -> Bool {
        var available = 0
        for lane in destination.ready {
            available += self.schedule.available(in: lane)
            if available > count { return true }
            actions += self.refill(lane)
        }
        return false
    }

    private mutating func refill(_ lane: String) -> [Action] {
        guard let skipped = self.schedule.refill(lane) else { return [] }
        return [.refill(lane: lane, skipping: skipped, contentLimit: self.schedule.contentLimit)]
    }

    mutating func open(_ key: String, for job: Job?, excluding: [String]) -> Action {
        self.lastConnection += 1
        let connection = ConnectionID(number: self.lastConnection)
        self.connectionDestinations[connection] = key
        self.destinations[key]?.connections[connection] = .opening(job)
        var hops: [NextHop] = []
        if case .nextHops(let list)? = self.destinations[key]?.route { hops = list }
        return .open(connection, destination: key, hops, excluding: excluding)
    }

    /// The next message of a destination's lanes, which take turns.
    private mutating func nextJob(_ key: String, _ now: Timestamp, _ actions: inout [Action]) -> Job? {
        for _ in 0..<(self.destinations[key]?.ready.count ?? 0) {
            guard let lane = self.destinations[key]?.nextReady() else { return nil }
            guard let lease = self.schedule.lease(from: lane) else {
                actions += self.refill(lane)
                continue
            }
            if self.schedule.isReady(lane) { self.destinations[key]?.markReady(lane) }
            actions += self.schedule.available(in: lane) < Schedule.windowSize / 4 ? self.refill(lane) : []
            return self.job(lease, key)
        }
        return nil
    }

    /// A job for a lease, and for the message's other lanes that go the same way.
    private mutating func job(_ lease: Schedule.Lease, _ key: String) -> Job {
        var leases = [lease]
        var recipients = lease.message.progress.waiting(in: lease.lane)
        for lane in lease.message.progress.occupiedLanes where lane.name != lease.lane {
            guard self.laneDestinations[lane.name] == key,
                let other = self.schedule.leaseToo(lease.message.id, in: lane.name)
            else { continue }
            leases.append(other)
            recipients += other.message.progress.waiting(in: lane.name)
        }
        self.lastJob += 1
        let job = Job(
            number: self.lastJob, message: lease.message, destination: key, content: lease.content, leases: leases,
            unsent: recipients.sorted())
        self.jobs[job.number] = job
        return job
    }

    /// Sends a job's next recipients over a connection.
    private mutating func start(_ job: Job, on connection: ConnectionID, _ key: String) -> [Action] {
        var job = job
        job.sending = Array(job.unsent.prefix(self.options.recipientsPerTransaction))
        job.unsent.removeFirst(job.sending.count)
        self.destinations[key]?.connections[connection] = .busy(job)
        self.jobs[job.number] = job
        let message = job.message
        var envelope = Envelope(reversePath: message.envelope.reversePath, parameters: message.envelope.parameters)
        envelope.recipients = job.sending.map { message.envelope.recipients[$0] }
        let delivery = ClientSession.Delivery(
            envelope: envelope, contentBytes: message.contentBytes, needsSMTPUTF8: message.needsSMTPUTF8,
            client: message.client, id: message.id)
        return [.deliver(connection, delivery, job)]
    }

    /// Ends all mail of a destination that needs no connection.
    private mutating func answerAll(_ key: String, _ reply: Reply, _ now: Timestamp) -> [Action] {
        var actions: [Action] = []
        while var job = self.nextJob(key, now, &actions) {
            job.results = job.unsent.map {
                Job.Result(recipient: $0, reply: reply, remote: nil, passedNoticeRequest: false)
            }
            actions += self.settle(job, now)
        }
        return actions
    }
}

// MARK: - What becomes of connections

extension Dispatcher {
    private mutating func ready(_ connection: ConnectionID, _ remote: String, _ now: Timestamp) -> [Action] {
        guard let key = self.connectionDestinations[connection], let destination = self.destinations[key],
            let state = destination.connections[connection]
        else { return [.quit(connection)] }
        if self.destinations[key]?.remotes[connection] == nil { self.destinations[key]?.remotes[connection] = (remote, 0) }
        var actions = self.becomeUp(key)
        switch state {
        case .opening(let job?): return actions + self.start(job, on: connection, key)
        case .opening(nil), .finished, .idle, .busy: break
        case .leaving: return actions
        }
        let isUsedUp = destination.remotes[connection].map { $0.deliveries >= self.options.deliveriesPerConnection } ?? false
        let isTooMany = destination.openConnections > max(1, Int(destination.window.rounded(.up)))
        if isUsedUp || isTooMany || self.isStopped || destination.lanes.isEmpty {
            self.destinations[key]?.connections[connection] = .leaving
            return actions + [.quit(connection)]
        }
        self.destinations[key]?.connections[connection] = .idle(since: now)
        self.destinations[key]?.idle.append(connection)
        actions += self.pump(key, now)
        return actions
    }

    /// A destination that was away answers: its mail follows, slowly at first.
    private mutating func becomeUp(_ key: String) -> [Action] {
        guard let destination = self.destinations[key], destination.isDown else { return [] }
        self.destinations[key]?.recovered()
        return [.record(.destinationUp(key))]
    }

    private mutating func finished(
        _ connection: ConnectionID, _ outcome: ClientSession.Outcome, _ now: Timestamp
    ) -> [Action] {
        guard let key = self.connectionDestinations[connection],
            case .busy(var job)? = self.destinations[key]?.connections[connection]
        else { return [] }
        self.destinations[key]?.connections[connection] = .finished
        let remote = self.destinations[key]?.remotes[connection]
        self.destinations[key]?.remotes[connection]?.deliveries += 1
        switch outcome.standing {
        case .decided:
            self.takeResults(outcome, &job, remote?.name)
            let isWelcome = outcome.replies.contains { $0.outcome == .accepted }
            if isWelcome { self.destinations[key]?.succeeded(limit: self.options.concurrency(of: key)) }
            if !job.unsent.isEmpty { return self.start(job, on: connection, key) }
            return self.settle(job, now)
        case .unsuitable:
            if let name = remote?.name { job.unsuitable.append(name) }
            let deferred = outcome
            self.takeResults(deferred, &job, remote?.name)
            return self.tryOthers(job, key, now)
        case .brokenEarly where (remote?.deliveries ?? 0) > 0 && job.results.isEmpty:
            // The server had enough of this connection, not of this message.
            self.giveBack(job)
            return []
        case .brokenEarly, .broken:
            self.destinations[key]?.stumbled()
            self.takeResults(outcome, &job, remote?.name)
            job.unsent = []
            return self.settle(job, now)
        }
    }

    /// Writes down one transaction. Recipients that were too many for it come again in the next.
    private func takeResults(_ outcome: ClientSession.Outcome, _ job: inout Job, _ remote: String?) {
        let gotThrough = outcome.standing == .decided && outcome.replies.contains { $0.outcome == .accepted }
        for (recipient, reply) in zip(job.sending, outcome.replies) {
            if gotThrough, reply.code == 452, reply.detail == nil || reply.detail == .init(5, 3) {
                job.unsent.append(recipient)
            } else {
                job.results.append(
                    Job.Result(
                        recipient: recipient, reply: reply, remote: remote,
                        passedNoticeRequest: outcome.passedNoticeRequests))
            }
        }
        job.sending = []
    }

    /// Tries a message that a server cannot take at the destination's other servers.
    private mutating func tryOthers(_ job: Job, _ key: String, _ now: Timestamp) -> [Action] {
        var job = job
        job.unsent = job.results.map(\.recipient) + job.unsent
        self.jobs[job.number] = job
        return [self.open(key, for: job, excluding: job.unsuitable)]
    }

    private mutating func openFailed(_ connection: ConnectionID, _ failure: OpenFailure, _ now: Timestamp) -> [Action] {
        guard let key = self.connectionDestinations[connection],
            case .opening(let job)? = self.destinations[key]?.connections[connection]
        else { return [] }
        self.forget(connection)
        var actions: [Action] = []
        if let job {
            // No other server: what the first one could not do stands.
            actions += self.settle(job, now)
        } else {
            actions += self.fail(key, failure, now)
        }
        return actions + self.connectionEnded(key, now)
    }

    private mutating func fail(_ key: String, _ failure: OpenFailure, _ now: Timestamp) -> [Action] {
        guard let destination = self.destinations[key] else { return [] }
        switch failure {
        case .permanent(let reply):
            self.destinations[key]?.state = .unroutable(until: now + self.options.retryMinimum, reply)
            self.destinations[key]?.markAllReady()
            return []
        case .temporary(let reply):
            // With other connections alive it is not away; it may just not want more of them.
            guard destination.remotes.isEmpty else {
                self.destinations[key]?.stumbled()
                return []
            }
            return self.becomeDown(key, reply, now)
        }
    }

    private mutating func becomeDown(_ key: String, _ reply: Reply, _ now: Timestamp) -> [Action] {
        guard let destination = self.destinations[key] else { return [] }
        var since = now
        switch destination.state {
        case .down(let first, _, _), .probing(let first, _): since = first
        case .up, .unroutable: break
        }
        let due = self.options.probeDue(after: now, downSince: since)
        self.destinations[key]?.state = .down(since: since, probe: due, reply)
        for lane in destination.lanes { self.schedule.forget(lane) }
        return [.record(.destinationDown(key, reply: reply, due: due))]
    }

    private mutating func closed(_ connection: ConnectionID, _ now: Timestamp) -> [Action] {
        guard let key = self.connectionDestinations[connection] else { return [] }
        if case .busy(let job)? = self.destinations[key]?.connections[connection] {
            // The session always finishes its delivery first; if it did not, nothing is known of this one.
            self.giveBack(job)
        }
        self.forget(connection)
        return self.connectionEnded(key, now)
    }

    private mutating func forget(_ connection: ConnectionID) {
        guard let key = self.connectionDestinations.removeValue(forKey: connection) else { return }
        self.destinations[key]?.connections[connection] = nil
        self.destinations[key]?.remotes[connection] = nil
        self.destinations[key]?.idle.removeAll { $0 == connection }
    }

    /// One connection less: somebody may open another.
    private mutating func connectionEnded(_ key: String, _ now: Timestamp) -> [Action] {
        var actions: [Action] = []
        if let waiting = self.waitingForConnection.popLast() { actions += self.pump(waiting, now) }
        actions += self.pump(key, now)
        self.removeIfUnused(key)
        return actions
    }

    private mutating func giveBack(_ job: Job) {
        for lease in job.leases {
            self.schedule.giveBack(lease)
            self.destinations[job.destination]?.markReady(lease.lane)
        }
        self.jobs[job.number] = nil
    }

    mutating func quitIdle(_ key: String) -> [Action] {
        let idle = self.destinations[key]?.idle ?? []
        self.destinations[key]?.idle = []
        for connection in idle { self.destinations[key]?.connections[connection] = .leaving }
        return idle.map { .quit($0) }
    }

    private mutating func stop() -> [Action] {
        self.isStopped = true
        var actions: [Action] = []
        for key in self.destinations.keys { actions += self.quitIdle(key) }
        return actions
    }
}

// MARK: - The end of a job

extension Dispatcher {
    /// Sorts the results of a job, and has them written down.
    mutating func settle(_ job: Job, _ now: Timestamp) -> [Action] {
        let verdicts = self.verdicts(on: job, now)
        self.jobs[job.number] = job
        self.destinations[job.destination]?.delivered += verdicts.delivered.isEmpty ? 0 : 1
        return [.settle(verdicts)]
    }

    private func verdicts(on job: Job, _ now: Timestamp) -> Verdicts {
        var verdicts = Verdicts(job: job, time: now)
        let message = job.message
        let lifetime = self.lifetimes.lifetime(of: message)
        verdicts.hasExpired = now - message.arrival >= lifetime
        let due = self.options.due(after: now, arrival: message.arrival, lifetime: lifetime)
        for result in job.results {
            switch result.reply.outcome {
            case .accepted: verdicts.delivered.append(result)
            case .permanent: verdicts.failed.append(result)
            case .temporary, .intermediate:
                if verdicts.hasExpired {
                    verdicts.failed.append(result)
                } else {
                    verdicts.deferred.append((result, due))
                }
            }
        }
        return verdicts
    }

    private mutating func settled(_ number: Int, _ now: Timestamp) -> [Action] {
        guard let job = self.jobs.removeValue(forKey: number) else { return [] }
        for lease in job.leases {
            self.schedule.end(lease)
            if self.schedule.isReady(lease.lane), let key = self.laneDestinations[lease.lane] {
                self.destinations[key]?.markReady(lease.lane)
            }
        }
        let actions = self.pump(job.destination, now)
        return actions
    }
}
