package import Mail

/// Whether a recipient exists, as far as can be told now.
package enum RecipientAnswer: Hashable, Sendable {
    case known
    /// It does not, or is not to be believed to.
    case unknown(Reply)
    /// It cannot be told now; the reply is temporary.
    case undecided(Reply)
    /// It cannot be told now; the message is taken, and held until somebody has looked at it.
    case acceptAndHold
    /// The address under which we ask: whatever comes there is taken and thrown away.
    case discard
}

/// An answer, and why, for the log and for `postern explain`.
package struct RecipientVerdict: Hashable, Sendable {
    package let answer: RecipientAnswer
    package let reason: String

    package init(_ answer: RecipientAnswer, _ reason: String) {
        self.answer = answer
        self.reason = reason
    }
}

extension Reply {
    /// Of a list that is complete, so that it is final.
    static let unlistedRecipient = Reply(550, .init(1, 1), "Recipient address rejected: User unknown")
    static let listUnavailable = Reply(451, .init(3, 0), "Recipient address cannot be looked up now, try again later")

    static func undeliverable(_ side: AddressSide, _ code: RejectCode) -> Reply {
        Reply(code.code, side.detail, "\(side.rawValue) address rejected: undeliverable address")
    }

    static func unverified(_ side: AddressSide) -> Reply {
        Reply(450, side.detail, "\(side.rawValue) address rejected: unverified address, try again later")
    }

    static let refusedWhileDown = Reply(550, .init(1, 1), "Recipient address rejected: unverified address")
}

/// Which address of an envelope a reply is about. The detail is Postfix's, by which senders may go: RFC 3463 §3.2 has
/// none for a mailbox of the sender that does not exist.
enum AddressSide: String {
    case recipient = "Recipient"
    case sender = "Sender"

    var detail: Reply.Detail {
        switch self {
        case .recipient: .init(1, 1)
        case .sender: .init(1, 7)
        }
    }
}
