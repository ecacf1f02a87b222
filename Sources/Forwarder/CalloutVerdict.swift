package import Mail

extension ProbeResult {
    /// What an answer to RCPT says of the address.
    package init(recipientReply reply: Reply, remote: String?) {
        self.init(Self.verdict(onRecipient: reply), reply, remote: remote)
    }

    /// What is answered before RCPT says of it: nothing, whatever the code.
    package init(earlyReply reply: Reply, remote: String?) {
        switch reply.outcome {
        case .permanent: self.init(.blocked, reply, remote: remote)
        case .accepted, .intermediate, .temporary: self.init(.temporary, reply, remote: remote)
        }
    }

    private static func verdict(onRecipient reply: Reply) -> Verdict {
        switch reply.outcome {
        case .accepted: .accepted
        case .temporary, .intermediate: .temporary
        case .permanent: Self.isAboutAddress(reply) ? .unknown : .blocked
        }
    }

    /// The enhanced code decides where there is one (RFC 3463 §3.2); without, the codes that RFC 5321 §4.2.3 and
    /// RFC 7504 give to mailboxes and domains.
    private static func isAboutAddress(_ reply: Reply) -> Bool {
        guard let detail = reply.detail, detail.subject != 0 else { return [550, 551, 553, 556].contains(reply.code) }
        switch (detail.subject, detail.detail) {
        case (1, 7), (1, 8): return false  // The sender's address.
        case (1, _): return true
        case (2, 1): return true  // Disabled: mail would come back as from a mailbox that is not there.
        // What Exchange Online says of recipients that it does not have, 2026.
        case (4, 1): return reply.code == 550
        default: return false
        }
    }
}
