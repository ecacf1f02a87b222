import Foundation
import Harness
import Mail
import NIOPosix
import Queue
import Receiver
import Resolver
import Rules
import SMTP
import Screener
import Synchronization
import TLS
import Testing
import ZoneFiles

/// A receiving server on a port of its own, behind the gate, with a real queue in a folder of its own.
final class SMTPServerFixture: Sendable {
    let queue: LMDBQueue
    let server: SMTPServer
    let address: Harness.Endpoint
    let clients = ClientLimits()
    let folder: TemporaryFolder
    let gate: Gate
    private let passes: PassCache
    private let group: MultiThreadedEventLoopGroup
    private let box = EventBox()

    /// What has been logged.
    var log: [MailEvent] { self.box.events }

    init(
        limits: SessionLimits = SessionLimits(), policy: RelayPolicy, probe: QueueProbe = QueueProbe(),
        options: QueueOptions? = nil, listener: Screener.ListeningSocket? = nil,
        screener: ScreenerOptions? = nil, isRejected: Bool = false, greylist: JudgedBy? = nil,
        tls: ServerSession.TLSOffer = .none, setTLS: (inout TLSServerOptions) -> Void = { _ in },
        rules: RestrictionPolicy? = nil, content: ContentPolicy = ContentPolicy(), hasCertificate: Bool = true
    ) async throws {
        self.folder = try TemporaryFolder()
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        var queueOptions = options ?? QueueOptions()
        if options == nil {
            queueOptions.maximumSize = ByteCount(1 << 30)
            queueOptions.reserve = ByteCount(1 << 20)
        }
        let events = self.box.sink
        self.queue = try LMDBQueue(folder: self.folder.path, options: queueOptions, events: events, probe: probe)
        var tlsOptions = TLSServerOptions(certificates: [try TestCertificate.server.get()], service: "smtp")
        setTLS(&tlsOptions)
        let tlsContext = tls == .none || !hasCertificate ? nil : try TLSServerContext(tlsOptions)
        let context = ReceiverContext(
            hostname: "mx.example.test", queue: self.queue, events: events, clock: .system, clients: self.clients,
            names: try greylist?.resolver ?? ZoneService(), policies: PolicyClient(group: self.group),
            greylist: { question, _ in await greylist?.judge(.greylist(question)) ?? .notAsked },
            tls: { _ in tlsContext },
            generation: {
                ReceiverGeneration(
                    limits: limits, policy: rules ?? greylist?.policy(policy) ?? .relayOnly(policy), lanes: .byDomain,
                    content: content, authentication: greylist?.authentication, requiresTLS: tls == .required)
            })
        let server = SMTPServer(context: context, group: self.group)
        self.server = server
        self.passes = try PassCache(
            folder: self.folder.make(folder: "screener"), clock: .system,
            complain: { Issue.record("\($0)") })
        let names = try greylist?.names ?? ZoneService()
        let loop = self.group.next()
        let gateContext = GateContext(
            hostname: "mx.example.test", clients: self.clients, passes: self.passes,
            lists: ListMonitor(names: names, loop: loop, isUnavailable: { _, _ in nil }, alarms: { _ in }),
            names: names, loop: loop, events: events, clock: .system, complain: { Issue.record("\($0)") },
            hurry: { server.hurry() })
        var unscreened = ScreenerOptions()
        unscreened.enabled = false
        let screenerPolicy = ScreenerPolicy(
            options: screener ?? unscreened, limits: limits, proxy: ProxyOptions(),
            access: isRejected ? [.reject] : [],
            isTrusted: { policy.trusts($0) })
        self.gate = try Gate(
            gateContext, policy: screenerPolicy, capacity: GateCapacity(known: limits.connections, unknown: 10_000)
        ) { server.take($0) }
        let socket = try listener ?? Screener.ListeningSocket(Mail.Endpoint(.v4(0x7F00_0001), port: 0))
        self.gate.listen(on: socket, isProxied: false, isTLS: tls == .implicit)
        self.address = Harness.Endpoint(socket.endpoint?.address.description ?? "127.0.0.1", socket.endpoint?.port ?? 0)
    }

    /// Ends sessions as the daemon does.
    func shutDown(grace: Duration) async {
        self.gate.shutDown()
        await self.server.shutDown(grace: grace)
    }

    func end() async throws {
        await self.shutDown(grace: .zero)
        self.passes.close()
        self.queue.close()
        try await self.group.shutdownGracefully()
    }

    /// The messages in the queue with their content, the oldest first.
    func messages() throws -> [(message: QueuedMessage, content: String)] {
        try self.queue.messages(after: nil, limit: 10_000).messages.map { message in
            let bytes = try self.queue.content(of: message.id, from: 0, limit: .max >> 1)
            return (message, String(decoding: bytes, as: UTF8.self))
        }
    }
}

