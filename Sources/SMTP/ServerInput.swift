import Mail

/// Cuts what a client sends into the events of its session, as the session expects them.
package struct ServerInput: Sendable {
    private let limits: SessionLimits
    private var lines: LineFramer
    /// The content being read; nil between messages.
    private var reader: ContentReader?
    /// Octets of the present BDAT that are still to come; nil outside of one.
    private var chunkBytesLeft: Int?

    package init(limits: SessionLimits) {
        self.limits = limits
        self.lines = LineFramer(limitBytes: limits.commandLine.bytes)
    }

    /// Takes octets from the front of the input.
    ///
    /// - Parameter content: gets the octets of content among them.
    /// - Returns: how many octets are done with, and the event that they make. Without an event everything that
    ///   can be used has been, and more must arrive. An event can come without input: `BDAT 0 LAST`.
    package mutating func next(
        _ input: UnsafeRawBufferPointer, expecting expectation: ServerSession.Expectation, content: inout [UInt8]
    ) -> (consumedBytes: Int, event: ServerSession.Event?) {
        switch expectation {
        case .nothing, .handshake: (0, nil)
        case .command: self.nextCommand(input)
        case .content: self.nextContent(input, &content)
        case .chunk(let bytes, let isLast): self.nextChunk(input, of: bytes, isLast: isLast, &content)
        case .discard(let bytes): self.nextDiscarded(input, of: bytes)
        }
    }

    /// Forgets content that has begun, as the session does after a reset.
    package mutating func dropContent() {
        self.reader = nil
        self.chunkBytesLeft = nil
    }

    private mutating func nextCommand(_ input: UnsafeRawBufferPointer) -> (Int, ServerSession.Event?) {
        let (consumed, frame) = self.lines.next(input)
        switch frame {
        case nil: return (consumed, nil)
        case .tooLong: return (consumed, .malformed(.tooLong))
        case .line(let line, let isBare):
            let facts = ServerSession.LineFacts(isLast: consumed == input.count, isBare: isBare)
            if isBare, self.limits.lineEndings == .reject { return (consumed, .malformed(.bareLineFeed, facts)) }
            do {
                return (consumed, .command(try Command(line: line[...]), facts))
            } catch {
                return (consumed, .malformed(error, facts))
            }
        }
    }

    private mutating func nextContent(
        _ input: UnsafeRawBufferPointer, _ content: inout [UInt8]
    ) -> (Int, ServerSession.Event?) {
        var reader = self.reader ?? ContentReader(.data, limitBytes: self.limits.messageSize.bytes)
        let (consumed, isAtEnd) = reader.read(input, into: &content)
        self.reader = isAtEnd ? nil : reader
        return (consumed, isAtEnd ? .contentEnded(self.fault(of: reader)) : nil)
    }

    private mutating func nextChunk(
        _ input: UnsafeRawBufferPointer, of bytes: Int, isLast: Bool, _ content: inout [UInt8]
    ) -> (Int, ServerSession.Event?) {
        var reader = self.reader ?? ContentReader(.bdat, limitBytes: self.limits.messageSize.bytes)
        let left = self.chunkBytesLeft ?? bytes
        let available = UnsafeRawBufferPointer(rebasing: input.prefix(left))
        _ = reader.read(available, into: &content)
        let isComplete = left == available.count
        if isComplete, isLast { reader.finish(into: &content) }
        self.chunkBytesLeft = isComplete ? nil : left - available.count
        self.reader = isComplete && isLast ? nil : reader
        return (available.count, isComplete ? .chunkEnded(self.fault(of: reader)) : nil)
    }

    private mutating func nextDiscarded(_ input: UnsafeRawBufferPointer, of bytes: Int) -> (Int, ServerSession.Event?) {
        let left = self.chunkBytesLeft ?? bytes
        let consumed = min(left, input.count)
        self.chunkBytesLeft = left == consumed ? nil : left - consumed
        return (consumed, left == consumed ? .chunkEnded(nil) : nil)
    }

    private func fault(of reader: ContentReader) -> ContentFault? {
        if reader.sawBareLineEnding, self.limits.lineEndings == .reject { return .bareLineEnding }
        return reader.isTooLarge ? .tooLarge : nil
    }
}
