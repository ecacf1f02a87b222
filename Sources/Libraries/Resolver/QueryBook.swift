internal import NIOCore

/// Who waits for which question, and what is known already. A value: no lock, no thread, no clock.
///
/// A question is under way at most once, however many ask it. It stays under way until libunbound is done with it,
/// also when nobody waits any more: stopping it would free nothing there, and its answer is worth keeping.
struct QueryBook: Sendable {
    /// What is to be done for a new query.
    enum Step: Sendable {
        case deliver(DNSResult)
        /// Nothing: the resolver's thread knows of the question already.
        case wait
        /// Wake the resolver's thread.
        case wake
    }

    private struct Waiter {
        let query: DNSQuery
        let deadline: NIODeadline
    }

    private let maximumQueries: Int
    private var cache: AnswerCache
    /// Who waits for each question under way, in the order of their deadlines.
    private var waiters: [DNSQuestion: [Waiter]] = [:]
    /// Under way, but not yet known to the resolver's thread.
    private var starting: [DNSQuestion] = []
    /// When to look for waiters whose time is over; nil if nobody waits.
    private(set) var nextExpiry: NIODeadline?
    private(set) var isClosed = false

    init(maximumQueries: Int, cache: AnswerCache) {
        self.maximumQueries = maximumQueries
        self.cache = cache
    }

    // MARK: - Asking

    mutating func cachedResult(for question: DNSQuestion, at now: NIODeadline) -> DNSResult? {
        self.isClosed ? nil : self.cache.result(for: question, at: now)
    }

    /// - Parameter deadline: not before that of any earlier query.
    mutating func ask(_ question: DNSQuestion, _ query: DNSQuery, deadline: NIODeadline) -> Step {
        guard !self.isClosed else { return .deliver(.failure(.closed)) }
        let isUnderWay = self.waiters[question] != nil
        guard isUnderWay || self.waiters.count < self.maximumQueries else {
            return .deliver(.failure(.tooManyQueries))
        }
        let needsWaking = self.nextExpiry == nil || !isUnderWay && self.starting.isEmpty
        self.add(Waiter(query: query, deadline: deadline), to: question)
        self.nextExpiry = self.nextExpiry ?? deadline
        if !isUnderWay { self.starting.append(question) }
        return needsWaking ? .wake : .wait
    }

    private mutating func add(_ waiter: Waiter, to question: DNSQuestion) {
        var waiters = self.waiters.removeValue(forKey: question) ?? []
        // Those who have gone are looked for each time the number has doubled, so that a question that stays
        // without an answer does not collect everybody who gave up on it.
        if waiters.count >= 64, waiters.count.nonzeroBitCount == 1 { waiters.removeAll { !$0.query.isWaiting } }
        waiters.append(waiter)
        self.waiters[question] = waiters
    }

    // MARK: - The resolver's thread

    /// The questions to be started now.
    mutating func takeStarting() -> [DNSQuestion] {
        defer { self.starting.removeAll() }
        return self.starting
    }

    /// - Parameter keeping: the time, if the result may be kept.
    /// - Returns: whom to give the result.
    mutating func finish(_ question: DNSQuestion, _ result: DNSResult, keeping now: NIODeadline?) -> [DNSQuery] {
        if let now { self.cache.keep(result, for: question, at: now) }
        return self.waiters.removeValue(forKey: question)?.map(\.query) ?? []
    }

    /// How exactly timeouts are kept. It bounds how often all waiters are looked through.
    private static let expiryInterval = TimeAmount.milliseconds(10)

    /// - Returns: whose time is over.
    mutating func expire(at now: NIODeadline) -> [DNSQuery] {
        guard let nextExpiry = self.nextExpiry, nextExpiry <= now else { return [] }
        var expired: [DNSQuery] = []
        var earliest: NIODeadline?
        for index in self.waiters.values.indices {
            let late = self.waiters.values[index].prefix { $0.deadline <= now }
            if !late.isEmpty {
                expired += late.map(\.query)
                self.waiters.values[index].removeFirst(late.count)
            }
            if let next = self.waiters.values[index].first?.deadline { earliest = min(earliest ?? next, next) }
        }
        self.nextExpiry = earliest.map { max($0, now + Self.expiryInterval) }
        return expired
    }

    // MARK: - The end

    /// - Returns: everybody who still waits.
    mutating func close() -> [DNSQuery] {
        self.isClosed = true
        self.starting.removeAll()
        self.nextExpiry = nil
        defer { self.waiters.removeAll() }
        return self.waiters.values.flatMap { $0.map(\.query) }
    }
}
