import Mail

/// Doubles the dots at the beginning of lines (RFC 5321 §4.5.2), for content that comes in pieces.
///
/// The content has CRLF line ends and no other CR or LF, as ``ContentReader`` makes it.
package struct DotStuffer: Sendable {
    private var isAtLineStart = true

    package init() {}

    /// The piece as it is to be sent; the same array where nothing changes, which is nearly always.
    package mutating func stuff(_ piece: [UInt8]) -> [UInt8] {
        guard let last = piece.last else { return piece }
        let firstDot = self.isAtLineStart && piece[0] == ASCII.dot
        self.isAtLineStart = last == ASCII.lineFeed
        guard firstDot || Self.nextDotLine(in: piece, from: 0) != nil else { return piece }
        var output: [UInt8] = []
        output.reserveCapacity(piece.count + 64)
        if firstDot { output.append(ASCII.dot) }
        var start = 0
        while let dot = Self.nextDotLine(in: piece, from: start) {
            output += piece[start..<dot]
            output.append(ASCII.dot)
            start = dot
        }
        return output + piece[start...]
    }

    /// The place of the next dot that stands behind a line feed.
    private static func nextDotLine(in piece: [UInt8], from start: Int) -> Int? {
        piece.withUnsafeBytes { bytes in
            var start = start
            while let lineFeed = bytes.firstIndex(ofByte: ASCII.lineFeed, from: start) {
                start = lineFeed + 1
                if start < bytes.count, bytes[start] == ASCII.dot { return start }
            }
            return nil
        }
    }
}
