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
    private var routes: RouteTable
    var schedule: Schedule
    /// Destinations keep their place as long as they are known. They are changed where they lie: copies of them
    /// would cost more than everything else.
    var destinations: [Destination] = []
    private var places: [String: Int] = [:]
    private var freePlaces: [Int] = []
    var laneDestinations: [String: Int] = [:]
    private var connectionDestinations: [ConnectionID: Int] = [:]
    var jobs: [Int: Job] = [:]
    /// Destinations that wait for one of all connections to end.
    private var waitingForConnection: [Int] = []
    private var lastConnection = 0
    private var lastJob = 0
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
    ///
    /// - Parameter keepsConnections: whether those that are open are as they would be made now.
    package mutating func use(
        options: ForwarderOptions, lifetimes: QueueOptions, routes: RouteTable, keepsConnections: Bool = true
    ) {
        self.options = options
        self.lifetimes = lifetimes
        self.routes = routes
        guard !keepsConnections else { return }
        for place in self.knownPlaces { self.destinations[place].outdateConnections() }
    }

    package mutating func handle(_ event: Event, at now: Timestamp) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .changed(let changes): self.changed(changes, now, &actions)
        case .refilled(let lane, let due):
            self.schedule.refilled(lane, with: due)
            self.pump(lane: lane, now, &actions)
        case .refillFailed(let lane): self.schedule.refillFailed(lane)
        case .ready(let connection, let remote, let tls): self.ready(connection, remote, tls, now, &actions)
        case .finished(let connection, let outcome): self.finished(connection, outcome, now, &actions)
        case .openFailed(let connection, let failure): self.openFailed(connection, failure, now, &actions)
        case .closed(let connection): self.closed(connection, now, &actions)
        case .settled(let job): self.settled(job, now, &actions)
        case .tick: self.tick(now, &actions)
        case .overdue(let messages): for message in messages { self.expire(message, now, &actions) }
        case .flush(let destination): self.flush(destination, now, &actions)
        case .routesChanged: self.routesChanged(now, &actions)
        case .stop: self.stop(&actions)
        }
        return actions
    }

    /// Jobs that have not come to their end.
    package var activeJobs: Int { self.jobs.count }

    /// Whether something is being done with a message, or has been and is not on the disk yet.
    package func isUnderWay(_ id: QueueID) -> Bool { self.jobs.values.contains { $0.message.id == id } }
}

// MARK: - Lanes

extension Dispatcher {
    /// Puts a lane to the destination that the routes give it. Messages that ask for something of connections have
    /// destinations of their own, so that none of them is shared (RFC 8689 §4.2.1).
    private mutating func attach(_ lane: String) {
        guard self.laneDestinations[lane] == nil else { return }
        let (requirement, name) = LaneNaming.requirement(ofLane: lane)
        let route = self.routes.route(ofLane: name)
        let key = route.key + (route.isImmediate ? lane : Self.suffix(of: requirement))
        let place = self.place(of: key, route, requirement)
        self.laneDestinations[lane] = place
        self.destinations[place].lanes.insert(lane)
        if self.schedule.isReady(lane) { self.destinations[place].markReady(lane) }
    }

    /// Behind a route, in which there are no parentheses.
    private static func suffix(of requirement: TLSRequirement) -> String {
        switch requirement {
        case .unspecified: ""
        case .required: " (REQUIRETLS)"
        case .optional: " (TLS-Required: No)"
        }
    }

    private mutating func place(of key: String, _ route: Route, _ requirement: TLSRequirement) -> Int {
        if let place = self.places[key] { return place }
        let destination = Destination(
            key: key, route: route, requirement: requirement,
            initialConcurrency: min(self.options.initialConcurrency, self.options.concurrency(of: route.key)))
        let place = self.freePlaces.popLast() ?? self.destinations.count
        if place == self.destinations.count {
            self.destinations.append(destination)
        } else {
            self.destinations[place] = destination
        }
        self.places[key] = place
        return place
    }

    /// Places of destinations that are known.
    var knownPlaces: [Int] { Array(self.places.values) }

    private mutating func changed(_ changes: [ScheduleChange], _ now: Timestamp, _ actions: inout [Action]) {
        var touched: [Int] = []
        for change in changes {
            guard let lane = self.schedule.apply(self.withoutContentIfDown(change), now: now) else { continue }
            self.attach(lane)
            if let place = self.laneDestinations[lane] {
                self.destinations[place].markReady(lane)
                if !touched.contains(place) { touched.append(place) }
            }
        }
        for place in touched { self.pump(place, now, &actions) }
    }

