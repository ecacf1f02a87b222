import Mail

/// Decides about one command of a session, as a pure function of the policy, the facts and the answers to what it
/// asked before (SEMANTICS §2).
///
/// When it reaches something that has to be looked up it stops and says what. Whoever performs the look-up adds the
/// answer and starts it again from the beginning: what has been decided is the same again, so nothing has to be kept
/// in the middle, and a decision can be repeated from its facts and answers alone.
package struct Evaluation {
    package enum Command: Hashable, Sendable {
        /// HELO, when refusals are not delayed: client and helo lists.
        case helo
        /// MAIL, when refusals are not delayed: the sender list.
        case mail
        case recipient
        case data, endOfData
    }

    package enum Result: Sendable {
        case needs(Lookup)
        case decided(Outcome)
    }

    /// What carries over from one command to the next when refusals are not delayed.
    package struct Carried: Hashable, Sendable {
        package var client: Refused?
        package var helo: Refused?
        package var sender: Refused?

        package init() {}
    }

    let policy: RestrictionPolicy
    var facts: SessionFacts
    let answers: [Lookup: LookupAnswer]
    let command: Command
    let delaysRefusals: Bool

    // What the evaluation has come to so far.
    var outcome = Outcome()
    var carried: Carried
    /// Effects of the transaction before this command.
    let before: Effects
    var deferIfPermit: Refused?
    var deferIfReject: Refused?
    var onlyWarns = false
    var depth = 0
    var pauses = 0
    var hasCheckedSender = false
    var hasCheckedRecipient = false
    var knownClientName: ClientName?
    /// Answers that the restriction at hand rests on.
    var restrictionFacts: [String] = []
    let isTracing: Bool

    /// The restriction at hand, for reasons.
    var current = Reason(stage: "", restriction: "")

    /// Why an evaluation cannot go on.
    enum Halt: Error {
        case needs(Lookup)
        /// A fault of ours, which no `warn_if_reject` softens.
        case fault(Refused)
    }

    enum Step: Equatable {
        case dunno, permit
        case refuse(Refused)
    }

    /// What a restriction is evaluated for: the words of a refusal, and the place.
    struct Context {
        let stage: Stage
        /// What stands in angle brackets.
        let subject: String
        let label: String
    }

    /// Runs as far as it can.
    ///
    /// - Parameters:
    ///   - before: what earlier commands of the transaction have had as effects.
    ///   - carried: changed only by a decision.
    package static func run(
        _ command: Command, policy: RestrictionPolicy, facts: SessionFacts, answers: [Lookup: LookupAnswer],
        before: Effects = Effects(), carried: inout Carried, delaysRefusals: Bool = true, isTracing: Bool = false
    ) -> Result {
        var evaluation = Evaluation(
            policy: policy, facts: facts, answers: answers, command: command, delaysRefusals: delaysRefusals,
            carried: carried, before: before, isTracing: isTracing)
        do {
            evaluation.outcome.refusal = try evaluation.decide()
        } catch {
            switch error {
            case .needs(let lookup): return .needs(lookup)
            case .fault(let refusal): evaluation.outcome.refusal = refusal
            }
        }
        evaluation.outcome.clientName = evaluation.knownClientName
        carried = evaluation.carried
        return .decided(evaluation.outcome)
    }

    private init(
        policy: RestrictionPolicy, facts: SessionFacts, answers: [Lookup: LookupAnswer], command: Command,
        delaysRefusals: Bool, carried: Carried, before: Effects, isTracing: Bool
    ) {
        self.policy = policy
        self.facts = facts
        self.answers = answers
        self.command = command
        self.delaysRefusals = delaysRefusals
        self.carried = carried
        self.before = before
        self.isTracing = isTracing
    }

    private mutating func decide() throws(Halt) -> Refused? {
        switch self.command {
        case .helo:
            if let refusal = try self.client() { return refusal }
            return try self.helo()
        case .mail: return try self.sender()
        case .recipient: return try self.recipient()
        case .data: return try self.content(.data)
        case .endOfData: return try self.content(.endOfData)
        }
    }
}

// MARK: - The lists of a command

extension Evaluation {
    private mutating func client() throws(Halt) -> Refused? {
        self.begin(with: nil)
        let refusal = try self.refusal(of: .client)
        self.carried.client = self.deferIfPermit
        return refusal
    }

    private mutating func helo() throws(Halt) -> Refused? {
        guard self.facts.helo != nil else { return nil }
        self.begin(with: self.carried.client)
        let refusal = try self.refusal(of: .helo)
        self.carried.helo = self.deferIfPermit
        return refusal
    }

