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

    let file: String
    let generation: Generation
    private let resolver: ResolverOptions
    private let isTrial: Bool
    let confinement = Confinement.current()
    let version: String
    let counts = MailCounts()
    let clock = WallClock.system

    /// Reads the configuration.
    ///
    /// - Parameters:
    ///   - version: of the program, as it tells it.
    ///   - resolver: what commands say about names, instead of the file.
    ///   - isTrial: nobody expects it to be confined.
    package init(
        file: String, version: String, resolver: ((inout ResolverOptions) throws -> Void)? = nil, isTrial: Bool = false
    ) throws {
        self.file = file
        self.version = version
        self.isTrial = isTrial
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
        let journal = configuration.log.journal()
        let writer = try LogWriter(journal: journal)
        defer { writer.close() }
        let format =
            journal == nil ? LogFormat(configuration.log.format, clock: self.clock) : .journal(clock: self.clock)
        let events = self.counts.counting(EventSink { writer.write(format.line($0)) })
        let logger = Logger(label: "postern") { _ in LogBackend(writer, format, level: configuration.log.level.level) }
        for warning in self.generation.warnings { logger.warning("\(warning)") }
        if !self.isTrial, !self.confinement.missing.isEmpty {
            logger.warning("not confined: \(self.confinement.missing.joined(separator: "; "))")
        }
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
        events.record(.ended)
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

    struct Parts {
        let queue: LMDBQueue
        let group: MultiThreadedEventLoopGroup
        let pool: NIOThreadPool
        let names: any NameService
        let hangups: UnixSignalsSequence
        let events: EventSink
        let logger: Logger
    }

    /// The queue's writer, the log and the pool want a processor as well. With two processors a second loop only added
    /// hops between threads: 15 % more processor time for a message, and not one message more in a second.
    private static var loopCount: Int { max(1, System.coreCount / 2) }

    static func interfaces() -> [IPAddress] {
        ((try? System.enumerateDevices()) ?? []).compactMap { device in
            device.address?.ipAddress.flatMap { IPAddress($0.prefix { $0 != "%" }) }
        }
    }

    static func makeFolder(of path: String) throws {
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
