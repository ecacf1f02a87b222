import Glibc
import Logging
import Mail
import NIOCore
import NIOPosix
import Polling
import Receiver
import Resolver
import SMTP
import Screener
import Synchronization

/// The screener with what it needs, put in front of the receiver: neither of them knows the other.
final class Entrance: Sendable {
    private let generation: Generation
    private let clients: ClientLimits
    private let passes: PassCache
    private let lists: ListMonitor
    private let gate: Gate
    private let history: ListHistoryFile
    private let historyTask: RepeatedTask
    private let logger: Logger

    init(
        generation: Generation, clients: ClientLimits, names: any NameService, loop: any EventLoop, events: EventSink,
        clock: WallClock, pool: NIOThreadPool, logger: Logger, server: SMTPServer
    ) throws {
        let options = generation.configuration.screener
        let folder = generation.configuration.state + "/screener"
        try FolderMaker.make(folder)
        self.generation = generation
        self.clients = clients
        self.logger = logger
        var settings = PassCache.usualSettings
        settings.entries = options.cacheEntries
        settings.cleanupInterval = options.cacheCleanup
        self.passes = try PassCache(
            folder: folder, settings: settings, retention: options.cacheRetention, clock: clock
        ) { logger.warning("\($0)") }
        let history = ListHistoryFile(folder: folder)
        self.history = history
        let lists = ListMonitor(
            names: names, loop: loop, isUnavailable: { DNSBLReturn.unavailability(of: $0, zone: $1) }
        ) { change in
            logger.warning("\(change)", metadata: ["list": "\(change.list)", "standing": "\(change.to.rawValue)"])
        }
        self.lists = lists
        lists.use(
            zones: generation.screener.zones.map(\.name), displayNames: Self.displayNames(generation),
            history: history.read())
        self.historyTask = loop.scheduleRepeatedTask(initialDelay: .hours(1), delay: .hours(1)) { _ in
            pool.submit { _ in Self.keep(lists, history, logger) }
        }
        self.gate = try Gate(
            GateContext(
                hostname: generation.hostname, clients: clients, passes: self.passes, lists: self.lists, names: names,
                loop: loop, events: events, clock: clock, complain: { logger.warning("\($0)") },
                hurry: { server.hurry() }),
            policy: generation.screener, capacity: Self.capacity(generation.configuration, logger)
        ) { server.take($0) }
        self.use(generation)
    }

    func use(_ generation: Generation) {
        self.lists.use(
            zones: generation.screener.zones.map(\.name), displayNames: Self.displayNames(generation))
        self.lists.startSelfTests(
            every: .microseconds(generation.configuration.screener.dnsblSelfTest.microseconds), retry: .minutes(5))
        self.gate.use(generation.screener)
    }

    private static func displayNames(_ generation: Generation) -> [DNSName: String] {
        Dictionary(uniqueKeysWithValues: generation.screener.zones.map { ($0.name, $0.displayName) })
    }

    private static func keep(_ lists: ListMonitor, _ file: ListHistoryFile, _ logger: Logger) {
        do { try file.write(lists.history) } catch {
            logger.warning("the history of the DNS lists cannot be kept", metadata: ["error": "\(error.systemReason)"])
        }
    }

    // MARK: - Connections

    /// Descriptors that everything but clients may need: the queue, the forwarder's connections, the control socket.
    private static let reservedDescriptors = 512

