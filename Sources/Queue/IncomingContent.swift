package import Mail

/// The content of one message on its way into the queue: gathered in memory, and handed on in pieces when it is long.
///
/// Memory is bounded by the piece, never by the message. The octets are appended to ``buffer`` directly.
package struct IncomingContent: Sendable {
    package let id: QueueID
    package var buffer: [UInt8] = []
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
        self.buffer.withUnsafeBytes { self.checksum.update($0) }
        let names = envelope.recipients.map { lanes.name($0.mailbox) }
        var progress = Progress(laneNames: names, due: arrival)
        progress.isHeld = isHeld
        let message = QueuedMessage(
            id: self.id, arrival: arrival, envelope: envelope, client: client, about: about,
            contentBytes: self.handedOnBytes + self.buffer.count, contentChecksum: self.checksum.value,
            needsSMTPUTF8: needsSMTPUTF8, progress: progress)
        return NewMessage(message: message, tail: self.buffer, tailOffset: self.handedOnBytes)
    }
}

/// Checks that content read back in pieces is what was stored.
package struct ContentCheck: Sendable {
    private var checksum = Checksum()
    private var bytes = 0

    package init() {}

    package mutating func update(_ piece: [UInt8]) {
        piece.withUnsafeBytes { self.checksum.update($0) }
        self.bytes += piece.count
    }

    package func matches(_ message: QueuedMessage) -> Bool {
        self.bytes == message.contentBytes && self.checksum.value == message.contentChecksum
    }
}
