package import Mail

/// The promise of a relay: what it answered 250 it keeps until somebody else has it or the sender knows.
///
/// The states of a message, what is on the disk in each, and the step that joins two of them. Every step is one
/// transaction; after a crash at any moment a message is in exactly one of these states.
///
/// | State | On the disk | Joined to the next by | After a crash |
/// |---|---|---|---|
/// | receiving | content pieces under an ID in `receiving`, if it is large; else nothing | ``store(_:completion:)`` | removed at start; the client never saw 250 |
/// | **queued** | message record, all content, an entry in `lanes` for each lane | a lease, in memory | kept, due times too |
/// | leased | as queued | ``settle(_:completion:)`` | attempted again |
/// | partly delivered | and a progress record with each recipient's state; `lanes` entries only for lanes that wait | a lease | only the remaining recipients are attempted |
/// | held | message record, content, progress record; no entry in `lanes` | ``operate(_:on:completion:)`` | held |
/// | finished | nothing, all removed in one transaction | – | gone |
/// | damaged | what cannot be read, moved to `damaged` | – | kept there |
///
/// A failure notice is queued in the transaction that ends the recipients it is about, so it is neither lost
/// nor sent twice. Delivering twice is allowed, between the next hop's 250 and the end of `settle`; losing is not.
///
/// Completions are called on a thread of the queue and must return at once.
package protocol MailQueue: AnyObject, Sendable {
    // MARK: Receiving

    /// A new ID, under which nothing is on the disk.
    func makeID() -> QueueID

    /// A new ID for a message that comes in; it will be given to ``store(_:completion:)`` or ``drop(_:wasAppended:)``.
    func beginMessage() -> QueueID

    /// Whether a message of this size may be accepted now: the reserve of disk and map would still be free.
    func hasRoom(forBytes bytes: Int) -> Bool

    /// Writes content that is still coming in. `completion` says when the next piece may follow.
    func append(_ piece: ContentPiece, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void)

    /// Makes a message durable: when `completion` succeeds it is on the disk with all its content.
    func store(_ message: NewMessage, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void)

    /// Forgets a message that will not be stored.
    ///
    /// - Parameter wasAppended: some of its content was written.
    func drop(_ id: QueueID, wasAppended: Bool)

    // MARK: Forwarding

    /// Every change of the schedule, in order, from now on; called on the writing thread after each commit.
    func observe(_ observer: @escaping @Sendable ([ScheduleChange]) -> Void)

    /// All lanes in which somebody waits.
    func lanes() throws(QueueError) -> [LaneSummary]

    /// Messages due in a lane, the longest due first.
    ///
    /// Records that cannot be read are set aside and left out.
    /// - Parameters:
    ///   - skipped: messages that the caller has already.
    ///   - contentLimit: content up to this size is read as well.
    func due(
        in lane: String, at now: Timestamp, skipping skipped: Set<QueueID>, limit: Int, contentLimit: Int
    ) throws(QueueError) -> DueMessages

    /// Messages whose next attempt is later than `due`, each once, at most so many.
    func scheduled(after due: Timestamp, limit: Int) throws(QueueError) -> [QueueID]

    /// A message; nil if there is none of this ID.
    func message(_ id: QueueID) throws(QueueError) -> QueuedMessage?

    /// Content from an octet on, at most so much; empty at the end. The pieces of a message are checked as a
    /// whole by ``ContentCheck``.
    func content(of id: QueueID, from offset: Int, limit: Int) throws(QueueError) -> [UInt8]

    /// Messages in the order of their arrival, from behind an ID on.
    func messages(after id: QueueID?, limit: Int) throws(QueueError) -> MessagePage

    /// Writes down what came of an attempt; a message that is finished is removed.
    func settle(_ settlement: Settlement, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void)

    /// Takes a message out of the way whose content turned out to be damaged.
    func setAside(_ id: QueueID, reason: String)

    // MARK: Operating

    /// Does something to messages, in one transaction. Those that are not there are passed over.
    ///
    /// - completion: gets the messages that changed.
    func operate(
        _ operation: QueueOperation, on ids: [QueueID],
        completion: @escaping @Sendable (Result<[QueueID], QueueError>) -> Void)

    func statistics() throws(QueueError) -> QueueStatistics

    /// Writes a consistent copy while everything goes on. `path` must not exist.
    func backup(to path: String) throws(QueueError)

    /// Ends all work; what was not committed fails. The queue is not usable afterwards.
    func close()
}

package enum QueueError: Error, Equatable, Sendable {
    /// The disk, the map, or the reserve of either is used up; later it may not be.
    case full
    case damaged(String)
    /// The files were made by a version that this one cannot read, or cannot be opened.
    case unusable(String)
    case closed
    case failed(String)
}

extension QueueError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .full: "the disk is full, or the queue has its largest size"
        case .damaged(let what): "damaged: \(what)"
        case .unusable(let what), .failed(let what): what
        case .closed: "the queue is closed"
        }
    }
}

/// Content on its way in: a whole number of records, except at the end.
package struct ContentPiece: Sendable {
    package let id: QueueID
    /// Number of octets in front of it.
    package let offset: Int
    package let bytes: [UInt8]
}

