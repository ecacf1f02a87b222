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
            clock: self.clock, started: self.clock.now(),
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
                    RunningService { await transport.tls.watch(pool) },
                    ReloadService(keeper: keeper, hangups: parts.hangups, logger: logger),
                    ReadyService(generation: self.generation, logger: logger),
                ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        ).run()
    }

    private func reports(
        _ parts: Parts, _ keeper: GenerationKeeper, _ loop: any EventLoop
    ) throws -> ReportService {
        let logger = parts.logger
        return try ReportService(first: self.generation, self.reportParts(parts, keeper, loop)) {
            logger.warning("\($0)")
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
