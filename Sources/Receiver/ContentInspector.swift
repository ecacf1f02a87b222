import Mail
package import Rules
import Synchronization

/// What the rules for content are, of one generation.
package struct ContentPolicy: Sendable {
    package let checks: ContentRules

    package init(checks: ContentRules = ContentRules()) {
        self.checks = checks
    }

    package var isEmpty: Bool { self.checks.isEmpty }
}

/// What came of looking at a message.
package struct ContentVerdict: Sendable {
    package var refusal: Refused?
    package var effects = Effects()
    package var notes: [RuleNote] = []

    package init() {}
}

/// Looks at the content of one message, piece by piece, and changes it as the rules say.
///
/// Patterns may take time, so this is called on other threads than event loops'; never on two at once.
package final class ContentInspector: Sendable {
    private let state: Mutex<ContentChecks>

    package init(_ policy: ContentPolicy) {
        self.state = Mutex(ContentChecks(policy.checks))
    }

    /// - Returns: what is to be stored of the content so far, beyond what was returned before.
    package func feed(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        self.state.withLock { checks in bytes.withUnsafeBytes { checks.feed($0, into: &output) } }
        return output
    }

    /// - Returns: the end of what is to be stored, and what is to be done with the message.
    package func finish() -> (rest: [UInt8], verdict: ContentVerdict) {
        var output: [UInt8] = []
        let outcome = self.state.withLock { checks in
            checks.finish(into: &output)
            return checks.outcome
        }
        return (output, ContentVerdict(outcome))
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
    fileprivate init(_ match: ContentMatch) {
        self.init(stage: "\(match.contentClass.rawValue)_checks", restriction: match.table)
        self.table = match.table
        self.file = match.file
        self.line = match.line
        self.key = match.text
        self.value = match.argument.isEmpty ? match.action.rawValue : "\(match.action.rawValue) \(match.argument)"
    }
}
