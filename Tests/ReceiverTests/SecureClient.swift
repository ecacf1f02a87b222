import Foundation
import Harness
import Mail
import NIOCore
import NIOPosix
import TLS

/// Certificates for tests, made once, since keys take time.
enum TestCertificate {
    static let server = Result { () throws(TLSError) in
        try TLSCertificate(selfSigned: "mx.example.test", key: try TLSCertificate.generateKey())
    }

    static let client = Result { () throws(TLSError) in
        try TLSCertificate(selfSigned: "client.example", key: try TLSCertificate.generateKey())
    }

    /// As a file of authorities has it; nil before `client` could be made.
    static func make(_ name: String, _ key: [UInt8]) throws -> TLSCertificate {
        try TLSCertificate(selfSigned: name, key: key)
    }
}

/// A client that can encrypt, with as little knowledge of SMTP as ``SMTPClient``. Blocks its thread.
final class SecureClient: DialogClient {
    private let channel: any Channel
    private let inbox = Inbox()
    private let cut: Cut
    private let context: TLSClientContext
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private static let patience: TimeInterval = 30
    private var replies = Replies()

    /// - Parameters:
    ///   - limit: octets of the handshake after which the connection is closed; nil for no end.
    init(
        _ server: Harness.Endpoint, certificate: TLSCertificate? = nil, closingAfter limit: Int? = nil
    ) throws {
        let (inbox, cut) = (self.inbox, Cut(limit))
        self.cut = cut
        self.context = try TLSClientContext(TLSClientOptions(certificate: certificate))
        self.channel = try ClientBootstrap(group: Self.group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Ear(inbox)) }
            }
            .connect(host: server.host, port: server.port).wait()
    }

    func send(_ bytes: [UInt8]) throws {
        // Whether it goes is seen by what comes back.
        self.channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    func send(_ text: String) throws { try self.send(Array(text.utf8)) }

    /// Begins the handshake and waits for its end.
    func startTLS() throws { _ = try self.handshake() }

    @discardableResult
    func handshake() throws -> TLSSession {
        try self.beginHandshake()
        return try self.inbox.wait(Self.patience, "the handshake") { state in
            if let session = state.session { return session }
            if let error = state.error { throw error }
            if state.hasEnded { throw HarnessError("closed in the handshake") }
            return nil
        }
    }

    func beginHandshake() throws {
        let (channel, context, cut) = (self.channel, self.context, self.cut)
        let request = TLSClientRequest(serverName: "mx.example.test", verification: .none)
        try channel.eventLoop.submit {
            try channel.pipeline.syncOperations.addHandler(TLSHandler(client: context, request), position: .first)
            if cut.limit != nil { try channel.pipeline.syncOperations.addHandler(CutHandler(cut), position: .first) }
        }.wait()
    }

    func nextReply() throws -> Mail.Reply? {
        while true {
            if let reply = self.replies.next() { return reply }
            let bytes: [UInt8] = try self.inbox.wait(Self.patience, "a reply") { state in
                if state.bytes.isEmpty, state.hasEnded || state.error != nil { throw HarnessError("closed, no reply") }
                defer { state.bytes = [] }
                return state.bytes.isEmpty ? nil : state.bytes
            }
            try self.replies.add(bytes)
        }
    }

    @discardableResult
    func command(_ line: String) throws -> String {
        try self.send(line + "\r\n")
        return try self.nextReply()?.oneLine ?? ""
    }

    func rest() throws -> [UInt8] {
        try self.inbox.wait(Self.patience, "the end") { $0.hasEnded ? $0.bytes : nil }
    }

    /// What comes from now on stays in the kernel.
    func stopReading() throws { try self.channel.setOption(.autoRead, value: false).wait() }

    func close() { self.channel.close(promise: nil) }

    deinit { self.channel.close(promise: nil) }
}

extension SecureClient {
    /// What has come, for another thread to wait for.
    final class Inbox: @unchecked Sendable {
        struct State {
            var bytes: [UInt8] = []
            var session: TLSSession?
            var error: TLSError?
            var hasEnded = false
        }

        // Both only under the lock.
        private let condition = NSCondition()
        private var state = State()

        func change(_ body: (inout State) -> Void) {
            self.condition.withLock { body(&self.state) }
            self.condition.broadcast()
        }

        func wait<Value>(_ patience: TimeInterval, _ what: String, _ body: (inout State) throws -> Value?) throws
            -> Value
        {
            let deadline = Date(timeIntervalSinceNow: patience)
            return try self.condition.withLock {
                while true {
                    if let value = try body(&self.state) { return value }
                    guard self.condition.wait(until: deadline) else { throw HarnessError("waited for \(what) in vain") }
                }
            }
        }
    }

    private final class Ear: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let inbox: Inbox

        init(_ inbox: Inbox) { self.inbox = inbox }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(buffer: self.unwrapInboundIn(data))
            self.inbox.change { $0.bytes += bytes }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case TLSEvent.established(let session) = event { self.inbox.change { $0.session = session } }
            if case ChannelEvent.inputClosed = event { self.inbox.change { $0.hasEnded = true } }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            self.inbox.change { $0.error = error as? TLSError ?? TLSError("\(error)") }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { self.inbox.change { $0.hasEnded = true } }
    }

    /// After how many octets a connection is closed.
    final class Cut: Sendable {
        let limit: Int?

        init(_ limit: Int?) { self.limit = limit }
    }

    private final class CutHandler: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private var left: Int

        init(_ cut: Cut) { self.left = cut.limit ?? 0 }

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            var bytes = self.unwrapOutboundIn(data)
            let count = min(self.left, bytes.readableBytes)
            self.left -= count
            if let piece = bytes.readSlice(length: count) {
                context.writeAndFlush(self.wrapOutboundOut(piece), promise: promise)
            }
            if self.left == 0 { context.close(promise: nil) }
        }
    }
}
