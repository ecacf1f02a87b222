import Mail

/// Writes a record: the format number, fields one after the other, and at the end the checksum of all before it.
struct RecordWriter {
    private(set) var bytes: [UInt8]

    init(format: UInt8) {
        self.bytes = [format]
        self.bytes.reserveCapacity(256)
    }

    mutating func write(byte: UInt8) { self.bytes.append(byte) }

    /// A number in groups of seven bits, lowest first.
    mutating func write(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            self.bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.bytes.append(UInt8(rest))
    }

    mutating func write(_ count: Int) { self.write(UInt64(max(count, 0))) }

    mutating func write(_ time: Timestamp) { self.write(UInt64(clamping: time.microseconds)) }

    /// Eight octets in network order.
    mutating func write(fixed number: UInt64) { withUnsafeBytes(of: number.bigEndian) { self.bytes += $0 } }

    mutating func write(_ text: String) {
        self.write(text.utf8.count)
        self.bytes += text.utf8
    }

    /// A text that may be missing, which is not the same as empty.
    mutating func write(optional text: String?) {
        self.write(byte: text == nil ? 0 : 1)
        if let text { self.write(text) }
    }

    consuming func finish() -> [UInt8] {
        self.write(fixed: self.bytes.withUnsafeBytes { Checksum.of($0) })
        return self.bytes
    }
}

/// Reads what ``RecordWriter`` wrote, and finds out if it did not.
package struct RecordReader {
    package struct Damage: Error, Equatable {
        let what: String
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 1

    /// Checks the checksum and the format number.
    ///
    /// - Parameter bytes: must stay valid while the reader is used.
    init(_ bytes: UnsafeRawBufferPointer, format: UInt8) throws(Damage) {
        guard bytes.count > 8 else { throw Damage(what: "record of \(bytes.count) octets") }
        let content = UnsafeRawBufferPointer(rebasing: bytes.dropLast(8))
        let stored = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: content.count, as: UInt64.self))
        guard Checksum.of(content) == stored else { throw Damage(what: "wrong checksum") }
        guard bytes[0] == format else { throw Damage(what: "unknown format \(bytes[0])") }
        self.bytes = content
    }

    var isAtEnd: Bool { self.position == self.bytes.count }

    mutating func readByte() throws(Damage) -> UInt8 {
        guard self.position < self.bytes.count else { throw Damage(what: "record ends early") }
        defer { self.position += 1 }
        return self.bytes[self.position]
    }

    mutating func readNumber() throws(Damage) -> UInt64 {
        var number: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            let byte = try self.readByte()
            number |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return number }
        }
        throw Damage(what: "number too long")
    }

    /// A number of things, each of which has at least one octet.
    mutating func readCount() throws(Damage) -> Int {
        let number = try self.readNumber()
        guard number <= UInt64(self.bytes.count - self.position) else { throw Damage(what: "count too large") }
        return Int(number)
    }

    mutating func readInt() throws(Damage) -> Int { Int(clamping: try self.readNumber()) }

    mutating func readTime() throws(Damage) -> Timestamp {
        Timestamp(microseconds: Int64(clamping: try self.readNumber()))
    }

    mutating func readFixed() throws(Damage) -> UInt64 {
        guard self.bytes.count - self.position >= 8 else { throw Damage(what: "record ends early") }
        defer { self.position += 8 }
        return UInt64(bigEndian: self.bytes.loadUnaligned(fromByteOffset: self.position, as: UInt64.self))
    }

    mutating func readText() throws(Damage) -> String {
        let count = try self.readCount()
        defer { self.position += count }
        return String(decoding: self.bytes[self.position..<self.position + count], as: UTF8.self)
    }

    mutating func readOptionalText() throws(Damage) -> String? {
        try self.readByte() == 0 ? nil : try self.readText()
    }
}
