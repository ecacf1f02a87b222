import Glibc
import Logging
import Mail
import NIOCore
import NIOPosix

/// The socket on which commands reach the daemon. Who may open it may do everything: it belongs to root and the
/// daemon's group.
struct ControlServer: Sendable {
    private typealias Input = NIOAsyncChannelInboundStream<ByteBuffer>

    private let listener: NIOAsyncChannel<AcceptedChannel, Never>
    private let commands: ControlCommands
    private let logger: Logger
    private let path: String

    /// A request is a line of JSON; more than this is none. One may hold a message that is to be explained.
    private static let requestBytes = 64 << 20

    /// Begins to listen. A socket that nobody listens at any more is replaced.
    ///
    /// - Throws: `StartError`.
    init(path: String, commands: ControlCommands, group: any EventLoopGroup, logger: Logger) async throws {
        self.commands = commands
        self.logger = logger
        self.path = path
        guard (try? ControlClient(path: path)) == nil else {
            throw PosternDaemon.StartError.failed("another daemon listens on \(path)")
        }
        if unlink(path) != 0, errno != ENOENT {
            throw PosternDaemon.StartError.failed("cannot replace \(path): \(String(cString: strerror(errno)))")
        }
        do {
            self.listener = try await ServerBootstrap(group: group)
                .bind(unixDomainSocketPath: path) { AcceptedChannel.initialize($0) }
        } catch {
            throw PosternDaemon.StartError.failed("cannot listen on \(path): \(error.systemReason)")
        }
        chmod(path, 0o660)
    }

    /// Answers until the task is cancelled or the listener closed. Commands that still run then are cut off.
    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            try await self.listener.executeThenClose { connections in
                for try await connection in connections {
                    group.addTask { await self.serve(connection) }
                }
            }
            group.cancelAll()
        }
    }

    func close() {
        self.listener.channel.close(promise: nil)
        unlink(self.path)
    }

    private func serve(_ connection: AcceptedChannel) async {
        do {
            try await connection.serve { (inbound: Input, outbound) in
                var input = inbound.makeAsyncIterator()
                guard let request = try await Self.readRequest(&input) else { return }
                let output = Output(writer: outbound)
                let end = await self.answer(request, output)
                try await output.write(ControlFrame.end, try ControlJSON.encode(end))
                // Closing drops what is not sent yet; the command hangs up when it has read the end.
                while try await input.next() != nil {}
            }
        } catch {
            // A command that was interrupted closes its side early.
            self.logger.debug("control connection ended", metadata: ["error": "\(error)"])
        }
    }

    private func answer(_ request: [UInt8], _ output: Output) async -> ControlEnd {
        do {
            return try await self.commands.run(try ControlJSON.decode(ControlRequest.self, from: request), output)
        } catch let error as DecodingError {
            return ControlEnd(status: 2, message: "unknown request: \(error)")
        } catch {
            return ControlEnd(status: 1, message: "\(error)")
        }
    }

    private static func readRequest(
        _ input: inout Input.AsyncIterator
    ) async throws -> [UInt8]? {
        var bytes: [UInt8] = []
        while let piece = try await input.next() {
            let start = bytes.count
            bytes += piece.readableBytesView
            if let end = bytes[start...].firstIndex(of: ASCII.lineFeed) { return Array(bytes[..<end]) }
            if bytes.count > Self.requestBytes { return nil }
        }
        return nil
    }

    private struct Output: ControlOutput {
        let writer: NIOAsyncChannelOutboundWriter<ByteBuffer>

        func write(_ kind: UInt8, _ payload: [UInt8]) async throws {
            try await self.writer.write(ByteBuffer(bytes: ControlFrame.encode(kind, payload)))
        }
    }
}
