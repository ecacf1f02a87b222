package import Authentication
import Mail
import Receiver
package import Rules

extension Explainer {
    /// What authentication would find out about a message that nothing else refuses, and what would follow.
    ///
    /// - Parameter answer: also knows the names. What does not exist and what has no such record is the same to it, so
    ///   that a policy for names that do not exist (`np`) is not told from one for those below the domain.
    func authenticate(
        _ session: HypotheticalSession, _ explanation: inout Explanation,
        _ answer: @escaping @Sendable (Lookup) async -> LookupAnswer
    ) async {
        guard let policy = self.generation.receiver.authentication, policy.options.enabled,
            let content = session.content, ["accept", "hold"].contains(explanation.verdict),
            !self.generation.receiver.policy.relay.trusts(session.client)
        else { return }
        let client = AuthenticatedClient(address: session.client, helo: session.helo, reversePath: session.reversePath)
        let message = MessageAuthentication(policy, client: client, changesBody: false)
        _ = message.receive(content)
        let names = NameSource(answer)
        let now = WallClock.system.now()
        let finding = await message.finish(
            spf: { await policy.spf.finding(on: client, names: names, at: now) }, names: names, at: now, sample: 0)
        if let finding { explanation.add(finding) }
    }
}

extension Explainer {
    /// What `check_spf` is told.
    package func judgement(on question: SPFQuestion, names: NameSource) async -> Judgement {
        guard let policy = self.generation.receiver.authentication else { return .notAsked }
        let finding = await policy.spf.finding(
            on: AuthenticatedClient(question), names: names, at: WallClock.system.now())
        return policy.judgement(of: finding, on: question)
    }
}

extension NameSource {
    /// Names of whoever answers look-ups.
    package init(_ answer: @escaping @Sendable (Lookup) async -> LookupAnswer) {
        self.init { query in NameReply(await answer(.names(query.name, Lookup.NameType(query.kind)))) }
    }
}

extension Explanation {
    fileprivate mutating func add(_ finding: AuthenticationFinding) {
        var reason = Reason(stage: "authentication", restriction: "dmarc")
        reason.key = finding.dmarc.fromDomain?.ascii
        reason.value = finding.summary
        switch finding.decision.verdict {
        case .accept: self.trace.append(Step(reason, depth: 0, result: finding.summary))
        case .hold(let why):
            self.trace.append(Step(why, depth: 0, result: "hold"))
            self.decide("hold", why)
        case .refuse(let reply, let why):
            self.trace.append(Step(why, depth: 0, result: reply.oneLine))
            self.decide(reply.outcome == .permanent ? "reject" : "defer", why)
            self.reply = ReplyText(
                code: reply.code, enhanced: reply.enhanced, text: reply.lines.joined(separator: " "))
        }
    }

    private mutating func decide(_ verdict: String, _ reason: Reason) {
        self.verdict = verdict
        (self.stage, self.restriction, self.table) = (reason.stage, reason.restriction, reason.table)
        (self.file, self.line, self.key) = (reason.file, reason.line, reason.key)
    }
}

extension Lookup.NameType {
    fileprivate init(_ kind: NameQuery.Kind) {
        self =
            switch kind {
            case .a: .a
            case .aaaa: .aaaa
            case .mx: .mx
            case .ptr: .ptr
            case .txt: .txt
            }
    }
}

extension NameReply {
    fileprivate init(_ answer: LookupAnswer) {
        switch answer {
        case .names(.addresses(let addresses)): self = .addresses(addresses)
        case .names(.hosts(let hosts)): self = .hosts(hosts)
        case .names(.texts(let texts)): self = .texts(texts.map { Array($0.utf8) })
        case .names(.none): self = .noRecords
        case .names(.failed(let why)): self = .failed(why)
        case .action, .noAction, .address, .judged, .passed: self = .failed("no answer about names")
        }
    }
}
