package import Mail
package import Queue
package import SMTP

extension Dispatcher {
    package struct ConnectionID: Hashable, Sendable {
        package let number: Int
    }

    /// Recipients of one message that go the same way, from their lease until what came of it is on the disk.
    package struct Job: Sendable {
        package let number: Int
        package let message: QueuedMessage
        package let destination: String
        /// The content if it is in memory.
        package let content: [UInt8]?
        var leases: [Schedule.Lease]
        /// Not sent yet; places in the envelope.
        var unsent: [Int]
        /// In the present transaction.
        var sending: [Int] = []
        package internal(set) var results: [Result] = []
        /// Servers that cannot take the message.
        var unsuitable: [String] = []

        package struct Result: Sendable, Equatable {
            package let recipient: Int
            package let reply: Reply
            package let remote: String?
            /// The server will send what notices were asked for.
            package let passedNoticeRequest: Bool
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

    package enum Event: Sendable {
        /// Committed changes of the queue.
        case changed([ScheduleChange])
        case refilled(lane: String, DueMessages)
        case refillFailed(lane: String)
        /// The session takes a message now. The first time it comes after `open`.
        case ready(ConnectionID, remote: String)
        case finished(ConnectionID, ClientSession.Outcome)
        case openFailed(ConnectionID, OpenFailure)
        case closed(ConnectionID)
        /// What was written about a job is on the disk.
        case settled(job: Int)
        case tick
        /// Messages whose time is over.
        case overdue([QueuedMessage])
        /// Try now what can be tried: one destination, or all.
        case flush(destination: String?)
        case routesChanged
        /// Begin nothing new.
        case stop
    }

    /// Why no session came about.
    package enum OpenFailure: Sendable, Equatable {
        /// It may later.
        case temporary(Reply)
        /// There is no such destination; its mail fails.
        case permanent(Reply)
    }

    package enum Action: Sendable {
        /// Read what is due in a lane, then `refilled`.
        case refill(lane: String, skipping: Set<QueueID>, contentLimit: Int)
        /// Make a session with the first next hop that can be reached; not with the servers named.
        case open(ConnectionID, destination: String, [NextHop], excluding: [String])
        case deliver(ConnectionID, ClientSession.Delivery, Job)
        case quit(ConnectionID)
        /// Write it down, with notices, then `settled`.
        case settle(Verdicts)
        case record(MailEvent)
    }
}
