package import Authentication
package import Mail
package import Rules
import Synchronization

/// What the rules for content are, of one generation.
package struct ContentPolicy: Sendable {
    package let checks: ContentRules
    package let attachments: AttachmentRules
    /// How far messages are taken apart for their attachments.
    package let limits: MIMELimits
    /// Unpacks archives; nil leaves compressed ones in archives closed.
    package let makeInflater: InflaterMaker?
    /// The file in which the rules for attachments stand, for reasons.
    package let file: String?

    package init(
        checks: ContentRules = ContentRules(), attachments: AttachmentRules = AttachmentRules(AttachmentOptions()),
        limits: MIMELimits = MIMELimits(), makeInflater: InflaterMaker? = nil, file: String? = nil
    ) {
        self.checks = checks
        self.attachments = attachments
        self.limits = limits
        self.makeInflater = makeInflater
        self.file = file
    }

    package var isEmpty: Bool { self.checks.isEmpty && self.attachments.isEmpty }
}

/// What came of looking at a message.
package struct ContentVerdict: Sendable {
    package var refusal: Refused?
    package var effects = Effects()
    package var notes: [RuleNote] = []
    /// Fields to be put in front of the message.
    package var fields: [UInt8] = []
    /// What authentication found; nil if nothing was looked at.
    package var finding: AuthenticationFinding?

    package init() {}
}

/// Looks at the content of one message, piece by piece, and changes it as the rules say.
///
/// Patterns may take time, so this is called on other threads than event loops'; never on two at once.
package final class ContentInspector: Sendable {
    private struct State {
        var checks: ContentChecks
        /// Nil if nobody asks about attachments.
        var examiner: MIMEExaminer?
    }

    private let policy: ContentPolicy
    let authentication: MessageAuthentication?
    private let state: Mutex<State>

    /// - Parameters:
    ///   - front: what will stand in front of the content when it is stored.
    package init(_ policy: ContentPolicy, authentication: MessageAuthentication? = nil, front: [UInt8] = []) {
        self.policy = policy
        self.authentication = authentication
        authentication?.store(front)
        // Made where it is locked away: it is used by one thread at a time, though not always by the same.
        self.state = Mutex(
            State(
                checks: ContentChecks(policy.checks),
                examiner: policy.attachments.isEmpty
                    ? nil : MIMEExaminer(limits: policy.limits, makeInflater: policy.makeInflater)))
    }

    /// - Returns: what is to be stored of the content so far, beyond what was returned before.
    package func feed(_ bytes: [UInt8]) -> [UInt8] {
        self.look(at: self.authentication?.receive(bytes) ?? bytes)
    }

    private func look(at bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        self.state.withLock { state in
            bytes.withUnsafeBytes { piece in
                state.checks.feed(piece, into: &output)
                state.examiner?.feed(piece)
            }
        }
        self.authentication?.store(output)
        return output
    }

    /// - Returns: the end of what is to be stored, and what is to be done with the message.
    package func finish() -> (rest: [UInt8], verdict: ContentVerdict) {
        var output = self.authentication.map { self.look(at: $0.receiveEnd()) } ?? []
        let before = output.count
        let (outcome, structure) = self.state.withLock { state in
            state.checks.finish(into: &output)
            return (state.checks.outcome, state.examiner?.finish())
        }
        self.authentication?.store(Array(output[before...]))
        var verdict = ContentVerdict(outcome)
        if let structure { verdict.add(structure, self.policy) }
        return (output, verdict)
    }
}

extension ContentVerdict {
    fileprivate init(_ outcome: ContentOutcome) {
        self.notes = outcome.matches.filter { !$0.action.isSilent && $0.action != .reject }.map { match in
            RuleNote(match.noteKind, "\(match.action.rawValue) \(match.argument)", Reason(match))
        }
        self.notes += outcome.faults.map { fault in
            var reason = Reason(stage: "content", restriction: fault.table)
            (reason.table, reason.file, reason.line) = (fault.table, fault.file, fault.line)
            return RuleNote(.fault, fault.message, reason)
        }
        self.effects.redirect = outcome.redirect
        self.effects.filter = outcome.filter
        self.effects.copies = outcome.blindCopies
        if outcome.isHeld { self.effects.holds = outcome.reason(of: .hold) }
        switch outcome.verdict {
        case .accept: break
        case .discard: self.effects.discards = outcome.reason(of: .discard)
        case .reject(let reply): self.refusal = Refused(reply, outcome.reason(of: .reject))
        }
    }
}

extension ContentVerdict {
    /// What the rules for attachments say; a refusal that was there before stays.
    fileprivate mutating func add(_ structure: MIMEStructure, _ policy: ContentPolicy) {
        var faults: [TableFault] = []
        let verdict = policy.attachments.verdict(on: structure, faults: &faults)
        self.notes += verdict.warnings.map { RuleNote(.warn, $0.description, Reason($0, policy.file)) }
        self.notes += faults.map {
            RuleNote(.fault, "line \($0.line): \($0.message)", Reason(stage: "attachments", restriction: "table"))
        }
        guard let finding = verdict.finding else { return }
        let reason = Reason(finding, policy.file)
        if let reply = verdict.reply {
            self.refusal = self.refusal ?? Refused(reply, reason)
        } else if self.effects.holds == nil {
            self.effects.holds = reason
            self.notes.append(RuleNote(.effect, "HOLD \(finding.description)", reason))
        }
    }
}

extension ContentOutcome {
    /// The rule that said so; a refusal for nesting has none.
    fileprivate func reason(of action: ContentAction.Name) -> Reason {
        self.matches.last { $0.action == action }.map { Reason($0) }
            ?? Reason(stage: "content", restriction: "mime_nesting_limit")
    }
}

extension ContentMatch {
    fileprivate var noteKind: RuleNote.Kind {
        switch self.action {
        case .info: .info
        case .warn: .warn
        case .bcc, .discard, .dunno, .filter, .hold, .ignore, .ok, .pass, .prepend, .redirect, .reject, .replace,
            .strip:
            .effect
        }
    }
}

extension Reason {
    fileprivate init(_ finding: AttachmentFinding, _ file: String?) {
        switch finding.source {
        case .rule(let number, let place):
            self.init(stage: "attachments", restriction: "rule \(number)")
            (self.file, self.line) = (file, place.line)
        case .table(let number, _, let name, let path, let line):
            self.init(stage: "attachments", restriction: "rule \(number)")
            (self.table, self.file, self.line) = (name, path, line)
        case .defects: self.init(stage: "attachments", restriction: "defects")
        }
        self.key = finding.description
    }

    fileprivate init(_ match: ContentMatch) {
        self.init(stage: "\(match.contentClass.rawValue)_checks", restriction: match.table)
        self.table = match.table
        self.file = match.file
        self.line = match.line
        self.key = match.text
        self.value = match.argument.isEmpty ? match.action.rawValue : "\(match.action.rawValue) \(match.argument)"
    }
}
