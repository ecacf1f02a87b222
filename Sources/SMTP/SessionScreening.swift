package import Mail

/// What the screener asks of a session (SEMANTICS §1, after-220 phase): to refuse a client that failed before the
/// greeting, and to watch for what only the dialog shows. A client that passes goes on in the same session.
package struct SessionScreening: Sendable {
    /// Every recipient is refused with it. The client is let talk, so that sender and recipients are in the log.
    package private(set) var refusal: Reply?
    /// The tests to be passed, and what happens to a client that fails. What is not here is not looked for.
    package let actions: [ScreeningTest: ScreeningAction]
    private var failed: Set<ScreeningTest> = []
    private var hasPassed = false
    private var commands = 0

    /// Commands of a client that is refused, above which it is told 421.
    private static let commandLimit = 20

    package enum Finding: Hashable, Sendable {
        /// The client has come as far as RCPT, and has failed only tests without consequences.
        case passed(failing: Set<ScreeningTest>)
        case failed(ScreeningTest, ScreeningAction)
    }

    /// What follows from a line.
    enum Consequence: Hashable, Sendable {
        case none
        case failed([Finding])
        /// The session ends with this reply.
        case end([Finding], Reply)
    }

    package init(refusal: Reply? = nil, actions: [ScreeningTest: ScreeningAction] = [:]) {
        self.refusal = refusal
        self.actions = actions
    }

    /// A client that is tested for pipelining must not be told that it may.
    var offersPipelining: Bool { self.actions[.pipelining] == nil }

    /// Looks at a line of the client.
    ///
    /// - Parameter command: what it says; nil if it is no command.
    mutating func observe(_ facts: ServerSession.LineFacts, _ command: Command?, isSMTP: Bool) -> Consequence {
        guard !self.actions.isEmpty || self.refusal != nil else { return .none }
        var findings: [Finding] = []
        if facts.isBare { self.fail(.bareNewline, &findings) }
        if !isSMTP { self.fail(.nonSMTP, &findings) }
        if !facts.isLast, !(command?.mayBeFollowed ?? false) { self.fail(.pipelining, &findings) }
        for case .failed(let test, .drop) in findings { return .end(findings, .protocolError(test, .drop)) }
        if self.refusal != nil {
            self.commands += 1
            if self.commands > Self.commandLimit { return .end(findings, .tooManyErrors) }
        }
        return findings.isEmpty ? .none : .failed(findings)
    }

    private mutating func fail(_ test: ScreeningTest, _ findings: inout [Finding]) {
        guard let action = self.actions[test], self.failed.insert(test).inserted else { return }
        findings.append(.failed(test, action))
        if action == .enforce, self.refusal == nil { self.refusal = .protocolError(test, .enforce) }
    }

    /// A client that fails with nothing but its words is heard out, where others are shown the door.
    var toleratesOtherProtocols: Bool { self.actions[.nonSMTP] == .enforce }

    /// The client has come to RCPT.
    ///
    /// - Returns: that it passed, the first time. A client that fails afterwards has not passed after all.
    mutating func reachRecipient() -> Finding? {
        guard self.refusal == nil, !self.actions.isEmpty, !self.hasPassed else { return nil }
        self.hasPassed = true
        return .passed(failing: self.failed)
    }
}

extension Command {
    /// The octets of BDAT follow without waiting, and behind QUIT nothing is read.
    fileprivate var mayBeFollowed: Bool {
        switch self {
        case .bdat, .quit: true
        case .helo, .ehlo, .starttls, .mail, .rcpt, .data, .rset, .noop, .vrfy, .help: false
        }
    }
}