    /// Nothing is kept in memory for a destination that takes nothing.
    private func withoutContentIfDown(_ change: ScheduleChange) -> ScheduleChange {
        guard case .added(let id, let lane, let due, .some) = change, let place = self.laneDestinations[lane],
            self.destinations[place].isDown
        else { return change }
        return .added(id, lane: lane, due: due, message: nil)
    }

    mutating func pump(lane: String, _ now: Timestamp, _ actions: inout [Action]) {
        guard let place = self.laneDestinations[lane] else { return }
        self.destinations[place].markReady(lane)
        self.pump(place, now, &actions)
    }

    private mutating func routesChanged(_ now: Timestamp, _ actions: inout [Action]) {
        self.laneDestinations = [:]
        for place in self.knownPlaces { self.destinations[place].detachLanes() }
        for lane in self.schedule.laneNames { self.attach(lane) }
        for place in self.knownPlaces {
            self.quitOutdated(place, &actions)
            if self.destinations[place].lanes.isEmpty {
                self.quitIdle(place, &actions)
            } else {
                self.pump(place, now, &actions)
            }
            self.removeIfUnused(place)
        }
    }

    /// Forgets a destination that has no mail and no connections; what was learned of it goes too.
    mutating func removeIfUnused(_ place: Int) {
        let key = self.destinations[place].key
        guard self.places[key] == place, self.destinations[place].connections.isEmpty,
            self.destinations[place].lanes.allSatisfy({ self.schedule.count(in: $0) == 0 })
        else { return }
        for lane in self.destinations[place].lanes { self.laneDestinations[lane] = nil }
        self.places[key] = nil
        self.freePlaces.append(place)
    }
}

// MARK: - Giving work to connections

extension Dispatcher {
    /// Gives a destination's connections as much to do as there is and as they may.
    mutating func pump(_ place: Int, _ now: Timestamp, _ actions: inout [Action]) {
        guard !self.isStopped else { return }
        switch self.destinations[place].route {
        case .nextHops: break
        case .fail(let reply), .retry(let reply): return self.answerAll(place, reply, now, &actions)
        case .discard:
            return self.answerAll(place, Reply(250, .init(0, 0), "discarded by the transport table"), now, &actions)
        }
        switch self.destinations[place].state {
        case .up: break
        case .down(_, let probe, _): return self.options.isOver(probe, now) ? self.probe(place, &actions) : ()
        case .probing: return
        case .unroutable(_, let reply): return self.answerAll(place, reply, now, &actions)
        }
        while let connection = self.destinations[place].idle.last {
            guard let job = self.nextJob(place, &actions) else { break }
            self.start(job, on: connection, place, &actions)
        }
        self.openConnections(place, &actions)
    }

    /// Opens one connection for each message in memory that none is being opened for, as far as allowed.
    private mutating func openConnections(_ place: Int, _ actions: inout [Action]) {
        let limit = min(
            Int(self.destinations[place].window), self.options.concurrency(of: self.destinations[place].route.key))
        while self.destinations[place].idle.isEmpty, self.destinations[place].open < limit {
            guard self.hasWork(place, beyond: self.destinations[place].opening, &actions) else { return }
            guard self.connectionDestinations.count < self.options.connections else {
                if !self.waitingForConnection.contains(place) { self.waitingForConnection.insert(place, at: 0) }
                return
            }
            self.open(place, for: nil, excluding: [], &actions)
        }
    }

    /// Whether more messages can be leased than these; what must be read for it is asked for.
    private mutating func hasWork(_ place: Int, beyond count: Int, _ actions: inout [Action]) -> Bool {
        var available = 0
        for lane in self.destinations[place].ready {
            available += self.schedule.available(in: lane)
            if available > count { return true }
            self.refill(lane, &actions)
        }
        return false
    }

    private mutating func refill(_ lane: String, _ actions: inout [Action]) {
        guard let skipped = self.schedule.refill(lane) else { return }
        actions.append(.refill(lane: lane, skipping: skipped, contentLimit: self.schedule.contentLimit))
    }

    mutating func open(_ place: Int, for job: Int?, excluding: [String], _ actions: inout [Action]) {
        self.lastConnection += 1
        let connection = ConnectionID(number: self.lastConnection)
        self.connectionDestinations[connection] = place
        self.destinations[place].set(connection, .opening(job: job))
        guard case .nextHops(let hops) = self.destinations[place].route else { return }
        actions.append(
            .open(
                connection, destination: self.destinations[place].route.key, hops,
                for: self.destinations[place].requirement, excluding: excluding))
    }

