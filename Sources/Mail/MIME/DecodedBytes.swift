/// Room for what a decoder makes of a piece of its input.
struct DecodedBytes {
    /// The longest piece of input, and the room for what comes of it. No decoder but BinHex's makes more octets of its
    /// input than that has, besides what it kept from before.
    static let inputBytes = 16_384
    static let roomBytes = 20_480

    private let room: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ room: UnsafeMutableRawBufferPointer) {
        self.room = room
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self.room[..<self.count]) }

    var freeBytes: Int { self.room.count - self.count }

    /// Drops the octet if there is no room.
    @inline(__always)
    mutating func append(_ byte: UInt8) {
        guard self.count < self.room.count else { return }
        self.room[self.count] = byte
        self.count &+= 1
    }

    mutating func append(_ bytes: Slice<UnsafeRawBufferPointer>) {
        let piece = UnsafeRawBufferPointer(rebasing: bytes.prefix(self.freeBytes))
        UnsafeMutableRawBufferPointer(rebasing: self.room[self.count...]).copyMemory(from: piece)
        self.count += piece.count
    }

    /// Three octets, the first in bits 16 to 23.
    @inline(__always)
    mutating func append(_ bits: UInt32) {
        guard self.count &+ 3 <= self.room.count else { return }
        self.room[self.count] = UInt8(truncatingIfNeeded: bits &>> 16)
        self.room[self.count &+ 1] = UInt8(truncatingIfNeeded: bits &>> 8)
        self.room[self.count &+ 2] = UInt8(truncatingIfNeeded: bits)
        self.count &+= 3
    }
}
