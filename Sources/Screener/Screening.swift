import Mail
import SMTP

/// The screening of one connection, from its first octet to the first line it says after the greeting, as a value
/// (SEMANTICS §1); where TLS comes before the greeting, to the first octet of its handshake. Who it is and what is
/// known about it comes as an ``Admission``; time and names come as events.
struct Screening: Sendable {
    private enum State: Sendable {
        /// Waiting for the header of a proxy. Next: `arriving`, `closing`, `over`.
        case proxied
        /// It is known who it is, but not what to do. Next: `testing`, `greeted`, `closing`, `over`.
        case arriving
        /// The first line of the greeting is out. Next: `greeted`, `closing`, `over`.
        indirect case testing(Testing)
        /// The greeting is out, and the client's turn. Next: `closing`, `over`.
        case greeted(Verdict?)
        /// The last reply is out. Next: `over`.
        case closing
        /// Closed, or somebody else's. Next: none.
        case over
    }

    let policy: ScreenerPolicy
    /// TLS comes before the greeting: here nothing can be said that would be understood, and the client speaks first.
    let isTLS: Bool
    private var state: State
    /// There was input while the greeting was held back.
    private var hasInput = false
    private(set) var isUnderStress = false
    /// DNS lists speak for the client.
    private(set) var isAllowlisted = false

    init(_ policy: ScreenerPolicy, at door: Door) {
        self.policy = policy
        self.isTLS = door.isTLS
        self.state = door.isProxied ? .proxied : .arriving
    }

    /// So much of the input is looked at: a command line, or the header of a proxy.
    static let lookBytes = 2304

    /// Where a connection stands that nothing is to be done for at the moment.
    enum Phase: Hashable, Sendable { case waiting, silent, other }

    var phase: Phase {
        switch self.state {
        case .testing: .waiting
        case .greeted: .silent
        case .proxied, .arriving, .closing, .over: .other
        }
    }

    mutating func handle(_ event: Event) -> [Action] {
        switch (self.state, event) {
        case (.over, _): return []
        case (_, .input(.end)): return self.hangUp()
        case (.closing, .timedOut), (.closing, .shutdown): return self.end()
        case (.closing, .input(.octets(let count, _))): return [.discard(bytes: count)]
        case (.closing, _): return []
        case (_, .shed(let reply)): return self.turnAway(reply, .shed, "CONNECT")
        case (_, .shutdown): return self.turnAway(.shuttingDown, .shutdown, "CONNECT")
        case (.proxied, .input(.octets(_, let preview))): return self.readHeader(preview)
        case (.proxied, .timedOut): return self.dropProxy("no header in time")
        case (.arriving, .admitted(let admission)): return self.admit(admission)
        case (.testing(let testing), .input(.octets(_, let preview))): return self.pregreet(testing, preview)
        case (.testing(let testing), .answered(let zone, let outcome, let standing)):
            return self.answered(testing, zone, outcome, standing)
        case (.testing(let testing), .timedOut): return self.conclude(testing, isOutOfTime: true)
        case (.greeted(let verdict), .input(.octets(let count, let preview))):
            return self.hear(verdict, count, preview)
        case (.greeted, .timedOut): return self.turnAway(.timedOut, .silent, "TIMEOUT")
        // Late or early: nothing that could be done with it.
        case (.proxied, .admitted), (.proxied, .answered), (.arriving, .input), (.arriving, .answered),
            (.arriving, .timedOut), (.testing, .admitted), (.greeted, .admitted), (.greeted, .answered):
            return []
        }
    }
}

// MARK: - Before the tests

extension Screening {
    private mutating func readHeader(_ preview: [UInt8]) -> [Action] {
        switch preview.withUnsafeBytes({ ProxyHeader.read($0) }) {
        case .incomplete: return []
        case .malformed(let reason): return self.dropProxy(reason)
        case .complete(let bytes, let source):
            self.state = .arriving
            return [.discard(bytes: bytes), .identify(source)]
        }
    }

    /// Nobody is there to whom a reply would mean anything.
    private mutating func dropProxy(_ reason: String) -> [Action] {
        self.state = .over
        return [.complain("the proxy's header: \(reason)"), .close]
    }

