import Glibc
import Mail
import NIOCore
import NIOPosix

extension ClientHandler {
    /// Connects to its server; from then on the delegate hears what comes of it.
    func connect(on loop: any EventLoop, within limit: Duration) -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(self, eventLoop: loop)
        let address: SocketAddress
        do { address = try SocketAddress(ipAddress: self.server.address.description, port: self.server.port) } catch {
            return loop.makeFailedFuture(error)
        }
        return ClientBootstrap(group: loop)
            .connectTimeout(.microseconds(limit.microseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
            }
            // Not by its text: that would go through the system's resolver, on a thread that others may hold.
            .connect(to: address)
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
