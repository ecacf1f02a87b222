import CSystem
import Forwarder
import Glibc
import Logging
import Mail
import NIOCore
import NIOPosix
import Polling
import Queue
import Receiver
package import Resolver
import SMTP
import Screener
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The daemon: everything that runs, from start to end.
package struct PosternDaemon {
    package enum StartError: Error, Sendable, CustomStringConvertible {
        case failed(String)

        package var description: String {
            switch self {
            case .failed(let text): text
            }
        }
    }

    private let file: String
    private let generation: Generation
    private let resolver: ResolverOptions
    private let clock = WallClock.system

    /// Reads the configuration.
    ///
    /// - Parameter resolver: what commands say about names, instead of the file.
    package init(file: String, resolver: ((inout ResolverOptions) throws -> Void)? = nil) throws {
        self.file = file
        self.generation = try Generation(file: file, number: 1)
        var options = try generation.configuration.resolver.options()
        try resolver?(&options)
        self.resolver = options
    }

    /// Runs until it is told to end. Returns after everything accepted is safe and everybody has been told.
    package func run() async throws {
        let configuration = self.generation.configuration
        Self.raiseFileLimit()
        Self.tuneAllocator()
        let writer = try LogWriter()
        defer { writer.close() }
        let format = LogFormat(configuration.log.format, clock: self.clock)
        let events = EventSink { writer.write(format.line($0)) }
        let logger = Logger(label: "postern") { _ in LogBackend(writer, format, level: configuration.log.level.level) }
        for warning in self.generation.warnings { logger.warning("\(warning)") }
        // From here on it means a reload; before, it ends a program.
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        let lock = try StateLock(folder: configuration.state)
        let queue = try LMDBQueue(
            folder: configuration.state, options: configuration.queue, clock: self.clock, events: events)
        defer {
            queue.close()
            lock.release()
        }
        try await self.run(queue, hangups, events, logger)
        logger.info("ended")
    }

    private func run(
        _ queue: LMDBQueue, _ hangups: UnixSignalsSequence, _ events: EventSink, _ logger: Logger
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: Self.loopCount)
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        let resolver = try UnboundResolver(self.resolver)
        do {
            try await self.serve(
                Parts(
                    queue: queue, group: group, pool: pool, names: resolver, hangups: hangups, events: events,
                    logger: logger))
        } catch {
            await Self.end(resolver, pool, group)
            throw error
        }
        await Self.end(resolver, pool, group)
    }

    private static func end(_ resolver: UnboundResolver, _ pool: NIOThreadPool, _ group: MultiThreadedEventLoopGroup)
        async
    {
        await resolver.shutdown()
        try? await pool.shutdownGracefully()  // Fails only if it was shut down before.
        try? await group.shutdownGracefully()
    }

    private struct Parts {
        let queue: LMDBQueue
        let group: MultiThreadedEventLoopGroup
        let pool: NIOThreadPool
        let names: any NameService
        let hangups: UnixSignalsSequence
        let events: EventSink
        let logger: Logger
    }

    /// Puts the parts together; the forwarder before the receiver, so that it misses no message.
    private func serve(_ parts: Parts) async throws {
        let configuration = self.generation.configuration
        let keeper = GenerationKeeper(file: self.file, first: self.generation)
        let (queue, pool) = (parts.queue, parts.pool)
        try await pool.runIfActive {
            try queue.nameLanes(self.generation.forwarder.lanes, fingerprint: self.generation.laneFingerprint)
        }
        let forwarder = try Forwarder(
            loop: parts.group.next(), queue: queue, pool: pool, names: parts.names, hostname: self.generation.hostname,
            listeners: configuration.listen, interfaces: Self.interfaces(), generation: self.generation.forwarder,
            events: parts.events, clock: self.clock)
        let clients = ClientLimits()
        let policies = PolicyClient(group: parts.group)
        let loop = parts.group.next()
        let recipients = try self.recipients(parts, keeper, loop)
        let greylist = try GreylistService(first: self.generation, clock: self.clock) { [logger = parts.logger] in
            logger.warning("\($0)")
        }
        let reports = try self.reports(parts, keeper, loop)
        keeper.beforeChange { generation in
            recipients.use(generation)
            greylist.use(generation)
            reports.use(generation)
        }
        let context = ReceiverContext(
            hostname: self.generation.hostname, queue: queue, events: parts.events, clock: self.clock,
            clients: clients, names: parts.names, policies: policies,
            addresses: { await recipients.finding($0, generation: $1) },
            greylist: { await greylist.judgement($0, $1) }, observe: { reports.observe($0, $1) },
            generation: { keeper.current.receiver })
        let server = SMTPServer(context: context, group: parts.group)
        let logger = parts.logger
        let entrance = try Entrance(
            generation: self.generation, clients: clients, names: parts.names, loop: parts.group.next(),
            events: parts.events, clock: self.clock, pool: pool, logger: logger, server: server)
        keeper.onChange { generation in
            forwarder.use(generation.forwarder)
            entrance.use(generation)
            pool.submit { state in
                guard case .active = state else { return }
                Self.nameLanes(of: queue, keeper, logger)
            }
        }
        let commands = ControlCommands(
            queue: queue, pool: pool, forwarder: forwarder, server: server, entrance: entrance, recipients: recipients,
            greylist: greylist, generations: keeper, clock: self.clock, started: self.clock.now(),
            events: parts.events,
            answer: { await context.preview($1, of: $0.receiver, on: loop) })
        try Self.makeFolder(of: configuration.control)
        let control = try await ControlServer(
            path: configuration.control, commands: commands, group: parts.group, logger: logger)
        forwarder.start()
        do { try entrance.listen() } catch {
            await entrance.shutDown(pool)
            throw error
        }
        let grace = configuration.shutdownGrace
        try await ServiceGroup(
            configuration: .init(
                services: [
                    EndingService { await forwarder.stop(grace: grace) },
                    EndingService {
                        await entrance.shutDown(pool)
                        await server.shutDown(grace: grace)
                        entrance.end()
                        policies.close()
                        await recipients.shutDown()
                        greylist.close()
                        reports.close()
                    },
                    ControlService(server: control),
                    RunningService { await reports.run() },
                    ReloadService(keeper: keeper, hangups: parts.hangups, logger: logger),
                    ReadyService(generation: self.generation, logger: logger),
                ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        ).run()
    }

    private func reports(
        _ parts: Parts, _ keeper: GenerationKeeper, _ loop: any EventLoop
    ) throws -> ReportService {
        let logger = parts.logger
        return try ReportService(
            first: self.generation,
            ReportService.Parts(
                queue: parts.queue, names: parts.names, loop: loop, clock: self.clock, events: parts.events,
                generation: { keeper.current })
        ) { logger.warning("\($0)") }
    }

    /// One at a time, and each by what is in force then: of two reloads the later one has the last word.
    private static func nameLanes(of queue: LMDBQueue, _ keeper: GenerationKeeper, _ logger: Logger) {
        self.naming.withLock { _ in
            let generation = keeper.current
            do { try queue.nameLanes(generation.forwarder.lanes, fingerprint: generation.laneFingerprint) } catch {
                logger.error("recipients keep their old lanes", metadata: ["error": "\(error)"])
            }
        }
    }

    private static let naming = Mutex(())

    private func recipients(
        _ parts: Parts, _ keeper: GenerationKeeper, _ loop: any EventLoop
    ) throws -> RecipientService {
        let logger = parts.logger
        let warn: @Sendable (String) -> Void = { logger.warning("\($0)") }
        let configuration = self.generation.configuration
        let verification = try Verification(
            configuration.callout,
            Verification.Context(
                state: configuration.state, hostname: self.generation.hostname, listeners: configuration.listen,
                interfaces: Self.interfaces(), loop: loop, names: parts.names, clock: self.clock,
                generation: { keeper.current.forwarder }, warn: warn))
        return RecipientService(verification, loop: loop, first: self.generation, warn: warn)
    }

    /// The queue's writer, the log and the pool want a processor as well. With two processors a second loop only added
    /// hops between threads: 15 % more processor time for a message, and not one message more in a second.
    private static var loopCount: Int { max(1, System.coreCount / 2) }

    private static func interfaces() -> [IPAddress] {
        ((try? System.enumerateDevices()) ?? []).compactMap { device in
            device.address?.ipAddress.flatMap { IPAddress($0.prefix { $0 != "%" }) }
        }
    }

    private static func makeFolder(of path: String) throws {
        guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return }
        try FolderMaker.make(String(path[..<slash]))
    }

    /// Each connection is a descriptor; the system's default for them is made for programs without any.
    private static func raiseFileLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

extension PosternDaemon {
    /// The C library gives memory back to the system as soon as the end of a heap is free, and fetches it again for
    /// the next message. It may keep a little.
    private static func tuneAllocator() {
        mallopt(M_TRIM_THRESHOLD, 16 << 20)
        mallopt(M_TOP_PAD, 1 << 20)
        mallopt(M_ARENA_MAX, 4)
    }
}

extension Error {
    /// The system's own words where it said something, without the call that it said it to.
    var systemReason: String {
        (self as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(self)"
    }
}

extension ResolverSettings {
    package func options() throws -> ResolverOptions {
        var options = ResolverOptions()
        if self.recursion {
            options.upstream = .recursion()
        } else if !self.forwarders.isEmpty {
            options.upstream = .forwarders(
                try self.forwarders.map {
                    try NameServer(address: $0.endpoint.address.description, port: UInt16(clamping: $0.endpoint.port))
                })
        }
        options.trustAnchorFile = self.trustAnchor
        options.timeout = self.timeout
        return options
    }
}

/// Does something when the service ends.
private struct EndingService: Service {
    let end: @Sendable () async -> Void

    func run() async throws {
        try await gracefulShutdown()
        SystemdInterface.notify("STOPPING=1")
        await self.end()
    }
}

/// Does something until the service ends.
private struct RunningService: Service {
    let work: @Sendable () async -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown { await self.work() }
        // A service that returns would end all others.
        try await gracefulShutdown()
    }
}

/// Says that all is ready; when services run, signals are taken already.
private struct ReadyService: Service {
    let generation: Generation
    let logger: Logger

    func run() async throws {
        self.logger.info(
            "ready",
            metadata: ["generation": "\(self.generation.number)", "hostname": "\(self.generation.hostname)"])
        SystemdInterface.notify("READY=1")
        try await gracefulShutdown()
    }
}

private struct ControlService: Service {
    let server: ControlServer

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await self.server.run()
        } onGracefulShutdown: {
            self.server.close()
        }
    }
}

private struct ReloadService: Service {
    let keeper: GenerationKeeper
    let hangups: UnixSignalsSequence
    let logger: Logger

    func run() async throws {
        for await _ in self.hangups.cancelOnGracefulShutdown() {
            let report = await self.keeper.reload()
            for warning in report.warnings { self.logger.warning("\(warning)") }
            for error in report.errors { self.logger.error("\(error)") }
            self.logger.info(
                report.errors.isEmpty ? "reloaded" : "reload refused, the old generation stays in force",
                metadata: ["generation": "\(report.generation)"])
        }
    }
}
