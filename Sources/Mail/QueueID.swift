/// The name of a queued message: short, never given twice, and sorting by time as text and as number.
///
/// Its value is the microsecond since 1970 in which it was made, moved up where that one was taken already
/// (`QueueIDGenerator`). It is written in eleven characters of Crockford's base 32, which has no I, L, O and U,
/// and read in either case: `1K3QZ8V0M4T`.
package struct QueueID: Hashable, Comparable, Sendable {
    package let value: UInt64

    /// Characters of the written form: 55 bits, enough until the year 3111.
    package static let length = 11

    package init(value: UInt64) {
        self.value = value
    }

    package static func < (left: QueueID, right: QueueID) -> Bool { left.value < right.value }

    /// The time that it was made from; with a clock that was set back, a later one than the clock showed.
    package var time: Timestamp { Timestamp(microseconds: Int64(clamping: self.value)) }
}

extension QueueID: CustomStringConvertible {
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    package var description: String {
        String(unsafeUninitializedCapacity: Self.length) { buffer in
            var rest = self.value
            for index in (0..<Self.length).reversed() {
                buffer[index] = Self.alphabet[Int(rest & 31)]
                rest >>= 5
            }
            return Self.length
        }
    }

    /// Reads the written form; nil for anything else.
    package init?(_ text: some StringProtocol) { self.init(Array(text.utf8)[...]) }

    package init?(_ text: ArraySlice<UInt8>) {
        guard text.count == Self.length else { return nil }
        var value: UInt64 = 0
        for byte in text {
            let digit = Self.digits[Int(byte)]
            guard digit < 32 else { return nil }
            value = value << 5 | UInt64(digit)
        }
        self.init(value: value)
    }

    /// What a character of the written form, in either case, stands for.
    private static let digits: [UInt8] = {
        var digits = [UInt8](repeating: 0xFF, count: 256)
        for (digit, byte) in Self.alphabet.enumerated() {
            digits[Int(byte)] = UInt8(digit)
            digits[Int(ASCII.lowercased(byte))] = UInt8(digit)
        }
        return digits
    }()
}

/// Makes queue IDs that rise for ever, also when the clock is set back and across restarts.
package struct QueueIDGenerator: Sendable {
    /// The last one given. The queue keeps it on disk with every commit.
    package private(set) var last: QueueID

    package init(after last: QueueID) {
        self.last = last
    }

    package mutating func next(at now: Timestamp) -> QueueID {
        let clock = UInt64(clamping: now.microseconds)
        self.last = QueueID(value: max(clock, self.last.value + 1))
        return self.last
    }
}
