internal import NIOCore
internal import Polling
internal import Synchronization

/// The book of queries behind its lock: what the asking loops and the resolver's thread share.
final class QueryTable: Sendable {
    let wakeup: Wakeup
    private let book: Mutex<QueryBook>
    private let timeout: TimeAmount
    /// The time for the age of answers. Timeouts follow the real one.
    private let clock: @Sendable () -> NIODeadline

    /// Larger messages are not kept in the small cache: it is bounded by the number of entries only.
    private static let maximumKeptBytes = 2048

    init(_ options: ResolverOptions, clock: @escaping @Sendable () -> NIODeadline) throws(ResolverError) {
        do { self.wakeup = try Wakeup() } catch { throw ResolverError(error) }
        self.book = Mutex(
            QueryBook(
                maximumQueries: options.maximumQueries, cache: AnswerCache(capacity: options.cachedAnswers)))
        self.timeout = TimeAmount(options.timeout)
        self.clock = clock
    }

    func known(_ question: DNSQuestion) -> DNSResult? {
        self.book.withLock { $0.cachedResult(for: question, at: self.clock()) }
    }

    func ask(_ question: DNSQuestion, _ query: DNSQuery) {
        let step: QueryBook.Step = self.book.withLock { book in
            if let result = book.cachedResult(for: question, at: self.clock()) { return .deliver(result) }
            return book.ask(question, query, deadline: .now() + self.timeout)
        }
        switch step {
        case .deliver(let result): query.deliver(result)
        case .wake: self.wakeup.signal()
        case .wait: break
        }
    }

    /// Everybody who waits gets ``DNSFailure/closed``, and so does everybody who asks from now on.
    func close() {
        for query in self.book.withLock({ $0.close() }) { query.deliver(.failure(.closed)) }
        self.wakeup.signal()
    }

    // MARK: - The resolver's thread

    /// The questions to be started, after those whose time is over got their answer; nil at the end.
    func takeStarting() -> (questions: [DNSQuestion], nextExpiry: NIODeadline?)? {
        let (expired, work) = self.book.withLock { book in
            let expired = book.expire(at: .now())
            return (expired, book.isClosed ? nil : (book.takeStarting(), book.nextExpiry))
        }
        for query in expired { query.deliver(.failure(.timeout)) }
        return work
    }

    func finish(_ question: DNSQuestion, _ outcome: UnboundContext.Outcome) {
        let mayKeep = outcome.messageBytes <= Self.maximumKeptBytes
        let queries = self.book.withLock {
            $0.finish(question, outcome.result, keeping: mayKeep ? self.clock() : nil)
        }
        for query in queries { query.deliver(outcome.result) }
    }
}
