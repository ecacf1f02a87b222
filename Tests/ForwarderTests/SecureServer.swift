import NIOCore
import NIOPosix
import Synchronization
import TLS

/// An SMTP server with TLS, good or not.
final class SecureServer: Sendable {
    enum Flaw: Sendable {
        case none
        /// It does not offer STARTTLS.
        case offersNothing
        /// It offers STARTTLS and then refuses it.
        case refuses
        /// It does not speak TLS after it said so.
        case babbles
        /// It closes the connection instead.
        case leaves
        /// It closes the connection when the handshake is done.
        case leavesLater
    }

    struct Message: Hashable, Sendable {
        let mail: String
        let isSecured: Bool
        let serverName: String?
        /// What the client said in AUTH.
        let authentication: String?
    }

    let port: Int
    private let channel: any Channel
    fileprivate let log = Mutex(Log())

    fileprivate struct Log {
        var connections = 0
        var messages: [Message] = []
        var commands: [String] = []
        var open: [ObjectIdentifier: any Channel] = [:]
    }

    /// - Parameters:
    ///   - port: 0 for a free one.
    ///   - extensions: announced inside TLS besides those that everybody has.
    init(
        host: String = "127.0.0.1", port: Int = 0, certificate: TLSCertificate? = nil, flaw: Flaw = .none,
        extensions: [String] = [], isImplicit: Bool = false
    ) async throws {
        let context = try certificate.map {
            try TLSServerContext(TLSServerOptions(certificates: [$0], service: "test"))
        }
        let holder = Holder()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if isImplicit, let context {
                        try channel.pipeline.syncOperations.addHandler(TLSHandler(server: context))
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        SecureSession(
                            holder, context: context, flaw: flaw, extensions: extensions, isImplicit: isImplicit))
                }
            }
            .bind(host: host, port: port).get()
        self.channel = channel
        self.port = channel.localAddress?.port ?? 0
        holder.set(self)
    }

    func end() async throws {
        try await self.channel.close().get()
        for open in self.log.withLock({ Array($0.open.values) }) { open.close(promise: nil) }
    }

    var messages: [Message] { self.log.withLock { $0.messages } }
    var connections: Int { self.log.withLock { $0.connections } }
    /// Of all connections.
    var commands: [String] { self.log.withLock { $0.commands } }
    var open: Int { self.log.withLock { $0.open.count } }

    /// The server exists after its channel does.
    fileprivate final class Holder: Sendable {
        private let server = Mutex<SecureServer?>(nil)

        func set(_ server: SecureServer) { self.server.withLock { $0 = server } }

        func note(_ body: (inout Log) -> Void) {
            guard let server = self.server.withLock({ $0 }) else { return }
            server.log.withLock { body(&$0) }
        }
    }
}

private final class SecureSession: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let server: SecureServer.Holder
    private let context: TLSServerContext?
    private let flaw: SecureServer.Flaw
    private let extensions: [String]
    private let isImplicit: Bool
    private var input = ""
    private var isSecured = false
    private var isInContent = false
    private var serverName: String?
    private var mail = ""
    private var authentication: String?

    init(
        _ server: SecureServer.Holder, context: TLSServerContext?, flaw: SecureServer.Flaw, extensions: [String],
        isImplicit: Bool
    ) {
        self.server = server
        self.context = context
        self.flaw = flaw
        self.extensions = extensions
        self.isImplicit = isImplicit
    }

    func channelActive(context: ChannelHandlerContext) {
        let (channel, id) = (context.channel, ObjectIdentifier(self))
        self.server.note {
            $0.connections += 1
            $0.open[id] = channel
        }
        if !self.isImplicit { self.say("220 secure.test ESMTP", context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let id = ObjectIdentifier(self)
        self.server.note { $0.open[id] = nil }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSEvent.established(let session) = event {
            self.isSecured = true
            self.serverName = session.serverName
            if self.flaw == .leavesLater { return context.close(promise: nil) }
            if self.isImplicit { self.say("220 secure.test ESMTP", context) }
        }
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.input += String(buffer: self.unwrapInboundIn(data))
        while let end = self.input.range(of: "\r\n") {
            let line = String(self.input[..<end.lowerBound])
            self.input.removeSubrange(..<end.upperBound)
            self.take(line, context)
        }
    }

    private func say(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: text + "\r\n")), promise: nil)
    }

    private func take(_ line: String, _ context: ChannelHandlerContext) {
        guard !self.isInContent else {
            if line == "." {
                self.isInContent = false
                let message = SecureServer.Message(
                    mail: self.mail, isSecured: self.isSecured, serverName: self.serverName,
                    authentication: self.authentication)
                self.server.note { $0.messages.append(message) }
                self.say("250 2.0.0 taken", context)
            }
            return
        }
        self.server.note { $0.commands.append(line) }
        let words = line.split(separator: " ")
        switch words.first?.uppercased() {
        case "EHLO":
            var lines = ["secure.test", "8BITMIME"]
            if !self.isSecured, self.flaw != .offersNothing { lines.append("STARTTLS") }
            if self.isSecured { lines += self.extensions }
            for line in lines.dropLast() { self.say("250-\(line)", context) }
            self.say("250 \(lines.last ?? "")", context)
        case "STARTTLS": self.startTLS(context)
        case "MAIL":
            self.mail = line
            self.say("250 2.1.0 Ok", context)
        case "AUTH":
            self.authentication = line
            self.say("235 2.7.0 Ok", context)
        case "DATA":
            self.isInContent = true
            self.say("354 go on", context)
        case "QUIT":
            self.say("221 bye", context)
            context.close(promise: nil)
        default: self.say("250 2.0.0 Ok", context)
        }
    }

    private func startTLS(_ context: ChannelHandlerContext) {
        switch self.flaw {
        case .refuses, .offersNothing: self.say("454 4.7.0 not now", context)
        case .babbles:
            self.say("220 2.0.0 go on", context)
            self.say("this is no TLS", context)
        case .leaves:
            self.say("220 2.0.0 go on", context)
            context.close(promise: nil)
        case .none, .leavesLater:
            self.say("220 2.0.0 go on", context)
            guard let tls = self.context else { return context.close(promise: nil) }
            do {
                try context.pipeline.syncOperations.addHandler(TLSHandler(server: tls), position: .first)
            } catch { context.close(promise: nil) }
        }
    }
}
