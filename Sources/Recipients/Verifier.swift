package import Mail
package import NIOCore
import Synchronization

/// Knows of addresses whether their servers take mail for them, by asking and remembering (SEMANTICS §9).
///
/// What is known is said at once. Whoever asks about an address of which nothing is known waits, but not for long.
package final class Verifier: Sendable {
    /// Asks servers; it is told of a failure as of any other answer.
    package typealias Probe = @Sendable (Mailbox) -> EventLoopFuture<ProbeResult>

    package enum Verdict: Hashable, Sendable {
        case accepted
        case refused
        case undecided(Obstacle)
    }

    package enum Obstacle: Hashable, Sendable {
        /// No server of the domain can be reached.
        case down
        /// A server was asked and did not say, or has not said yet.
        case unanswered
    }

    /// What the connections that are open allow.
    package enum Pressure: Hashable, Sendable {
        case normal
        /// Connections are short.
        case stress
    }

    package struct Answer: Hashable, Sendable {
        package let verdict: Verdict
        /// For the log.
        package let reason: String
    }

    let kind: VerifyKey.Kind
    let cache: VerifyCache
    let clock: WallClock
    let probe: Probe
    let report: @Sendable (VerifierReport) -> Void
    private let shared: Mutex<Shared>

    fileprivate struct Shared {
        var patience: Patience
        var downRetry: Duration
        var underWay: [VerifyKey: EventLoopFuture<ProbeResult>] = [:]
        /// By domain.
        var troubles: [String: Trouble] = [:]
    }

    /// Why the answers of a domain's servers say nothing of addresses.
    fileprivate struct Trouble {
        let verdict: ProbeResult.Verdict
        let text: String
        /// While the servers cannot be reached: when one of them is asked again.
        var retry: Timestamp
    }

    /// Senders can name any number of domains.
    fileprivate static let maximumTroubles = 10_000

    /// - Parameters:
    ///   - kind: `recipient`, or `sender` for those who are asked about at the servers of their own domain.
    ///   - report: gets what an administrator should hear of; from any thread.
    package init(
        _ kind: VerifyKey.Kind, cache: VerifyCache, options: RecipientVerificationOptions, clock: WallClock,
        probe: @escaping Probe, report: @escaping @Sendable (VerifierReport) -> Void
    ) {
        self.kind = kind
        self.cache = cache
        self.clock = clock
        self.probe = probe
        self.report = report
        self.shared = Mutex(Shared(patience: options.patience, downRetry: options.downRetry))
    }

    package func use(_ options: RecipientVerificationOptions) {
        self.cache.use(options.policy)
        self.shared.withLock { ($0.patience, $0.downRetry) = (options.patience, options.downRetry) }
    }

    /// What is known of an address, or what its servers say now. Never fails.
    ///
    /// - Parameter pressure: how long the client may wait for what is not known yet.
    package func verify(
        _ mailbox: Mailbox, on loop: any EventLoop, under pressure: Pressure = .normal
    ) -> EventLoopFuture<Answer> {
        let key = VerifyKey(self.kind, mailbox)
        let (now, policy) = (self.clock.now(), self.cache.policy)
        let record = self.cache.record(of: key)
        let isDue = policy.isProbeDue(record, at: now)
        switch policy.standing(of: record, at: now) {
        case .accepted(let since):
            if isDue, self.trouble(of: mailbox, at: now) == nil { _ = self.ask(key, mailbox, on: loop) }
            return loop.makeSucceededFuture(Answer(verdict: .accepted, reason: self.reason(since, mailbox, policy)))
        case .refused(let failure):
            if isDue, self.trouble(of: mailbox, at: now) == nil { _ = self.ask(key, mailbox, on: loop) }
            return loop.makeSucceededFuture(Answer(verdict: .refused, reason: failure.reason))
        case .undecided(let failure):
            // Whether servers that could not be reached are back is a matter of the domain, not of the address.
            let asks = isDue || failure.verdict == .unreachable
            let answer =
                asks ? self.answer(key, mailbox, on: loop, pressure, now) : self.underWay(key, on: loop, pressure)
            return answer ?? loop.makeSucceededFuture(failure.answer)
        case .unheard:
            // Also if a probe was begun that is not under way here: nobody waits for that one any more.
            return self.answer(key, mailbox, on: loop, pressure, now)
        }
    }

    private static let unanswered = Answer(
        verdict: .undecided(.unanswered), reason: "it was asked about, and no answer has come yet")

    // MARK: Asking

    /// Asks, and waits; but not while the servers are known to be away.
    private func answer(
        _ key: VerifyKey, _ mailbox: Mailbox, on loop: any EventLoop, _ pressure: Pressure, _ now: Timestamp
    ) -> EventLoopFuture<Answer> {
        if let trouble = self.trouble(of: mailbox, at: now) {
            return loop.makeSucceededFuture(
                Answer(verdict: .undecided(.down), reason: "no server can be reached: \(trouble)"))
        }
        return self.waiting(for: self.ask(key, mailbox, on: loop), on: loop, pressure)
    }

    private func underWay(
        _ key: VerifyKey, on loop: any EventLoop, _ pressure: Pressure
    ) -> EventLoopFuture<Answer>? {
        self.shared.withLock { $0.underWay[key] }.map { self.waiting(for: $0, on: loop, pressure) }
    }

    private func waiting(
        for result: EventLoopFuture<ProbeResult>, on loop: any EventLoop, _ pressure: Pressure
    ) -> EventLoopFuture<Answer> {
        let promise = loop.makePromise(of: Answer.self)
        let limit = self.shared.withLock { $0.patience }.limit(under: pressure)
        let timer = loop.scheduleTask(in: .microseconds(limit.microseconds)) { promise.succeed(Self.unanswered) }
        result.hop(to: loop).whenSuccess { result in
            timer.cancel()
            promise.succeed(result.answer)
        }
        return promise.futureResult
    }

    /// Begins a probe, or joins the one that is under way. The future does not fail.
    func ask(_ key: VerifyKey, _ mailbox: Mailbox, on loop: any EventLoop) -> EventLoopFuture<ProbeResult> {
        let now = self.clock.now()
        let (answer, promise) = self.shared.withLock { shared in
            if let answer = shared.underWay[key] { return (answer, EventLoopPromise<ProbeResult>?.none) }
            let promise = loop.makePromise(of: ProbeResult.self)
            shared.underWay[key] = promise.futureResult
            // Of servers that were away one question is asked at a time.
            shared.troubles[mailbox.domain.key]?.retry = now + shared.downRetry
            return (promise.futureResult, promise)
        }
        guard let promise else { return answer }
        self.cache.set(self.cache.policy.begun(self.cache.record(of: key), at: now), of: key)
        self.probe(mailbox).hop(to: loop).whenComplete { result in
            let found: ProbeResult
            switch result {
            case .success(let value): found = value
            case .failure(let error): found = ProbeResult(.unreachable, Reply(451, .init(3, 0), "\(error)"))
            }
            self.learn(found, key, mailbox)
            promise.succeed(found)
            if key.kind == .recipient, found.verdict == .accepted { self.checkAcceptAll(mailbox, on: loop) }
        }
        return answer
    }

    private func learn(_ result: ProbeResult, _ key: VerifyKey, _ mailbox: Mailbox) {
        let now = self.clock.now()
        let old = self.cache.record(of: key)
        let new =
            key.kind == .domain
            ? self.cache.policy.updatedDomain(old, with: result, at: now)
            : self.cache.policy.updated(old, with: result, at: now)
        self.cache.set(new, of: key)
        let report = self.shared.withLock { shared in
            shared.underWay[key] = nil
            return shared.note(result, of: mailbox.domain.key, at: now)
        }
        if let report, self.kind == .recipient { self.report(report) }
    }

    // MARK: Troubles

    /// Why the servers of a domain are not asked now.
    private func trouble(of mailbox: Mailbox, at now: Timestamp) -> String? {
        self.shared.withLock { shared in
            guard let trouble = shared.troubles[mailbox.domain.key], trouble.verdict == .unreachable,
                trouble.retry > now, trouble.retry <= now + shared.downRetry
            else { return nil }
            return trouble.text
        }
    }

    /// Domains whose servers cannot be reached or refuse us, and what was last heard of that. For status.
    package var troubles: [String: String] { self.shared.withLock { $0.troubles.mapValues(\.text) } }
}

