import Forwarder
import Logging
import Mail
import NIOCore
import NIOPosix
import Queue
import Receiver
import SMTP
import ServiceLifecycle
import Synchronization
import UnixSignals

extension PosternDaemon {
    /// Puts the parts together; the forwarder before the receiver, so that it misses no message.
    func serve(_ parts: Parts) async throws {
        let configuration = self.generation.configuration
        let keeper = GenerationKeeper(file: self.file, first: self.generation)
        let (queue, pool) = (parts.queue, parts.pool)
        try await pool.runIfActive {
            try queue.nameLanes(self.generation.forwarder.lanes, fingerprint: self.generation.laneFingerprint)
        }
        let loop = parts.group.next()
        let transport = try self.transport(parts, keeper, loop)
        let forwarder = try Forwarder(
            loop: parts.group.next(), queue: queue, pool: pool, names: parts.names, hostname: self.generation.hostname,
            listeners: configuration.listen + configuration.tls.listen, interfaces: Self.interfaces(),
            generation: self.generation.forwarder,
            events: parts.events, clock: self.clock, policies: transport.policies.lookup,
            observe: { transport.reports.observe($0) })
        let clients = ClientLimits()
        let policies = PolicyClient(group: parts.group)
        let recipients = try self.recipients(parts, keeper, loop, transport)
        let greylist = try GreylistService(first: self.generation, clock: self.clock) { [logger = parts.logger] in
            logger.warning("\($0)")
        }
        let reports = try self.reports(parts, keeper, loop)
        keeper.beforeChange { generation in
            recipients.use(generation)
            greylist.use(generation)
            reports.use(generation)
            transport.use(generation)
        }
        let context = ReceiverContext(
            hostname: self.generation.hostname, queue: queue, events: parts.events, clock: self.clock,
            clients: clients, names: parts.names, policies: policies,
            addresses: { await recipients.finding($0, generation: $1) },
            greylist: { await greylist.judgement($0, $1) }, observe: { reports.observe($0, $1) },
            tls: { transport.tls.context(of: $0) }, generation: { keeper.current.receiver })
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
            greylist: greylist, tls: transport.tls, policies: transport.policies, generations: keeper,
            clock: self.clock, started: self.clock.now(), confinement: self.confinement,
            events: parts.events,
            answer: { await context.preview($1, of: $0.receiver, on: loop) },
            submission: self.submission(self.reportParts(parts, keeper, loop), logger))
        let alarms = AlarmWatch(alarms: commands.alarms, events: parts.events) { logger.warning("\($0)") }
        try Self.makeFolder(of: configuration.control)
        let control = try await ControlServer(
            path: configuration.control, commands: commands, group: parts.group, logger: logger)
        let metrics = DaemonMetrics(commands: commands, counts: self.counts, version: self.version)
        let metricsServer = try await self.metricsServer(metrics, parts)
        forwarder.start()
        do { try entrance.listen() } catch {
            await entrance.shutDown(pool)
            throw error
        }
        let grace = configuration.shutdownGrace
        try await ServiceGroup(
            configuration: .init(
                services: [
                    self.watchdog(parts, entrance, keeper),
                    // Ends last: until then it says that the service ends.
                    MetricsService(server: metricsServer),
                    EndingService {
                        await forwarder.stop(grace: grace)
                        transport.close()
                    },
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
                    RunningService { await transport.reports.run() },
                    RunningService { await alarms.run() },
                    RunningService { await transport.tls.watch(pool) },
                    RunningService { await self.clockService(parts, keeper, forwarder).watch() },
                    ReloadService(keeper: keeper, hangups: parts.hangups, events: parts.events, logger: logger),
                    ReadyService(generation: self.generation, events: parts.events, logger: logger),
                    EndingService { metrics.end() },
                ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        ).run()
    }

    private func clockService(
        _ parts: Parts, _ keeper: GenerationKeeper, _ forwarder: Forwarder
    ) -> ClockService {
        let pool = parts.pool
        return ClockService(
            queue: parts.queue, clock: self.clock,
            longestWait: { keeper.current.configuration.forwarder.retryMaximum },
            run: { work in try await pool.runIfActive(work) }, flush: { forwarder.flush(destination: nil) },
            logger: parts.logger)
    }

    /// What must not hang: the threads that everything waits for.
    private func watchdog(_ parts: Parts, _ entrance: Entrance, _ keeper: GenerationKeeper) -> WatchdogService {
        let (queue, pool, logger) = (parts.queue, parts.pool, parts.logger)
        let loops = parts.group.makeIterator().enumerated().map { number, loop in
            Watchdog.Part("event loop \(number + 1)") { answer in loop.execute { answer() } }
        }
        // One thread that is free is enough: the others may have long work.
        let threads = Watchdog.Part("the thread pool") { answer in pool.submit { _ in answer() } }
        // A job without messages: what it says of them does not matter.
        let writer = Watchdog.Part("the queue's writer") { answer in
            queue.operate(.retry, on: []) { _ in answer() }
        }
        let watchdog = Watchdog(loops + [threads, writer, entrance.watched]) {
            // A queue that cannot be counted is told by its own alarm.
            let messages = (try? await pool.runIfActive { try queue.statistics() })?.messages
            let waiting = messages.map { ", \($0) messages in the queue" } ?? ""
            SystemdInterface.notify(
                "WATCHDOG=1\nSTATUS=generation \(keeper.current.number), \(entrance.openConnections) connections\(waiting)"
            )
        } complain: {
            logger.error("does not answer, so that systemd will restart us: \($0.joined(separator: ", "))")
        }
        return WatchdogService(watchdog: watchdog, interval: SystemdInterface.watchdogInterval)
    }

    /// Nil where the configuration names no place for it.
    private func metricsServer(_ source: DaemonMetrics, _ parts: Parts) async throws -> MetricsServer? {
        let options = self.generation.configuration.metrics
        guard !options.listen.isEmpty || options.socket != nil else { return nil }
        let server = try await MetricsServer(options, source: source, group: parts.group)
        for endpoint in server.endpoints { parts.logger.info("metrics", metadata: ["address": "\(endpoint)"]) }
        return server
    }

    private func reports(
        _ parts: Parts, _ keeper: GenerationKeeper, _ loop: any EventLoop
    ) throws -> ReportService {
        let logger = parts.logger
        return try ReportService(first: self.generation, self.reportParts(parts, keeper, loop)) {
            logger.warning("\($0)")
        }
    }

    private func submission(
        _ parts: ReportService.Parts, _ logger: Logger
    ) -> @Sendable (Envelope, [UInt8]) async throws -> QueueID {
        { envelope, content in
            try await parts.submit(envelope, content) { logger.warning("the message \($0)") }
        }
    }

    private func reportParts(_ parts: Parts, _ keeper: GenerationKeeper, _ loop: any EventLoop) -> ReportService.Parts {
        ReportService.Parts(
            queue: parts.queue, names: parts.names, loop: loop, clock: self.clock, events: parts.events,
            generation: { keeper.current })
    }

    /// What there is about TLS, both ways.
    private struct Transport: Sendable {
        let tls: TLSService
        let policies: TransportPolicies
        let reports: TLSReportService

        func use(_ generation: Generation) {
            self.tls.use(generation)
            self.policies.use(generation)
            self.reports.use(generation)
        }

        /// After the last connection.
        func close() {
            self.policies.close()
            self.reports.close()
        }
    }

    private func transport(
        _ parts: Parts, _ keeper: GenerationKeeper, _ loop: any EventLoop
    ) throws -> Transport {
        let logger = parts.logger
        let warn: @Sendable (String) -> Void = { logger.warning("\($0)") }
        let policies = try TransportPolicies(
            first: self.generation, names: parts.names, loop: loop, clock: self.clock,
            generation: { keeper.current }, warn: warn)
        return Transport(
            tls: try TLSService(first: self.generation, file: self.file, clock: self.clock, warn: warn),
            policies: policies,
            reports: try TLSReportService(
                first: self.generation, self.reportParts(parts, keeper, loop),
                post: { try await policies.post($0, $1, $2) }, warn: warn))
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
        _ parts: Parts, _ keeper: GenerationKeeper, _ loop: any EventLoop, _ transport: Transport
    ) throws -> RecipientService {
        let logger = parts.logger
        let warn: @Sendable (String) -> Void = { logger.warning("\($0)") }
        let configuration = self.generation.configuration
        let verification = try Verification(
            configuration.callout,
            Verification.Context(
                state: configuration.state, hostname: self.generation.hostname,
                listeners: configuration.listen + configuration.tls.listen,
                interfaces: Self.interfaces(), loop: loop, names: parts.names, clock: self.clock,
                policies: transport.policies.lookup, generation: { keeper.current.forwarder }, warn: warn))
        return RecipientService(verification, loop: loop, first: self.generation, warn: warn)
    }
}