    private mutating func sender() throws(Halt) -> Refused? {
        self.begin(with: self.carried.client ?? self.carried.helo)
        self.hasCheckedSender = false
        let refusal = try self.refusal(of: .sender)
        self.carried.sender = self.deferIfPermit
        return refusal
    }

    /// All lists up to the recipient's, in their order; a permit ends only the list it stands in.
    private mutating func recipient() throws(Halt) -> Refused? {
        guard self.facts.forwardPath != .postmaster else { return nil }
        if self.delaysRefusals {
            if let refusal = try self.client() { return refusal }
            if let refusal = try self.helo() { return refusal }
            if let refusal = try self.sender() { return refusal }
        }
        self.begin(with: self.carried.sender)
        if let refusal = try self.refusal(of: .relay) { return refusal }
        if let refusal = try self.refusal(of: .recipient) { return refusal }
        // DISCARD does not undo it: what might have been refused must come again, and is not lost.
        if let refusal = self.deferIfPermit { return refusal }
        guard !self.isDiscarded else { return nil }
        self.current = Reason(stage: Stage.recipient.rawValue, restriction: "reject_unlisted_recipient")
        if case .refuse(let refusal) = try self.unlisted(.recipient) { return refusal }
        // Whether it exists may not be known now.
        return self.deferIfPermit
    }

    private mutating func content(_ stage: Stage) throws(Halt) -> Refused? {
        self.begin(with: nil)
        if self.facts.recipientCount > 1 { self.facts.forwardPath = nil }
        return try self.refusal(of: stage) ?? self.deferIfPermit
    }

    private mutating func begin(with deferral: Refused?) {
        self.deferIfPermit = deferral
        self.deferIfReject = nil
        self.onlyWarns = false
        self.depth = 0
    }

    private mutating func refusal(of stage: Stage) throws(Halt) -> Refused? {
        guard let list = self.policy.lists[stage], !list.items.isEmpty else { return nil }
        guard case .refuse(let refusal) = try self.evaluate(list, self.context(stage)) else { return nil }
        return refusal
    }

    private func context(_ stage: Stage) -> Context {
        switch stage {
        // The client's name belongs to its words, but is looked up only when they are said.
        case .client: Context(stage: stage, subject: "", label: "Client host")
        case .helo: Context(stage: stage, subject: self.facts.helo ?? "", label: "Helo command")
        case .sender: Context(stage: stage, subject: self.facts.reversePath?.description ?? "", label: "Sender address")
        case .relay, .recipient:
            Context(stage: stage, subject: self.facts.forwardPath?.description ?? "", label: "Recipient address")
        case .data: Context(stage: stage, subject: "DATA", label: "Data command")
        case .endOfData: Context(stage: stage, subject: "END-OF-MESSAGE", label: "End-of-data")
        }
    }

    var isDiscarded: Bool { self.before.discards != nil || self.outcome.effects.discards != nil }
}

// MARK: - One list

extension Evaluation {
    private static let deepest = 100

    mutating func evaluate(_ list: RestrictionList, _ context: Context) throws(Halt) -> Step {
        guard self.depth <= Self.deepest else {
            throw self.fault("restrictions of '\(list.name)' lead to themselves")
        }
        self.depth += 1
        defer { self.depth -= 1 }
        for item in list.items {
            guard !self.isDiscarded else { return .dunno }
            let step = try self.evaluate(item, context)
            if step != .dunno { return step }
            if self.deferIfPermit != nil, self.deferIfReject != nil { return .dunno }
        }
        return .dunno
    }

    private mutating func evaluate(_ item: RestrictionList.Item, _ context: Context) throws(Halt) -> Step {
        let outer = (reason: self.current, facts: self.restrictionFacts, onlyWarns: self.onlyWarns)
        defer { (self.current, self.restrictionFacts, self.onlyWarns) = outer }
        self.current = Reason(stage: context.stage.rawValue, restriction: item.text)
        (self.current.file, self.current.line) = (item.file, item.line)
        self.restrictionFacts = []
        self.onlyWarns = self.onlyWarns || item.onlyWarns
        let place = self.outcome.trace.count
        let step = try self.perform(item.restriction, context)
        self.trace(step, at: place)
        return step
    }

    /// Steps of a class stand behind the class itself.
    private mutating func trace(_ step: Step, at place: Int) {
        guard self.isTracing else { return }
        var reason = self.current
        reason.facts = self.restrictionFacts
        let result =
            switch step {
            case .dunno: "dunno"
            case .permit: "permit"
            case .refuse(let refusal): refusal.reply.oneLine
            }
        self.outcome.trace.insert(TraceStep(reason: reason, depth: self.depth - 1, result: result), at: place)
    }
}

