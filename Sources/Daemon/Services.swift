import Logging
import Mail
import ServiceLifecycle
import UnixSignals

/// Does something when the service ends.
struct EndingService: Service {
    let end: @Sendable () async -> Void

    func run() async throws {
        try await gracefulShutdown()
        SystemdInterface.notify("STOPPING=1")
        await self.end()
    }
}

/// Does something until the service ends.
struct RunningService: Service {
    let work: @Sendable () async -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown { await self.work() }
        // A service that returns would end all others.
        try await gracefulShutdown()
    }
}

/// Tells systemd that all works, until everything else has ended.
struct WatchdogService: Service {
    let watchdog: Watchdog
    /// Nil if nobody wants to know.
    let interval: Duration?

    func run() async throws {
        if let interval = self.interval {
            await cancelWhenGracefulShutdown { await self.watchdog.run(every: interval) }
        }
        // A service that returns would end all others.
        try await gracefulShutdown()
    }
}

/// Says that all is ready; when services run, signals are taken already.
struct ReadyService: Service {
    let generation: Generation
    let events: EventSink
    let logger: Logger

    func run() async throws {
        self.events.record(.started(generation: self.generation.number, hostname: self.generation.hostname))
        self.logger.info(
            "ready",
            metadata: ["generation": "\(self.generation.number)", "hostname": "\(self.generation.hostname)"])
        SystemdInterface.notify("READY=1")
        try await gracefulShutdown()
    }
}

struct ControlService: Service {
    let server: ControlServer

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await self.server.run()
        } onGracefulShutdown: {
            self.server.close()
        }
    }
}

/// Nothing, where nobody asked for it.
struct MetricsService: Service {
    let server: MetricsServer?

    func run() async throws {
        guard let server = self.server else { return try await gracefulShutdown() }
        try await withGracefulShutdownHandler {
            try await server.run()
        } onGracefulShutdown: {
            server.close()
        }
    }
}

struct ReloadService: Service {
    let keeper: GenerationKeeper
    let hangups: UnixSignalsSequence
    let events: EventSink
    let logger: Logger

    func run() async throws {
        for await _ in self.hangups.cancelOnGracefulShutdown() {
            let report = await self.keeper.reload()
            for warning in report.warnings { self.logger.warning("\(warning)") }
            for error in report.errors { self.logger.error("\(error)") }
            self.events.record(report.event)
            self.logger.info(
                report.errors.isEmpty ? "reloaded" : "reload refused, the old generation stays in force",
                metadata: ["generation": "\(report.generation)"])
        }
    }
}
