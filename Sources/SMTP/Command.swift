package import Mail

/// A command line of a client, read (RFC 5321 §4.1.1).
package enum Command: Hashable, Sendable {
    /// The client's name for itself: printable and without blanks, otherwise as it was sent.
    case helo(String)
    case ehlo(String)
    /// RFC 3207.
    case starttls
    case mail(ReversePath, MailParameters = MailParameters())
    case rcpt(ForwardPath, RecipientParameters = RecipientParameters())
    case data
    /// RFC 3030 §2: so many octets follow the line.
    case bdat(bytes: Int, isLast: Bool)
    case rset
    case noop
    case quit
    case vrfy(String)
    case help
}

extension Command {
    /// What a client may say that must encrypt and has not yet (RFC 3207 §4); HELO, as it harms nobody.
    var mayPrecedeTLS: Bool {
        switch self {
        case .helo, .ehlo, .starttls, .noop, .quit: true
        case .mail, .rcpt, .data, .bdat, .rset, .vrfy, .help: false
        }
    }
}

/// Why a line is not a command.
package enum CommandError: Error, Hashable, Sendable {
    /// A word that is no command of ours.
    case unrecognized
    /// A command that exists and that we do not have: EXPN, TURN, SEND and the like.
    case notImplemented
    /// HTTP, or a line of a message header: whoever sends it does not speak SMTP.
    case notSMTP
    /// Longer than the limit; the rest of the line has been dropped.
    case tooLong
    /// The name behind HELO or EHLO is missing or unprintable.
    case badName
    /// The argument cannot be read; what should have been there.
    case syntax(expected: String)
    case badReversePath
    case badForwardPath
    case pathTooLong
    /// Not UTF-8, or UTF-8 where SMTPUTF8 was not asked for (RFC 6531 §3.5).
    case nonASCIIPath
    /// A MAIL or RCPT parameter that we did not announce.
    case unknownParameter(String)
    case badParameter(String)
    /// A line feed without carriage return, where these are refused.
    case bareLineFeed
}
