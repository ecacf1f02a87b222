import Mail
package import NIOCore
import NIOPosix
package import SMTP
import Synchronization

/// The SMTP server: makes a session of each connection that the screener hands over.
package final class SMTPServer: Sendable {
    private let context: ReceiverContext
    private let group: any EventLoopGroup
    private let shared = Mutex(Shared())

    private struct Shared {
        var sessions: [ObjectIdentifier: any Channel] = [:]
        /// Connections that are on their way to their event loop.
        var arriving = 0
        var isShuttingDown = false
        /// Waits for the last session to end.
        var emptied: EventLoopPromise<Void>?

        var isEmpty: Bool { self.sessions.isEmpty && self.arriving == 0 }
    }

    package init(context: ReceiverContext, group: any EventLoopGroup) {
        self.context = context
        self.group = group
    }

    /// Takes a connection over, with its socket. From any thread.
    package func take(_ connection: ScreenedConnection) {
        let loop = self.group.next()
        self.shared.withLock { $0.arriving += 1 }
        ClientBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 65_536)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.begin(connection, channel) }
            }
            // Closes the socket if it fails; the client is gone then.
            .withConnectedSocket(connection.descriptor)
            .whenComplete { _ in self.ended(nil) }
    }

    private func begin(_ connection: ScreenedConnection, _ channel: any Channel) throws {
        let key = ObjectIdentifier(channel)
        let isShuttingDown = self.shared.withLock { shared in
            shared.sessions[key] = channel
            return shared.isShuttingDown
        }
        let handler = SessionHandler(shared: self.context, connection: connection, loop: channel.eventLoop)
        try channel.pipeline.syncOperations.addHandler(handler)
        channel.closeFuture.whenComplete { _ in self.ended(key) }
        if isShuttingDown { channel.pipeline.fireUserInboundEventTriggered(ServiceShutdown(patience: .none)) }
    }

    /// - Parameter key: of the session; nil if it was a connection's way here that ended.
    private func ended(_ key: ObjectIdentifier?) {
        let emptied = self.shared.withLock { shared in
            if let key { shared.sessions[key] = nil } else { shared.arriving -= 1 }
            return shared.isEmpty ? shared.emptied : nil
        }
        emptied?.succeed()
    }

    package var sessionCount: Int { self.shared.withLock { $0.sessions.count } }

    /// Gives clients that are not known to be good the time that is left to them under stress.
    package func hurry() {
        for channel in self.shared.withLock({ Array($0.sessions.values) }) {
            channel.pipeline.fireUserInboundEventTriggered(ServiceStress())
        }
    }

    /// Lets transactions finish for a while, and says 421 to everybody else. No connection must be handed over any
    /// more.
    package func shutDown(grace: Duration) async {
        self.shared.withLock { $0.isShuttingDown = true }
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
            return shared.isEmpty
        }
        if isEmpty { promise.succeed() }
        let timer = loop.scheduleTask(in: .microseconds(limit.microseconds)) { promise.succeed() }
        try? await promise.futureResult.get()  // It is only ever succeeded.
        timer.cancel()
        self.shared.withLock { $0.emptied = nil }
    }
}
