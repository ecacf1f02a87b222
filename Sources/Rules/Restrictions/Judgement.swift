package import Mail

/// What SPF is asked about (RFC 7208 §2).
package struct SPFQuestion: Hashable, Sendable {
    package let client: IPAddress
    /// Nil if the client has not said it.
    package let helo: String?
    package let reversePath: ReversePath

    package init(client: IPAddress, helo: String?, reversePath: ReversePath) {
        self.client = client
        self.helo = helo
        self.reversePath = reversePath
    }
}

/// Whether a stranger's mail is to come again later.
package struct GreylistQuestion: Hashable, Sendable {
    package let client: IPAddress
    /// For SPF, whose answer may exempt the sender.
    package let helo: String?
    package let reversePath: ReversePath
    package let recipient: Mailbox
    /// The screener's DNS lists speak for the client.
    package let isAllowlisted: Bool

    package init(
        client: IPAddress, helo: String?, reversePath: ReversePath, recipient: Mailbox, isAllowlisted: Bool
    ) {
        self.client = client
        self.helo = helo
        self.reversePath = reversePath
        self.recipient = recipient
        self.isAllowlisted = isAllowlisted
    }

    package var spf: SPFQuestion {
        SPFQuestion(client: self.client, helo: self.helo, reversePath: self.reversePath)
    }
}

/// What came of a question that is decided outside of the lists.
package enum Judgement: Hashable, Sendable {
    /// Nothing speaks against it; the text says why, for traces.
    case passed(String)
    /// The reply is a 4yz or 5yz without the address that it refuses; why is for the log and traces.
    case refused(Reply, why: String)
    /// It could not be judged, which holds against nobody. The text is for the log.
    case fault(String)
}
