package import Mail
package import Queue
package import SMTP

extension Dispatcher {
    package struct ConnectionID: Hashable, Sendable {
        package let number: Int
    }

    package enum Event: Sendable {
        /// Committed changes of the queue.
        case changed([ScheduleChange])
        case refilled(lane: String, DueMessages)
        case refillFailed(lane: String)
        /// The session takes a message now. The first time it comes after `open`.
        ///
        /// - Parameter tls: what protects the connection, for the log; nil if it is said already.
        case ready(ConnectionID, remote: String, tls: String? = nil)
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
        /// There is no server besides those that were excluded.
        case exhausted(Reply)
    }

    package enum Action: Sendable {
        /// Read what is due in a lane, then `refilled`.
        case refill(lane: String, skipping: Set<QueueID>, contentLimit: Int)
        /// Make a session with the first next hop that can be reached, as messages with this requirement need it; not
        /// with the servers named. The destination is as the options have it.
        case open(ConnectionID, destination: String, [NextHop], for: TLSRequirement, excluding: [String])
        case deliver(ConnectionID, ClientSession.Delivery, Job)
        case quit(ConnectionID)
        /// Write it down, with notices, then `settled`.
        case settle(Verdicts)
        case record(MailEvent)
    }
}
