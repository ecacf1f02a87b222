package import Authentication
package import Mail
package import Rules
import Synchronization

/// What SPF says of the sender of a transaction: found out once, when it is first needed, whoever asks.
///
/// A session has one; what it says of one transaction is forgotten with the next.
final class SenderChecks: Sendable {
    private let current = Mutex<(question: SPFQuestion, check: Task<SPFFinding, Never>)?>(nil)

    /// - Parameter check: is begun unless it was for this question.
    func finding(
        on question: SPFQuestion, _ check: @escaping @Sendable () async -> SPFFinding
    ) async -> SPFFinding {
        let task = self.current.withLock { current in
            if let current, current.question == question { return current.check }
            let task = Task { await check() }
            current = (question, task)
            return task
        }
        return await task.value
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