    /// The next message of a destination's lanes, which take turns.
    private mutating func nextJob(_ place: Int, _ actions: inout [Action]) -> Int? {
        for _ in 0..<self.destinations[place].ready.count {
            guard let lane = self.destinations[place].nextReady() else { return nil }
            let lease = self.schedule.lease(from: lane)
            self.refill(lane, &actions)
            guard let lease else { continue }
            if self.schedule.isReady(lane) { self.destinations[place].markReady(lane) }
            return self.makeJob(lease, place)
        }
        return nil
    }

    /// A job for a lease, and for the message's other lanes that go the same way.
    private mutating func makeJob(_ lease: Schedule.Lease, _ place: Int) -> Int {
        let progress = lease.message.progress
        var leases = [lease]
        var recipients = progress.waiting(in: lease.lane)
        if progress.lanes.count > 1 {
            for lane in progress.occupiedLanes where lane.name != lease.lane {
                guard self.laneDestinations[lane.name] == place,
                    let other = self.schedule.leaseToo(lease.message.id, in: lane.name)
                else { continue }
                leases.append(other)
                recipients += other.message.progress.waiting(in: lane.name)
            }
            recipients.sort()
        }
        let key = self.destinations[place].key
        return self.add { Job($0, lease.message, destination: key, content: lease.content, leases, unsent: recipients) }
    }

    mutating func add(_ make: (Int) -> Job) -> Int {
        self.lastJob += 1
        self.jobs[self.lastJob] = make(self.lastJob)
        return self.lastJob
    }

    /// Sends a job's next recipients over a connection.
    private mutating func start(_ number: Int, on connection: ConnectionID, _ place: Int, _ actions: inout [Action]) {
        self.destinations[place].set(connection, .busy(job: number))
        self.jobs[number]?.takeNext(self.options.recipientsPerTransaction)
        guard let job = self.jobs[number] else { return }
        actions.append(.deliver(connection, job.delivery, job))
    }

    /// Ends all mail of a destination that needs no connection.
    private mutating func answerAll(_ place: Int, _ reply: Reply, _ now: Timestamp, _ actions: inout [Action]) {
        while let number = self.nextJob(place, &actions) {
            self.jobs[number]?.answerAll(reply)
            self.settle(number, now, &actions)
        }
    }
}

// MARK: - What becomes of connections

extension Dispatcher {
    private mutating func ready(
        _ connection: ConnectionID, _ remote: String, _ tls: String?, _ now: Timestamp, _ actions: inout [Action]
    ) {
        guard let place = self.connectionDestinations[connection],
            let old = self.destinations[place].connections[connection]
        else { return actions.append(.quit(connection)) }
        self.destinations[place].setRemote(connection, remote, tls: tls)
        if self.destinations[place].isDown {
            // A destination that was away answers: its mail follows, slowly at first.
            self.destinations[place].recover()
            actions.append(.record(.destinationUp(self.destinations[place].key)))
        }
        switch old.state {
        case .opening(let job?):
            guard old.isOutdated else { return self.start(job, on: connection, place, &actions) }
            self.destinations[place].set(connection, .leaving)
            actions.append(.quit(connection))
            return self.open(place, for: job, excluding: self.jobs[job]?.unsuitable ?? [], &actions)
        // It has been given the next recipients already, or is to go.
        case .busy, .leaving: return
        case .opening(nil), .finished, .idle: break
        }
        let isUsedUp = old.deliveries >= self.options.deliveriesPerConnection
        let isTooMany = self.destinations[place].open > max(1, Int(self.destinations[place].window.rounded(.up)))
        if isUsedUp || isTooMany || old.isOutdated || self.isStopped || self.destinations[place].lanes.isEmpty {
            self.destinations[place].set(connection, .leaving)
            actions.append(.quit(connection))
            if old.isOutdated { self.pump(place, now, &actions) }
        } else {
            self.destinations[place].set(connection, .idle(since: now))
            self.pump(place, now, &actions)
        }
    }

    private mutating func finished(
        _ connection: ConnectionID, _ outcome: ClientSession.Outcome, _ now: Timestamp, _ actions: inout [Action]
    ) {
        guard let place = self.connectionDestinations[connection],
            let old = self.destinations[place].connections[connection], case .busy(let number) = old.state
        else { return }
        self.destinations[place].set(connection, .finished)
        self.destinations[place].countDelivery(connection)
        let hasResults = self.jobs[number].map { !$0.results.isEmpty } ?? false
        if outcome.standing == .brokenEarly, old.deliveries > 0, !hasResults {
            // The server had enough of this connection, not of this message.
            return self.giveBack(number)
        }
        self.jobs[number]?.take(outcome, from: old.remote, tls: old.tls)
        switch outcome.standing {
        case .decided:
            let isWelcome = outcome.replies.contains { $0.outcome == .accepted }
            let limit = self.options.concurrency(of: self.destinations[place].route.key)
            if isWelcome { self.destinations[place].succeeded(limit: limit) }
            if self.jobs[number].map({ !$0.unsent.isEmpty }) ?? false {
                return self.start(number, on: connection, place, &actions)
            }
        case .unsuitable:
            // The destination's other servers may take it.
            self.open(place, for: number, excluding: self.jobs[number]?.unsuitable ?? [], &actions)
            return
        case .brokenEarly, .broken: self.destinations[place].stumbled()
        }
        self.settle(number, now, &actions)
    }