extension Verifier.Shared {
    fileprivate mutating func note(_ result: ProbeResult, of domain: String, at now: Timestamp) -> VerifierReport? {
        let old = self.troubles[domain]?.verdict
        switch result.verdict {
        case .accepted, .unknown, .temporary:
            self.troubles[domain] = nil
            return old == nil ? nil : .answers(domain)
        case .blocked, .unreachable:
            if self.troubles.count >= Verifier.maximumTroubles, old == nil {
                self.troubles = self.troubles.filter { $0.value.retry > now }
                if self.troubles.count >= Verifier.maximumTroubles { self.troubles = [:] }
            }
            self.troubles[domain] = .init(verdict: result.verdict, text: result.text, retry: now + self.downRetry)
            guard old != result.verdict else { return nil }
            return result.verdict == .blocked ? .blocked(domain, result.text) : .unreachable(domain, result.text)
        }
    }
}

extension VerifyRecord.Failure {
    /// What was said, and when.
    package var reason: String { "\(self.text) (\(self.time.rfc3339))" }

    fileprivate var answer: Verifier.Answer {
        .init(verdict: .undecided(self.verdict == .unreachable ? .down : .unanswered), reason: self.reason)
    }
}

extension ProbeResult {
    fileprivate var answer: Verifier.Answer {
        let verdict: Verifier.Verdict =
            switch self.verdict {
            case .accepted: .accepted
            case .unknown: .refused
            case .blocked, .temporary: .undecided(.unanswered)
            case .unreachable: .undecided(.down)
            }
        return .init(verdict: verdict, reason: self.text)
    }
}
