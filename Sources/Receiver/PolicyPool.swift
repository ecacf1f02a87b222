import Mail
import NIOCore
import NIOPosix

/// The connections to one service, and who waits for them. All happens on its loop.
final class PolicyPool: Sendable {
    static let cancelled = "the session has ended"

    let service: PolicyService
    let loop: any EventLoop
    private let connectionLimit: Int
    private let state: NIOLoopBoundBox<State>

    struct Question {
        let number: UInt64
        let request: ByteBuffer
        let deadline: NIODeadline
        let timer: Scheduled<Void>
        let answer: @Sendable (PolicyAnswer) -> Void
        /// A kept connection was closed under it; it is asked once more over a new one.
        var isRepeated = false
    }

    private struct State {
        var waiting: [Question] = []
        /// Those that are free, the one used last at the end.
        var idle: [PolicyConnection] = []
        var busy: [ObjectIdentifier: PolicyConnection] = [:]
        /// Questions for which a connection is being made.
        var connecting: [UInt64: Question] = [:]
        var isClosed = false

        var open: Int { self.idle.count + self.busy.count + self.connecting.count }
    }

    init(_ service: PolicyService, loop: any EventLoop, connectionLimit: Int) {
        self.service = service
        self.loop = loop
        self.connectionLimit = max(1, connectionLimit)
        self.state = .makeBoxSendingValue(State(), eventLoop: loop)
    }

    // MARK: From any thread

    /// - Parameter answer: is called once.
    func ask(_ number: UInt64, _ request: ByteBuffer, _ answer: @escaping @Sendable (PolicyAnswer) -> Void) {
        let deadline = NIODeadline.now() + .microseconds(self.service.timeout.microseconds)
        self.loop.execute {
            guard !self.state.value.isClosed else { return answer(.unavailable("the server ends")) }
            let timer = self.loop.scheduleTask(deadline: deadline) {
                self.abandon(number, "no answer within \(self.service.timeout)")
            }
            let question = Question(
                number: number, request: request, deadline: deadline, timer: timer, answer: answer)
            self.state.value.waiting.append(question)
            self.proceed()
        }
    }

    func cancel(_ number: UInt64) {
        self.loop.execute { self.abandon(number, Self.cancelled) }
    }

    func close() {
        self.loop.execute {
            self.state.value.isClosed = true
            let questions = self.state.value.waiting + self.state.value.connecting.values
            self.state.value.waiting = []
            self.state.value.connecting = [:]
            for question in questions { self.finish(question, .unavailable("the server ends")) }
            for connection in self.state.value.idle + self.state.value.busy.values { connection.close() }
        }
    }

    // MARK: On the loop

    private func proceed() {
        while let question = self.state.value.waiting.first {
            if !question.isRepeated, let connection = self.state.value.idle.popLast() {
                self.state.value.busy[ObjectIdentifier(connection)] = connection
                connection.ask(self.state.value.waiting.removeFirst())
            } else if self.state.value.open < self.connectionLimit {
                self.connect(for: self.state.value.waiting.removeFirst())
            } else {
                // If the others were kept as long as the one that was closed, their end is near too.
                self.state.value.idle.first?.close()
                return
            }
        }
    }

    private func connect(for question: Question) {
        self.state.value.connecting[question.number] = question
        let bootstrap = ClientBootstrap(group: self.loop)
            .connectTimeout(max(.milliseconds(1), question.deadline - .now()))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(PolicyConnection(self))
                }
            }
        let connected =
            switch self.service.address {
            case .path(let path): bootstrap.connect(unixDomainSocketPath: path)
            case .host(let host, let port): bootstrap.connect(host: host, port: port)
            }
        connected.assumeIsolated().whenComplete { self.connected(question.number, $0) }
    }

    private func connected(_ number: UInt64, _ result: Result<any Channel, any Error>) {
        let question = self.state.value.connecting.removeValue(forKey: number)
        switch result {
        case .failure(let error):
            if let question { self.finish(question, .unavailable("cannot connect: \(error)")) }
        case .success(let channel):
            // It may have been closed on the way here.
            let connection = try? channel.pipeline.syncOperations.handler(type: PolicyConnection.self)
            guard let connection, channel.isActive, !self.state.value.isClosed else {
                if let question { self.finish(question, .unavailable("the connection was closed at once")) }
                channel.close(promise: nil)
                break
            }
            self.state.value.busy[ObjectIdentifier(connection)] = connection
            if let question { connection.ask(question) } else { self.isFree(connection) }
        }
        self.proceed()
    }

    /// Gives up a question, wherever it is.
    private func abandon(_ number: UInt64, _ reason: String) {
        if let index = self.state.value.waiting.firstIndex(where: { $0.number == number }) {
            self.finish(self.state.value.waiting.remove(at: index), .unavailable(reason))
        } else if let question = self.state.value.connecting.removeValue(forKey: number) {
            // The connection, if it comes to one, is kept for the next.
            self.finish(question, .unavailable(reason))
        } else {
            self.state.value.busy.values.first { $0.question?.number == number }?.abandon(reason)
        }
    }

    func finish(_ question: Question, _ answer: PolicyAnswer) {
        question.timer.cancel()
        question.answer(answer)
    }

    // MARK: What connections tell

    /// It has answered, and can be asked again.
    func isFree(_ connection: PolicyConnection) {
        self.state.value.busy[ObjectIdentifier(connection)] = nil
        if self.state.value.isClosed { return connection.close() }
        self.state.value.idle.append(connection)
        connection.keep(for: self.service.idleLimit)
        self.proceed()
    }

    func isClosed(_ connection: PolicyConnection) {
        self.state.value.busy[ObjectIdentifier(connection)] = nil
        self.state.value.idle.removeAll { $0 === connection }
        self.proceed()
    }

    /// A kept connection was closed instead of an answer: the service had had enough of it, or was started anew.
    func ask(again question: Question) {
        var question = question
        question.isRepeated = true
        self.state.value.waiting.insert(question, at: 0)
    }
}
