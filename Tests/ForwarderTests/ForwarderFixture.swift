import Clocks
import Forwarder
import Glibc
import Harness
import Mail
import NIOCore
import NIOPosix
import Queue
import Resolver
import Synchronization
import Testing

/// A resolver for which no name exists.
struct NoNames: NameService {
    func resolve(
        _ question: DNSQuestion, on loop: any EventLoop, _ completion: @escaping DNSQuery.Completion
    ) -> DNSQuery {
        let query = DNSQuery(on: loop, completion)
        query.deliver(.failure(.noSuchName(DNSNegative(ttl: .zero, canonicalName: question.name, security: .insecure))))
        return query
    }
}

/// A forwarder with a queue of its own; time passes when a test says so.
final class ForwarderFixture: Sendable {
    let queue: LMDBQueue
    let forwarder: Forwarder
    let clock = TestClock()
    let folder: TemporaryFolder
    private let group: MultiThreadedEventLoopGroup
    private let pool: NIOThreadPool
    private let list = EventList()
    private let observed: ObservationList
    private let lifetimes: QueueOptions
    private let routes: [String: String]
    private let tables: SecurityTables

    /// - Parameter routes: right-hand sides of a transport table by lane; all others go nowhere.
    init(
        routes: [String: String], options: ForwarderOptions = ForwarderOptions(),
        lifetimes: QueueOptions = QueueOptions(),
        names: any NameService = NoNames(), listeners: [Mail.Endpoint] = [], probe: QueueProbe = QueueProbe(),
        sign: @escaping @Sendable ([UInt8]) throws -> [UInt8] = { _ in [] },
        policies: PolicyLookup? = nil, tables: SecurityTables = SecurityTables()
    ) throws {
        self.routes = routes
        self.tables = tables
        self.folder = try TemporaryFolder()
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.pool = NIOThreadPool(numberOfThreads: 2)
        self.pool.start()
        var lifetimes = lifetimes
        lifetimes.maximumSize = ByteCount(1 << 30)
        lifetimes.reserve = ByteCount(1 << 20)
        let events = self.list.sink
        self.queue = try LMDBQueue(
            folder: self.folder.path, options: lifetimes, clock: self.clock.wallClock, events: events, probe: probe)
        self.lifetimes = lifetimes
        let observed = ObservationList()
        self.observed = observed
        let generation = try Self.generation(options, lifetimes, routes, tables, sign)
        self.forwarder = try Forwarder(
            loop: self.group.next(), queue: self.queue, pool: self.pool, names: names, hostname: "mx2.example.test",
            listeners: listeners, interfaces: [], generation: generation, events: events, clock: self.clock.wallClock,
            policies: policies, observe: { observed.add($0) })
    }

    private static func generation(
        _ options: ForwarderOptions, _ lifetimes: QueueOptions, _ routes: [String: String], _ tables: SecurityTables,
        _ sign: @escaping @Sendable ([UInt8]) throws -> [UInt8]
    ) throws -> ForwarderGeneration {
        ForwarderGeneration(
            options: options, lifetimes: lifetimes, routes: RouteTable { lane in Self.route(lane, routes) },
            lanes: .byDomain, policies: try TLSPolicyTable(SecurityTables.lines(tables.policies)),
            passwords: try SASLPasswordTable(SecurityTables.lines(tables.passwords)),
            webAuthorities: tables.webAuthorities, sign: sign)
    }

    /// Goes over to other options.
    func use(options: ForwarderOptions) throws {
        self.forwarder.use(
            try Self.generation(options, self.lifetimes, self.routes, self.tables) { _ in [] })
    }

    /// What was told for reports.
    var observations: [TransportObservation] { self.observed.list }

    var failures: [TransportObservation.Failure] {
        self.observations.compactMap { if case .failure(let failure, _) = $0.result { failure } else { nil } }
    }

    var delivered: [MailEvent.Outcome] {
        self.events.compactMap { if case .delivered(_, let outcome) = $0 { outcome } else { nil } }
    }

    var events: [MailEvent] { self.list.events }

    private static func route(_ lane: String, _ routes: [String: String]) -> Route {
        guard let domain = Domain(lane) else { return .discard }
        return (try? Route(routes[lane] ?? routes["*"] ?? "", recipientDomain: domain)) ?? .direct(domain)
    }

    func end() async throws {
        await self.forwarder.stop(grace: .seconds(5))
        self.queue.close()
        try await self.pool.shutdownGracefully()
        try await self.group.shutdownGracefully()
    }

