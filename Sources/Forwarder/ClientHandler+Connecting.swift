import Glibc
import Mail
import NIOCore
import NIOPosix

extension ClientHandler {
    /// Connects to its server; from then on the delegate hears what comes of it.
    func connect(on loop: any EventLoop, within limit: Duration) -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(self, eventLoop: loop)
        return ClientBootstrap(group: loop)
            .connectTimeout(.microseconds(limit.microseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
            }
            .connect(host: self.server.address.description, port: self.server.port)
            .map { _ in }
    }

    /// Why a connection did not come about.
    static func description(of error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { Self.description(of: $0.error) } ?? "no address"
        case ChannelError.connectTimeout: "Connection timed out"
        default: "\(error)"
        }
    }
}
