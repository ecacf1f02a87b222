package import Mail

/// What a session knows of its client and its transaction when something has to be decided.
package struct SessionFacts: Hashable, Sendable {
    package var client: Endpoint
    /// Where the client connected; nil if that is not known.
    package var local: Endpoint?
    /// What the client's address is called, where it is not to be looked up: for `postern explain` and rule cases.
    package var givenName: ClientName?
    /// Nil before HELO.
    package var helo: String?
    /// `SMTP`, `ESMTP`, `UTF8SMTP`, whether through TLS or not.
    package var proto = "SMTP"
    /// Nil for plain text.
    package var tls: TLSSummary?
    /// The client has sent commands before it was its turn.
    package var hasPipelined = false
    /// DNS lists that the screener asked speak for the client.
    package var isAllowlisted = false
    /// Nil before MAIL.
    package var reversePath: ReversePath?
    /// The recipient that is asked about; nil before RCPT, and behind it when there are several.
    package var forwardPath: ForwardPath?
    /// How many recipients there are, the one asked about aside.
    package var recipientCount = 0
    /// Octets of the content: as MAIL declares, and at its end as it is; 0 if unknown.
    package var bytes = 0
    package var queueID = ""
    /// The same for everything of one transaction, for policy services.
    package var instance = ""

    package init(client: Endpoint) {
        self.client = client
    }

    package var isEncrypted: Bool { self.tls != nil }

    var sender: Mailbox? { self.reversePath?.mailbox }

    var recipient: Mailbox? {
        switch self.forwardPath {
        case .mailbox(let mailbox): mailbox
        case .postmaster, nil: nil
        }
    }
}

/// What the client's address is called.
package struct ClientName: Hashable, Sendable {
    package enum Status: Hashable, Sendable {
        case found
        /// A name server did not answer.
        case temporary
        /// There is no name, or it does not lead back to the address.
        case permanent
    }

    /// The name, if it leads back to the address.
    package let verified: String?
    package let status: Status
    /// The name that the address has, wherever it leads.
    package let reverse: String?
    package let reverseStatus: Status

    package init(verified: String?, status: Status, reverse: String?, reverseStatus: Status) {
        self.verified = verified
        self.status = status
        self.reverse = reverse
        self.reverseStatus = reverseStatus
    }

    /// A name that is believed; nil for an address without any.
    package init(_ name: String?) {
        self.init(
            verified: name, status: name == nil ? .permanent : .found, reverse: name,
            reverseStatus: name == nil ? .permanent : .found)
    }
}
