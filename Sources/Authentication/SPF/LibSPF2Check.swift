import Dispatch
import LibSPF2
import Mail
import Synchronization

/// A check by libspf2.
///
/// libspf2 is unmaintained C that is not exact about RFC 7208, so it gets little of what came from a peer: see
/// ``LibSPF2Dialog``. What it decides is the order of terms, which of them match, `include`, `redirect` and `ptr`.
/// A client of the loopback network passes without a question: that cannot be turned off.
struct LibSPF2Check {
    private let pool: PolicyPool
    /// How long it waits for a thread.
    private let patience: Duration

    init(_ pool: PolicyPool, patience: Duration) {
        self.pool = pool
        self.patience = patience
    }

    func check(_ check: SPFCheck, identity: SPFCheck.Identity, names: NameSource) async -> SPFResult {
        let sender = check.sender(of: identity)
        guard let domain = SPFName.domain(sender.domain) else {
            return SPFResult(.none, domain: sender.domain, identity: identity, why: "no domain name of two labels")
        }
        let values = check.values(localPart: sender.localPart, domain: domain)
        var dialog = LibSPF2Dialog(SPFEvaluation(limits: check.limits, names: names, values: values))
        let exchange = QuestionExchange()
        let ticket = self.pool.evaluate(LibSPF2Dialog.firstName, for: Self.client(check.client)) { question in
            exchange.ask(question)
        } completion: { verdict in
            exchange.finish(verdict)
        }
        let (pool, patience) = (self.pool, self.patience)
        let limit = Task {
            try await Task.sleep(for: patience)
            pool.withdraw(ticket)
        }
        defer {
            limit.cancel()
            pool.withdraw(ticket)
        }
        // Ends when libspf2 does, or with the task; no thread of the pool waits any more then.
        for await pending in exchange.questions { pending.reply(await dialog.answer(to: pending.question)) }
        return await dialog.result(exchange.verdict, domain, identity)
    }

    private static func client(_ address: IPAddress) -> PolicyClient {
        switch address {
        case .v4(let value): .v4(value)
        case .v6: .v6(address.v6Octets ?? [])
        }
    }
}

/// A question of a thread that waits for its answer.
private final class PendingQuestion: Sendable {
    let question: PolicyQuestion
    private let answer = Mutex<PolicyAnswer?>(nil)
    private let arrived = DispatchSemaphore(value: 0)

    init(_ question: PolicyQuestion) { self.question = question }

    /// Only the first reply counts.
    func reply(_ answer: PolicyAnswer) {
        let isFirst = self.answer.withLock { current in
            guard current == nil else { return false }
            current = answer
            return true
        }
        if isFirst { self.arrived.signal() }
    }

    func wait() -> PolicyAnswer {
        self.arrived.wait()
        return self.answer.withLock { $0 ?? .failed }
    }
}

/// Carries questions from a thread of the pool to the task that checks, and the verdict after them.
private final class QuestionExchange: Sendable {
    private struct State {
        var current: PendingQuestion?
        var isClosed = false
        var verdict: PolicyVerdict?
    }

    let questions: AsyncStream<PendingQuestion>
    private let feed: AsyncStream<PendingQuestion>.Continuation
    private let state = Mutex(State())

    init() {
        (self.questions, self.feed) = AsyncStream.makeStream(of: PendingQuestion.self)
        // The task was cancelled, or all is done.
        self.feed.onTermination = { [weak self] _ in self?.close() }
    }

    /// Nil: no thread took the check in time, or it was cancelled.
    var verdict: PolicyVerdict? { self.state.withLock { $0.verdict } }

    func ask(_ question: PolicyQuestion) -> PolicyAnswer {
        let pending = PendingQuestion(question)
        let isClosed = self.state.withLock { state in
            state.current = pending
            return state.isClosed
        }
        guard !isClosed else { return .failed }
        self.feed.yield(pending)
        return pending.wait()
    }

    func finish(_ verdict: PolicyVerdict?) {
        self.state.withLock { $0.verdict = verdict }
        self.feed.finish()
    }

    private func close() {
        self.state.withLock { state in
            state.isClosed = true
            return state.current
        }?.reply(.failed)
    }
}
