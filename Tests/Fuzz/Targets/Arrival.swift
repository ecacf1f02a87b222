/// In which pieces a stream comes.
package enum Arrival: Equatable, Sendable {
    case whole
    /// One octet at a time.
    case single
    case cut(at: Int)
    case random(seed: UInt64)

    func pieces(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        switch self {
        case .whole: return [bytes[...]]
        case .single: return bytes.indices.map { bytes[$0...$0] }
        case .cut(let place):
            let place = min(max(place, 0), bytes.count)
            return [bytes[..<place], bytes[place...]]
        case .random(let seed):
            var generator = SeededGenerator(seed: seed)
            var pieces: [ArraySlice<UInt8>] = []
            var start = 0
            while start < bytes.count {
                let length = min(
                    Int.random(in: 1...Int.random(in: 1...64, using: &generator), using: &generator),
                    bytes.count - start)
                pieces.append(bytes[start..<start + length])
                start += length
            }
            return pieces
        }
    }
}

/// Reads a stream as a whole and in every other way of arriving, and finds out if that makes a difference.
///
/// - Returns: what came of reading it.
func readEveryWay<Result: Equatable>(
    _ bytes: [UInt8], _ arrivals: [Arrival],
    _ read: (_ pieces: [ArraySlice<UInt8>]) throws(Violation) -> Result
) throws(Violation) -> Result {
    let whole = try read([bytes[...]])
    for arrival in arrivals {
        let other = try read(arrival.pieces(of: bytes))
        try require(other == whole, "\(arrival) of \(shown(bytes)) gives\n\(other), the whole\n\(whole)")
    }
    return whole
}

/// Random numbers that are the same in every run (SplitMix64).
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) {
        self.state = seed
    }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var word = self.state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}

/// A number that follows from the input (FNV-1a): what is left to chance is the same each time.
func fingerprint(of bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}
