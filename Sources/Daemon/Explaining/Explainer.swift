import Mail
import Receiver
package import Rules
import Screener

/// Runs a hypothetical session through a generation: what the receiver would do with a real one, by the same code.
package struct Explainer: Sendable {
    let generation: Generation

    package init(_ generation: Generation) {
        self.generation = generation
    }

    package enum Result: Sendable {
        case needs(Lookup)
        case explained(Explanation)
    }

    /// Explains as far as answers are known; with one more each time it begins anew, as an evaluation does.
    package func explain(_ session: HypotheticalSession, answers: [Lookup: LookupAnswer]) -> Result {
        var run = ExplanationRun(self.generation, session, answers)
        do throws(ExplanationRun.Needs) { return .explained(try run.finish()) } catch { return .needs(error.lookup) }
    }

    /// Explains with the answers of somebody who never has to wait.
    package func explain(_ session: HypotheticalSession, _ answer: (Lookup) -> LookupAnswer) -> Explanation {
        var answers: [Lookup: LookupAnswer] = [:]
        while true {
            switch self.explain(session, answers: answers) {
            case .explained(let explanation): return explanation
            case .needs(let lookup): answers[lookup] = answer(lookup)
            }
        }
    }

    /// Explains with the answers of somebody who may have to wait; with them it is also found out where the message is
    /// from.
    package func explain(
        _ session: HypotheticalSession, _ answer: @escaping @Sendable (Lookup) async -> LookupAnswer
    ) async -> Explanation {
        var answers: [Lookup: LookupAnswer] = [:]
        while true {
            switch self.explain(session, answers: answers) {
            case .explained(var explanation):
                await self.authenticate(session, &explanation, answer)
                return explanation
            case .needs(let lookup): answers[lookup] = await answer(lookup)
            }
        }
    }
}

extension Explainer {
    /// What the rules for content say of a message, whoever sends it to whom.
    package func explain(content: [UInt8]) -> Explanation {
        let session = HypotheticalSession(
            client: .v4(0x7F00_0001), clientName: ClientName(nil), helo: "localhost", reversePath: .null,
            forwardPaths: [], content: content)
        var run = ExplanationRun(self.generation, session, [:])
        return run.finishContent()
    }
}

/// One session on its way.
private struct ExplanationRun {
    struct Needs: Error {
        let lookup: Lookup
    }

    private let generation: Generation
    private let session: HypotheticalSession
    private let answers: [Lookup: LookupAnswer]
    private var facts: SessionFacts
    private var carried = Evaluation.Carried()
    private var effects = Effects()
    private var trace: [Explanation.Step] = []

    init(_ generation: Generation, _ session: HypotheticalSession, _ answers: [Lookup: LookupAnswer]) {
        self.generation = generation
        self.session = session
        self.answers = answers
        self.facts = SessionFacts(client: Endpoint(session.client, port: 40_000))
        self.facts.givenName = session.clientName
        self.facts.helo = session.helo
        self.facts.proto = "ESMTP"
        self.facts.tls = session.tls
        self.facts.instance = "explain"
    }

    mutating func finish() throws(Needs) -> Explanation {
        let refusal = try self.refusal()
        return self.explanation(refusal)
    }

    mutating func finishContent() -> Explanation {
        let refusal = self.examine()
        return self.explanation(refusal)
    }

    private func explanation(_ refusal: Refused?) -> Explanation {
        var explanation = Explanation(
            verdict: self.verdict(refusal), generation: self.generation.number, trace: self.trace)
        let reason = refusal?.reason ?? self.effects.discards ?? self.effects.holds
        explanation.stage = reason?.stage
        explanation.restriction = reason?.restriction
        explanation.table = reason?.table
        explanation.file = reason?.file
        explanation.line = reason?.line
        explanation.key = reason?.key
        explanation.reply = refusal.map {
            Explanation.ReplyText(
                code: $0.reply.code, enhanced: $0.reply.enhanced, text: $0.reply.lines.joined(separator: " "))
        }
        return explanation
    }

    private func verdict(_ refusal: Refused?) -> String {
        if let refusal { return refusal.reply.outcome == .permanent ? "reject" : "defer" }
        if self.effects.discards != nil { return "discard" }
        return self.effects.holds == nil ? "accept" : "hold"
    }

    private mutating func refusal() throws(Needs) -> Refused? {
        if let refusal = try self.screen() { return refusal }
        if !self.generation.receiver.policy.delaysRefusals {
            if let refusal = try self.evaluate(.helo) { return refusal }
            self.facts.reversePath = self.session.reversePath
            if let refusal = try self.evaluate(.mail) { return refusal }
        }
        self.facts.reversePath = self.session.reversePath
        for path in self.session.forwardPaths {
            self.facts.forwardPath = path
            if let refusal = try self.evaluate(.recipient) { return refusal }
            self.facts.recipientCount += 1
        }
        self.facts.bytes = self.session.content?.count ?? 0
        if self.facts.recipientCount > 1 { self.facts.forwardPath = nil }
        if let refusal = try self.evaluate(.data) { return refusal }
        if let refusal = self.examine() { return refusal }
        return try self.evaluate(.endOfData)
    }

