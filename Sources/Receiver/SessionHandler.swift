import Mail
import NIOCore
import Queue
import Rules
import SMTP
import TLS

/// Told to every session when the service ends.
struct ServiceShutdown: Sendable {
    let patience: ServerSession.Patience
}

/// Told to every session when there are too many.
struct ServiceStress: Sendable {}

/// Performs what a server session decides: writes its replies, brings its content into the queue, keeps its time.
///
/// Lives on the connection's event loop. Memory of a connection is the input not yet consumed, one piece of
/// content being gathered and at most two on their way to the disk.
final class SessionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Input held while the client has to wait, above which nothing more is read.
    private static let heldInputBytes = 16 * 1024
    /// Replies that are gathered before they are sent.
    private static let heldOutputBytes = 64 * 1024
    /// Pieces on their way to the disk, at which reading pauses.
    private static let pieceLimit = 2

    let shared: ReceiverContext
    let loop: any EventLoop
    let sessionID: QueueID
    var generation: ReceiverGeneration
    var facts: SessionFacts
    var policy = SessionPolicy()
    /// nil at the end: its place is for others then.
    private(set) var connection: ScreenedConnection?
    private let limits: SessionLimits
    private var session: ServerSession
    private var input: ServerInput
    var deadline: InputDeadline
    var outputDeadline: OutputDeadline
    private(set) var context: ChannelHandlerContext?
    let service: ReceiverService
    /// What TLS could begin with when the connection did.
    let firstTLS: TLSServerContext?

    private(set) var received = ByteBuffer()
    private var output = ByteBuffer()
    private var pending: [ServerSession.Event] = []
    private var isHandling = false
    private(set) var isPaused = false
    private var hasHeldRead = false
    private var hasEnded = false
    /// The session is over; what is left is to get the last reply across.
    private(set) var isClosing = false
    private var hasSentLast = false
    private var hasWrittenLast = false
    /// The end of the connection is being waited for.
    var isLingering = false
    var timer: Scheduled<Void>?
    /// When it fires, in nanoseconds of the monotonic clock.
    var timerDeadline: UInt64 = 0

    var lastCommand = ""
    var lastForwardPath: String?
    /// Of the last MAIL, which may have been refused.
    var lastReversePath: ReversePath?
    var incoming: IncomingMessage?
    /// TLS has begun and is not established.
    var isInHandshake = false

    init(shared: ReceiverContext, connection: ScreenedConnection, loop: any EventLoop) {
        let generation = shared.generation()
        let limits = connection.isUnderStress ? generation.limits.underStress : generation.limits
        self.shared = shared
        self.loop = loop
        self.connection = connection
        self.sessionID = connection.session
        self.generation = generation
        self.facts = SessionFacts(client: connection.client)
        self.facts.local = connection.local
        self.facts.isAllowlisted = connection.isAllowlisted
        let service: ReceiverService = connection.isTLS ? .implicitTLS : .smtp
        self.service = service
        self.firstTLS = shared.tls(service)
        let offer = Self.offer(connection, isPossible: self.firstTLS != nil, isRequired: generation.requiresTLS)
        self.session = ServerSession(
            hostname: shared.hostname, limits: limits, screening: connection.screening, tls: offer)
        self.limits = limits
        self.input = ServerInput(limits: limits)
        self.deadline = InputDeadline(limits)
        self.outputDeadline = OutputDeadline(limits)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // Without a certificate the connection ends, which it cannot before it is active.
        if self.service == .implicitTLS, self.firstTLS != nil { self.beginTLS() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        if self.service == .implicitTLS, !self.isInHandshake { self.beginTLS() }
        guard context.channel.isActive else { return }
        // The client has been greeted, and its first line is there to be read; or its handshake is.
        self.advance()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isClosing else { return }
        var bytes = self.unwrapInboundIn(data)
        if self.received.readableBytes == 0 {
            self.received = bytes
        } else {
            // A buffer that is never quite empty would grow by all that goes through it.
            self.received.discardReadBytes()
            self.received.writeBuffer(&bytes)
        }
        self.advance()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.handle(.disconnected)
        self.dropContent()
        self.policy.decision?.cancel()
        self.policy.decision = nil
        self.policy.sender.end()
        self.timer?.cancel()
        self.timer = nil
        self.connection = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            self.hasEnded = true
            self.hasWrittenLast ? context.close(promise: nil) : self.advance()
        case let shutdown as ServiceShutdown:
            self.handle(.shutdown(shutdown.patience))
            self.advance()
        case is ServiceStress: self.hurry()
        case TLSEvent.established(let session): self.tlsEstablished(session)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        let isWritable = context.channel.isWritable
        self.keepOutputTime(isWritable: isWritable)
        if isWritable { self.advance() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? TLSError { self.logFailure(of: error) }
        // Resets and the like: the client is gone.
        context.close(promise: nil)
    }

    /// Reads go to the socket only while there is room for what they bring.
    func read(context: ChannelHandlerContext) {
        if self.isPaused { self.hasHeldRead = true } else { context.read() }
    }

    // MARK: Working off input

    /// Does all that can be done now, and sends what has been answered.
    ///
    /// - Parameter hasNewEvent: something has ended that the client had a limited time for.
    func advance(_ hasNewEvent: Bool = false) {
        var hasNewEvent = hasNewEvent
        var isStarved = false
        while !isStarved, let context, !self.isClosing, context.channel.isWritable, !self.isFull {
            isStarved = !self.nextEvent(&hasNewEvent)
            // Many short commands have long answers; whether the client takes them shows when they are sent.
            if self.output.readableBytes >= Self.heldOutputBytes { self.flush() }
        }
        // Nobody will complete what has begun.
        if isStarved, self.hasEnded, self.session.expectation != .nothing { self.isClosing = true }
        if self.received.readableBytes == 0 { self.received = ByteBuffer() }
        self.flush()
        self.pauseOrResume()
        self.keepTime(isNew: hasNewEvent)
    }

    /// - Returns: whether there was anything to do.
    private func nextEvent(_ hasNewEvent: inout Bool) -> Bool {
        var content = self.incoming.takeBuffer()
        let before = content.count
        let expectation = self.session.expectation
        let (consumed, event) = self.received.withUnsafeReadableBytes {
            self.input.next($0, expecting: expectation, content: &content)
        }
        self.received.moveReaderIndex(forwardBy: consumed)
        self.incoming?.take(content, from: before)
        self.handOnPiece()
        if consumed > 0 { self.deadline.received(bytes: consumed, at: Self.now) }
        guard let event else { return false }
        hasNewEvent = true
        self.note(event)
        self.handle(self.withFaults(event))
        return true
    }

    /// Gives events to the session one at a time: an action may bring the next.
    func handle(_ event: ServerSession.Event) {
        self.pending.append(event)
        guard !self.isHandling else { return }
        self.isHandling = true
        defer { self.isHandling = false }
        while !self.pending.isEmpty {
            for action in self.session.handle(self.pending.removeFirst()) { self.perform(action) }
        }
    }

    private func perform(_ action: ServerSession.Action) {
        switch action {
        case .reply(let reply):
            var bytes: [UInt8] = []
            reply.append(to: &bytes)
            self.output.writeBytes(bytes)
            if reply.code >= 400 { self.logRefusal(reply) }
        case .unsaid(let reply): self.logRefusal(reply)
        case .startTLS: self.startTLS()
        case .ask(let question): self.decide(question)
        case .beginContent(let envelope): self.beginContent(envelope)
        case .store(let envelope):
            self.incoming?.envelope = envelope
            self.storeIfComplete()
        case .dropContent: self.dropContent()
        case .screened(let finding):
            self.connection?.report(
                finding,
                ScreenedConnection.Dialog(
                    helo: self.facts.helo, reversePath: self.facts.reversePath))
        case .delay(let duration): self.resume(after: duration)
        case .close: self.isClosing = true
        }
    }

    private func resume(after delay: Duration) {
        let handler = NIOLoopBound(self, eventLoop: self.loop)
        self.loop.scheduleTask(in: .microseconds(delay.microseconds)) {
            handler.value.handle(.delayElapsed)
            handler.value.advance()
        }
    }

    // MARK: Output

    func flush() {
        guard let context, !self.hasSentLast, self.output.readableBytes > 0 || self.isClosing else { return }
        // What is written in a handshake waits for its end, which will not come.
        guard !self.isClosing || !self.isInHandshake else {
            self.hasSentLast = true
            return context.close(promise: nil)
        }
        let bytes = self.output
        self.output = ByteBuffer()
        guard self.isClosing else { return context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil) }
        self.hasSentLast = true
        self.received = ByteBuffer()
        let handler = NIOLoopBound(self, eventLoop: self.loop)
        context.writeAndFlush(self.wrapOutboundOut(bytes)).whenComplete { _ in handler.value.closeBehindLast() }
    }

    /// Closing on input that was not read would reset the connection, and the client might not see the reply.
    private func closeBehindLast() {
        self.hasWrittenLast = true
        self.context?.close(mode: self.hasUnreadInput ? .output : .all, promise: nil)
    }

    /// The session ends although the client may still be sending.
    private var hasUnreadInput: Bool { !self.hasEnded && self.lastCommand != "QUIT" }

    // MARK: Back-pressure

    private func pauseOrResume() {
        let waits = self.session.expectation == .nothing && self.received.readableBytes >= Self.heldInputBytes
        let isStuck = !(self.context?.channel.isWritable ?? true) || self.isFull
        self.isPaused = !self.isClosing && (waits || isStuck)
        if !self.isPaused, self.hasHeldRead {
            self.hasHeldRead = false
            self.context?.read()
        }
    }

    /// Somebody still waits for what is decided.
    var isOpen: Bool { self.connection != nil }

    /// Nothing of what came before belongs to what comes now.
    func forgetInput() {
        self.received = ByteBuffer()
        self.input = ServerInput(limits: self.limits)
    }

    var expectation: ServerSession.Expectation { self.session.expectation }

    var hasPipelinedUnasked: Bool { self.session.hasPipelinedUnasked }

    /// As much content waits for the disk or the rules as may.
    private var isFull: Bool {
        self.incoming?.isFull(limit: Self.pieceLimit, isInspecting: self.policy.isInspecting) ?? false
    }

    func stored(_ result: Result<QueueID, ContentFault>) {
        self.handle(.stored(result))
    }

    func dropContent() {
        self.input.dropContent()
        self.dropIncoming()
    }
}
