package import Mail

/// A message in the queue: what was promised, and how far it got. Its content is read apart.
package struct QueuedMessage: Sendable, Equatable {
    package let id: QueueID
    package let arrival: Timestamp
    /// All recipients, also those that are done with.
    package let envelope: Envelope
    /// Who brought it; nil for a notice of ours.
    package let client: ClientIdentity?
    /// The message that a notice is about; nil for mail that was received.
    package let about: QueueID?
    /// All of it, with ``headBytes``.
    package let contentBytes: Int
    /// How much of the content was written last and stands first, in records of its own; 0 for short messages.
    package let headBytes: Int
    package let contentChecksum: UInt64
    /// Addresses or header are not ASCII (RFC 6531 §3.2).
    package let needsSMTPUTF8: Bool
    package var progress: Progress

    package init(
        id: QueueID, arrival: Timestamp, envelope: Envelope, client: ClientIdentity?, about: QueueID?,
        contentBytes: Int, headBytes: Int = 0, contentChecksum: UInt64, needsSMTPUTF8: Bool, progress: Progress
    ) {
        self.id = id
        self.arrival = arrival
        self.envelope = envelope
        self.client = client
        self.about = about
        self.contentBytes = contentBytes
        self.headBytes = headBytes
        self.contentChecksum = contentChecksum
        self.needsSMTPUTF8 = needsSMTPUTF8
        self.progress = progress
    }

    /// The mailboxes of these recipients.
    package func mailboxes(_ indices: some Sequence<Int>) -> [Mailbox] {
        indices.map { self.envelope.recipients[$0].mailbox }
    }
}

/// What changes about a message while it is in the queue.
package struct Progress: Sendable, Equatable {
    /// A group of recipients that are due together, because their mail goes the same way: nearly always those of a
    /// domain.
    package struct Lane: Sendable, Equatable {
        package let name: String
        /// When its waiting recipients are tried next. Nothing happens before; afterwards as soon as there is room.
        package var due: Timestamp

        package init(name: String, due: Timestamp) {
            self.name = name
            self.due = due
        }
    }

    package struct RecipientState: Sendable, Equatable {
        package enum Status: UInt8, Sendable { case waiting, delivered, failed }

        package var status = Status.waiting
        /// Place in ``Progress/lanes``.
        package var lane: Int
        package var attempts = 0
        package var lastAttempt: Timestamp?
        package var lastReply: Reply?
        /// The server that gave the reply.
        package var lastRemote: String?

        package init(lane: Int) {
            self.lane = lane
        }
    }

    /// Nothing is tried until the administrator releases it.
    package var isHeld = false
    package var wasDelayNotified = false
    package var lanes: [Lane]
    /// In the order of the envelope.
    package var recipients: [RecipientState]

    package init(lanes: [Lane], recipients: [RecipientState]) {
        self.lanes = lanes
        self.recipients = recipients
    }

    /// Nothing has been tried: every recipient waits in the lane of its name.
    package init(laneNames: [String], due: Timestamp) {
        var lanes: [Lane] = []
        self.recipients = laneNames.map { name in
            if let index = lanes.firstIndex(where: { $0.name == name }) { return RecipientState(lane: index) }
            lanes.append(Lane(name: name, due: due))
            return RecipientState(lane: lanes.count - 1)
        }
        self.lanes = lanes
    }

    /// Recipients still waiting in a lane.
    package func waiting(in name: String) -> [Int] {
        self.recipients.indices.filter { self.isWaiting($0) && self.lanes[self.recipients[$0].lane].name == name }
    }

    package var waiting: [Int] { self.recipients.indices.filter(self.isWaiting) }

    package var isFinished: Bool { !self.recipients.contains { $0.status == .waiting } }

    /// Lanes in which somebody waits, and which are therefore in the schedule unless the message is held.
    package var occupiedLanes: [Lane] {
        self.lanes.indices.filter { lane in self.recipients.contains { $0.status == .waiting && $0.lane == lane } }
            .map { self.lanes[$0] }
    }

    private func isWaiting(_ index: Int) -> Bool { self.recipients[index].status == .waiting }
}
