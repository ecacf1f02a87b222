package import Mail

extension ServerSession {
    /// How the client greeted last.
    package struct Greeting: Hashable, Sendable {
        package let name: String
        package let isExtended: Bool
    }

    /// Whether the client may, must or does encrypt.
    package enum TLSOffer: Hashable, Sendable {
        /// There is no STARTTLS here.
        case none
        case offered
        /// Without STARTTLS there is nothing else either (RFC 3207 §4).
        case required
        /// TLS comes before the greeting (RFC 8314 §3).
        case implicit
        case established
    }

    package enum Event: Sendable {
        /// The greeting is still to be said.
        case connected
        case command(Command, LineFacts = LineFacts())
        case malformed(CommandError, LineFacts = LineFacts())
        /// What is read from now on has come through TLS.
        case tlsEstablished
        case decided(Decision)
        /// The content of DATA is complete, or would be but for the fault.
        case contentEnded(ContentFault?)
        /// All octets of a BDAT have come.
        case chunkEnded(ContentFault?)
        case stored(Result<QueueID, ContentFault>)
        case delayElapsed
        /// The client has been silent, or too slow, for too long.
        case timedOut
        /// The client has read nothing for too long, so nothing can be said to it.
        case outputTimedOut
        case shutdown(Patience)
        case disconnected
    }

    /// What a line shows about the client besides the command.
    package struct LineFacts: Hashable, Sendable {
        /// Nothing had arrived behind the line when it was read.
        package var isLast: Bool
        /// It ended in LF alone.
        package var isBare: Bool

        package init(isLast: Bool = true, isBare: Bool = false) {
            self.isLast = isLast
            self.isBare = isBare
        }
    }

    /// How a session is to end when the service does.
    package enum Patience: Sendable {
        /// A transaction may be finished.
        case transaction
        /// Only what we owe an answer for.
        case none
    }

    package enum Action: Hashable, Sendable {
        case reply(Reply)
        /// Nothing is said, because nobody would or should hear it; for the log, this is why.
        case unsaid(Reply)
        /// Begin a handshake behind what is written. Nothing that was read before may be left over; then
        /// `tlsEstablished`.
        case startTLS
        case ask(Question)
        /// Content follows: get ready to take it.
        case beginContent(Envelope)
        /// The content is complete: make it durable and say `stored`.
        case store(Envelope)
        /// Forget the content that has come since `beginContent`.
        case dropContent
        /// The screener's tests have come to something.
        case screened(SessionScreening.Finding)
        /// Say `delayElapsed` after this time.
        case delay(Duration)
        /// Close the connection once everything is written.
        case close
    }

    package enum Expectation: Hashable, Sendable {
        case command
        /// Dot-stuffed content.
        case content
        /// So many octets of content.
        case chunk(bytes: Int, isLast: Bool)
        /// So many octets that mean nothing any more; then `chunkEnded`.
        case discard(bytes: Int)
        /// What belongs to TLS, and nothing of the session.
        case handshake
        /// The client has to wait.
        case nothing
    }

    /// What policy is asked.
    package struct Question: Hashable, Sendable {
        package enum Subject: Hashable, Sendable {
            case greeting(Greeting)
            case mail(ReversePath, MailParameters)
            case recipient(ForwardPath, from: ReversePath)
            /// DATA or the first BDAT.
            case content(Envelope)
        }

        /// Which question of the session this is.
        package let number: Int
        package let subject: Subject
    }

    package struct Decision: Hashable, Sendable {
        package enum Verdict: Hashable, Sendable {
            /// For a recipient with the mailbox that is meant, which for `postmaster` is not said by the client.
            case accept(Mailbox? = nil)
            /// With 421 or 521 the session ends as well.
            case refuse(Reply)
        }

        package let question: Int
        package let verdict: Verdict

        package init(question: Int, verdict: Verdict) {
            self.question = question
            self.verdict = verdict
        }
    }
}

/// Why content that came whole is not taken.
package enum ContentFault: Error, Hashable, Sendable {
    case tooLarge
    case bareLineEnding
    case tooManyHops
    /// The disk or the queue is full; later it may not be.
    case insufficientStorage
    case storageFailed
    case refused(Reply)
}
