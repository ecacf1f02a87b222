/// XXH64, the checksum of content and records: finds damage, and costs less than reading.
///
/// Follows the specification of xxHash 0.1.1, seed 0. Not for telling apart what somebody made to collide.
package struct Checksum: Sendable {
    private static let primes: (UInt64, UInt64, UInt64, UInt64, UInt64) = (
        0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63,
        0x27D4_EB2F_1656_67C5
    )

    private var lanes: SIMD4<UInt64>
    /// Octets that do not fill a stripe of 32 yet.
    private var rest: [UInt8] = []
    private var totalBytes: UInt64 = 0

    package init() {
        self.lanes = SIMD4(Self.primes.0 &+ Self.primes.1, Self.primes.1, 0, 0 &- Self.primes.0)
    }

    package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var checksum = Checksum()
        checksum.update(bytes)
        return checksum.value
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        self.totalBytes &+= UInt64(bytes.count)
        var start = 0
        if !self.rest.isEmpty {
            start = min(32 - self.rest.count, bytes.count)
            self.rest += bytes[..<start]
            guard self.rest.count == 32 else { return }
            self.rest.withUnsafeBytes { self.lanes = Self.mixed(self.lanes, $0, stripes: 1) }
            self.rest.removeAll(keepingCapacity: true)
        }
        let stripes = (bytes.count - start) / 32
        if stripes > 0 {
            self.lanes = Self.mixed(
                self.lanes, UnsafeRawBufferPointer(rebasing: bytes[start...]), stripes: stripes)
        }
        self.rest += bytes[(start + stripes * 32)...]
    }

    /// The checksum of what has been given so far.
    package var value: UInt64 {
        var hash = Self.primes.4
        if self.totalBytes >= 32 {
            let rotations = SIMD4<UInt64>(1, 7, 12, 18)
            let rotated = (self.lanes &<< rotations) | (self.lanes &>> (64 &- rotations))
            hash = rotated.wrappedSum()
            for index in 0..<4 {
                hash = (hash ^ Self.round(0, self.lanes[index])) &* Self.primes.0 &+ Self.primes.3
            }
        }
        hash &+= self.totalBytes
        return Self.avalanche(self.withRest(hash))
    }

    private func withRest(_ hash: UInt64) -> UInt64 {
        self.rest.withUnsafeBytes { bytes in
            var hash = hash
            var index = 0
            while index + 8 <= bytes.count {
                let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                hash = (hash ^ Self.round(0, word)).rotated(27) &* Self.primes.0 &+ Self.primes.3
                index += 8
            }
            if index + 4 <= bytes.count {
                let word = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self))
                hash = (hash ^ (UInt64(word) &* Self.primes.0)).rotated(23) &* Self.primes.1 &+ Self.primes.2
                index += 4
            }
            for byte in bytes[index...] {
                hash = (hash ^ (UInt64(byte) &* Self.primes.4)).rotated(11) &* Self.primes.0
            }
            return hash
        }
    }

    private static func mixed(
        _ lanes: SIMD4<UInt64>, _ bytes: UnsafeRawBufferPointer, stripes: Int
    ) -> SIMD4<UInt64> {
        var (a, b, c, d) = (lanes[0], lanes[1], lanes[2], lanes[3])
        for stripe in 0..<stripes {
            let place = stripe * 32
            a = Self.round(a, UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
            b = Self.round(b, UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place + 8, as: UInt64.self)))
            c = Self.round(c, UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place + 16, as: UInt64.self)))
            d = Self.round(d, UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place + 24, as: UInt64.self)))
        }
        return SIMD4(a, b, c, d)
    }

    @inline(__always)
    private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        (lane &+ word &* Self.primes.1).rotated(31) &* Self.primes.0
    }

    private static func avalanche(_ value: UInt64) -> UInt64 {
        var hash = value
        hash = (hash ^ (hash &>> 33)) &* Self.primes.1
        hash = (hash ^ (hash &>> 29)) &* Self.primes.2
        return hash ^ (hash &>> 32)
    }
}

extension UInt64 {
    @inline(__always)
    fileprivate func rotated(_ bits: UInt64) -> UInt64 { self &<< bits | self &>> (64 &- bits) }
}
