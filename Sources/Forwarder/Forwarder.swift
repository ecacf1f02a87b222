package import Mail
package import NIOCore
package import NIOPosix
package import Queue
package import Resolver

/// What the forwarder works with, of one generation of the configuration.
package struct ForwarderGeneration: Sendable {
    package let options: ForwarderOptions
    package let lifetimes: QueueOptions
    package let routes: RouteTable
    package let lanes: LaneNaming
    package let security: ForwarderSecurity
    package let contexts: TLSContexts
    /// Gives the fields to be put in front of content of ours, such as a signature; throws if they cannot be made.
    package let sign: @Sendable (_ content: [UInt8]) throws -> [UInt8]

    package init(
        options: ForwarderOptions, lifetimes: QueueOptions, routes: RouteTable, lanes: LaneNaming,
        policies: TLSPolicyTable = .empty, passwords: SASLPasswordTable = .empty, webAuthorities: String? = nil,
        sign: @escaping @Sendable (_ content: [UInt8]) throws -> [UInt8] = { _ in [] }
    ) {
        self.sign = sign
        self.security = ForwarderSecurity(
            options, policies: policies, passwords: passwords, webAuthorities: webAuthorities)
        self.contexts = TLSContexts(self.security)
        self.options = options
        self.lifetimes = lifetimes
        self.routes = routes
        self.lanes = lanes
    }
}

/// Hands queued mail on: performs what the ``Dispatcher`` decides.
///
/// Sendable: everything that changes is touched on `loop` only. Reading from the disk happens in the pool.
package final class Forwarder: @unchecked Sendable {
    let loop: any EventLoop
    let queue: any MailQueue
    let pool: NIOThreadPool
    let events: EventSink
    let clock: WallClock
    let hostname: String
    private let names: any NameService
    private let policies: PolicyLookup
    private let observation: @Sendable (TransportObservation) -> Void
    private let listeners: [Endpoint]
    private let interfaces: [IPAddress]
    private(set) var generation: ForwarderGeneration
    private(set) var dispatcher: Dispatcher
    var connections: [Dispatcher.ConnectionID: ClientHandler] = [:]
    var openings: [Dispatcher.ConnectionID: Opening] = [:]
    private var pending: [Dispatcher.Event] = []
    private var isHandling = false
    private var timer: RepeatedTask?
    private var lastSweep: Timestamp?
    private var isSweeping = false
    /// Messages up to this one have had their delay notice, if they were to have one.
    private var delayNotified: QueueID?
    private var emptied: EventLoopPromise<Void>?

    private static let sweepInterval = Duration.seconds(60)
    private static let sweepPage = 200

    /// - Parameters:
    ///   - listeners: where we listen, to notice a next hop that is ourselves.
    ///   - interfaces: the addresses of this machine.
    ///   - policies: what recipients' domains say of their servers; asked only if the options want it.
    ///   - observe: told what becomes of TLS sessions, for reports to the domains; on the loop.
    package init(
        loop: any EventLoop, queue: any MailQueue, pool: NIOThreadPool, names: any NameService, hostname: String,
        listeners: [Endpoint], interfaces: [IPAddress], generation: ForwarderGeneration, events: EventSink,
        clock: WallClock, policies: PolicyLookup? = nil,
        observe: @escaping @Sendable (TransportObservation) -> Void = { _ in }
    ) throws(QueueError) {
        self.policies = policies ?? { _ in loop.makeSucceededFuture(.none) }
        self.observation = observe
        self.loop = loop
        self.queue = queue
        self.pool = pool
        self.names = names
        self.hostname = hostname
        self.listeners = listeners
        self.interfaces = interfaces
        self.generation = generation
        self.events = events
        self.clock = clock
        self.dispatcher = Dispatcher(
            options: generation.options, lifetimes: generation.lifetimes, routes: generation.routes,
            lanes: try queue.lanes(), now: clock.now())
    }

    /// Begins to forward. Before mail is received, so that no change of the queue is missed.
    ///
    /// - Parameter ticks: how often the time is looked at; nil if ``tick()`` is called instead.
    package func start(ticks: Duration? = .milliseconds(500)) {
        self.queue.observe { changes in self.loop.execute { self.handle(.changed(changes)) } }
        self.loop.execute {
            self.tickNow()
            guard let ticks else { return }
            let interval = TimeAmount.microseconds(ticks.microseconds)
            self.timer = self.loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in self.tickNow() }
        }
    }

    /// Lets time take its effect.
    package func tick() { self.loop.execute { self.tickNow() } }

    private func tickNow() {
        self.handle(.tick)
        self.sweepIfDue()
    }

    /// Begins nothing new, and waits for what is under way.
    package func stop(grace: Duration) async {
        let promise = self.loop.makePromise(of: Void.self)
        self.loop.execute {
            self.timer?.cancel()
            self.emptied = promise
            self.handle(.stop)
            self.checkEmptied()
        }
        let limit = self.loop.scheduleTask(in: .microseconds(grace.microseconds)) { promise.succeed() }
        try? await promise.futureResult.get()  // It is only ever succeeded.
        limit.cancel()
        try? await self.loop.submit { for handler in self.connections.values { handler.close() } }.get()
    }

    /// Works with another generation from now on.
    package func use(_ generation: ForwarderGeneration) {
        self.loop.execute {
            let keepsConnections = self.generation.security == generation.security
            self.generation = generation
            self.dispatcher.use(
                options: generation.options, lifetimes: generation.lifetimes, routes: generation.routes,
                keepsConnections: keepsConnections)
            self.handle(.routesChanged)
        }
    }

    package func flush(destination: String?) { self.loop.execute { self.handle(.flush(destination: destination)) } }

    package func status() async throws -> [DestinationStatus] {
        try await self.loop.submit { self.dispatcher.status }.get()
    }

    /// Why messages wait that were not attempted by themselves, by lane.
    package func reasonsForDelay(inLanes lanes: Set<String>) async throws -> [String: Reply] {
        try await self.loop.submit {
            var reasons: [String: Reply] = [:]
            for lane in lanes { reasons[lane] = self.dispatcher.reasonForDelay(inLane: lane) }
            return reasons
        }.get()
    }

    // MARK: What sessions are made with

    var finder: ServerFinder {
        let options = self.generation.options
        let identity = OwnIdentity(
            hostname: self.hostname, addresses: self.interfaces + options.ownAddresses, listeners: self.listeners,
            allowsLoopback: options.loopbackMX)
        return ServerFinder(names: self.names, identity: identity, loop: self.loop)
    }

    var planner: ConnectionPlanner {
        ConnectionPlanner(
            security: self.generation.security, associations: AssociationFinder(names: self.names, loop: self.loop),
            policies: self.policies, loop: self.loop)
    }

    func observe(_ observation: TransportObservation) { self.observation(observation) }

    // MARK: Events and actions

    /// Gives events to the dispatcher one at a time: performing an action may bring the next.
    func handle(_ event: Dispatcher.Event) {
        self.pending.append(event)
        guard !self.isHandling else { return }
        self.isHandling = true
        defer { self.isHandling = false }
        while !self.pending.isEmpty {
            let events = self.pending
            self.pending = []
            let now = self.clock.now()
            for event in events {
                for action in self.dispatcher.handle(event, at: now) { self.perform(action) }
            }
        }
        self.checkEmptied()
    }

    private func perform(_ action: Dispatcher.Action) {
        switch action {
        case .refill(let lane, let skipped, let contentLimit): self.refill(lane, skipped, contentLimit)
        case .open(let connection, let destination, let hops, let requirement, let excluded):
            self.open(connection, Opening(destination: destination, requirement: requirement, excluded: excluded), hops)
        case .deliver(let connection, let delivery, let job):
            let source = ContentSource(
                job.message, inMemory: job.content, queue: self.queue, pool: self.pool, loop: self.loop)
            self.connections[connection]?.deliver(delivery, job.message, content: source)
        case .quit(let connection): self.connections[connection]?.quit()
        case .settle(let verdicts): self.settle(verdicts)
        case .record(let event): self.events.record(event)
        }
    }

    private func refill(_ lane: String, _ skipped: Set<QueueID>, _ contentLimit: Int) {
        let (queue, now) = (self.queue, self.clock.now())
        self.pool.runIfActive(eventLoop: self.loop) {
            try queue.due(in: lane, at: now, skipping: skipped, limit: Schedule.windowSize, contentLimit: contentLimit)
        }.whenComplete { result in
            switch result {
            case .success(let due): self.handle(.refilled(lane: lane, due))
            case .failure: self.handle(.refillFailed(lane: lane))  // The next tick or change asks again.
            }
        }
    }

    private func checkEmptied() {
        if let emptied = self.emptied, self.dispatcher.activeJobs == 0 { emptied.succeed() }
    }
}

