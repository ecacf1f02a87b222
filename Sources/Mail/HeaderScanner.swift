/// Watches a header go by, in pieces of any size, for what a relay must know about it.
///
/// Costs a look at each line's beginning, and nothing once the body has begun.
package struct HeaderScanner: Sendable {
    /// `Received` fields: how many hops the message has behind it (RFC 5321 §6.3).
    package private(set) var receivedCount = 0
    /// The header has octets above 127, so that it needs SMTPUTF8 on its way (RFC 6532).
    package private(set) var hasEightBit = false
    /// The empty line has been seen.
    package private(set) var isComplete = false

    /// The beginning of the line that is coming in, as far as it could be `Received:` or the empty line.
    private var lineStart: [UInt8] = []
    private var isInsideLine = false

    private static let name = Array("received:".utf8)

    package init() {}

    /// Takes the next octets of the content, whose lines end in CRLF.
    package mutating func scan(_ bytes: UnsafeRawBufferPointer) {
        for byte in bytes {
            if self.isComplete { return }
            self.scan(byte)
        }
    }

    private mutating func scan(_ byte: UInt8) {
        if byte >= 0x80 { self.hasEightBit = true }
        if byte == ASCII.lineFeed {
            self.isComplete = !self.isInsideLine && self.lineStart.allSatisfy { $0 == ASCII.carriageReturn }
            self.lineStart.removeAll(keepingCapacity: true)
            self.isInsideLine = false
            return
        }
        guard !self.isInsideLine else { return }
        self.lineStart.append(ASCII.lowercased(byte))
        if self.lineStart == Self.name {
            self.receivedCount += 1
            self.isInsideLine = true
        } else if !Self.name.starts(with: self.lineStart), self.lineStart != [ASCII.carriageReturn] {
            self.isInsideLine = true
        }
    }
}
