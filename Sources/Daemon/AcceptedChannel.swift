import NIOCore
import Synchronization

/// A connection that a listener has accepted. It reads nothing until it is served, and is closed if it is dropped.
///
/// Listeners give out these and not `NIOAsyncChannel`s: one of those that is dropped before it is served ends the
/// program, and whatever is accepted while its listener ends is dropped.
final class AcceptedChannel: Sendable {
    let channel: any Channel
    private let isServed = Atomic(false)

    private init(_ channel: any Channel) {
        self.channel = channel
    }

    deinit {
        if !self.isServed.load(ordering: .relaxed) { self.channel.close(promise: nil) }
    }

    /// What a listener does with each connection.
    ///
    /// - Parameter prepare: adds the handlers that stand before those who serve.
    static func initialize(
        _ channel: any Channel,
        prepare: @Sendable (ChannelPipeline.SynchronousOperations) throws -> Void = { _ in }
    ) -> EventLoopFuture<AcceptedChannel> {
        channel.eventLoop.makeCompletedFuture {
            try channel.syncOptions?.setOption(.autoRead, value: false)
            try prepare(channel.pipeline.syncOperations)
            return AcceptedChannel(channel)
        }
    }

    /// Serves it, once, and closes it.
    ///
    /// - Throws: what `body` throws, and `ChannelError` if the other side has gone already.
    func serve<Inbound: Sendable, Outbound: Sendable>(
        _ body: (NIOAsyncChannelInboundStream<Inbound>, NIOAsyncChannelOutboundWriter<Outbound>) async throws -> Void
    ) async throws {
        let channel = self.channel
        let connection = try await channel.eventLoop.submit {
            // It cannot close between this and its being wrapped.
            guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
            return try NIOAsyncChannel<Inbound, Outbound>(wrappingChannelSynchronously: channel)
        }.get()
        self.isServed.store(true, ordering: .relaxed)
        try await connection.executeThenClose { inbound, outbound in
            try await channel.setOption(.autoRead, value: true).get()
            try await body(inbound, outbound)
        }
    }
}