    private mutating func admit(_ admission: Admission) -> [Action] {
        self.isUnderStress = admission.isUnderStress
        self.isAllowlisted = admission.record?.isAllowlisted(at: admission.now) ?? false
        switch admission.access {
        case .refused(let reply): return self.turnAway(reply, .limited, "CONNECT")
        case .exempt(let isLogged): return self.letIn(isLogged ? ScreeningOutcome(.permitted) : nil)
        case .rejected:
            let action = self.policy.options.accessAction
            guard action != .ignore else { return self.test(admission, [.accessIgnored]) }
            var outcome = ScreeningOutcome(.rejected)
            outcome.action = action
            if action == .drop { return self.refuse(.accessDenied(action), outcome) }
            return self.greet(self.condemned(.accessDenied(action)), outcome)
        case .tested: return self.test(admission, [])
        }
    }

    /// Begins the tests that the client has not passed lately.
    private mutating func test(_ admission: Admission, _ before: [ScreeningOutcome.Note]) -> [Action] {
        let due = self.policy.due(admission.record, at: admission.now, isTLS: self.isTLS)
        if due.isEmpty {
            let isKnown = self.policy.isKnown(admission.record, at: admission.now, isTLS: self.isTLS)
            return self.greet(nil, ScreeningOutcome(isKnown ? .known : .passed, notes: before))
        }
        var testing = Testing(admission, due: due)
        testing.notes = before
        let early = due.filter(\.isEarly)
        guard !early.isEmpty else { return self.pass(testing) }
        if early.contains(.dnsbl) { testing.tally = DNSBLTally(self.policy.dnsbl) }
        testing.isHoldingGreeting = early.contains(.pregreet)
        self.state = .testing(testing)
        let options = self.policy.options
        let wait = Action.wait(admission.isUnderStress ? options.greetWaitStress : options.greetWait)
        let actions = self.isTLS ? [wait] : [.teaser, wait]
        return early.contains(.dnsbl) ? actions + [.lookUp] : actions
    }
}

// MARK: - Tests before the greeting

extension Screening {
    private mutating func pregreet(_ old: Testing, _ preview: [UInt8]) -> [Action] {
        self.hasInput = true
        var testing = old
        // A client that had passed this is not tested again; it is still not polite.
        guard testing.due.contains(.pregreet), testing.pregreeting == nil,
            let action = self.policy.options.pregreet.action
        else { return [] }
        testing.pregreeting = Array(preview.prefix(ScreeningOutcome.maximumPregreetBytes))
        testing.failures.append(Failure(.pregreet, action, .protocolError(.pregreet, action)))
        self.state = .testing(testing)
        return self.conclude(testing, isOutOfTime: false)
    }

    private mutating func answered(
        _ old: Testing, _ zone: Int, _ outcome: DNSBLOutcome, _ standing: ListHealth.Standing
    ) -> [Action] {
        var testing = old
        testing.tally?.record(outcome, zone: zone, standing: standing)
        self.state = .testing(testing)
        return self.conclude(testing, isOutOfTime: false)
    }

    /// Ends the tests as soon as nothing can change what they come to.
    private mutating func conclude(_ old: Testing, isOutOfTime: Bool) -> [Action] {
        var testing = old
        let decision = testing.tally.flatMap { isOutOfTime ? $0.decisionNow : $0.decision }
        if decision == .allowed, testing.failures.isEmpty { return self.allow(testing) }
        self.noteListing(decision, &testing)
        if testing.failures.contains(where: { $0.action != .ignore }) { return self.fail(testing) }
        let waitsForList = testing.tally != nil && decision == nil
        let waitsForClient = testing.isHoldingGreeting && testing.pregreeting == nil
        guard isOutOfTime || !waitsForList && !waitsForClient else { return [] }
        return self.pass(testing)
    }

    private func noteListing(_ decision: DNSBLTally.Decision?, _ testing: inout Testing) {
        let action = self.policy.options.dnsblAction
        switch decision {
        case nil, .allowed, .passed: break
        case .listed(let list):
            testing.failures.append(Failure(.dnsbl, action, .listed(testing.address, list, action)))
        case .listedBySuspects(let list):
            testing.failures.append(Failure(.dnsbl, action, .listedBySuspect(testing.address, list, action)))
        }
    }

    private mutating func fail(_ testing: Testing) -> [Action] {
        let blocking = testing.failures.filter { $0.action != .ignore }
        let outcome = testing.outcome(.failed)
        // Who is only suspected may come again as who it was.
        let forget: [Action] = blocking.contains { $0.reply.outcome == .permanent } ? [.forget] : []
        if let failure = blocking.first(where: { $0.action == .drop }) {
            return forget + self.refuse(failure.reply, outcome)
        }
        return forget + self.greet(blocking.first.map { self.condemned($0.reply) }, outcome)
    }

    /// A client that failed is watched all the same, for the log.
    private func condemned(_ reply: Reply) -> Verdict {
        Verdict(
            SessionScreening(
                refusal: reply, actions: [.pipelining: .ignore, .nonSMTP: .ignore, .bareNewline: .ignore]))
    }

