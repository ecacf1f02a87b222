package import Mail

/// A command or a message is not taken.
package struct Refused: Error, Hashable, Sendable {
    package let reply: Reply
    package let reason: Reason

    package init(_ reply: Reply, _ reason: Reason) {
        self.reply = reply
        self.reason = reason
    }
}

/// What is to be done with a message besides taking it; whatever is accepted later does not undo it.
package struct Effects: Hashable, Sendable {
    /// Claim success and forget it.
    package var discards: Reason?
    package var holds: Reason?
    /// Instead of all recipients.
    package var redirect: Mailbox?
    /// `transport:nexthop` for all recipients.
    package var filter: String?
    package var copies: [Mailbox] = []
    /// Header fields in front of the message, `Name: value` each.
    package var prepended: [String] = []

    package init() {}

    /// Adds what a later decision about the same message wants.
    package mutating func add(_ other: Effects) {
        self.discards = self.discards ?? other.discards
        self.holds = self.holds ?? other.holds
        self.redirect = other.redirect ?? self.redirect
        self.filter = other.filter ?? self.filter
        self.copies += other.copies.filter { !self.copies.contains($0) }
        self.prepended += other.prepended.filter { !self.prepended.contains($0) }
    }
}

/// Something for the log that decides nothing.
package struct RuleNote: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        /// What `warn_if_reject` kept from being a refusal.
        case rejectWarning = "reject_warning"
        case info, warn
        /// A rule could not be tried or not be obeyed.
        case fault
        /// HOLD, DISCARD, REDIRECT, FILTER, BCC, PREPEND.
        case effect
    }

    package let kind: Kind
    package let text: String
    package let reason: Reason

    package init(_ kind: Kind, _ text: String, _ reason: Reason) {
        self.kind = kind
        self.text = text
        self.reason = reason
    }
}

/// One restriction that was looked at, for `postern explain`.
package struct TraceStep: Hashable, Sendable {
    package let reason: Reason
    /// How deep in restriction classes it stands; 0 in the list itself.
    package let depth: Int
    /// `dunno`, `permit`, the reply, ...
    package let result: String
}

/// What an evaluation came to.
package struct Outcome: Sendable {
    /// Nil if nothing speaks against it.
    package var refusal: Refused?
    package var effects = Effects()
    package var notes: [RuleNote] = []
    package var trace: [TraceStep] = []
    /// The client's name, if it was needed.
    package var clientName: ClientName?
}
