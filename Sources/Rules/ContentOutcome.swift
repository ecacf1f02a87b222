package import Mail

/// A rule that matched, for the log and for explaining: what was found where, and what the rule says.
package struct ContentMatch: Hashable, Sendable {
    package let contentClass: ContentClass
    /// What matched is the decoded form of a field.
    package let isDecoded: Bool
    /// The table and its file, as the administrator wrote them.
    package let table: String
    package let file: String?
    /// Where the rule stands in the file, from 1; 0 if it stands in none.
    package let line: Int
    /// The pattern or key.
    package let rule: String
    package let action: ContentAction.Name
    /// What stands behind the action's name; printable, at most ``maximumTextBytes``.
    package let argument: String
    /// The field or line; printable, at most ``maximumTextBytes``.
    package let text: String

    /// As much as Postfix logs.
    package static let maximumTextBytes = 200
}

/// A rule that could not be followed: somebody should be told. It counted as one that did not match.
package struct ContentRuleFault: Hashable, Sendable {
    package let table: String
    package let file: String?
    package let line: Int
    package let message: String
}

/// What the rules have made of a message so far.
package struct ContentOutcome: Hashable, Sendable {
    package enum Verdict: Hashable, Sendable {
        case accept
        /// The client hears that the message is accepted, and nobody gets it.
        case discard
        /// What the end of data is answered.
        case reject(Reply)
    }

    package internal(set) var verdict = Verdict.accept
    package internal(set) var isHeld = false
    /// Whom the message is for instead of its recipients. It goes before `filter`.
    package internal(set) var redirect: Mailbox?
    /// `transport:destination` for all recipients; of several rules the last.
    package internal(set) var filter: String?
    /// More recipients, each once, in the order of the rules; as if given with `NOTIFY=NEVER`.
    package internal(set) var blindCopies: [Mailbox] = []
    /// Some line or field was left out, put before another or replaced.
    package internal(set) var isChanged = false

    /// The first rules that matched, and the one that ended the inspection.
    package internal(set) var matches: [ContentMatch] = []
    /// How many rules have matched, those not listed included.
    package internal(set) var matchCount = 0
    package internal(set) var faults: [ContentRuleFault] = []

    /// The most entries in `matches` (one more may end it), `faults` and `blindCopies`.
    package static let limit = 100
    /// A pattern that often hits its limit in one message is reported: once may be the message's fault.
    package static let reportedPatternFaults = 3
    /// So often in one message a pattern is tried although it reaches its limit.
    package static let mostPatternFaults = 20

    package init() {}
}
