import NIOCore
import NIOEmbedded
import TLS

/// A client and a server joined in memory, without a socket.
final class Pair {
    let client = EmbeddedChannel()
    let server = EmbeddedChannel()
    let clientLog = EventLog()
    let serverLog = EventLog()

    init(_ server: TLSHandler, _ client: TLSHandler) throws {
        try self.server.pipeline.syncOperations.addHandlers([server, self.serverLog])
        try self.client.pipeline.syncOperations.addHandlers([client, self.clientLog])
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 25)
        self.server.connect(to: address, promise: nil)
        self.client.connect(to: address, promise: nil)
    }

    convenience init(
        _ options: TLSServerOptions, client: TLSClientOptions = TLSClientOptions(), _ request: TLSClientRequest
    ) throws {
        try self.init(
            TLSHandler(server: try TLSServerContext(options)),
            TLSHandler(client: try TLSClientContext(client), request))
    }

    /// Carries octets to and fro until there are none.
    func run() throws {
        var moved = true
        while moved {
            moved = false
            while let bytes = try self.client.readOutbound(as: ByteBuffer.self) {
                moved = true
                self.give(bytes, to: self.server)
            }
            while let bytes = try self.server.readOutbound(as: ByteBuffer.self) {
                moved = true
                self.give(bytes, to: self.client)
            }
        }
    }

    /// Errors are in the logs.
    func give(_ bytes: ByteBuffer, to channel: EmbeddedChannel) { _ = try? channel.writeInbound(bytes) }

    static func text(in channel: EmbeddedChannel) throws -> String {
        var text = ""
        while let bytes = try channel.readInbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        return text
    }
}

/// What a handler behind TLS gets to know.
final class EventLog: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    var session: TLSSession?
    var errors: [TLSError] = []
    var ends = 0
    var onEstablished: (ChannelHandlerContext) -> Void = { _ in }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSEvent.established(let session) = event {
            self.session = session
            self.onEstablished(context)
        }
        if case ChannelEvent.inputClosed = event { self.ends += 1 }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? TLSError { self.errors.append(error) }
    }
}
