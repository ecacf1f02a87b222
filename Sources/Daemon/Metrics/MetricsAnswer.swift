import NIOCore
import NIOHTTP1
import Synchronization

/// One answer over HTTP, after which the connection ends.
struct MetricsAnswer: Sendable {
    let channel: any Channel
    let output: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    /// Only the head is sent (RFC 9110 §9.3.2).
    var isHead = false
    /// Of the request: before 1.1 there are no chunks, and the end of the connection is the end (RFC 9112 §6.3).
    var version = HTTPVersion.http1_1
    private(set) var hasBegun = false
    private var hasLength = false

    static let json = "application/json"
    private static let text = "text/plain; charset=utf-8"

    init(channel: any Channel, output: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>) {
        self.channel = channel
        self.output = output
    }

    /// Sends a whole answer.
    mutating func send(_ status: HTTPResponseStatus, _ text: String, type: String = Self.text) async throws {
        self.hasLength = true
        try await self.begin(status, type, ("content-length", "\(text.utf8.count)"))
        guard !self.isHead else { return }
        try await self.output.write(.body(.byteBuffer(ByteBuffer(string: text))))
    }

    /// Begins an array that is sent while it is made. Its length is not known: it comes in chunks.
    mutating func beginList() async throws -> List {
        try await self.begin(.ok, Self.json)
        return List(output: self.output)
    }

    private mutating func begin(
        _ status: HTTPResponseStatus, _ type: String, _ more: (String, String)...
    ) async throws {
        self.hasBegun = true
        var head = HTTPResponseHead(version: self.version == .http1_0 ? .http1_0 : .http1_1, status: status)
        head.headers = [
            "content-type": type, "cache-control": "no-store", "x-content-type-options": "nosniff",
            "connection": "close",
        ]
        for (name, value) in more { head.headers.add(name: name, value: value) }
        if status == .methodNotAllowed { head.headers.add(name: "allow", value: "GET, HEAD") }
        try await self.output.write(.head(head))
    }

    /// Returns when the system has everything, and the client can see the end.
    func end() async throws {
        // The end of chunks would be content, which a HEAD must not have.
        if !self.isHead || self.hasLength {
            try await self.channel.writeAndFlush(HTTPServerResponsePart.end(nil))
        }
        try await self.channel.close(mode: .output)
    }

    /// Elements of an array, sent when there are enough for a packet or two.
    final class List: Sendable {
        private let output: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
        private let state = Mutex((buffer: ByteBuffer(string: "["), isEmpty: true))

        private static let pieceBytes = 16 * 1024

        init(output: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>) {
            self.output = output
        }

        /// Returns when the client is ready for more.
        func add(_ document: [UInt8]) async throws {
            let piece = self.state.withLock { state -> ByteBuffer? in
                state.buffer.writeString(state.isEmpty ? "\n" : ",\n")
                state.buffer.writeBytes(document)
                state.isEmpty = false
                return state.buffer.readableBytes < Self.pieceBytes ? nil : Self.take(&state.buffer)
            }
            if let piece { try await self.output.write(.body(.byteBuffer(piece))) }
        }

        func end() async throws {
            let piece = self.state.withLock { state in
                state.buffer.writeString(state.isEmpty ? "]\n" : "\n]\n")
                return Self.take(&state.buffer)
            }
            try await self.output.write(.body(.byteBuffer(piece)))
        }

        private static func take(_ buffer: inout ByteBuffer) -> ByteBuffer {
            defer { buffer = ByteBuffer() }
            return buffer
        }
    }
}

/// Ends connections on which more comes than a request may have.
final class RequestLimitHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let refusal =
        "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

    /// Octets that may still come; below 0 the end is on its way.
    private var rest: Int

    init(bytes: Int) {
        self.rest = bytes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard self.rest >= 0 else { return }
        self.rest -= self.unwrapInboundIn(data).readableBytes
        guard self.rest < 0 else { return context.fireChannelRead(data) }
        let channel = context.channel
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: Self.refusal)))
            .whenComplete { _ in channel.close(promise: nil) }
    }
}