// MARK: - Time

extension Forwarder {
    /// Looks through the oldest messages for those whose time is over or whose senders should hear of a delay.
    private func sweepIfDue() {
        let now = self.clock.now()
        guard !self.isSweeping, self.lastSweep.map({ now - $0 >= Self.sweepInterval || now < $0 }) ?? true else {
            return
        }
        self.isSweeping = true
        self.lastSweep = now
        self.sweepOverdue(after: nil, now)
    }

    private func sweepOverdue(after id: QueueID?, _ now: Timestamp) {
        let lifetime = min(self.generation.lifetimes.lifetime, self.generation.lifetimes.noticeLifetime)
        self.readPage(after: id) { page in
            let old = page.messages.prefix { now - $0.arrival >= lifetime }
            if !old.isEmpty { self.handle(.overdue(Array(old))) }
            if old.count == page.messages.count, let end = page.end {
                self.sweepOverdue(after: end, now)
            } else {
                self.sweepDelayed(now)
            }
        }
    }

    private func sweepDelayed(_ now: Timestamp) {
        let delay = self.generation.lifetimes.delayNotice
        guard delay > .zero else {
            self.isSweeping = false
            return
        }
        self.readPage(after: self.delayNotified) { page in
            let old = page.messages.prefix { now - $0.arrival >= delay }
            for message in old {
                // Its time may be over in a moment, one way or the other; the next sweep goes on from here.
                guard !self.dispatcher.isUnderWay(message.id) else {
                    self.isSweeping = false
                    return
                }
                self.notifyDelay(of: message, now)
                self.delayNotified = message.id
            }
            if old.count == page.messages.count, let end = page.end {
                self.delayNotified = end
                self.sweepDelayed(now)
            } else {
                self.isSweeping = false
            }
        }
    }

    private func readPage(after id: QueueID?, _ body: @escaping @Sendable (MessagePage) -> Void) {
        let queue = self.queue
        self.pool.runIfActive(eventLoop: self.loop) { try queue.messages(after: id, limit: Self.sweepPage) }
            .whenComplete { result in
                switch result {
                case .success(let page): body(page)
                case .failure: self.isSweeping = false  // The next sweep begins anew.
                }
            }
    }
}
