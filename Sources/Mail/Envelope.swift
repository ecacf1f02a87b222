/// What MAIL and RCPT said: everything about a message that is not in its content (RFC 5321 §2.3.1).
package struct Envelope: Hashable, Sendable {
    package let reversePath: ReversePath
    package let parameters: MailParameters
    package var recipients: [Recipient] = []

    package init(reversePath: ReversePath, parameters: MailParameters = MailParameters()) {
        self.reversePath = reversePath
        self.parameters = parameters
    }
}

/// The parameters of MAIL.
package struct MailParameters: Hashable, Sendable {
    /// `BODY` (RFC 6152).
    package enum Body: UInt8, Hashable, Sendable { case sevenBit, eightBitMIME }

    /// `RET` (RFC 3461 §4.3): how much of the message a failure notice returns.
    package enum Return: UInt8, Hashable, Sendable { case full, headers }

    /// `SIZE` (RFC 1870): what the client says that the content has.
    package var declaredBytes: Int?
    package var body: Body?
    /// `SMTPUTF8` (RFC 6531) was requested.
    package var smtputf8 = false
    package var noticeReturn: Return?
    /// `ENVID` (RFC 3461 §4.4) as it was sent, in xtext.
    package var envelopeID: String?
    /// `REQUIRETLS`, or its opposite in the header (RFC 8689).
    package var tls = TLSRequirement.unspecified

    package init() {}
}

/// One accepted RCPT.
package struct Recipient: Hashable, Sendable {
    package let mailbox: Mailbox
    package let parameters: RecipientParameters

    package init(_ mailbox: Mailbox, parameters: RecipientParameters = RecipientParameters()) {
        self.mailbox = mailbox
        self.parameters = parameters
    }
}

/// The parameters of RCPT (RFC 3461 §4.1, §4.2).
package struct RecipientParameters: Hashable, Sendable {
    /// `NOTIFY`; nil if the client gave none, which means failure and, as we wish, delay.
    package var notify: NoticeConditions?
    /// `ORCPT` as it was sent: address type, semicolon, address in xtext or `utf-8` form (RFC 6533 §3).
    package var originalRecipient: String?

    package init() {}
}

/// When the sender wants a notice; empty is `NOTIFY=NEVER`.
package struct NoticeConditions: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    package static let success = NoticeConditions(rawValue: 1)
    package static let failure = NoticeConditions(rawValue: 2)
    package static let delay = NoticeConditions(rawValue: 4)
    package static let never: NoticeConditions = []
}

extension NoticeConditions: CustomStringConvertible {
    /// As NOTIFY says it.
    package var description: String {
        let names: [(NoticeConditions, String)] = [(.success, "SUCCESS"), (.failure, "FAILURE"), (.delay, "DELAY")]
        return self.isEmpty ? "NEVER" : names.filter { self.contains($0.0) }.map(\.1).joined(separator: ",")
    }
}

/// Who brought a message, as far as the primary may be told (XFORWARD, XCLIENT, `Received`).
package struct ClientIdentity: Hashable, Sendable {
    package let address: IPAddress
    package let port: Int
    /// The verified host name; nil where it was not looked up or does not lead back to the address.
    package let hostname: String?
    /// What the client called itself in HELO or EHLO.
    package let helo: String
    /// `SMTP`, `ESMTP` or `UTF8SMTP`, and `ESMTPS` or `UTF8SMTPS` through TLS (RFC 3848, RFC 6531 §4.3).
    package let proto: String

    package init(address: IPAddress, port: Int, hostname: String?, helo: String, proto: String) {
        self.address = address
        self.port = port
        self.hostname = hostname
        self.helo = helo
        self.proto = proto
    }
}
