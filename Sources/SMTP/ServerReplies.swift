package import Mail

/// What a session answers by itself: every text once. Refusals that policy decides come from the receiver.
extension Reply {
    package static func greeting(_ hostname: String) -> Reply { Reply(220, nil, "\(hostname) ESMTP Postern") }
    static func goodbye(_ hostname: String) -> Reply { Reply(221, .init(0, 0), "\(hostname) closing") }
    static let ok = Reply(250, .init(0, 0), "Ok")
    static let senderOk = Reply(250, .init(1, 0), "Ok")
    static let recipientOk = Reply(250, .init(1, 5), "Ok")
    static let startTLS = Reply(220, .init(0, 0), "Ready to start TLS")
    static let startContent = Reply(354, nil, "End data with <CR><LF>.<CR><LF>")
    static let help = Reply(214, .init(0, 0), "RFC 5321; no further help here")
    static let cannotVerify = Reply(252, .init(0, 0), "Cannot verify, but will take mail for it and try")

    static func queued(_ id: QueueID) -> Reply { Reply(250, .init(0, 0), "Ok: queued as \(id)") }
    static func chunkOk(_ bytes: Int) -> Reply { Reply(250, .init(0, 0), "Ok: \(bytes) octets") }

    static let badSequence = Reply(503, .init(5, 1), "Bad sequence of commands")
    static let heloFirst = Reply(503, .init(5, 1), "Send HELO or EHLO first")
    static let nestedMail = Reply(503, .init(5, 1), "Nested MAIL command")
    static let mailFirst = Reply(503, .init(5, 1), "Need MAIL command")
    static let recipientFirst = Reply(554, .init(5, 1), "No valid recipients")
    static let unauthorizedPipelining = Reply(503, .init(5, 0), "Improper use of SMTP command pipelining")
    static let tooManyRecipients = Reply(452, .init(5, 3), "Too many recipients")
    package static let tooManyErrors = Reply(421, .init(7, 0), "Too many errors")
    static let nonASCIIPath = Reply(550, .init(6, 7), "Address is not ASCII and SMTPUTF8 was not requested")
    static let vrfyDisabled = Reply(502, .init(5, 1), "VRFY is disabled")
    package static let timedOut = Reply(421, .init(4, 2), "Timeout exceeded")
    package static let shuttingDown = Reply(421, .init(3, 2), "Service is going down, try again later")
    /// RFC 3207 §4.
    static let startTLSFirst = Reply(530, .init(7, 0), "Must issue a STARTTLS command first")
    static let tlsActive = Reply(554, .init(5, 1), "TLS already active")
    /// Not said, only logged.
    static let inputBehindStartTLS = Reply(503, .init(5, 0), "Input behind STARTTLS")
    static let bareLineEnding = Reply(521, .init(5, 2), "Bare CR or LF received")

    /// What a client is told that fails a test of the screener.
    package static func protocolError(_ test: ScreeningTest, _ action: ScreeningAction) -> Reply {
        let reason =
            switch test {
            case .pregreet: "you spoke before the greeting"
            case .pipelining: "you did not wait for a reply"
            case .nonSMTP: "that is not SMTP"
            case .bareNewline: "a line did not end in CRLF"
            case .dnsbl: "your address is listed"
            }
        return Reply(action == .drop ? 521 : 550, .init(5, 1), "Protocol error: \(reason)")
    }

    static func messageTooLarge(limit: Int) -> Reply {
        Reply(552, .init(3, 4), "Message exceeds the size limit of \(limit) octets")
    }

    /// What is answered to a line that is no command.
    static func to(_ error: CommandError) -> Reply {
        switch error {
        case .unrecognized: Reply(500, .init(5, 2), "Command not recognized")
        case .notImplemented: Reply(502, .init(5, 1), "Command not implemented")
        case .notSMTP: Reply(502, .init(7, 0), "This is an SMTP server")
        case .tooLong: Reply(500, .init(5, 2), "Line too long")
        case .badName: Reply(501, .init(5, 4), "Syntax: HELO hostname")
        case .syntax(let expected): Reply(501, .init(5, 4), "Syntax: \(expected)")
        case .badReversePath: Reply(501, .init(1, 7), "Bad sender address syntax")
        case .badForwardPath: Reply(501, .init(1, 3), "Bad recipient address syntax")
        case .pathTooLong: Reply(501, .init(1, 3), "Path too long")
        case .nonASCIIPath: .nonASCIIPath
        case .unknownParameter(let name): Reply(555, .init(5, 4), "Unsupported parameter \(name)")
        case .badParameter(let name): Reply(501, .init(5, 4), "Bad parameter \(name)")
        case .bareLineFeed: .bareLineEnding
        }
    }

    /// What is answered at the end of content that is not taken.
    static func to(_ fault: ContentFault, limits: SessionLimits) -> Reply {
        switch fault {
        case .tooLarge: .messageTooLarge(limit: limits.messageSize.bytes)
        case .bareLineEnding: .bareLineEnding
        case .tooManyHops: Reply(554, .init(4, 6), "Too many hops")
        case .insufficientStorage: Reply(452, .init(3, 1), "Insufficient system storage")
        case .storageFailed: Reply(451, .init(3, 0), "Queue file write error")
        case .refused(let reply): reply
        }
    }
}
