import Foundation
import Harness
import Mail
import NIOPosix
import Queue
import Receiver
import Rules
import SMTP
import Synchronization

/// A receiving server on a port of its own, with a real queue in a folder of its own.
final class SMTPServerFixture: Sendable {
    let queue: LMDBQueue
    let server: SMTPServer
    let address: Harness.Endpoint
    let clients = ClientLimits()
    private let folder: TemporaryFolder
    private let group: MultiThreadedEventLoopGroup
    private let box = EventBox()

    /// What has been logged.
    var log: [MailEvent] { self.box.events }

    init(
        limits: SessionLimits = SessionLimits(), policy: RelayPolicy, probe: QueueProbe = QueueProbe(),
        options: QueueOptions? = nil, listener: SMTPServer.Listener? = nil
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
        let context = ReceiverContext(
            hostname: "mx.example.test", queue: self.queue, events: events, clock: .system, clients: self.clients,
            generation: { ReceiverGeneration(limits: limits, relay: policy, lanes: .byDomain) })
        self.server = SMTPServer(context: context, group: self.group)
        let endpoint = try await self.server.listen(on: listener ?? .address(Mail.Endpoint(.v4(0x7F00_0001), port: 0)))
        self.address = Harness.Endpoint("127.0.0.1", endpoint?.port ?? 0)
    }

    func end() async throws {
        await self.server.shutDown(grace: .zero)
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
    options: QueueOptions? = nil, listener: SMTPServer.Listener? = nil,
    _ body: @escaping @Sendable (SMTPServerFixture) async throws -> Result
) async throws -> Result {
    let server = try await SMTPServerFixture(
        limits: limits, policy: try policy ?? Dialog(file: "basic.dialog").policy, probe: probe, options: options,
        listener: listener)
    do {
        let result = try await body(server)
        try await server.end()
        return result
    } catch {
        try? await server.end()  // The first error is the one to report.
        throw error
    }
}
