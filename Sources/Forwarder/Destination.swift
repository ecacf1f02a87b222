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

    enum Connection: Sendable {
        /// Being made, for a job that other servers could not take or for the next one. Next: `ready`, gone.
        case opening(Dispatcher.Job?)
        /// Next: `busy`, `leaving`, gone.
        case idle(since: Timestamp)
        /// Next: `finished`.
        case busy(Dispatcher.Job)
        /// The job is done and the session not ready yet. Next: `idle`, `busy`, gone.
        case finished
        /// Saying goodbye. Next: gone.
        case leaving
    }

    let key: String
    let route: Route
    var state = State.up
    var lanes: Set<String> = []
    /// Lanes that may have something, in the order in which they are served.
    var ready: Deque<String> = []
    private var inReady: Set<String> = []
    var connections: [Dispatcher.ConnectionID: Connection] = [:]
    /// Name and address of the server behind each connection, and how many messages went through it.
    var remotes: [Dispatcher.ConnectionID: (name: String, deliveries: Int)] = [:]
    /// Idle ones, the last used at the end.
    var idle: [Dispatcher.ConnectionID] = []
    /// How many connections it is given now; grows and shrinks with what becomes of them.
    private(set) var window: Double
    /// Up to here the window grows with each delivery, above by one for as many deliveries as it is wide.
    private var threshold = Double.infinity
    /// Messages that were delivered, for the rate.
    var delivered = 0
    var rate = 0.0

    init(key: String, route: Route, initialConcurrency: Int) {
        self.key = key
        self.route = route
        self.window = Double(initialConcurrency)
    }

    /// Connections that count against the limit.
    var openConnections: Int {
        self.connections.values.reduce(0) { if case .leaving = $1 { $0 } else { $0 + 1 } }
    }

    var opening: Int {
        self.connections.values.reduce(0) { if case .opening = $1 { $0 + 1 } else { $0 } }
    }

    var isUp: Bool { if case .up = self.state { true } else { false } }

    var isDown: Bool {
        switch self.state {
        case .down, .probing: true
        case .up, .unroutable: false
        }
    }

    mutating func markReady(_ lane: String) {
        if self.inReady.insert(lane).inserted { self.ready.append(lane) }
    }

    mutating func nextReady() -> String? {
        guard let lane = self.ready.popFirst() else { return nil }
        self.inReady.remove(lane)
        return lane
    }

    mutating func markAllReady() {
        for lane in self.lanes { self.markReady(lane) }
    }

    /// More may go at once when something got through, up to a limit.
    mutating func succeeded(limit: Int) {
        self.window = min(Double(limit), self.window + (self.window < self.threshold ? 1 : 1 / self.window))
    }

    mutating func stumbled() {
        self.threshold = max(1, self.window / 2)
        self.window = self.threshold
    }

    /// After an outage it begins with one, and grows fast.
    mutating func recovered() {
        self.state = .up
        self.window = 1
        self.threshold = .infinity
        self.markAllReady()
    }
}
