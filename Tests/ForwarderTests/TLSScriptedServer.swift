import NIOCore
import NIOPosix
import Synchronization
import TLS

/// An SMTP server that speaks TLS and otherwise says what a test wants.
final class TLSScriptedServer: Sendable {
    enum Answer: Sendable {
        /// Lines without the last line end.
        case reply(String)
        /// Octets as they are, to STARTTLS; what is said behind it in plain text is another write. Then TLS, which is
        /// cut off behind so many octets.
        case startTLS(String = "220 2.0.0 Go on\r\n", behind: String = "", cut: Int = .max)
        case close
        case silence
    }

    /// A line from the client, and whether it came through TLS.
    struct Line: Hashable, Sendable {
        let text: String
        let isSecured: Bool
    }

    /// - Returns: nil for what an honest server says.
    typealias Script = @Sendable (Line) -> Answer?

    static let name = "primary.example.test"

    let certificate: TLSCertificate
    let port: Int
    private let record = Record()
    private let channel: any Channel

    init(
        isImplicit: Bool = false, on group: any EventLoopGroup, script: @escaping Script = { _ in nil }
    ) async throws {
        let certificate = try TLSCertificate(selfSigned: Self.name, key: try TLSCertificate.generateKey())
        let context = try TLSServerContext(TLSServerOptions(certificates: [certificate], service: "test"))
        let record = self.record
        self.channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if isImplicit { try pipeline.addHandler(TLSHandler(server: context)) }
                    try pipeline.addHandler(Conversation(context, script, record, greets: !isImplicit))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.certificate = certificate
        self.port = self.channel.localAddress?.port ?? 0
    }

    func end() async { try? await self.channel.close() }  // It may be closed already.

    /// What clients have said, all of them.
    var lines: [Line] { self.record.lines.withLock { $0 } }

    /// What the server has sent in TLS.
    var tlsBytes: Int { self.record.tlsBytes.withLock { $0 } }

    final class Record: Sendable {
        let lines = Mutex<[Line]>([])
        let tlsBytes = Mutex(0)
    }
}

/// One connection.
private final class Conversation: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let tls: TLSServerContext
    private let script: TLSScriptedServer.Script
    private let record: TLSScriptedServer.Record
    private let greets: Bool
    private var input: [UInt8] = []
    private var isSecured = false

    init(
        _ tls: TLSServerContext, _ script: @escaping TLSScriptedServer.Script, _ record: TLSScriptedServer.Record,
        greets: Bool
    ) {
        self.tls = tls
        self.script = script
        self.record = record
        self.greets = greets
    }

    func channelActive(context: ChannelHandlerContext) {
        if self.greets { self.say("220 \(TLSScriptedServer.name) ESMTP\r\n", context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case TLSEvent.established = event else { return }
        self.isSecured = true
        if !self.greets { self.say("220 \(TLSScriptedServer.name) ESMTP\r\n", context) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.input += self.unwrapInboundIn(data).readableBytesView
        while let end = self.input.firstIndex(of: 10) {
            let text = String(decoding: self.input[..<end].filter { $0 != 13 }, as: UTF8.self)
            self.input.removeSubrange(...end)
            let line = TLSScriptedServer.Line(text: text, isSecured: self.isSecured)
            self.record.lines.withLock { $0.append(line) }
            self.perform(self.script(line) ?? self.honestAnswer(to: line), context)
        }
    }

    private func perform(_ answer: TLSScriptedServer.Answer, _ context: ChannelHandlerContext) {
        switch answer {
        case .reply(let text): self.say(text + "\r\n", context)
        case .close: context.close(promise: nil)
        case .silence: break
        case .startTLS(let text, let behind, let limit):
            self.say(text, context)
            if !behind.isEmpty { self.say(behind, context) }
            let pipeline = context.pipeline.syncOperations
            do {
                try pipeline.addHandler(TLSHandler(server: self.tls), position: .first)
                try pipeline.addHandler(Cutter(limit, self.record), position: .first)
            } catch { context.close(promise: nil) }
        }
    }

    private func say(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    private func honestAnswer(to line: TLSScriptedServer.Line) -> TLSScriptedServer.Answer {
        switch line.text.prefix(4) {
        case "EHLO": .reply("250-\(TLSScriptedServer.name)\r\n250 \(line.isSecured ? "REQUIRETLS" : "STARTTLS")")
        case "STAR": .startTLS()
        case "QUIT": .reply("221 2.0.0 Bye")
        default: .reply("250 2.0.0 Ok")
        }
    }
}

/// Lets so many octets out.
private final class Cutter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var left: Int
    private let record: TLSScriptedServer.Record

    init(_ limit: Int, _ record: TLSScriptedServer.Record) {
        self.left = limit
        self.record = record
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var bytes = self.unwrapOutboundIn(data)
        let count = bytes.readableBytes
        self.record.tlsBytes.withLock { $0 += count }
        guard count > self.left else {
            self.left -= count
            return context.write(data, promise: promise)
        }
        let rest = bytes.readSlice(length: self.left) ?? ByteBuffer()
        self.left = 0
        context.writeAndFlush(self.wrapOutboundOut(rest), promise: nil)
        promise?.fail(ChannelError.ioOnClosedChannel)
        context.close(promise: nil)
    }
}
