import Mail
package import NIOCore
package import Rules

/// One evaluation with the look-ups that it asks for.
package struct PolicyRun: Sendable {
    package let command: Evaluation.Command
    package let policy: RestrictionPolicy
    package let facts: SessionFacts
    /// Effects of the transaction so far.
    package let before: Effects
    private let delaysRefusals: Bool
    package private(set) var carried: Evaluation.Carried
    private var answers: [Lookup: LookupAnswer] = [:]

    package init(
        _ command: Evaluation.Command, policy: RestrictionPolicy, facts: SessionFacts, before: Effects = Effects(),
        carried: Evaluation.Carried = Evaluation.Carried(), delaysRefusals: Bool? = nil
    ) {
        self.command = command
        self.policy = policy
        self.facts = facts
        self.before = before
        self.carried = carried
        self.delaysRefusals = delaysRefusals ?? policy.delaysRefusals
    }

    /// The outcome, if nothing has to be waited for; later runs go on with what has been learned.
    ///
    /// Each answer begins the evaluation anew, so that many of them are not for an event loop.
    package mutating func finishNow(_ performer: LookupPerformer) -> Outcome? {
        while true {
            switch self.step() {
            case .decided(let outcome): return outcome
            case .needs(let lookup):
                guard self.answers.count < Self.mostAnswersNow, let answer = performer.known(lookup) else { return nil }
                self.answers[lookup] = answer
            }
        }
    }

    private static let mostAnswersNow = 50

    /// - Returns: nil if the task was cancelled.
    package mutating func finish(_ performer: LookupPerformer, on loop: any EventLoop) async -> Outcome? {
        while !Task.isCancelled {
            switch self.step() {
            case .decided(let outcome): return outcome
            case .needs(let lookup): self.answers[lookup] = await performer.answer(lookup, on: loop)
            }
        }
        return nil
    }

    private mutating func step() -> Evaluation.Result {
        Evaluation.run(
            self.command, policy: self.policy, facts: self.facts, answers: self.answers, before: self.before,
            carried: &self.carried, delaysRefusals: self.delaysRefusals)
    }
}