extension SMTPServerFixture {
    /// A client that has been greeted and has said EHLO.
    func client(from source: String? = nil, patience: Duration = .seconds(30)) throws -> SMTPClient {
        let client = try SMTPClient(self.address, from: source, patience: patience)
        _ = try client.reply()
        try client.command("EHLO client.example")
        return client
    }

    /// A client to which content may now be sent.
    func clientInContent(patience: Duration = .seconds(30)) throws -> SMTPClient {
        let client = try self.client(patience: patience)
        try client.command("MAIL FROM:<a@client.example>")
        try client.command("RCPT TO:<user@example.test>")
        let reply = try client.command("DATA")
        guard reply.code == 354 else { throw HarnessError("DATA: \(reply)") }
        return client
    }

    /// Waits until nobody has a place or a session. A session ends after its place is free, and logs until then.
    func waitUntilEmpty() throws {
        try eventually("the end of everybody") { self.clients.openConnections == 0 && self.server.sessionCount == 0 }
    }

    /// Nothing but whole messages is in the queue.
    func checkQueue() throws {
        let report = try QueueCheck(folder: self.folder.path).run()
        #expect(report.findings == [])
        #expect(try self.queue.statistics().receiving == 0)
    }
}

/// Content of about so many octets, in lines that differ.
func largeContent(_ bytes: Int) -> [UInt8] {
    var content = Array("Subject: large\r\n\r\n".utf8)
    content.reserveCapacity(bytes + 1000)
    let filler = [UInt8](repeating: UInt8(ascii: "x"), count: 890)
    var number = 0
    while content.count < bytes {
        content += "\(number) ".utf8
        content += filler
        content += "\r\n".utf8
        number += 1
    }
    return content
}

/// Holds the queue's writing thread before its commits, or makes these fail.
final class WriterGate: Sendable {
    private struct State {
        var isClosed = false
        var isHolding = false
        var fault: QueueError?
        var faults = 0
    }

    private let state = Mutex(State())

    /// Nothing is committed from now on.
    func close() { self.state.withLock { $0.isClosed = true } }

    func open() { self.state.withLock { $0.isClosed = false } }

    /// The next so many commits fail.
    func fail(_ count: Int, with fault: QueueError) { self.state.withLock { ($0.faults, $0.fault) = (count, fault) } }

    /// A commit is waiting.
    var isHolding: Bool { self.state.withLock { $0.isHolding } }

    /// Commits that are still to fail.
    var faultsLeft: Int { self.state.withLock { $0.faults } }

    var probe: QueueProbe {
        var probe = QueueProbe()
        probe.reached = { step throws(QueueError) in
            guard step == .beforeCommit else { return }
            while self.state.withLock({ state in
                state.isHolding = state.isClosed
                return state.isClosed
            }) { usleep(1000) }
            let fault = self.state.withLock { state -> QueueError? in
                guard state.faults > 0 else { return nil }
                state.faults -= 1
                return state.fault
            }
            if let fault { throw fault }
        }
        return probe
    }
}

/// Keeps mail events.
final class EventBox: Sendable {
    private let list = Mutex<[MailEvent]>([])

    var events: [MailEvent] { self.list.withLock { $0 } }

    var sink: EventSink { EventSink { event in self.list.withLock { $0.append(event) } } }
}

/// Runs a body with a server and ends the server whatever happens.
@discardableResult
func withServer<Result: Sendable>(
    limits: SessionLimits = SessionLimits(), policy: RelayPolicy? = nil, probe: QueueProbe = QueueProbe(),
    options: QueueOptions? = nil, listener: Screener.ListeningSocket? = nil, screener: ScreenerOptions? = nil,
    isRejected: Bool = false, greylist: JudgedBy? = nil, tls: ServerSession.TLSOffer = .none,
    setTLS: (inout TLSServerOptions) -> Void = { _ in }, rules: RestrictionPolicy? = nil,
    content: ContentPolicy = ContentPolicy(), hasCertificate: Bool = true,
    _ body: @escaping @Sendable (SMTPServerFixture) async throws -> Result
) async throws -> Result {
    let server = try await SMTPServerFixture(
        limits: limits, policy: try policy ?? Dialog(file: "basic.dialog").policy, probe: probe, options: options,
        listener: listener, screener: screener, isRejected: isRejected, greylist: greylist, tls: tls, setTLS: setTLS,
        rules: rules, content: content, hasCertificate: hasCertificate)
    do {
        let result = try await body(server)
        try await server.end()
        return result
    } catch {
        try? await server.end()  // The first error is the one to report.
        throw error
    }
}