    /// Clients that are known come first where the system does not give as many descriptors as are configured.
    private static func capacity(_ configuration: Configuration, _ logger: Logger) -> GateCapacity {
        let wanted = (known: configuration.limits.connections, unknown: configuration.screener.connections)
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return GateCapacity(known: wanted.known, unknown: wanted.unknown)
        }
        let descriptors = Int(clamping: limit.rlim_cur)
        let available = max(descriptors - min(Self.reservedDescriptors, descriptors / 4), 2)
        guard wanted.known + wanted.unknown > available else {
            return GateCapacity(known: wanted.known, unknown: wanted.unknown)
        }
        let known = min(wanted.known, available / 2)
        logger.warning(
            "only \(descriptors) descriptors may be open: fewer connections are taken than configured",
            metadata: ["known": "\(known)", "unknown": "\(available - known)"])
        return GateCapacity(known: known, unknown: available - known)
    }

    /// Begins to listen where the configuration says; instead of at `listen` on the sockets that systemd passes, if it
    /// does, of which some may be those of `proxy.listen` and `tls.listen`.
    func listen() throws {
        let configuration = self.generation.configuration
        let passed = try SystemdInterface.takeListeners().map { try self.adopt($0, configuration) }
        let doors = [
            (passed.isEmpty ? configuration.listen : [], false, false), (configuration.proxy.listen, true, false),
            (configuration.tls.listen, false, true),
        ]
        for (endpoints, isProxied, isTLS) in doors {
            for endpoint in endpoints where !passed.contains(endpoint) {
                let advice = passed.isEmpty ? "" : "; systemd can: ListenStream= in postern.socket"
                let socket = try self.open(endpoint.description, advice) { () throws(SystemError) in
                    try ListeningSocket(endpoint)
                }
                self.listen(socket, isProxied: isProxied, isTLS: isTLS)
            }
        }
    }

    /// Listens on a socket that systemd has passed.
    ///
    /// - Returns: where that is.
    private func adopt(_ descriptor: CInt, _ configuration: Configuration) throws -> Endpoint? {
        let socket = try self.open("socket \(descriptor)") { () throws(SystemError) in
            try ListeningSocket(adopting: descriptor)
        }
        let isAmong = { (endpoints: [Endpoint]) in socket.endpoint.map(endpoints.contains) ?? false }
        self.listen(
            socket, isProxied: isAmong(configuration.proxy.listen), isTLS: isAmong(configuration.tls.listen))
        return socket.endpoint
    }

    private func open(
        _ name: String, _ advice: String = "", _ body: () throws(SystemError) -> ListeningSocket
    ) throws(PosternDaemon.StartError) -> ListeningSocket {
        do { return try body() } catch {
            throw .failed("cannot listen on \(name): \(String(cString: strerror(error.code)))\(advice)")
        }
    }

    private func listen(_ socket: ListeningSocket, isProxied: Bool, isTLS: Bool) {
        let address = socket.endpoint.map(\.description) ?? "a passed socket"
        self.logger.info(
            "listening", metadata: isTLS ? ["address": "\(address)", "tls": "at once"] : ["address": "\(address)"])
        self.gate.listen(on: socket, isProxied: isProxied, isTLS: isTLS)
    }

    /// Lets nobody in any more; sessions go on.
    func shutDown(_ pool: NIOThreadPool) async {
        let gate = self.gate
        // Fails only when the pool is shut down, which comes later.
        try? await pool.runIfActive { gate.shutDown() }
        self.lists.stop()
    }

    /// After the last session.
    func end() {
        self.historyTask.cancel()
        Self.keep(self.lists, self.history, self.logger)
        self.passes.close()
    }

    // MARK: - Status

    var watched: Watchdog.Part { Watchdog.Part("the gate") { [gate = self.gate] in gate.ask($0) } }

    /// At the gate and in sessions.
    var openConnections: Int { self.clients.openConnections }

    var status: StatusReport.Screener {
        let gate = self.gate.status
        return StatusReport.Screener(
            waiting: gate.waiting, silent: gate.silent, known: self.clients.openConnections(.known),
            unknown: self.clients.openConnections(.unknown), isUnderStress: gate.isUnderStress, results: gate.counts,
            passes: self.passes.clientCount,
            lists: self.lists.status.map {
                StatusReport.Screener.List(
                    list: $0.list, standing: $0.standing.rawValue, queries: $0.queries, hits: $0.hits,
                    unavailable: $0.unavailable, lastProblem: $0.lastProblem)
            })
    }

    var alarms: [String] {
        let stress =
            self.gate.status.isUnderStress ? ["too many connections of unknown clients: they get less time"] : []
        return stress + self.lists.alarms
    }
}