    /// An allow list knows the client: it has passed everything, also what is not tested now.
    private mutating func allow(_ testing: Testing) -> [Action] {
        var record = PassRecord()
        let ttl = testing.tally?.ttl(self.policy.options) ?? self.policy.options.dnsblMinimumTTL
        for test in ScreeningTest.allCases { record[test] = .passed(until: testing.now + ttl) }
        record.allowlistedUntil = testing.allowlistedUntil
        self.isAllowlisted = true
        let credit: [Action] = testing.isVetoed ? [] : [.credit(record)]
        return credit + self.greet(nil, testing.outcome(.allowed))
    }

    private mutating func pass(_ testing: Testing) -> [Action] {
        self.isAllowlisted = testing.allowlistedUntil.map { $0 > testing.now } ?? false
        if testing.isVetoed {
            return self.greet(self.condemned(.comeBack), testing.outcome(.vetoed))
        }
        let record = testing.record(self.policy)
        let deep = testing.due.filter { !$0.isEarly }
        guard !deep.isEmpty else { return [.credit(record)] + self.greet(nil, testing.outcome(.passed)) }
        let actions = deep.reduce(into: [ScreeningTest: ScreeningAction]()) {
            $0[$1] = self.policy.options.setting(of: $1).action
        }
        // Who fails in the session loses this credit again (SEMANTICS §1); who only leaves need not wait the next time.
        let verdict = Verdict(SessionScreening(actions: actions), credit: record)
        return [.credit(record)] + self.greet(verdict, testing.outcome(.greeted))
    }
}

// MARK: - After the tests

extension Screening {
    private mutating func greet(_ verdict: Verdict?, _ outcome: ScreeningOutcome?) -> [Action] {
        self.state = .greeted(verdict)
        let limits = self.isUnderStress ? self.policy.limits.underStress : self.policy.limits
        var actions = outcome.map { [Action.conclude($0)] } ?? []
        actions += (self.isTLS ? [] : [.greeting]) + [.wait(limits.commandTimeout)]
        // What came meanwhile is not reported again.
        return self.hasInput ? actions + [.look] : actions
    }

    /// Whom the administrator trusts need not prove anything, not even by saying something: the receiver makes its
    /// session while the greeting travels.
    private mutating func letIn(_ outcome: ScreeningOutcome?) -> [Action] {
        self.state = .over
        return (outcome.map { [.conclude($0)] } ?? []) + (self.isTLS ? [] : [.greeting]) + [.handOn(nil)]
    }

    /// The connection goes to the receiver with its first line; who does not complete one does not cost a session.
    /// Where lines come encrypted, whoever says anything costs one.
    private mutating func hear(_ verdict: Verdict?, _ count: Int, _ preview: [UInt8]) -> [Action] {
        let limit = self.isTLS ? 1 : min(self.policy.limits.commandLine.bytes, Self.lookBytes)
        guard preview.contains(ASCII.lineFeed) || count >= limit else { return [] }
        self.state = .over
        return [.handOn(verdict)]
    }

    /// A client that failed may still be sending; closing on what was not read would reset the connection, and it might
    /// not see the reply. Where places are few they are worth more.
    private mutating func refuse(_ reply: Reply, _ outcome: ScreeningOutcome) -> [Action] {
        guard !self.isTLS else {
            self.state = .over
            return [.conclude(outcome), .close]
        }
        guard !self.isUnderStress else {
            self.state = .over
            return [.conclude(outcome), .lastReply(reply, command: nil), .close]
        }
        self.state = .closing
        return [.conclude(outcome), .lastReply(reply, command: nil), .wait(Self.linger)]
    }

    /// Nothing is wrong with the client, but it has to go now: its place is needed.
    private mutating func turnAway(
        _ reply: Reply, _ result: ScreeningOutcome.Result, _ command: String
    ) -> [Action] {
        self.state = .over
        let last = self.isTLS ? Action.unsaid(reply, command: command) : .lastReply(reply, command: command)
        return [.conclude(ScreeningOutcome(result)), last, .close]
    }

    /// How long the end of a refused connection is waited for.
    private static let linger = Duration.seconds(2)

    private mutating func hangUp() -> [Action] {
        switch self.state {
        case .testing(let testing):
            self.state = .over
            return [.conclude(testing.outcome(.hangup)), .close]
        case .proxied, .arriving, .greeted, .closing, .over: return self.end()
        }
    }

    private mutating func end() -> [Action] {
        self.state = .over
        return [.close]
    }
}
