import Mail
import Queue
import Rules
import SMTP

/// What the receiver answers by its own decision: every text once. What the protocol says is in `SMTP/ServerReplies`.
extension Reply {
    static let relayDenied = Reply(554, .init(7, 1), "Relay access denied")
    static let unknownRecipient = Reply(
        550, .init(1, 1), "Recipient address rejected: User unknown in relay recipient table")
    static let insufficientStorage = Reply(452, .init(3, 1), "Insufficient system storage")
    static let tooManyConnections = Reply(421, .init(7, 0), "Too many connections from your network")
    static let connectionRate = Reply(421, .init(7, 0), "Too many new connections from your network, try again later")
    static let serverBusy = Reply(421, .init(3, 2), "All server ports are busy, try again later")
    static let messageRate = Reply(450, .init(7, 1), "Too much mail from your network, try again later")
    static let recipientRate = Reply(450, .init(7, 1), "Too many recipients from your network, try again later")

    static func to(_ refusal: ClientLimits.Refusal) -> Reply {
        switch refusal {
        case .allConnections: .serverBusy
        case .clientConnections: .tooManyConnections
        case .connectionRate: .connectionRate
        }
    }
}

extension ContentFault {
    /// What the client is told of a fault of the queue: ours is 451 or 452, never 5yz.
    init(_ error: QueueError) {
        switch error {
        case .full: self = .insufficientStorage
        case .damaged, .unusable, .closed, .failed: self = .storageFailed
        }
    }
}
