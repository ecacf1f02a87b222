import Mail
import NIOCore
import NIOPosix
import Queue
import SMTP
import TLS

/// What a client handler tells the forwarder, all on their loop.
protocol ClientHandlerDelegate: AnyObject {
    func sessionReady(_ handler: ClientHandler)
    /// TLS is established, whatever was found out about the server; `sessionReady` or `sessionUnusable` follows.
    func sessionSecured(_ handler: ClientHandler, _ session: TLSSession)
    func sessionFinished(_ handler: ClientHandler, _ outcome: ClientSession.Outcome)
    /// The content of the present delivery cannot be read.
    func contentUnreadable(_ handler: ClientHandler, _ message: QueuedMessage, _ error: any Error)
    func sessionUnusable(_ handler: ClientHandler, _ reason: ClientSession.Unusable)
    func sessionClosed(_ handler: ClientHandler)
}

extension ClientHandlerDelegate {
    /// For those who do not want to know.
    func sessionSecured(_ handler: ClientHandler, _ session: TLSSession) {}
}

/// Performs what a client session decides: sends its commands and content, hears the replies, keeps its time.
final class ClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let server: ServerAddress
    /// Which connection of the dispatcher this is.
    let connection: Dispatcher.ConnectionID
    let loop: any EventLoop
    private let timeouts: ClientTimeouts
    let security: ConnectionSecurity?
    private weak var delegate: (any ClientHandlerDelegate)?
    private var session: ClientSession
    var lines = ClientHandler.makeFramer()
    var replies = ReplyParser()
    var received = ByteBuffer()
    private var output = ByteBuffer()
    var context: ChannelHandlerContext?
    private var pending: [ClientSession.Event] = []
    private var isHandling = false
    private var isClosing = false
    /// Nanoseconds of the monotonic clock.
    private var deadline: UInt64?
    private var timer: Scheduled<Void>?
    private var timerDeadline: UInt64 = 0
    private var source: ContentSource?
    private var stuffer: DotStuffer?
    private var message: QueuedMessage?
    /// Where its connection comes from, as far as this host knows; nil without one.
    private(set) var localAddress: IPAddress?

    /// - Parameter security: nil for plain text; then the session must not want TLS.
    init(
        server: ServerAddress, connection: Dispatcher.ConnectionID, session: ClientSession, timeouts: ClientTimeouts,
        loop: any EventLoop, security: ConnectionSecurity? = nil, delegate: any ClientHandlerDelegate
    ) {
        self.server = server
        self.connection = connection
        self.session = session
        self.security = security
        self.timeouts = timeouts
        self.loop = loop
        self.delegate = delegate
    }

    /// What the server announced last.
    var extensions: Extensions { self.session.extensions }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        // Afterwards the channel may have forgotten it.
        self.localAddress = context.channel.localAddress?.ipAddress.flatMap { IPAddress($0.prefix { $0 != "%" }) }
        self.handle(.connected)
        self.flush()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        if self.received.readableBytes == 0 {
            self.received = bytes
        } else {
            self.received.discardReadBytes()
            self.received.writeBuffer(&bytes)
        }
        while let event = self.nextEvent() { self.handle(event) }
        if self.received.readableBytes == 0 { self.received = ByteBuffer() }
        self.flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.handle(.disconnected)
        self.delegate?.sessionClosed(self)
        self.delegate = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? TLSError { self.handle(.tlsFailed(error.description)) }
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSEvent.established(let session):
            self.delegate?.sessionSecured(self, session)
            self.handle(.tlsEstablished(authentication: TLSAuthentication(session.verdict)))
            self.flush()
        // The server says nothing any more.
        case ChannelEvent.inputClosed: context.close(promise: nil)
        case _: context.fireUserInboundEventTriggered(event)
        }
    }

    /// Hands a message over. Only when the session said that it is ready.
    func deliver(_ delivery: ClientSession.Delivery, _ message: QueuedMessage, content: ContentSource) {
        self.source = content
        self.message = message
        self.handle(.deliver(delivery))
        self.flush()
    }

    /// Asks about recipients, without content. Only when the session said that it is ready.
    func ask(_ delivery: ClientSession.Delivery) {
        self.handle(.deliver(delivery))
        self.flush()
    }

    func quit() {
        self.handle(.quit)
        self.flush()
    }

    func close() { self.context?.close(promise: nil) }

    // MARK: Events and actions

    private func nextEvent() -> ClientSession.Event? {
        while !self.isClosing {
            let (consumed, frame) = self.received.withUnsafeReadableBytes { self.lines.next($0) }
            self.received.moveReaderIndex(forwardBy: consumed)
            switch frame {
            case nil: return nil
            case .tooLong: continue
            case .line(let line, _):
                do {
                    if let reply = try self.replies.next(line) { return ClientSession.event(of: reply, lastLine: line) }
                } catch {
                    return .malformed(error)
                }
            }
        }
        return nil
    }

    func handle(_ event: ClientSession.Event) {
        self.pending.append(event)
        guard !self.isHandling else { return }
        self.isHandling = true
        defer { self.isHandling = false }
        while !self.pending.isEmpty {
            for action in self.session.handle(self.pending.removeFirst()) { self.perform(action) }
        }
    }

    private func perform(_ action: ClientSession.Action) {
        switch action {
        case .send(let bytes): self.output.writeBytes(bytes)
        case .startTLS: self.startTLS()
        case .derive(let derivation): self.derive(derivation)
        case .sendContent(let transfer): self.sendContent(transfer)
        case .expect(let stage): self.expect(stage)
        case .ready: self.delegate?.sessionReady(self)
        case .finished(let outcome):
            self.source = nil
            self.message = nil
            self.delegate?.sessionFinished(self, outcome)
        case .unusable(let reason): self.delegate?.sessionUnusable(self, reason)
        case .close:
            self.isClosing = true
            self.flush()
            self.context?.close(promise: nil)
        }
    }

    func flush() {
        guard self.output.readableBytes > 0, let context else { return }
        let bytes = self.output
        self.output = ByteBuffer()
        context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
    }

    // MARK: Content

    private func sendContent(_ transfer: ClientSession.Transfer) {
        self.stuffer = transfer == .data ? DotStuffer() : nil
        guard let all = self.source?.takeAll() else { return self.sendNextPiece() }
        self.write(all, isLast: true)
        self.handle(.contentSent)
    }

    private func write(_ piece: [UInt8], isLast: Bool) {
        self.output.writeBytes(self.stuffer?.stuff(piece) ?? piece)
        if isLast, self.stuffer != nil { self.output.writeBytes(".\r\n".utf8) }
    }

    /// The next piece is read when the one before has been written: a slow server costs no memory.
    private func sendNextPiece() {
        guard let source = self.source else { return }
        let handler = NIOLoopBound(self, eventLoop: self.loop)
        source.next().assumeIsolated().whenComplete { handler.value.pieceRead($0, of: source) }
    }

    private func pieceRead(_ result: Result<(piece: [UInt8], isLast: Bool), any Error>, of source: ContentSource) {
        guard self.source === source, let context else { return }
        switch result {
        case .failure(let error):
            if let message = self.message { self.delegate?.contentUnreadable(self, message, error) }
            context.close(promise: nil)
        case .success(let (piece, isLast)):
            self.write(piece, isLast: isLast)
            let bytes = self.output
            self.output = ByteBuffer()
            let written = context.writeAndFlush(self.wrapOutboundOut(bytes))
            if isLast {
                self.handle(.contentSent)
                self.flush()
            } else {
                self.expect(.dataTransfer)
                let handler = NIOLoopBound(self, eventLoop: self.loop)
                written.whenSuccess { handler.value.sendNextPiece() }
            }
        }
    }

    // MARK: Time

    private func expect(_ stage: ClientSession.Stage) {
        self.deadline = self.timeouts.limit(of: stage).map {
            NIODeadline.now().uptimeNanoseconds &+ UInt64(clamping: $0.microseconds) &* 1000
        }
        self.startTimer()
    }

    /// There is one timer, which is moved only when a deadline comes before it: else it looks again when it fires.
    private func startTimer() {
        guard let deadline = self.deadline, self.timer == nil || deadline < self.timerDeadline else { return }
        self.timer?.cancel()
        self.timerDeadline = deadline
        let handler = NIOLoopBound(self, eventLoop: self.loop)
        self.timer = self.loop.scheduleTask(deadline: .uptimeNanoseconds(deadline)) { handler.value.timerFired() }
    }

    private func timerFired() {
        self.timer = nil
        guard let deadline = self.deadline else { return }
        if deadline <= NIODeadline.now().uptimeNanoseconds {
            self.handle(.timedOut)
            self.flush()
        } else {
            self.startTimer()
        }
    }
}
