package import NIOCore

/// TLS for a channel, nearest to the socket: in front of a pipeline before the channel is active, or of an active one,
/// as after STARTTLS.
///
/// A client begins the handshake at once. What is written before it is done waits for it. Then
/// ``TLSEvent/established(_:)`` comes as an inbound user event, whatever the certificate is worth. If the handshake or
/// the connection breaks, a ``TLSError`` is caught and the channel closed. The end that the other side announces comes
/// as `ChannelEvent.inputClosed`; the end of the bare connection does the same, since SMTP marks its own ends. Nothing
/// here has a time limit: that is for the handler behind.
package final class TLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private enum State {
        /// Next: `handshaking`, `closed`.
        case waiting
        /// Next: `established`, `closed`.
        case handshaking
        /// Next: `closed`.
        case established
        /// Nothing goes through any more, either way. Next: none.
        case closed
    }

    private let makeConnection: () throws(TLSError) -> TLSConnection
    private var connection: TLSConnection?
    private var state = State.waiting
    /// Written before the handshake was done.
    private var held: [(bytes: ByteBuffer, promise: EventLoopPromise<Void>?)] = []
    private var hasHeldFlush = false
    /// The other side sends no more: what comes all the same is nobody's.
    private var hasEnded = false
    private var hasSaidGoodbye = false
    /// What was sent in answer to TLS itself since content came last: new keys, refused renegotiations.
    private var answers = 0

    /// A peer may have new keys now and then; one that wants nothing else only wants us to work, or does not read.
    private static let mostAnswers = 32
    private static let mostUnreadAnswers = 4

    package init(server context: TLSServerContext) {
        self.makeConnection = { () throws(TLSError) in try context.makeConnection() }
    }

    package init(client context: TLSClientContext, _ request: TLSClientRequest) {
        self.makeConnection = { () throws(TLSError) in try context.makeConnection(request) }
    }

    // MARK: Beginning and end

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.begin(context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        self.begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard case .waiting = self.state else { return }
        self.state = .handshaking
        do {
            self.connection = try self.makeConnection()
            try self.continueHandshake(context)
        } catch { self.fail(error, context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { self.drop() }

    package func channelInactive(context: ChannelHandlerContext) {
        if case .handshaking = self.state {
            context.fireErrorCaught(TLSError("the connection was closed in the TLS handshake"))
        }
        self.drop()
        context.fireChannelInactive()
    }

    private func drop() {
        self.state = .closed
        self.connection = nil
        let held = self.held
        self.held = []
        for write in held { write.promise?.fail(ChannelError.ioOnClosedChannel) }
    }

    /// Tells the other side why, then whoever is behind, and ends the connection.
    private func fail(_ error: TLSError, _ context: ChannelHandlerContext) {
        self.sendOutput(context)
        context.flush()
        self.drop()
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    // MARK: Inbound

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // OpenSSL would take more and more of it and never look at it.
        guard let connection = self.connection, !self.hasEnded else { return }
        do {
            try connection.receive(self.unwrapInboundIn(data))
            if case .handshaking = self.state { try self.continueHandshake(context) }
            if case .established = self.state { try self.read(context) }
        } catch { self.fail(error, context) }
    }

    private func continueHandshake(_ context: ChannelHandlerContext) throws(TLSError) {
        guard let connection else { return }
        let isDone = try connection.handshake()
        self.sendOutput(context)
        context.flush()
        guard isDone else { return }
        self.state = .established
        context.fireUserInboundEventTriggered(TLSEvent.established(connection.session))
        try self.sendHeld(context)
    }

    private func sendHeld(_ context: ChannelHandlerContext) throws(TLSError) {
        while case .established = self.state, !self.held.isEmpty {
            let write = self.held.removeFirst()
            try self.send(write.bytes, write.promise, context)
        }
        if self.hasHeldFlush {
            self.hasHeldFlush = false
            context.flush()
        }
    }

    /// Decrypts everything before it hands anything on: whoever gets it may write, and that changes what OpenSSL says
    /// about the reading.
    private func read(_ context: ChannelHandlerContext) throws(TLSError) {
        guard let connection else { return }
        var buffer = context.channel.allocator.buffer(capacity: 0)
        var failure: TLSError?
        var hasEnded = false
        do { hasEnded = try connection.read(into: &buffer) == .ended } catch { failure = error }
        if buffer.readableBytes > 0 { self.answers = 0 }
        // Tickets and new keys call for answers.
        if self.sendOutput(context) { try self.countAnswer(context) }
        if buffer.readableBytes > 0 { context.fireChannelRead(self.wrapInboundOut(buffer)) }
        if let failure { throw failure }
        if hasEnded { self.end(context) }
    }

    /// What is answered here is not held back by those behind, who do not see it: a peer that asks and does not read would
    /// fill our memory.
    private func countAnswer(_ context: ChannelHandlerContext) throws(TLSError) {
        context.flush()
        self.answers += 1
        guard self.answers <= (context.channel.isWritable ? Self.mostAnswers : Self.mostUnreadAnswers) else {
            throw TLSError("the peer asks for too many answers")
        }
    }

    private func end(_ context: ChannelHandlerContext) {
        guard !self.hasEnded else { return }
        self.hasEnded = true
        context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        switch self.state {
        case .handshaking: self.fail(TLSError("the connection was closed in the TLS handshake"), context)
        case .established: self.end(context)
        case .waiting, .closed: context.fireUserInboundEventTriggered(event)
        }
    }

    // MARK: Outbound

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = self.unwrapOutboundIn(data)
        switch self.state {
        case .waiting, .handshaking: self.held.append((bytes, promise))
        case .closed: promise?.fail(ChannelError.ioOnClosedChannel)
        case .established:
            // Behind what waits, should somebody write while that is being sent.
            guard self.held.isEmpty else { return self.held.append((bytes, promise)) }
            do { try self.send(bytes, promise, context) } catch { self.fail(error, context) }
        }
    }

    private func send(
        _ bytes: ByteBuffer, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext
    ) throws(TLSError) {
        guard let connection, !self.hasSaidGoodbye else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        do { try connection.write(bytes) } catch {
            promise?.fail(error)
            throw error
        }
        let output = connection.takeOutput(context.channel.allocator) ?? ByteBuffer()
        context.write(self.wrapOutboundOut(output), promise: promise)
    }

    package func flush(context: ChannelHandlerContext) {
        switch self.state {
        case .waiting, .handshaking: self.hasHeldFlush = true
        case .established, .closed:
            // Of what is being sent at this moment the rest is still to come.
            if !self.held.isEmpty { self.hasHeldFlush = true }
            context.flush()
        }
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if case .established = self.state, mode != .input, !self.hasSaidGoodbye {
            self.hasSaidGoodbye = true
            self.connection?.close()
            self.sendOutput(context)
            context.flush()
        }
        context.close(mode: mode, promise: promise)
    }

    /// - Returns: whether there was anything.
    @discardableResult
    private func sendOutput(_ context: ChannelHandlerContext) -> Bool {
        guard let output = self.connection?.takeOutput(context.channel.allocator) else { return false }
        context.write(self.wrapOutboundOut(output), promise: nil)
        return true
    }
}
