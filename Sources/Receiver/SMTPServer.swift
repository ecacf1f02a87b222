package import Mail
package import NIOCore
import NIOPosix
import SMTP
import Synchronization

/// The SMTP server: listens, and makes a session of each connection.
package final class SMTPServer: Sendable {
    private let context: ReceiverContext
    private let group: any EventLoopGroup
    private let shared = Mutex(Shared())

    private struct Shared {
        var listeners: [any Channel] = []
        var sessions: [ObjectIdentifier: any Channel] = [:]
        var isShuttingDown = false
        var sessionIDs = QueueIDGenerator(after: QueueID(value: 0))
        /// Waits for the last session to end.
        var emptied: EventLoopPromise<Void>?
    }

    /// Where to listen.
    package enum Listener: Sendable {
        case address(Endpoint)
        /// A socket that listens already, as systemd hands over.
        case socket(descriptor: Int32)
    }

    package init(context: ReceiverContext, group: any EventLoopGroup) {
        self.context = context
        self.group = group
    }

    /// Begins to listen.
    ///
    /// - Returns: the address, with the port that was chosen if it was to be 0.
    @discardableResult
    package func listen(on listener: Listener) async throws -> Endpoint? {
        var bootstrap = ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Linux hands this on to the connections, which saves a call for each.
            .serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .serverChannelOption(.maxMessagesPerRead, value: 64)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 65_536)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.begin(channel) }
            }
        if case .address(let endpoint) = listener, endpoint.address.width == 128 {
            // Else [::] would take the port of 0.0.0.0 as well, and the two could not be listened on together.
            bootstrap = bootstrap.serverChannelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 1)
        }
        let channel =
            switch listener {
            case .address(let endpoint): try await bootstrap.bind(to: SocketAddress(endpoint)).get()
            case .socket(let descriptor): try await bootstrap.withBoundSocket(descriptor).get()
            }
        self.shared.withLock { $0.listeners.append(channel) }
        return channel.localAddress.flatMap { Endpoint($0) }
    }

    private func begin(_ channel: any Channel) throws {
        guard let client = channel.remoteAddress.flatMap({ Endpoint($0) }) else {
            throw ChannelError.unknownLocalAddress
        }
        let key = ObjectIdentifier(channel)
        let now = self.context.clock.now()
        let (id, isShuttingDown) = self.shared.withLock { shared in
            shared.sessions[key] = channel
            return (shared.sessionIDs.next(at: now), shared.isShuttingDown)
        }
        let handler = SessionHandler(shared: self.context, sessionID: id, client: client, loop: channel.eventLoop)
        try channel.pipeline.syncOperations.addHandler(handler)
        channel.closeFuture.whenComplete { _ in self.ended(key) }
        if isShuttingDown { channel.pipeline.fireUserInboundEventTriggered(ServiceShutdown(patience: .none)) }
    }

    private func ended(_ key: ObjectIdentifier) {
        let emptied = self.shared.withLock { shared in
            shared.sessions[key] = nil
            return shared.sessions.isEmpty ? shared.emptied : nil
        }
        emptied?.succeed()
    }

    package var sessionCount: Int { self.shared.withLock { $0.sessions.count } }

    /// Stops listening, lets transactions finish for a while, and says 421 to everybody else.
    package func shutDown(grace: Duration) async {
        let listeners = self.shared.withLock { shared in
            shared.isShuttingDown = true
            defer { shared.listeners = [] }
            return shared.listeners
        }
        for listener in listeners { try? await listener.close() }  // It may have closed by itself.
        self.tellSessions(.transaction)
        await self.waitUntilEmpty(atMost: grace)
        self.tellSessions(.none)
        await self.waitUntilEmpty(atMost: .seconds(5))
        for channel in self.shared.withLock({ Array($0.sessions.values) }) { channel.close(promise: nil) }
    }

    private func tellSessions(_ patience: ServerSession.Patience) {
        for channel in self.shared.withLock({ Array($0.sessions.values) }) {
            channel.pipeline.fireUserInboundEventTriggered(ServiceShutdown(patience: patience))
        }
    }

    private func waitUntilEmpty(atMost limit: Duration) async {
        let loop = self.group.next()
        let promise = loop.makePromise(of: Void.self)
        let isEmpty = self.shared.withLock { shared in
            shared.emptied = promise
            return shared.sessions.isEmpty
        }
        if isEmpty { promise.succeed() }
        let timer = loop.scheduleTask(in: .microseconds(limit.microseconds)) { promise.succeed() }
        try? await promise.futureResult.get()  // It is only ever succeeded.
        timer.cancel()
        self.shared.withLock { $0.emptied = nil }
    }
}

extension Endpoint {
    /// nil for a socket that is not of the internet.
    init?(_ address: SocketAddress) {
        switch address {
        case .v4(let v4):
            self.init(.v4(UInt32(bigEndian: v4.address.sin_addr.s_addr)), port: address.port ?? 0)
        case .v6(let v6):
            var bytes = v6.address.sin6_addr
            self.init(withUnsafeBytes(of: &bytes) { IPAddress(v6Bytes: $0) }, port: address.port ?? 0)
        case .unixDomainSocket: return nil
        }
    }
}

extension SocketAddress {
    init(_ endpoint: Endpoint) throws {
        try self.init(ipAddress: endpoint.address.description, port: endpoint.port)
    }
}