/// A message to be made durable.
package struct NewMessage: Sendable {
    package let message: QueuedMessage
    /// What stands in front of content that was appended; ``QueuedMessage/headBytes`` octets.
    package let head: [UInt8]
    /// The content, or what of it was not given to ``MailQueue/append(_:completion:)`` before.
    package let tail: [UInt8]
    package let tailOffset: Int
    /// Pieces were appended before.
    package var wasAppended: Bool { self.tailOffset > 0 }
}

/// A change of who waits in which lane.
package enum ScheduleChange: Sendable {
    /// - message: with its content if it was short; for a message that has just come in.
    case added(QueueID, lane: String, due: Timestamp, message: (QueuedMessage, content: [UInt8])?)
    case removed(QueueID, lane: String)
}

package struct LaneSummary: Sendable, Equatable {
    package let name: String
    package let count: Int
    package let firstDue: Timestamp
    /// When the oldest message began to come in.
    package let oldest: Timestamp

    package init(name: String, count: Int, firstDue: Timestamp, oldest: Timestamp) {
        self.name = name
        self.count = count
        self.firstDue = firstDue
        self.oldest = oldest
    }
}

package struct DueMessages: Sendable {
    package var messages: [(message: QueuedMessage, content: [UInt8]?)] = []
    /// More are due than the limit allowed.
    package var hasMore = false
    /// When the first of those that are not due yet will be; nil if there is none or it was not reached.
    package var nextDue: Timestamp?

    package init() {}
}

/// Some messages in the order of their arrival. Those that cannot be read are left out; `fsck` shows them.
package struct MessagePage: Sendable {
    package var messages: [QueuedMessage] = []
    /// Behind which the next page begins; nil after the last.
    package var end: QueueID?
}

/// What came of an attempt for some recipients of a message.
package struct Settlement: Sendable {
    package enum Result: Sendable, Equatable {
        case delivered, failed
        /// Still waiting; the lane is due again at this time.
        case deferred(until: Timestamp)
    }

    package struct RecipientResult: Sendable {
        /// Place in the envelope.
        package let recipient: Int
        package let result: Result
        package let reply: Reply
        package let remote: String?

        package init(recipient: Int, result: Result, reply: Reply, remote: String?) {
            self.recipient = recipient
            self.result = result
            self.reply = reply
            self.remote = remote
        }
    }

    /// The message as it was leased.
    package let message: QueuedMessage
    package let time: Timestamp
    package var results: [RecipientResult] = []
    /// Notices about these results; queued in the same transaction.
    package var notices: [NewMessage] = []
    package var notifiesDelay = false
    /// Nothing was attempted: time is over, or a delay is to be told. The settlement is void unless the message is
    /// as it was when this was decided: not held, not notified before, and these recipients still waiting.
    package var condition: [Int]?

    package init(message: QueuedMessage, time: Timestamp) {
        self.message = message
        self.time = time
    }
}

package enum QueueOperation: String, Sendable {
    case hold, release, delete, retry
}

package struct QueueStatistics: Sendable {
    package var messages = 0
    package var damaged = 0
    package var receiving = 0
    /// Octets of the file, its free pages included.
    package var fileBytes = 0
    package var freeBytes = 0
    package var mapBytes = 0
    package var diskFreeBytes = 0
    /// Octets of content that may still be accepted; 0 or less when even the reserve is used.
    package var roomBytes = 0
    /// Since the start.
    package var commits = 0
}

/// Names the lane of a recipient: those who share one are tried together.
package struct LaneNaming: Sendable {
    package let name: @Sendable (Mailbox) -> String

    package init(name: @escaping @Sendable (Mailbox) -> String) {
        self.name = name
    }

    /// The recipient's domain.
    package static let byDomain = LaneNaming { $0.domain.key }

    private static let ownWay = "filter "

    /// The lane of recipients whose message goes its own way, whatever the routes say (FILTER in access(5)).
    ///
    /// - Parameter destination: `transport:nexthop`.
    package static func filtered(_ destination: String, _ mailbox: Mailbox) -> String {
        "\(self.ownWay)\(destination) \(mailbox.domain.key)"
    }

    /// The lane of recipients whose message asks something of its connections: never one of messages that ask for
    /// nothing or for something else, so that they share no connection (RFC 8689 §4.2.1).
    package static func lane(_ lane: String, for requirement: TLSRequirement) -> String {
        (Self.prefix(of: requirement) ?? "") + lane
    }

    /// What the messages of a lane ask for, and the lane that they would be in otherwise.
    package static func requirement(ofLane lane: String) -> (requirement: TLSRequirement, lane: String) {
        for requirement in [TLSRequirement.required, .optional] {
            if let prefix = Self.prefix(of: requirement), lane.hasPrefix(prefix) {
                return (requirement, String(lane.dropFirst(prefix.count)))
            }
        }
        return (.unspecified, lane)
    }

    /// With a space, which is in no domain.
    private static func prefix(of requirement: TLSRequirement) -> String? {
        switch requirement {
        case .unspecified: nil
        case .required: "tls-required "
        case .optional: "tls-optional "
        }
    }

    /// Where a lane goes that goes its own way, and for which domain; nil for any other lane.
    package static func destination(ofFiltered lane: String) -> (destination: String, domain: String)? {
        guard lane.hasPrefix(self.ownWay), let end = lane.lastIndex(of: " ") else { return nil }
        let destination = lane[..<end].dropFirst(self.ownWay.count)
        return destination.isEmpty ? nil : (String(destination), String(lane[lane.index(after: end)...]))
    }
}
