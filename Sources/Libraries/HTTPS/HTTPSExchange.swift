internal import NIOCore
internal import NIOHTTP1
internal import TLS

/// Sends the request when TLS is there and its server is who it should be, and reads the answer.
final class HTTPSExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart
    typealias Result = Swift.Result<HTTPSResponse, HTTPSError>

    private enum State {
        /// Next: `asked`, `done`.
        case securing
        /// Next: `reading`, `done`.
        case asked
        /// Next: `done`.
        case reading(HTTPResponseHead, body: [UInt8])
        case done
    }

    private let request: HTTPSRequest
    private let completion: (Result) -> Void
    private var state = State.securing

    /// - Parameter completion: called once.
    init(_ request: HTTPSRequest, _ completion: @escaping (Result) -> Void) {
        self.request = request
        self.completion = completion
    }

    private func finish(_ result: Result, _ context: ChannelHandlerContext) {
        if case .done = self.state { return }
        self.state = .done
        self.completion(result)
        context.close(promise: nil)
    }

    // MARK: Asking

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSEvent.established(let session): self.established(session, context)
        case ChannelEvent.inputClosed: self.ended(context)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    private func established(_ session: TLSSession, _ context: ChannelHandlerContext) {
        guard case .securing = self.state else { return }
        switch (self.request.trust, session.verdict) {
        case (.anyone, _), (.verified, .verified): self.ask(context)
        case (.verified, .notVerified): self.finish(.failure(.untrusted("not verified")), context)
        case (.verified, .failed(let failure)): self.finish(.failure(.untrusted("\(failure)")), context)
        }
    }

    private func ask(_ context: ChannelHandlerContext) {
        self.state = .asked
        var headers = HTTPHeaders([
            ("Host", self.request.port == 443 ? self.request.host : "\(self.request.host):\(self.request.port)"),
            ("User-Agent", "Postern"), ("Accept", "*/*"), ("Connection", "close"),
        ])
        var method = HTTPMethod.GET
        var content: ByteBuffer?
        if case .post(let type, let body) = self.request.method {
            method = .POST
            headers.add(name: "Content-Type", value: type)
            headers.add(name: "Content-Length", value: String(body.count))
            content = ByteBuffer(bytes: body)
        }
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: self.request.path, headers: headers)
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        if let content { context.write(self.wrapOutboundOut(.body(.byteBuffer(content))), promise: nil) }
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    // MARK: The answer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (self.unwrapInboundIn(data), self.state) {
        case (.head(let head), .asked): self.begin(head, context)
        case (.body(var buffer), .reading(let head, var body)):
            self.state = .reading(head, body: [])
            guard body.count + buffer.readableBytes <= self.request.limitBytes else {
                return self.finish(.failure(.tooLarge), context)
            }
            body += buffer.readBytes(length: buffer.readableBytes) ?? []
            self.state = .reading(head, body: body)
        case (.end, .reading(let head, let body)): self.finish(.success(Self.response(head, body)), context)
        case (_, .done): break
        case (.head, .securing), (.head, .reading), (.body, .securing), (.body, .asked), (.end, .securing),
            (.end, .asked):
            self.finish(.failure(.malformed("out of sequence")), context)
        }
    }

    private func begin(_ head: HTTPResponseHead, _ context: ChannelHandlerContext) {
        guard case .get = self.request.method, head.status == .ok else {
            return self.finish(.success(Self.response(head, [])), context)
        }
        // A body that ends with the connection could be cut off by anybody (RFC 9112 §9.8).
        let isChunked = head.headers.first(name: "Transfer-Encoding")?.lowercased() == "chunked"
        guard isChunked || head.headers.contains(name: "Content-Length") else {
            return self.finish(.failure(.malformed("a body without length")), context)
        }
        self.state = .reading(head, body: [])
    }

    private static func response(_ head: HTTPResponseHead, _ body: [UInt8]) -> HTTPSResponse {
        HTTPSResponse(
            status: Int(head.status.code), contentType: head.headers.first(name: "Content-Type"), body: body)
    }

    // MARK: The end

    private func ended(_ context: ChannelHandlerContext) {
        self.finish(.failure(.unreachable("the connection ended before the answer did")), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.ended(context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let failure: HTTPSError =
            switch error {
            case let error as HTTPSError: error
            case HTTPParserError.headerOverflow: .tooLarge
            case HTTPParserError.invalidEOFState: .unreachable("the connection ended before the answer did")
            case let error as HTTPParserError: .malformed("\(error)")
            case let error as TLSError: .unreachable("TLS: \(error)")
            default: .unreachable("\(error)")
            }
        self.finish(.failure(failure), context)
    }
}

/// Counts what comes, for whatever the parser lets through without end.
final class ReceivedLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var leftBytes: Int

    init(bytes: Int) {
        self.leftBytes = bytes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let count = self.unwrapInboundIn(data).readableBytes
        guard self.leftBytes >= 0 else { return }
        self.leftBytes -= count
        guard self.leftBytes >= 0 else {
            context.fireErrorCaught(HTTPSError.tooLarge)
            return context.close(promise: nil)
        }
        context.fireChannelRead(data)
    }
}
