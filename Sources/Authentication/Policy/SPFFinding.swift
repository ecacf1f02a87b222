package import Mail

/// What SPF says of both names that a client used (RFC 7208 §2.3, §2.4).
package struct SPFFinding: Hashable, Sendable {
    /// Nil if HELO was no domain name, and for the null reverse-path, where ``mailFrom`` is about the same name.
    package let helo: SPFResult?
    package let mailFrom: SPFResult
    /// What a domain without a record would say if it had the usual one; nothing but a pass is told.
    package let isGuess: Bool

    package init(helo: SPFResult?, mailFrom: SPFResult, isGuess: Bool = false) {
        self.helo = helo
        self.mailFrom = mailFrom
        self.isGuess = isGuess
    }
}

/// A client and what it said of itself and the sender.
package struct AuthenticatedClient: Hashable, Sendable {
    package let address: IPAddress
    /// Empty if it did not say.
    package let helo: String
    package let reversePath: ReversePath
    /// The message came with SMTPUTF8, so that what is told of it need not be ASCII.
    package let isInternational: Bool

    package init(address: IPAddress, helo: String?, reversePath: ReversePath, isInternational: Bool = false) {
        self.isInternational = isInternational
        self.address = address
        self.helo = helo ?? ""
        self.reversePath = reversePath
    }
}
