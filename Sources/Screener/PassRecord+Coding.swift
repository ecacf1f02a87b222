import Mail

/// A record as it is kept: format number, how many tests follow, and for each in the order of ``ScreeningTest/index``
/// eight octets in network order: 0 for new, 1 for disabled, or the second since 1970 until which it is passed.
/// Behind them, if it is there, the second until which DNS lists speak for the client.
extension PassRecord {
    static let format: UInt8 = 1
    private static let headBytes = 2
    private static let newNumber: UInt64 = 0
    private static let disabledNumber: UInt64 = 1
    /// What reads as neither of them, and expired long ago.
    private static let leastSecond: Int64 = 2

    /// Fractions of a second are lost: a pass that was kept ends up to a second earlier.
    package func encoded() -> [UInt8] {
        let tests = ScreeningTest.allCases.sorted { $0.index < $1.index }
        let numbers =
            tests.map { Self.number(of: self[$0]) } + (self.allowlistedUntil.map { [Self.number(of: $0)] } ?? [])
        var bytes = [Self.format, UInt8(numbers.count)]
        bytes.reserveCapacity(Self.headBytes + 8 * numbers.count)
        for number in numbers { withUnsafeBytes(of: number.bigEndian) { bytes += $0 } }
        return bytes
    }

    /// Nil for another format and for what is damaged: a client without a record is only tested once more.
    ///
    /// A record of fewer tests is of an older version: those it does not have were off (SEMANTICS §1). More are of a
    /// newer one, and not looked at.
    package init?(record bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.headBytes, bytes[0] == Self.format,
            bytes.count >= Self.headBytes + 8 * Int(bytes[1])
        else { return nil }
        self.init()
        for test in ScreeningTest.allCases {
            guard test.index < Int(bytes[1]) else {
                self[test] = .disabled
                continue
            }
            guard let entry = Self.entry(of: Self.number(at: test.index, bytes)) else { return nil }
            self[test] = entry
        }
        guard Int(bytes[1]) > Self.allowlistedIndex else { return }
        let second = Self.number(at: Self.allowlistedIndex, bytes)
        self.allowlistedUntil =
            second > 0 && second <= Timestamp.lastSecond ? Timestamp(seconds: Int64(second)) : nil
    }

    private static let allowlistedIndex = 5

    private static func number(at index: Int, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: Self.headBytes + 8 * index, as: UInt64.self))
    }

    private static func number(of time: Timestamp) -> UInt64 { UInt64(max(time.seconds, 1)) }

    private static func number(of entry: Entry) -> UInt64 {
        switch entry {
        case .new: Self.newNumber
        case .disabled: Self.disabledNumber
        case .passed(let end): UInt64(max(end.seconds, Self.leastSecond))
        }
    }

    /// Nil for a time that no clock can show: it would be good for ever.
    private static func entry(of number: UInt64) -> Entry? {
        switch number {
        case Self.newNumber: .new
        case Self.disabledNumber: .disabled
        default: number <= Timestamp.lastSecond ? .passed(until: Timestamp(seconds: Int64(number))) : nil
        }
    }
}

extension Timestamp {
    fileprivate static let lastSecond = UInt64(Timestamp(microseconds: .max).seconds)
}

extension IPNetwork {
    /// The key of a client: 4 or 6, the octets of the address, and the length of the prefix.
    var passKey: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(18)
        switch self.base {
        case .v4(let value):
            bytes.append(4)
            withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
        case .v6(let high, let low):
            bytes.append(6)
            withUnsafeBytes(of: high.bigEndian) { bytes += $0 }
            withUnsafeBytes(of: low.bigEndian) { bytes += $0 }
        }
        bytes.append(UInt8(self.prefixLength))
        return bytes
    }
}
