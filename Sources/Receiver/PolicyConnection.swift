import NIOCore

/// A connection to a policy service; one question at a time.
final class PolicyConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let pool: PolicyPool
    private var context: ChannelHandlerContext?
    private var reader = PolicyAnswerReader()
    /// What is to be answered; nil while the connection is free.
    private(set) var question: PolicyPool.Question?
    /// It has answered before.
    private var isKept = false
    private var idleTimer: Scheduled<Void>?

    init(_ pool: PolicyPool) {
        self.pool = pool
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func ask(_ question: PolicyPool.Question) {
        self.idleTimer?.cancel()
        self.idleTimer = nil
        self.question = question
        guard let context else { return self.end() }
        context.writeAndFlush(self.wrapOutboundOut(question.request), promise: nil)
    }

    /// The answer is of no use any more, and must not be taken for that to the next question.
    func abandon(_ reason: String) {
        self.fail(reason)
        self.close()
    }

    func keep(for limit: Duration) {
        let connection = NIOLoopBound(self, eventLoop: self.pool.loop)
        self.idleTimer = self.pool.loop.scheduleTask(in: .microseconds(limit.microseconds)) {
            connection.value.close()
        }
    }

    func close() { self.context?.close(promise: nil) }

    // MARK: Events

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Array(self.unwrapInboundIn(data).readableBytesView)[...]
        do {
            // Who says something unasked cannot be trusted to answer what is asked next.
            guard self.question != nil else { return self.close() }
            guard let action = try self.reader.next(&bytes), let question = self.question else { return }
            self.question = nil
            self.isKept = true
            self.pool.finish(question, .action(action))
            if bytes.isEmpty { self.pool.isFree(self) } else { self.close() }
        } catch {
            self.fail("\(error)")
            self.close()
        }
    }

    func channelInactive(context: ChannelHandlerContext) { self.end() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func end() {
        self.idleTimer?.cancel()
        self.idleTimer = nil
        if self.isKept, let question = self.question, !question.isRepeated {
            self.question = nil
            self.pool.ask(again: question)
        }
        self.fail("the connection was closed instead of an answer")
        self.pool.isClosed(self)
    }

    private func fail(_ reason: String) {
        guard let question = self.question else { return }
        self.question = nil
        self.pool.finish(question, .unavailable(reason))
    }
}
