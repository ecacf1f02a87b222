package import Mail
package import Queue
import SMTP

extension Dispatcher {
    /// Recipients of one message that go the same way, from their lease until what came of it is on the disk.
    package struct Job: Sendable {
        package let number: Int
        package let message: QueuedMessage
        package let destination: String
        /// The content if it is in memory.
        package let content: [UInt8]?
        let leases: [Schedule.Lease]
        /// Not sent yet; places in the envelope.
        private(set) var unsent: [Int]
        /// In the present transaction.
        private var sending: [Int] = []
        package private(set) var results: [Result] = []
        /// Servers that cannot take the message, and why the last of them cannot.
        private(set) var unsuitable: [String] = []
        private(set) var obstacle: Reply?

        package struct Result: Sendable, Equatable {
            package let recipient: Int
            package let reply: Reply
            package let remote: String?
            /// The server will send what notices were asked for.
            package let passedNoticeRequest: Bool
            /// What protected the connection; nil if there was none.
            package var tls: String?
        }

        init(
            _ number: Int, _ message: QueuedMessage, destination: String, content: [UInt8]?, _ leases: [Schedule.Lease],
            unsent: [Int]
        ) {
            self.number = number
            self.message = message
            self.destination = destination
            self.content = content
            self.leases = leases
            self.unsent = unsent
        }

        /// Begins a transaction with the next recipients.
        mutating func takeNext(_ limit: Int) {
            self.sending = Array(self.unsent.prefix(limit))
            self.unsent.removeFirst(self.sending.count)
        }

        /// The present transaction.
        var delivery: ClientSession.Delivery {
            var envelope = Envelope(
                reversePath: self.message.envelope.reversePath, parameters: self.message.envelope.parameters)
            envelope.recipients = self.sending.map { self.message.envelope.recipients[$0] }
            return ClientSession.Delivery(
                envelope: envelope, contentBytes: self.message.contentBytes,
                needsSMTPUTF8: self.message.needsSMTPUTF8, client: self.message.client, id: self.message.id)
        }

        /// Takes what became of the present transaction. Recipients that were too many for it come again in the next.
        mutating func take(_ outcome: ClientSession.Outcome, from remote: String?, tls: String?) {
            defer { self.sending = [] }
            switch outcome.standing {
            case .unsuitable:
                self.unsent = self.sending + self.unsent
                self.obstacle = outcome.replies.first
                if let remote { self.unsuitable.append(remote) }
                return
            case .decided: break
            case .brokenEarly, .broken: self.unsent = []
            }
            let gotThrough = outcome.standing == .decided && outcome.replies.contains { $0.outcome == .accepted }
            for (recipient, reply) in zip(self.sending, outcome.replies) {
                if gotThrough, reply.code == 452, reply.detail == nil || reply.detail == .init(5, 3) {
                    self.unsent.append(recipient)
                } else {
                    self.results.append(
                        Result(
                            recipient: recipient, reply: reply, remote: remote,
                            passedNoticeRequest: outcome.passedNoticeRequests, tls: tls))
                }
            }
        }

        /// No other server was found for what the last one could not take.
        mutating func endWithoutServer(_ failure: OpenFailure) {
            switch failure {
            // One that cannot be reached now might take it.
            case .temporary(let reply): self.answerAll(reply)
            // What stood in the way of the last one stands.
            case .permanent(let reply), .exhausted(let reply): self.answerAll(self.obstacle ?? reply)
            }
        }

        /// The same for everybody who was not sent, without a transaction.
        mutating func answerAll(_ reply: Reply) {
            self.results += self.unsent.map {
                Result(recipient: $0, reply: reply, remote: nil, passedNoticeRequest: false)
            }
            self.unsent = []
        }
    }

    /// What is to be written about a job.
    package struct Verdicts: Sendable {
        package let job: Job
        package let time: Timestamp
        package var delivered: [Job.Result] = []
        package var failed: [Job.Result] = []
        package var deferred: [(result: Job.Result, due: Timestamp)] = []
        /// The time of the message is over; that, and not the reply, is why recipients fail.
        package var hasExpired = false
        /// Nothing was attempted; void if these recipients do not wait any more.
        package var condition: [Int]?
    }
}
