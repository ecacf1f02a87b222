package import Mail

/// The content of one message on its way into the queue: gathered in memory, and handed on in pieces when it is long.
///
/// Memory is bounded by the piece, never by the message. The octets are appended to ``buffer`` directly.
package struct IncomingContent: Sendable {
    package let id: QueueID
    package var buffer: [UInt8] = []
    /// What is to stand in front of the content and is known at its end only: fields that say what was found in it.
    package var head: [UInt8] = []
    /// Octets handed on as pieces.
    package private(set) var handedOnBytes = 0
    private var checksum = Checksum()

    /// Octets of a record of content: with the format number they fill one page of the database (SEMANTICS: DESIGN §6).
    package static let recordBytes = 4079
    /// Octets of a piece.
    package static let pieceBytes = 32 * recordBytes

    package init(id: QueueID) {
        self.id = id
    }

    /// The next piece, if enough has come to make one; it leaves the buffer.
    package mutating func takePiece() -> ContentPiece? {
        guard self.buffer.count >= Self.pieceBytes else { return nil }
        let count = self.buffer.count / Self.recordBytes * Self.recordBytes
        let bytes = count == self.buffer.count ? self.buffer : Array(self.buffer[..<count])
        let piece = ContentPiece(id: self.id, offset: self.handedOnBytes, bytes: bytes)
        bytes.withUnsafeBytes { self.checksum.update($0) }
        self.buffer = Array(self.buffer[count...])
        self.handedOnBytes += count
        return piece
    }

    /// The message, with what is left of the content. Ends the gathering.
    ///
    /// - Parameter isHeld: nothing is tried before the administrator releases it.
    package consuming func finish(
        arrival: Timestamp, envelope: Envelope, client: ClientIdentity?, about: QueueID?, needsSMTPUTF8: Bool,
        lanes: LaneNaming, isHeld: Bool = false
    ) -> NewMessage {
        // A message that is still in memory as a whole needs no place apart for what stands in front.
        if self.handedOnBytes == 0, !self.head.isEmpty {
            self.buffer = self.head + self.buffer
            self.head = []
        }
        self.buffer.withUnsafeBytes { self.checksum.update($0) }
        self.head.withUnsafeBytes { self.checksum.update($0) }
        let names = envelope.recipients.map {
            LaneNaming.lane(lanes.name($0.mailbox), for: envelope.parameters.tls)
        }
        var progress = Progress(laneNames: names, due: arrival)
        progress.isHeld = isHeld
        let message = QueuedMessage(
            id: self.id, arrival: arrival, envelope: envelope, client: client, about: about,
            contentBytes: self.head.count + self.handedOnBytes + self.buffer.count, headBytes: self.head.count,
            contentChecksum: self.checksum.value, needsSMTPUTF8: needsSMTPUTF8, progress: progress)
        return NewMessage(message: message, head: self.head, tail: self.buffer, tailOffset: self.handedOnBytes)
    }
}

/// Checks that content read back in pieces, from its beginning, is what was stored.
package struct ContentCheck: Sendable {
    private let message: QueuedMessage
    private var checksum = Checksum()
    private var bytes = 0
    /// It was written last, so it counts last.
    private var head: [UInt8] = []

    package init(of message: QueuedMessage) {
        self.message = message
    }

    package mutating func update(_ piece: [UInt8]) {
        self.bytes += piece.count
        let missing = self.message.headBytes - self.head.count
        self.head += piece.prefix(missing)
        guard missing < piece.count else { return }
        piece.withUnsafeBytes { self.checksum.update(UnsafeRawBufferPointer(rebasing: $0.dropFirst(missing))) }
    }

    /// Whether all of it has been read, and is as it was.
    package var isWhole: Bool {
        var checksum = self.checksum
        self.head.withUnsafeBytes { checksum.update($0) }
        return self.bytes == self.message.contentBytes && checksum.value == self.message.contentChecksum
    }
}
