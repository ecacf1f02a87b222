import Harness
import NIOCore
import NIOPosix
import Resolver
import Synchronization

/// A name server that misbehaves as it is told: UDP only, on a free port of 127.0.0.1.
final class FakeServer: Sendable {
    enum Response: Sendable {
        case record(ttl: Int, [UInt8])
        case code(Int)
        /// As if the answer were too large for UDP.
        case truncated
        /// Answered when the test says so.
        case held
        case silence
    }

    typealias Behaviour = @Sendable (DNSQuestion) -> Response

    private let channel: any Channel
    private let handler: Handler

    init(_ behaviour: @escaping Behaviour) async throws {
        let handler = Handler(behaviour)
        self.handler = handler
        self.channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in channel.pipeline.addHandler(handler) }
            .bind(host: "127.0.0.1", port: try freePort()).get()
    }

    var port: Int { self.channel.localAddress?.port ?? 0 }

    /// Everything that was asked, repeated questions too.
    var questions: [DNSQuestion] { self.handler.questions.withLock { $0 } }

    /// The port that each question came from.
    var sourcePorts: [Int] { self.handler.sourcePorts.withLock { $0 } }

    /// Answers what was held, and nothing is held from now on.
    func release() async throws {
        try await self.channel.eventLoop.submit { self.handler.release() }.get()
    }

    func end() async throws { try await self.channel.close() }
}

extension FakeServer {
    /// `@unchecked Sendable`: what changes is used on the loop of the channel only, or behind a lock.
    private final class Handler: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        typealias OutboundOut = AddressedEnvelope<ByteBuffer>

        let questions = Mutex<[DNSQuestion]>([])
        let sourcePorts = Mutex<[Int]>([])
        private let behaviour: Behaviour
        private var context: ChannelHandlerContext?
        private var held: [(query: DNSMessage, address: SocketAddress)] = []
        private var isReleased = false

        init(_ behaviour: @escaping Behaviour) { self.behaviour = behaviour }

        func handlerAdded(context: ChannelHandlerContext) { self.context = context }

        func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = Self.unwrapInboundIn(data)
            // libunbound sends nothing else.
            guard let query = try? DNSMessage(parsing: Array(envelope.data.readableBytesView)) else { return }
            self.questions.withLock { $0.append(query.question) }
            self.sourcePorts.withLock { $0.append(envelope.remoteAddress.port ?? 0) }
            self.respond(self.behaviour(query.question), to: query, envelope.remoteAddress)
        }

        private func respond(_ response: Response, to query: DNSMessage, _ address: SocketAddress) {
            let (name, type, identifier) = (query.question.name.text, query.question.type, Int(query.identifier))
            var packet: Packet
            switch response {
            case .record(let ttl, let data):
                packet = .answer(to: name, type, identifier: identifier, answers: 1)
                packet.record(nil, type, ttl: ttl, data)
            case .code(let code): packet = .answer(to: name, type, identifier: identifier, code: code)
            case .truncated: packet = .answer(to: name, type, identifier: identifier, isTruncated: true)
            case .held where self.isReleased:
                return self.respond(.record(ttl: 300, [192, 0, 2, 1]), to: query, address)
            case .held: return self.held.append((query, address))
            case .silence: return
            }
            let envelope = AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: packet.bytes))
            self.context?.writeAndFlush(Self.wrapOutboundOut(envelope), promise: nil)
        }

        func release() {
            self.isReleased = true
            for (query, address) in self.held { self.respond(.held, to: query, address) }
            self.held = []
        }
    }
}