    private mutating func evaluate(_ command: Evaluation.Command) throws(Needs) -> Refused? {
        var policy = self.generation.receiver.policy
        policy.relay = policy.relay.assuming(self.session.assumedRecipients)
        let result = Evaluation.run(
            command, policy: policy, facts: self.facts, answers: self.answers, before: self.effects,
            carried: &self.carried, delaysRefusals: policy.delaysRefusals, isTracing: true)
        switch result {
        case .needs(let lookup): throw Needs(lookup: lookup)
        case .decided(let outcome):
            self.trace += outcome.trace.map { Explanation.Step($0.reason, depth: $0.depth, result: $0.result) }
            self.note(outcome.notes)
            self.effects.add(outcome.effects)
            if let refusal = outcome.refusal { self.closeTrace(with: refusal) }
            return outcome.refusal
        }
    }

    /// A refusal that no restriction of a list says, such as that of an unknown recipient, has no step yet.
    private mutating func closeTrace(with refusal: Refused) {
        guard self.trace.last?.result != refusal.reply.oneLine else { return }
        self.trace.append(Explanation.Step(refusal.reason, depth: 0, result: refusal.reply.oneLine))
    }

    private mutating func note(_ notes: [RuleNote]) {
        self.trace += notes.map { Explanation.Step($0.reason, depth: 0, result: "\($0.kind.rawValue): \($0.text)") }
    }

    // MARK: Content

    private mutating func examine() -> Refused? {
        let policy = self.generation.receiver.content
        guard let content = self.session.content, !policy.isEmpty else { return nil }
        let inspector = ContentInspector(policy)
        _ = inspector.feed(content)
        let verdict = inspector.finish().verdict
        self.note(verdict.notes)
        self.effects.add(verdict.effects)
        if let refusal = verdict.refusal { self.closeTrace(with: refusal) }
        return verdict.refusal
    }

    // MARK: The screener

    /// Before it is known how a client behaves: its address, and what lists say of it.
    private mutating func screen() throws(Needs) -> Refused? {
        let options = self.generation.configuration.screener
        guard options.enabled else { return nil }
        let access = self.generation.screener.verdict(on: self.session.client)
        let reason = Reason(stage: "screener", restriction: "access")
        guard access != .reject else {
            return self.refuse(options.accessAction, .init(3, 2), "Service currently unavailable", reason)
        }
        self.trace.append(Explanation.Step(reason, depth: 0, result: access == .permit ? "permit" : "dunno"))
        guard access == .dunno, !options.dnsbl.isEmpty else { return nil }
        return try self.score(options)
    }

    private mutating func score(_ options: ScreenerOptions) throws(Needs) -> Refused? {
        var score = 0
        var heaviest: (weight: Int, name: String)?
        for site in options.dnsbl {
            let query = self.session.client.reversed(in: site.zone.text)
            guard let answer = self.answers[.names(query, .a)] else { throw Needs(lookup: .names(query, .a)) }
            let name = options.dnsblNames.values[site.zone.text] ?? site.zone.text
            var reason = Reason(stage: "screener", restriction: "dnsbl \(name)")
            reason.facts = ["\(query) A -> \(answer)"]
            guard site.lists(answer) else {
                self.trace.append(Explanation.Step(reason, depth: 0, result: "0"))
                continue
            }
            score += site.weight
            if site.weight > heaviest?.weight ?? 0 { heaviest = (site.weight, name) }
            self.trace.append(Explanation.Step(reason, depth: 0, result: "\(site.weight)"))
        }
        self.facts.isAllowlisted = score < 0
        guard score >= options.dnsblThreshold.value, let heaviest else { return nil }
        return self.refuse(
            options.dnsblAction, .init(7, 1),
            "Service unavailable; client [\(self.session.client)] blocked using \(heaviest.name)",
            Reason(stage: "screener", restriction: "dnsbl score \(score)"))
    }

    private mutating func refuse(
        _ action: ScreeningAction, _ detail: Reply.Detail, _ text: String, _ reason: Reason
    ) -> Refused? {
        switch action {
        case .ignore:
            self.trace.append(Explanation.Step(reason, depth: 0, result: "ignored: \(text)"))
            return nil
        case .enforce, .drop:
            let refusal = Refused(Reply(action == .drop ? 521 : 550, detail, text), reason)
            self.closeTrace(with: refusal)
            return refusal
        }
    }
}

extension DNSBLSite {
    /// Whether an answer counts for the site; error codes never do.
    fileprivate func lists(_ answer: LookupAnswer) -> Bool {
        guard case .names(.addresses(let addresses)) = answer else { return false }
        return addresses.contains { address in
            guard case .v4(let value) = address, DNSBLReturn(value, from: self.zone) == .listed else { return false }
            return self.filter?.matches(value) ?? true
        }
    }
}