    /// Lets time pass, and what is due happen.
    func pass(_ duration: Duration) {
        self.clock.advance(duration)
        self.forwarder.tick()
    }

    /// Puts a message into the queue.
    @discardableResult
    func add(
        _ envelope: Envelope, _ content: String = "Subject: x\r\n\r\nbody\r\n", utf8: Bool = false,
        client: ClientIdentity? = nil
    ) async throws -> QueueID {
        var incoming = IncomingContent(id: self.queue.beginMessage())
        incoming.buffer = Array(content.utf8)
        let new = incoming.finish(
            arrival: self.clock.now, envelope: envelope, client: client, about: nil, needsSMTPUTF8: utf8,
            lanes: .byDomain)
        let result: Result<Void, QueueError> = await withCheckedContinuation { continuation in
            self.queue.store(new) { continuation.resume(returning: $0) }
        }
        try result.get()
        return new.message.id
    }

    func messages() throws -> [QueuedMessage] { try self.queue.messages(after: nil, limit: 100_000).messages }

    func content(_ message: QueuedMessage) throws -> String {
        String(decoding: try self.queue.content(of: message.id, from: 0, limit: 1 << 20), as: UTF8.self)
    }

    /// Waits until a destination is in a state.
    func waitFor(_ state: DestinationStatus.State, within limit: Duration = .seconds(20)) async throws {
        for _ in 0..<Int(limit.inSeconds * 100) {
            if try await self.forwarder.status().contains(where: { $0.state == state }) { return }
            self.forwarder.tick()
            try await self.pool.runIfActive { _ = poll(nil, 0, 10) }
        }
        Issue.record("no destination is \(state)")
    }

    /// Waits until the queue has so many messages.
    func waitForMessages(_ count: Int, within limit: Duration = .seconds(60)) async throws {
        try await self.waitUntil("the queue has \(count) messages", within: limit) {
            try self.queue.statistics().messages == count
        }
    }

    /// What is logged is logged after it is on the disk: wait for that which is looked at.
    func waitUntil(
        _ claim: String, within limit: Duration = .seconds(60), _ isSo: () throws -> Bool
    ) async throws {
        for _ in 0..<Int(limit.inSeconds * 100) {
            if try isSo() { return }
            self.forwarder.tick()
            try await self.pool.runIfActive { _ = poll(nil, 0, 10) }
        }
        let last = self.events.suffix(3).map { $0.fields.list.map { "\($0.value)" }.joined(separator: " ") }
        Issue.record(
            "waited in vain until \(claim); last \(last); it has \(try self.queue.statistics().messages) messages")
    }
}

/// Tables of a generation, by keys and values.
struct SecurityTables: Sendable {
    var policies: [(String, String)] = []
    var passwords: [(String, String)] = []
    /// A PEM file.
    var webAuthorities: String?

    static func lines(_ pairs: [(String, String)]) -> [SecurityTableLine] {
        zip(pairs, 1...).map { SecurityTableLine(key: $0.0.0, value: $0.0.1, line: $0.1) }
    }
}

private final class ObservationList: Sendable {
    private let observations = Mutex<[TransportObservation]>([])

    var list: [TransportObservation] { self.observations.withLock { $0 } }

    func add(_ observation: TransportObservation) { self.observations.withLock { $0.append(observation) } }
}

private final class EventList: Sendable {
    private let list = Mutex<[MailEvent]>([])

    var events: [MailEvent] { self.list.withLock { $0 } }

    var sink: EventSink { EventSink { event in self.list.withLock { $0.append(event) } } }
}

func envelope(
    _ recipients: [String] = ["a@example.test"], from: String = "s@client.example",
    tls: TLSRequirement = .unspecified
) throws -> Envelope {
    var parameters = MailParameters()
    parameters.tls = tls
    var envelope = Envelope(
        reversePath: from.isEmpty ? .null : .mailbox(try #require(Mailbox(from))), parameters: parameters)
    envelope.recipients = try recipients.map { Recipient(try #require(Mailbox($0))) }
    return envelope
}

func withForwarder(
    _ fixture: ForwarderFixture, _ body: (ForwarderFixture) async throws -> Void
) async throws {
    do {
        try await body(fixture)
        try await fixture.end()
    } catch {
        try? await fixture.end()  // The first error is the one to report.
        throw error
    }
}
