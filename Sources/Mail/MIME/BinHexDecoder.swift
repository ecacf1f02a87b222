/// Decodes BinHex 4.0 (RFC 1741): the name of a file and its data fork.
struct BinHexDecoder {
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        let alphabet = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
        for (value, letter) in alphabet.utf8.enumerated() { values[Int(letter)] = UInt8(value) }
        return values
    }()

    private enum State {
        /// Before the colon in front of the data. Next: `letters`.
        case before
        /// Next: `after`, with the colon behind the data.
        case letters
        case after
    }

    private var state = State.before
    private var bits: UInt32 = 0
    private var bitCount = 0
    /// For runs: 0x90 and a count repeat the octet before.
    private var last: UInt8 = 0
    private var isRun = false
    /// Length, name, a zero, type, creator, flags, two lengths and a checksum.
    private var header: [UInt8] = []
    private var headerBytes: Int { Int(self.header.first ?? 0) + 22 }

    /// As it is in the file.
    private(set) var name: [UInt8]?

    mutating func decode(_ input: UnsafeRawBufferPointer, _ output: inout DecodedBytes) -> Int {
        Self.values.withUnsafeBufferPointer { values in
            for index in input.indices {
                guard output.freeBytes > 256 else { return index }
                let byte = input[index]
                switch self.state {
                case .before: if byte == UInt8(ascii: ":") { self.state = .letters }
                case .letters:
                    if byte == UInt8(ascii: ":") {
                        self.state = .after
                    } else if values[Int(byte)] != 0xFF {
                        self.take(letter: values[Int(byte)], &output)
                    }
                case .after: return input.count
                }
            }
            return input.count
        }
    }

    private mutating func take(letter value: UInt8, _ output: inout DecodedBytes) {
        self.bits = (self.bits << 6 | UInt32(value)) & 0xFFFF
        self.bitCount += 6
        guard self.bitCount >= 8 else { return }
        self.bitCount -= 8
        let byte = UInt8(truncatingIfNeeded: self.bits >> UInt32(self.bitCount))
        if self.isRun {
            self.isRun = false
            if byte == 0 {
                self.last = 0x90
                self.put(0x90, &output)
            } else {
                for _ in 1..<max(byte, 1) { self.put(self.last, &output) }
            }
        } else if byte == 0x90 {
            self.isRun = true
        } else {
            self.last = byte
            self.put(byte, &output)
        }
    }

    private mutating func put(_ byte: UInt8, _ output: inout DecodedBytes) {
        guard self.header.isEmpty || self.header.count < self.headerBytes else { return output.append(byte) }
        self.header.append(byte)
        if self.header.count == self.headerBytes {
            self.name = Array(self.header.dropFirst().prefix(Int(self.header[0])))
        }
    }
}
