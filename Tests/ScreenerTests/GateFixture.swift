import Foundation
import Glibc
import Harness
import Mail
import NIOPosix
import Resolver
import SMTP
import Screener
import Synchronization
import Testing
import ZoneFiles

/// A gate on a port of its own; who is let in is kept, not served.
final class GateFixture: Sendable {
    let gate: Gate
    let address: Harness.Endpoint
    let clients = ClientLimits()
    let passes: PassCache
    let lists: ListMonitor
    let names: ZoneService
    let complaints = Heard<String>()
    let events = Heard<MailEvent>()
    private let letIn = Heard<ScreenedConnection>()
    private let folder: TemporaryFolder
    private let group: MultiThreadedEventLoopGroup

    init(
        options: ScreenerOptions, limits: SessionLimits = SessionLimits(), proxy: ProxyOptions = ProxyOptions(),
        access: [ScreenerPolicy.AccessStep] = [], capacity: GateCapacity = GateCapacity(known: 100, unknown: 100),
        names: ZoneService? = nil, isProxied: Bool = false, isTLS: Bool = false
    ) throws {
        self.folder = try TemporaryFolder()
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (complaints, events, letIn) = (self.complaints, self.events, self.letIn)
        self.names = try names ?? ZoneService()
        self.passes = try PassCache(folder: self.folder.path, clock: .system) { complaints.add($0) }
        self.lists = ListMonitor(
            names: self.names, loop: self.group.next(),
            isUnavailable: { DNSBLReturn.unavailability(of: $0, zone: $1) }, alarms: { _ in })
        let policy = ScreenerPolicy(
            options: options, limits: limits, proxy: proxy, access: access, isTrusted: { _ in false })
        self.lists.use(zones: policy.zones.map(\.name), displayNames: [:])
        self.gate = try Gate(
            GateContext(
                hostname: "mx.example.test", clients: self.clients, passes: self.passes, lists: self.lists,
                names: self.names, loop: self.group.next(), events: EventSink { events.add($0) }, clock: .system,
                complain: { complaints.add($0) }, hurry: {}),
            policy: policy, capacity: capacity
        ) { letIn.add($0) }
        let socket = try Screener.ListeningSocket(Mail.Endpoint(.v4(0x7F00_0001), port: 0))
        self.gate.listen(on: socket, isProxied: isProxied, isTLS: isTLS)
        self.address = Harness.Endpoint("127.0.0.1", socket.endpoint?.port ?? 0)
    }

    /// Connections that were handed on.
    var handedOn: [ScreenedConnection] { self.letIn.all }

    var screened: [MailEvent.Screened] {
        self.events.all.compactMap { if case .screened(let screened) = $0 { screened } else { nil } }
    }

    func end() async throws {
        self.gate.shutDown()
        for connection in self.handedOn { close(connection.descriptor) }
        self.lists.stop()
        self.passes.close()
        try await self.group.shutdownGracefully()
    }
}

/// Runs a body with a gate and ends the gate whatever happens.
func withGate(
    limits: SessionLimits = SessionLimits(), proxy: ProxyOptions = ProxyOptions(),
    access: [ScreenerPolicy.AccessStep] = [], capacity: GateCapacity = GateCapacity(known: 100, unknown: 100),
    names: ZoneService? = nil, isProxied: Bool = false, isTLS: Bool = false,
    _ set: (inout ScreenerOptions) throws -> Void,
    _ body: @escaping @Sendable (GateFixture) async throws -> Void
) async throws {
    var options = ScreenerOptions()
    try set(&options)
    let gate = try GateFixture(
        options: options, limits: limits, proxy: proxy, access: access, capacity: capacity, names: names,
        isProxied: isProxied, isTLS: isTLS)
    do { try await body(gate) } catch {
        try? await gate.end()  // The first error is the one to report.
        throw error
    }
    try await gate.end()
}