// MARK: - Saying no

extension Evaluation {
    /// The reason of what is decided now.
    var reason: Reason {
        var reason = self.current
        reason.facts = self.restrictionFacts
        return reason
    }

    mutating func note(_ kind: RuleNote.Kind, _ text: String) {
        self.outcome.notes.append(RuleNote(kind, text, self.reason))
    }

    /// Refuses, or only says so under `warn_if_reject`; a refusal for good becomes a temporary one if something that
    /// might have permitted could not be told (SEMANTICS §2).
    mutating func refuse(_ code: Int, _ detail: Reply.Detail, _ text: String) -> Step {
        var refusal = Refused(Reply(code, detail, text), self.reason)
        if self.onlyWarns {
            self.note(.rejectWarning, refusal.reply.oneLine)
            return .dunno
        }
        if refusal.reply.outcome == .permanent, let deferral = self.deferIfReject {
            self.deferIfReject = nil
            refusal = deferral
        }
        return .refuse(self.softened(refusal))
    }

    private func softened(_ refusal: Refused) -> Refused {
        guard self.policy.options.softBounce, refusal.reply.outcome == .permanent else { return refusal }
        let reply = refusal.reply
        return Refused(Reply(code: reply.code - 100, detail: reply.detail, lines: reply.lines), refusal.reason)
    }

    /// Refuses for now unless something else refuses for good.
    mutating func deferIfPermitted(_ code: Int, _ detail: Reply.Detail, _ text: String) -> Step {
        if self.onlyWarns { return self.refuse(code, detail, text) }
        self.deferIfPermit = self.deferIfPermit ?? Refused(Reply(code, detail, text), self.reason)
        return .dunno
    }

    mutating func deferIfRejected(_ code: Int, _ detail: Reply.Detail, _ text: String) {
        self.deferIfReject = self.deferIfReject ?? Refused(Reply(code, detail, text), self.reason)
    }

    /// A fault of ours: nobody is refused for good because of it.
    mutating func fault(_ text: String) -> Halt {
        self.note(.fault, text)
        return .fault(Refused(Reply(451, Reply.Detail(3, 5), "Server configuration error"), self.reason))
    }

    /// `<subject>: label`, as every refusal begins that names what it refuses.
    mutating func opening(_ context: Context) throws(Halt) -> String {
        "<\(try self.subject(context))>: \(context.label)"
    }

    private mutating func subject(_ context: Context) throws(Halt) -> String {
        guard context.label == "Client host", context.subject.isEmpty else { return context.subject }
        return "\(try self.clientName().verified ?? "unknown")[\(self.facts.client.address)]"
    }
}

// MARK: - Looking up

extension Evaluation {
    mutating func answer(_ lookup: Lookup) throws(Halt) -> LookupAnswer {
        guard let answer = self.answers[lookup] else { throw .needs(lookup) }
        return answer
    }

    /// Answers that a reason repeats.
    private static let mostFacts = 20

    /// Records of a name; none of a name that cannot be asked about.
    mutating func names(_ name: some StringProtocol, _ type: Lookup.NameType) throws(Halt) -> NameAnswer {
        guard let name = HostSyntax.askable(name) else { return .none }
        guard case .names(let answer) = try self.answer(.names(name, type)) else { return .failed("no answer") }
        if self.restrictionFacts.count < Self.mostFacts {
            self.restrictionFacts.append("\(name) \(type.rawValue) -> \(answer.description)")
        }
        return answer
    }
}

extension NameAnswer: CustomStringConvertible {
    package var description: String {
        switch self {
        case .addresses(let addresses): addresses.map(\.description).joined(separator: ", ")
        case .hosts(let hosts): hosts.map { $0.isEmpty ? "." : $0 }.joined(separator: ", ")
        case .texts(let texts): texts.joined(separator: " / ")
        case .none: "none"
        case .failed(let why): "failed: \(why)"
        }
    }

    var addresses: [IPAddress] {
        if case .addresses(let addresses) = self { addresses } else { [] }
    }

    var hosts: [String] {
        if case .hosts(let hosts) = self { hosts } else { [] }
    }

    var hasFailed: Bool {
        if case .failed = self { true } else { false }
    }

    var isFound: Bool {
        switch self {
        case .addresses, .hosts, .texts: true
        case .none, .failed: false
        }
    }

    /// One MX record that says that the domain takes no mail (RFC 7505).
    var isNullMX: Bool { self.hosts == [""] }
}
