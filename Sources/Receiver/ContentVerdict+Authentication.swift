import Authentication
import Mail
import Rules

extension ContentInspector {
    /// What authentication needs to know besides the content.
    struct Transaction: Sendable {
        /// Nil for a client of ours, whose message is signed.
        let client: AuthenticatedClient?
        /// Nil if the generation does not ask.
        let spf: @Sendable () async -> SPFFinding?
        let names: NameSource
        let now: Timestamp
    }

    /// Finds out where a message comes from, or signs it, once all of it has been looked at. A message that the rules
    /// for content refuse or throw away costs no questions.
    func authenticate(_ verdict: inout ContentVerdict, _ transaction: Transaction) async {
        guard let authentication, verdict.refusal == nil, verdict.effects.discards == nil else { return }
        guard transaction.client != nil else { return verdict.sign(authentication, at: transaction.now) }
        let finding = await authentication.finish(
            spf: transaction.spf, names: transaction.names, at: transaction.now, sample: Int.random(in: 0..<100))
        if let finding { verdict.add(finding) }
    }
}

extension ContentVerdict {
    /// A message of ours that cannot be signed goes on without.
    fileprivate mutating func sign(_ authentication: MessageAuthentication, at now: Timestamp) {
        do { self.fields = try authentication.sign(at: now) } catch {
            self.notes.append(
                RuleNote(.fault, "not signed: \(error)", Reason(stage: "authentication", restriction: "dkim")))
        }
    }

    fileprivate mutating func add(_ finding: AuthenticationFinding) {
        self.fields = Array(finding.fields.utf8)
        self.finding = finding
        if let fault = finding.fault {
            self.notes.append(RuleNote(.fault, fault, Reason(stage: "authentication", restriction: "arc")))
        }
        switch finding.decision.verdict {
        case .accept: break
        case .hold(let reason):
            guard self.effects.holds == nil else { return }
            self.effects.holds = reason
            self.notes.append(RuleNote(.effect, "HOLD \(reason.restriction)", reason))
        case .refuse(let reply, let reason): self.refusal = Refused(reply, reason)
        }
    }
}
