package import Authentication
package import Mail
package import Rules
import Synchronization

/// What SPF says of the sender of a transaction: found out once, when it is first needed, whoever asks.
///
/// A session has one. A check ends with its transaction or its session: nobody wants its result any more.
final class SenderChecks: Sendable {
    private struct State {
        var current: (question: SPFQuestion, check: SharedCheck)?
        var hasEnded = false
    }

    private let state = Mutex(State())

    deinit { self.end() }

    /// Forgets what is known, and gives up what is being found out: another transaction begins.
    func begin() {
        self.state.withLock { state in
            defer { state.current = nil }
            return state.current
        }?.check.cancel()
    }

    /// The session is over. Nothing is begun any more.
    func end() {
        self.state.withLock { $0.hasEnded = true }
        self.begin()
    }

    /// - Parameter check: is begun unless it was for this question. The task it runs in is cancelled if nobody wants to
    ///   know any more.
    /// - Returns: nil if it was given up, or the task that waits was cancelled.
    func finding(
        on question: SPFQuestion, _ check: @escaping @Sendable () async -> SPFFinding
    ) async -> SPFFinding? {
        // What is left over from another transaction must not take the place of this one's.
        guard !Task.isCancelled else { return nil }
        let (shared, outdated) = self.state.withLock { state -> (SharedCheck?, SharedCheck?) in
            guard !state.hasEnded else { return (nil, nil) }
            if let current = state.current, current.question == question { return (current.check, nil) }
            let (begun, outdated) = (SharedCheck(check), state.current?.check)
            state.current = (question, begun)
            return (begun, outdated)
        }
        outdated?.cancel()
        return await shared?.finding()
    }
}

/// A check that several wait for.
private final class SharedCheck: Sendable {
    private struct State {
        var isDone = false
        /// Nil if it was given up.
        var finding: SPFFinding?
        var waiting: [Int: CheckedContinuation<SPFFinding?, Never>] = [:]
        var lastNumber = 0
        var task: Task<Void, Never>?
    }

    private let state = Mutex(State())

    init(_ check: @escaping @Sendable () async -> SPFFinding) {
        let task = Task { self.finish(await check()) }
        self.state.withLock { $0.task = task }
    }

    /// What waits is told, even if the check does not end.
    func cancel() {
        self.finish(nil)
        self.state.withLock { $0.task }?.cancel()
    }

    private func finish(_ finding: SPFFinding?) {
        let waiting = self.state.withLock { state -> [Int: CheckedContinuation<SPFFinding?, Never>] in
            guard !state.isDone else { return [:] }
            (state.isDone, state.finding) = (true, finding)
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in waiting.values { continuation.resume(returning: finding) }
    }

    /// Nil if it is given up, or the task that waits is cancelled.
    func finding() async -> SPFFinding? {
        let number = self.state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isKnown, finding) = self.state.withLock { state -> (Bool, SPFFinding?) in
                    // Under the lock: whoever cancels comes either before, and is seen, or finds the continuation.
                    if state.isDone || Task.isCancelled { return (true, state.finding) }
                    state.waiting[number] = continuation
                    return (false, nil)
                }
                if isKnown { continuation.resume(returning: finding) }
            }
        } onCancel: {
            self.state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: nil)
        }
    }
}

extension SPFFinding {
    /// The sender's domain, if it may send from there.
    package var passedDomain: DomainName? {
        self.mailFrom.result == .pass ? DomainName(self.mailFrom.domain) : nil
    }
}

extension AuthenticatedClient {
    package init(_ question: SPFQuestion, isInternational: Bool = false) {
        self.init(
            address: question.client, helo: question.helo, reversePath: question.reversePath,
            isInternational: isInternational)
    }
}

extension AuthenticationPolicy {
    /// What follows from SPF where the restriction `check_spf` stands.
    package func judgement(of finding: SPFFinding, on question: SPFQuestion) -> Judgement {
        let why = [finding.helo, finding.mailFrom].compactMap { $0?.summary }.joined(separator: "; ")
        guard !self.isExempt(question.client) else { return .passed("exempt client; \(why)") }
        guard let (reply, reason) = self.spf.refusal(of: finding, AuthenticatedClient(question)) else {
            return .passed(why)
        }
        return .refused(reply, why: reason)
    }
}
