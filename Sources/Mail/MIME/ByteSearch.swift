/// Looks for octets eight at a time: where most of a message is spent.
enum ByteSearch {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let tops: UInt64 = 0x8080_8080_8080_8080

    /// Has the top bit of each octet of `word` that is zero; bits above the first such octet may be wrong.
    @inline(__always) private static func zeros(_ word: UInt64) -> UInt64 { (word &- Self.ones) & ~word & Self.tops }

    /// The first LF or CR from `start` on; the end if there is none.
    @inline(__always)
    static func lineEnd(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        self.first(of: ASCII.lineFeed, or: ASCII.carriageReturn, in: bytes, from: start)
    }

    @inline(__always)
    static func first(of byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        self.first(of: byte, or: byte, in: bytes, from: start)
    }

    @inline(__always)
    private static func first(
        of one: UInt8, or other: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int
    ) -> Int {
        let end = bytes.count
        var index = start
        let onePattern = Self.ones &* UInt64(one)
        let otherPattern = Self.ones &* UInt64(other)
        while index &+ 8 <= end {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let found = Self.zeros(word ^ onePattern) | Self.zeros(word ^ otherPattern)
            if found != 0 { return index &+ found.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < end, bytes[index] != one, bytes[index] != other { index &+= 1 }
        return index
    }

    /// The first place from `start` on where `first` is followed by `second`, or where `first` is the last octet; the
    /// end if there is none.
    @inline(__always)
    static func pair(_ first: UInt8, _ second: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        let end = bytes.count
        var index = start
        let firstPattern = Self.ones &* UInt64(first)
        let secondPattern = Self.ones &* UInt64(second)
        while index &+ 8 <= end {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let found = Self.exactZeros(word ^ firstPattern) & Self.exactZeros(word ^ secondPattern) &>> 8
            if found != 0 { return index &+ found.trailingZeroBitCount / 8 }
            index &+= 7
        }
        while index < end {
            if bytes[index] == first, index &+ 1 == end || bytes[index &+ 1] == second { return index }
            index &+= 1
        }
        return end
    }

    /// Has the top bit of each octet of `word` that is zero, and no other.
    @inline(__always) private static func exactZeros(_ word: UInt64) -> UInt64 {
        ~(((word & ~Self.tops) &+ ~Self.tops) | word | ~Self.tops)
    }
}
