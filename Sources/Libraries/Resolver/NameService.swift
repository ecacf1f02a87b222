package import NIOCore
internal import Synchronization

/// Answers questions about names.
package protocol NameService: Sendable {
    /// Asks a question.
    ///
    /// - Parameters:
    ///   - loop: where the completion is called, once, in a later turn; never before this function returns.
    ///   - completion: not called after the query was cancelled on this loop.
    /// - Returns: what cancels the query. Letting go of it does not.
    @discardableResult
    func resolve(
        _ question: DNSQuestion, on loop: any EventLoop, _ completion: @escaping DNSQuery.Completion
    ) -> DNSQuery

    /// The answer, if it is known already: it costs neither a thread nor a turn of a loop. From any thread.
    func known(_ question: DNSQuestion) -> DNSResult?
}

extension NameService {
    package func known(_ question: DNSQuestion) -> DNSResult? { nil }
}

/// A question under way and who waits for its answer.
package final class DNSQuery: Sendable {
    package typealias Completion = @Sendable (DNSResult) -> Void

    private let loop: any EventLoop
    /// Taken by whichever comes first, the result or the cancelling.
    private let completion: Mutex<Completion?>

    package init(on loop: any EventLoop, _ completion: @escaping Completion) {
        self.loop = loop
        self.completion = Mutex(completion)
    }

    /// Whether the completion is still to be called.
    package var isWaiting: Bool { self.completion.withLock { $0 != nil } }

    /// From any thread. On the query's loop, the completion is not called any more once this returns; on another
    /// thread it may be running at this moment.
    package func cancel() {
        _ = self.takeCompletion()
    }

    /// Hands the result to the loop; for whoever implements ``NameService``. Only the first result counts.
    package func deliver(_ result: DNSResult) {
        guard self.isWaiting else { return }
        self.loop.execute { self.takeCompletion()?(result) }
    }

    private func takeCompletion() -> Completion? {
        self.completion.withLock { $0.take() }
    }
}

extension NameService {
    /// Asks a question and waits for the answer. Cancelling the task ends the waiting with ``DNSFailure/cancelled``.
    package func resolve(_ question: DNSQuestion, on loop: any EventLoop) async throws(DNSFailure) -> DNSAnswer {
        let cancellation = CancellableQuery()
        let result: DNSResult = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                cancellation.start(self.resolve(question, on: loop) { continuation.resume(returning: $0) })
            }
        } onCancel: {
            cancellation.cancel()
        }
        return try result.get()
    }

    /// - Throws: ``DNSFailure/invalidName``, and what the query fails with.
    package func resolve(
        _ name: some StringProtocol, _ type: DNSType, on loop: any EventLoop
    ) async throws(DNSFailure) -> DNSAnswer {
        try await self.resolve(DNSQuestion(name, type), on: loop)
    }
}

/// Joins a task with its query; either may be there first.
private final class CancellableQuery: Sendable {
    private enum State {
        case idle
        case asking(DNSQuery)
        case cancelled
    }

    private let state = Mutex(State.idle)

    func start(_ query: DNSQuery) {
        let isCancelled = self.state.withLock { state in
            if case .cancelled = state { return true }
            state = .asking(query)
            return false
        }
        if isCancelled { query.deliver(.failure(.cancelled)) }
    }

    func cancel() {
        let query = self.state.withLock { state -> DNSQuery? in
            defer { state = .cancelled }
            if case .asking(let query) = state { return query }
            return nil
        }
        query?.deliver(.failure(.cancelled))
    }
}