    private mutating func openFailed(
        _ connection: ConnectionID, _ failure: OpenFailure, _ now: Timestamp, _ actions: inout [Action]
    ) {
        guard let place = self.connectionDestinations[connection],
            case .opening(let job)? = self.destinations[place].connections[connection]?.state
        else { return }
        self.forget(connection, place)
        if let job {
            self.jobs[job]?.endWithoutServer(failure)
            self.settle(job, now, &actions)
        } else {
            self.fail(place, failure, now, &actions)
        }
        self.connectionEnded(place, now, &actions)
    }

    private mutating func fail(_ place: Int, _ failure: OpenFailure, _ now: Timestamp, _ actions: inout [Action]) {
        switch failure {
        case .permanent(let reply):
            self.destinations[place].becomeUnroutable(until: now + self.options.retryMinimum, reply)
        case .temporary(let reply), .exhausted(let reply):
            // With other connections alive it is not away; it may just not want more of them.
            guard !self.destinations[place].hasSession else { return self.destinations[place].stumbled() }
            self.becomeDown(place, reply, now, &actions)
        }
    }

    private mutating func closed(_ connection: ConnectionID, _ now: Timestamp, _ actions: inout [Action]) {
        guard let place = self.connectionDestinations[connection] else { return }
        if case .busy(let job)? = self.destinations[place].connections[connection]?.state {
            // The session always finishes its delivery first; if it did not, nothing is known of this one.
            self.giveBack(job)
        }
        self.forget(connection, place)
        self.connectionEnded(place, now, &actions)
    }

    private mutating func forget(_ connection: ConnectionID, _ place: Int) {
        self.connectionDestinations[connection] = nil
        self.destinations[place].remove(connection)
    }

    /// One connection less: somebody may open another.
    private mutating func connectionEnded(_ place: Int, _ now: Timestamp, _ actions: inout [Action]) {
        if let waiting = self.waitingForConnection.popLast() { self.pump(waiting, now, &actions) }
        self.pump(place, now, &actions)
        self.removeIfUnused(place)
    }

    private mutating func giveBack(_ number: Int) {
        guard let job = self.jobs.removeValue(forKey: number) else { return }
        for lease in job.leases {
            self.schedule.end(lease)
            if let place = self.laneDestinations[lease.lane] { self.destinations[place].markReady(lease.lane) }
        }
    }

    /// Busy ones end with their message.
    private mutating func quitOutdated(_ place: Int, _ actions: inout [Action]) {
        for connection in self.destinations[place].idle
        where self.destinations[place].connections[connection]?.isOutdated ?? false {
            self.destinations[place].set(connection, .leaving)
            actions.append(.quit(connection))
        }
    }

    mutating func quitIdle(_ place: Int, _ actions: inout [Action]) {
        for connection in self.destinations[place].idle {
            self.destinations[place].set(connection, .leaving)
            actions.append(.quit(connection))
        }
    }

    private mutating func stop(_ actions: inout [Action]) {
        self.isStopped = true
        for place in self.knownPlaces { self.quitIdle(place, &actions) }
    }
}

// MARK: - The end of a job

extension Dispatcher {
    /// Sorts the results of a job, and has them written down.
    mutating func settle(_ number: Int, _ now: Timestamp, _ actions: inout [Action]) {
        guard let job = self.jobs[number] else { return }
        let message = job.message
        let lifetime = self.lifetimes.lifetime(of: message)
        var verdicts = Verdicts(job: job, time: now)
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
        actions.append(.settle(verdicts))
    }

    private mutating func settled(_ number: Int, _ now: Timestamp, _ actions: inout [Action]) {
        guard let job = self.jobs.removeValue(forKey: number) else { return }
        for lease in job.leases {
            self.schedule.end(lease)
            guard let place = self.laneDestinations[lease.lane] else { continue }
            if self.schedule.isReady(lease.lane) { self.destinations[place].markReady(lease.lane) }
            self.pump(place, now, &actions)
        }
    }
}
