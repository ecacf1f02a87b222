/// Decodes uuencode line by line: a length, and four letters for three octets.
struct UUDecoder {
    /// Longer lines are cut: the length has six bits.
    private static let lineBytes = 128

    private var line: [UInt8] = []
    /// `end` was seen.
    private(set) var hasEnded = false

    mutating func decode(_ input: UnsafeRawBufferPointer, _ output: inout DecodedBytes) -> Int {
        for index in input.indices {
            // A line makes at most 63 octets.
            guard output.freeBytes > 64 else { return index }
            let byte = input[index]
            if byte == ASCII.lineFeed || byte == ASCII.carriageReturn {
                self.decodeLine(&output)
            } else if self.line.count < Self.lineBytes {
                self.line.append(byte)
            }
        }
        return input.count
    }

    mutating func finish(_ output: inout DecodedBytes) { self.decodeLine(&output) }

    private mutating func decodeLine(_ output: inout DecodedBytes) {
        defer { self.line.removeAll(keepingCapacity: true) }
        guard let first = self.line.first, !self.hasEnded, !self.line.starts(with: "begin".utf8) else { return }
        if self.line == Array("end".utf8) {
            self.hasEnded = true
            return
        }
        var missing = Int((first &- 32) & 63)
        var index = 1
        while missing > 0, index < self.line.count {
            var bits: UInt32 = 0
            for place in index..<index + 4 {
                // Blanks at the end of a line get lost on the way.
                let byte = place < self.line.count ? self.line[place] : ASCII.space
                bits = bits << 6 | UInt32((byte &- 32) & 63)
            }
            for shift in [UInt32(16), 8, 0].prefix(missing) { output.append(UInt8(truncatingIfNeeded: bits >> shift)) }
            missing -= 3
            index += 4
        }
    }
}
