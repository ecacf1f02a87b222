import Mail
import Queue
import Rules
import SMTP

/// What the receiver answers by its own decision: every text once. What the protocol says is in `SMTP/ServerReplies`.
extension Reply {
    static let unknownRecipient = Reply(
        550, .init(1, 1), "Recipient address rejected: User unknown in relay recipient table")
    static let insufficientStorage = Reply(452, .init(3, 1), "Insufficient system storage")
    static let messageRate = Reply(450, .init(7, 1), "Too much mail from your network, try again later")
    static let recipientRate = Reply(450, .init(7, 1), "Too many recipients from your network, try again later")
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
