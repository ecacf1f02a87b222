package import Mail

extension ClientSession {
    /// What is to be handed over: one message for some of its recipients.
    package struct Delivery: Hashable, Sendable {
        /// Its recipients are those of this delivery.
        package let envelope: Envelope
        package let contentBytes: Int
        /// Addresses or header are not ASCII, so that it must not go to a server without SMTPUTF8 (RFC 6531 §3.2).
        package let needsSMTPUTF8: Bool
        /// Who brought it, for XFORWARD and XCLIENT; nil for what we made.
        package let client: ClientIdentity?
        package let id: QueueID
        package let extent: Extent

        package init(
            envelope: Envelope, contentBytes: Int, needsSMTPUTF8: Bool, client: ClientIdentity?, id: QueueID,
            extent: Extent = .message
        ) {
            self.envelope = envelope
            self.contentBytes = contentBytes
            self.needsSMTPUTF8 = needsSMTPUTF8
            self.client = client
            self.id = id
            self.extent = extent
        }
    }

    /// How far a transaction goes.
    package enum Extent: Hashable, Sendable {
        case message
        /// Up to the answers to RCPT, then RSET: it is only asked who would be taken.
        case recipients
    }

    /// What became of a delivery.
    package struct Outcome: Hashable, Sendable {
        /// One reply for each recipient, in order.
        package var replies: [Reply]
        /// The server takes care of the notices that were asked for (RFC 3461 §5.2.2).
        package var passedNoticeRequests: Bool
        package var standing: Standing
        /// The replies are that to MAIL, which was refused; of a transaction that goes only so far as the recipients.
        package var refusedSender = false

        package init(replies: [Reply], passedNoticeRequests: Bool, standing: Standing) {
            self.replies = replies
            self.passedNoticeRequests = passedNoticeRequests
            self.standing = standing
        }
    }

    /// What a delivery's outcome is worth.
    package enum Standing: Hashable, Sendable {
        /// The server decided.
        case decided
        /// This server cannot take the message; another may.
        case unsuitable
        /// The session broke off before any recipient was answered. Over a connection that has served others this
        /// says nothing about the message.
        case brokenEarly
        /// The session broke off in the middle.
        case broken
    }

    package enum Event: Sendable {
        case connected
        case reply(Reply)
        case malformed(ReplyParser.Malformed)
        /// The text behind 334, which may be longer than a reply's is kept.
        case challenge([UInt8])
        /// What was to be derived; nil if that failed.
        case derived([UInt8]?)
        /// The handshake is done; what is sent from now on goes through it.
        case tlsEstablished(authentication: TLSAuthentication)
        /// It did not come about; why, for log and notices.
        case tlsFailed(String)
        case deliver(Delivery)
        /// All content has been written.
        case contentSent
        case timedOut
        case disconnected
        /// There is nothing more to send.
        case quit
    }

    /// - Parameter lastLine: as the reply's last line came, without its end.
    package static func event(of reply: Reply, lastLine: [UInt8]) -> Event {
        reply.code == 334 && reply.lines.count == 1 ? .challenge(Array(lastLine.dropFirst(4))) : .reply(reply)
    }

    package enum Action: Hashable, Sendable {
        /// Command lines, each with its CRLF.
        case send([UInt8])
        /// The handshake, in which nothing counts that was received before it; then `tlsEstablished` or `tlsFailed`.
        case startTLS
        /// A key, elsewhere, for it takes long; then `derived`.
        case derive(KeyDerivation)
        /// Content of the present delivery; then `contentSent`.
        case sendContent(Transfer)
        /// Say `timedOut` if this takes longer. Replaces the limit before.
        case expect(Stage)
        /// The session takes a delivery, or `quit`, now.
        case ready
        case finished(Outcome)
        /// No session came about; nothing was sent.
        case unusable(Unusable)
        case close
    }

    package enum Transfer: Hashable, Sendable {
        /// Dot-stuffed, with the end marker.
        case data
        /// As it is.
        case bdat
    }

    /// What a session waits for; each has its own limit (RFC 5321 §4.5.3.2).
    package enum Stage: Hashable, Sendable {
        case greeting, hello, mail, recipient, dataInitiation, dataTransfer, dataTermination, reset, quit
        /// Nothing: the session waits for a delivery.
        case nothing
    }

    package enum Unusable: Hashable, Sendable {
        /// The server refused, fell silent, broke off, or made no sense.
        case failed(Reply)
        /// The server is ourselves, by its own words.
        case isOurselves
        /// It is not as secure as it must be. With `handshakeFailed` a session without TLS may still come about, where
        /// the level lets it.
        case insecure(SecurityProblem, Reply)
    }
}

/// How long a server is waited for; SEMANTICS §13.
package struct ClientTimeouts: Options, OptionValue {
    package var connect = Duration.seconds(30)
    package var greeting = Duration.seconds(300)
    package var helo = Duration.seconds(300)
    package var mail = Duration.seconds(300)
    package var rcpt = Duration.seconds(300)
    package var dataInit = Duration.seconds(120)
    package var dataTransfer = Duration.seconds(180)
    package var dataDone = Duration.seconds(600)
    package var rset = Duration.seconds(20)
    package var quit = Duration.seconds(300)

    package init() {}

    package static let summary = "How long a next hop is waited for at each step."

    package static let fields: [OptionField<Self>] = [
        .init("connect", \.connect, "For a connection, to each address."),
        .init("greeting", \.greeting, "For the 220 after connecting."),
        .init("helo", \.helo, "For the answer to EHLO or HELO."),
        .init("mail", \.mail, "For the answer to MAIL."),
        .init("rcpt", \.rcpt, "For the answer to each RCPT."),
        .init("data_init", \.dataInit, "For the 354 after DATA."),
        .init("data_transfer", \.dataTransfer, "For the server to take some more content."),
        .init("data_done", \.dataDone, "For the answer to the end of content. If it is short, mail comes twice."),
        .init("rset", \.rset, "For the answer to RSET."),
        .init("quit", \.quit, "For the answer to QUIT."),
    ]

    /// The limit of a stage; nil where there is none.
    package func limit(of stage: ClientSession.Stage) -> Duration? {
        switch stage {
        case .greeting: self.greeting
        case .hello: self.helo
        case .mail: self.mail
        case .recipient: self.rcpt
        case .dataInitiation: self.dataInit
        case .dataTransfer: self.dataTransfer
        case .dataTermination: self.dataDone
        case .reset: self.rset
        case .quit: self.quit
        case .nothing: nil
        }
    }
}
