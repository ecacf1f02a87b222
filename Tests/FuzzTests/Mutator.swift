import FuzzTargets

/// Makes inputs out of others: octets changed, taken out and put in, pieces repeated and mixed.
struct Mutator {
    private let inputs: [[UInt8]]
    private let limit: Int
    private var generator: SeededGenerator

    /// Octets that mean something to one parser or another.
    private static let telling =
        Array("\r\n\0 \t.,;:<>@\"\\[]{}()+-=/#%*0159AZaz\u{80}\u{FF}".utf8) + [0x80, 0xC0, 0xFF]

    init(inputs: [[UInt8]], limit: Int, seed: UInt64) {
        self.inputs = inputs.isEmpty ? [[]] : inputs
        self.limit = limit
        self.generator = SeededGenerator(seed: seed)
    }

    mutating func next() -> [UInt8] {
        var bytes = self.pick()
        for _ in 0..<self.random(1...4) { self.mutate(&bytes) }
        return Array(bytes.prefix(self.limit))
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        let place = self.random(0...bytes.count)
        let end = min(place + self.random(1...8), bytes.count)
        switch self.random(0...6) {
        case 0: bytes.insert(self.octet(), at: place)
        case 1: bytes.removeSubrange(place..<end)
        case 2: if place < bytes.count { bytes[place] = self.octet() }
        case 3: if place < bytes.count { bytes[place] ^= 1 << UInt8(self.random(0...7)) }
        case 4: bytes.insert(contentsOf: bytes[place..<end], at: self.random(0...bytes.count))
        case 5: bytes = bytes[..<place] + self.piece()
        default: bytes.insert(contentsOf: self.piece().prefix(self.random(1...32)), at: place)
        }
    }

    private mutating func piece() -> [UInt8] {
        let other = self.pick()
        return Array(other[self.random(0...other.count)...])
    }

    private mutating func pick() -> [UInt8] { self.inputs[self.random(0...self.inputs.count - 1)] }

    private mutating func octet() -> UInt8 {
        self.random(0...3) == 0
            ? UInt8(self.random(0...255)) : Self.telling[self.random(0...Self.telling.count - 1)]
    }

    private mutating func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self.generator) }
}
