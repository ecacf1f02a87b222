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
    package var isTracing = false
    package private(set) var carried: Evaluation.Carried
    private var answers: [Lookup: LookupAnswer] = [:]

    package init(
        _ command: Evaluation.Command, policy: RestrictionPolicy, facts: SessionFacts, before: Effects = Effects(),
        carried: Evaluation.Carried = Evaluation.Carried()
    ) {
        self.command = command
        self.policy = policy
        self.facts = facts
        self.before = before
        self.carried = carried
    }

    /// What has been asked and answered, in no order.
    package var lookups: [Lookup: LookupAnswer] { self.answers }

    /// The outcome, if nothing has to be waited for; later runs go on with what has been learned.
    package mutating func finishNow(_ performer: LookupPerformer) -> Outcome? {
        while true {
            switch self.step() {
            case .decided(let outcome): return outcome
            case .needs(let lookup):
                guard let answer = performer.known(lookup) else { return nil }
                self.answers[lookup] = answer
            }
        }
    }

    package mutating func finish(_ performer: LookupPerformer, on loop: any EventLoop) async -> Outcome {
        while true {
            switch self.step() {
            case .decided(let outcome): return outcome
            case .needs(let lookup): self.answers[lookup] = await performer.answer(lookup, on: loop)
            }
        }
    }

    private mutating func step() -> Evaluation.Result {
        Evaluation.run(
            self.command, policy: self.policy, facts: self.facts, answers: self.answers, before: self.before,
            carried: &self.carried, delaysRefusals: self.policy.delaysRefusals, isTracing: self.isTracing)
    }
}
