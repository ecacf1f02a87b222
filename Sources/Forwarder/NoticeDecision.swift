import Mail
package import Queue

/// What a notice tells (RFC 3464 §2.3.3).
package enum NoticeKind: Sendable, Equatable {
    case failure
    case delay
    /// A next hop took the message that will send no notice itself (RFC 3461 §5.2.2).
    case relayed
}

/// How far a sender's address can be believed.
package enum SenderTrust: Sendable {
    /// Nothing speaks against it.
    case unsuspected
    /// Authentication of the message failed: who stands there did probably not send it.
    case failedAuthentication
}

/// Whether a sender is told something: the one place where it is decided, so that no notice becomes backscatter.
package enum NoticeDecision {
    /// The recipients of whom the sender is told; empty if there will be no notice.
    package static func recipients(
        _ candidates: some Sequence<Int>, of message: QueuedMessage, for kind: NoticeKind,
        trust: SenderTrust = .unsuspected
    ) -> [Int] {
        // No notice about a notice, nor about anything that must not be answered (RFC 5321 §6.1).
        guard case .mailbox(let sender) = message.envelope.reversePath, message.about == nil,
            trust == .unsuspected, !Self.isProgram(sender)
        else { return [] }
        return candidates.filter { Self.isWanted(message.envelope.recipients[$0].parameters.notify, kind) }
    }

    /// Programs that answer notices with notices: a loop that the null reverse-path cannot end.
    private static func isProgram(_ sender: Mailbox) -> Bool {
        ["mailer-daemon", "double-bounce"].contains(sender.localPart.unquoted.asciiLowercased)
    }

    /// RFC 3461 §4.1; without NOTIFY failures are told, and delays as is custom.
    private static func isWanted(_ notify: NoticeConditions?, _ kind: NoticeKind) -> Bool {
        switch kind {
        case .failure: notify?.contains(.failure) ?? true
        case .delay: notify?.contains(.delay) ?? true
        case .relayed: notify?.contains(.success) ?? false
        }
    }
}
