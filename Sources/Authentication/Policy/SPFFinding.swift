package import Mail

/// What SPF says of both names that a client used (RFC 7208 §2.3, §2.4).
package struct SPFFinding: Hashable, Sendable {
    /// Nil if HELO was no domain name, and for the null reverse-path, where ``mailFrom`` is about the same name.
    package let helo: SPFResult?
    package let mailFrom: SPFResult
    /// What the sender's domain, which has no record, would say if it had the usual one: nil, or a pass. It is told
    /// and nothing else: ``mailFrom`` is `none` all the same.
    package let guess: SPFResult?

    package init(helo: SPFResult?, mailFrom: SPFResult, guess: SPFResult? = nil) {
        self.helo = helo
        self.mailFrom = mailFrom
        self.guess = guess
    }
}

/// A client and what it said of itself and the sender.
package struct AuthenticatedClient: Hashable, Sendable {
    package let address: IPAddress
    /// Empty if it did not say.
    package let helo: String
    package let reversePath: ReversePath
    /// The message came with SMTPUTF8.
    package let isInternational: Bool

    package init(address: IPAddress, helo: String?, reversePath: ReversePath, isInternational: Bool = false) {
        self.isInternational = isInternational
        self.address = address
        self.helo = helo ?? ""
        self.reversePath = reversePath
    }
}

extension AuthenticatedClient {
    /// What is told may be more than ASCII only where the reverse-path is, which no server without SMTPUTF8 takes anyway.
    /// Clients say SMTPUTF8 with every message, and a U-label from HELO or a signature in our field would make one out of
    /// a message that needs none, and that cannot be forwarded to such a server then.
    var resultsEncoding: AuthenticationResults.Encoding {
        self.isInternational && !(self.reversePath.mailbox?.isASCII ?? true) ? .utf8 : .ascii
    }
}
