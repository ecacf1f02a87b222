import DequeModule
import Mail
import Queue

/// One place where mail goes: its lanes, its connections, and how much it can take.
struct Destination: Sendable {
    enum State: Sendable {
        /// Next: `down`, `unroutable`.
        case up
        /// Nothing is attempted before `probe`. Next: `probing`.
        case down(since: Timestamp, probe: Timestamp, Reply)
        /// One connection is being tried. Next: `up`, `down`, `unroutable`.
        case probing(since: Timestamp, Reply)
        /// There is no such place; its mail fails, until it is looked up again. Next: `up`.
        case unroutable(until: Timestamp, Reply)
    }

    struct Connection: Sendable {
        enum State: Sendable {
            /// Being made, for a job that other servers could not take or for the next one. Next: `idle`, `busy`, gone.
            case opening(job: Int?)
            /// Next: `busy`, `leaving`, gone.
            case idle(since: Timestamp)
            /// Next: `finished`.
            case busy(job: Int)
            /// The job is done and the session not ready yet. Next: `idle`, `busy`, gone.
            case finished
            /// Saying goodbye. Next: gone.
            case leaving
        }

        var state: State
        /// Name and address of the server; nil until there is one.
        var remote: String?
        /// What protects it, for the log.
        var tls: String?
        /// Messages that went through it.
        var deliveries = 0
        /// It was made under rules that have changed since; no message is to be sent over it.
        var isOutdated = false
    }

    let key: String
    let route: Route
    /// What all its messages ask of connections.
    let requirement: TLSRequirement
    private(set) var state = State.up
    var lanes: Set<String> = []
    /// Lanes that may have something, in the order in which they are served.
    private(set) var ready: Deque<String> = []
    private var inReady: Set<String> = []
    private(set) var connections: [Dispatcher.ConnectionID: Connection] = [:]
    /// Idle ones, the last used at the end.
    private(set) var idle: [Dispatcher.ConnectionID] = []
    /// Connections being made, and those that count against the limit.
    private(set) var opening = 0
    private(set) var open = 0
    /// How many connections it is given now; grows and shrinks with what becomes of them.
    private(set) var window: Double
    /// Up to here the window grows with each delivery, above by one for as many deliveries as it is wide.
    private var threshold = Double.infinity
    /// Messages delivered since the rate was last reckoned, and the rate: messages a second, smoothed.
    private var delivered = 0
    private(set) var rate = 0.0

    init(key: String, route: Route, requirement: TLSRequirement, initialConcurrency: Int) {
        self.key = key
        self.route = route
        self.requirement = requirement
        self.window = Double(initialConcurrency)
    }

    /// Whether somebody who names a destination or a lane means it, whatever its messages ask for.
    func isMeant(by name: String) -> Bool {
        name == self.key || name == self.route.key
            || self.lanes.contains { $0 == name || LaneNaming.requirement(ofLane: $0).lane == name }
    }

    // MARK: Lanes

    mutating func markReady(_ lane: String) {
        if self.inReady.insert(lane).inserted { self.ready.append(lane) }
    }

    mutating func nextReady() -> String? {
        guard let lane = self.ready.popFirst() else { return nil }
        self.inReady.remove(lane)
        return lane
    }

    mutating func detachLanes() {
        self.lanes = []
        self.ready = []
        self.inReady = []
    }

    // MARK: State

    var isDown: Bool {
        switch self.state {
        case .down, .probing: true
        case .up, .unroutable: false
        }
    }

    /// Why mail waits here that nobody attempts; nil if it does not.
    var reasonForDelay: Reply? {
        switch self.state {
        case .down(_, _, let reply), .probing(_, let reply): reply
        case .up, .unroutable: nil
        }
    }

    mutating func becomeUp() {
        self.state = .up
        for lane in self.lanes { self.markReady(lane) }
    }

    /// After an outage it begins with one connection, and grows fast.
    mutating func recover() {
        self.becomeUp()
        self.window = 1
        self.threshold = .infinity
    }

    mutating func becomeDown(since: Timestamp, probe: Timestamp, _ reply: Reply) {
        self.state = .down(since: since, probe: probe, reply)
    }

    mutating func beginProbe(since: Timestamp, _ reply: Reply) { self.state = .probing(since: since, reply) }

    mutating func becomeUnroutable(until: Timestamp, _ reply: Reply) {
        self.state = .unroutable(until: until, reply)
        for lane in self.lanes { self.markReady(lane) }
    }

    // MARK: Connections

    /// Puts a connection into a state, and keeps the counts.
    mutating func set(_ connection: Dispatcher.ConnectionID, _ state: Connection.State) {
        let old = self.connections[connection]
        self.uncount(connection, old)
        self.connections[connection, default: Connection(state: state)].state = state
        switch state {
        case .opening:
            self.opening += 1
            self.open += 1
        case .idle:
            self.idle.append(connection)
            self.open += 1
        case .busy, .finished: self.open += 1
        case .leaving: break
        }
    }

    mutating func remove(_ connection: Dispatcher.ConnectionID) {
        self.uncount(connection, self.connections.removeValue(forKey: connection))
    }

    private mutating func uncount(_ connection: Dispatcher.ConnectionID, _ old: Connection?) {
        switch old?.state {
        case .opening:
            self.opening -= 1
            self.open -= 1
        case .idle:
            if self.idle.last == connection { self.idle.removeLast() } else { self.idle.removeAll { $0 == connection } }
            self.open -= 1
        case .busy, .finished: self.open -= 1
        case .leaving, nil: break
        }
    }

    mutating func setRemote(_ connection: Dispatcher.ConnectionID, _ remote: String, tls: String?) {
        self.connections[connection]?.remote = remote
        if let tls { self.connections[connection]?.tls = tls }
    }

    /// All present connections end with what they are doing now.
    mutating func outdateConnections() {
        for connection in self.connections.keys { self.connections[connection]?.isOutdated = true }
    }

    mutating func countDelivery(_ connection: Dispatcher.ConnectionID) {
        self.connections[connection]?.deliveries += 1
    }

    /// A server was reached, and the connection is still there.
    var hasSession: Bool { self.open > self.opening }

    /// More may go at once when something got through, up to a limit.
    mutating func succeeded(limit: Int) {
        self.delivered += 1
        self.window = min(Double(limit), self.window + (self.window < self.threshold ? 1 : 1 / self.window))
    }

    mutating func stumbled() {
        self.threshold = max(1, self.window / 2)
        self.window = self.threshold
    }

    /// Messages a second, smoothed over some ten seconds.
    mutating func measureRate(since last: Timestamp, _ now: Timestamp) {
        let seconds = (now - last).inSeconds
        guard seconds > 0 else { return }
        self.rate += (Double(self.delivered) / seconds - self.rate) * min(1, seconds / 10)
        self.delivered = 0
    }
}
