/// What is wrong with the bytes of a message.
package enum DNSMessageError: Error, Hashable, Sendable {
    /// The message ends too early.
    case truncated
    /// A name is too long, or has a label or a pointer that cannot be.
    case invalidName
    /// The data of a record does not fit its type or its length.
    case invalidData(DNSType)
    /// Not exactly one question.
    case questionCount(Int)
}

/// Reads the wire format of RFC 1035 §4.1. No input makes it trap or run on: every access is checked, and names end.
struct WireReader {
    private let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func uint8() throws(DNSMessageError) -> UInt8 {
        guard self.position < self.bytes.count else { throw .truncated }
        defer { self.position += 1 }
        return self.bytes[self.position]
    }

    mutating func uint16() throws(DNSMessageError) -> UInt16 {
        let high = try self.uint8()
        return UInt16(high) << 8 | UInt16(try self.uint8())
    }

    mutating func uint32() throws(DNSMessageError) -> UInt32 {
        let high = try self.uint16()
        return UInt32(high) << 16 | UInt32(try self.uint16())
    }

    mutating func uint64() throws(DNSMessageError) -> UInt64 {
        let high = try self.uint32()
        return UInt64(high) << 32 | UInt64(try self.uint32())
    }

    /// A number of seconds; with the highest bit set it means zero (RFC 2181 §8).
    mutating func seconds() throws(DNSMessageError) -> Duration {
        let value = try self.uint32()
        return .seconds(value >> 31 == 0 ? value : 0)
    }

    mutating func octets(_ count: Int) throws(DNSMessageError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= self.bytes.count - self.position else { throw .truncated }
        defer { self.position += count }
        return self.bytes[self.position..<self.position + count]
    }

    mutating func skip(_ count: Int) throws(DNSMessageError) {
        _ = try self.octets(count)
    }

    /// A name, compressed or not (RFC 1035 §4.1.4).
    ///
    /// A pointer must lead to a place before the one where the name, or what the last pointer led to, begins.
    /// Real compression always does, and so there is no loop.
    mutating func name() throws(DNSMessageError) -> DNSName {
        var builder = DNSName.Builder()
        var reader = self
        var start = self.position
        var end: Int?
        while true {
            let length = try reader.uint8()
            switch length {
            case 0:
                self.position = end ?? reader.position
                return builder.finish() ?? .root
            case 1...63:
                for octet in try reader.octets(Int(length)) {
                    guard builder.append(octet) else { throw .invalidName }
                }
                _ = builder.endLabel()
            case 0xC0...0xFF:
                let target = Int(length & 0x3F) << 8 | Int(try reader.uint8())
                guard target < start else { throw .invalidName }
                end = end ?? reader.position
                start = target
                reader.position = target
            default: throw .invalidName
            }
        }
    }

    /// Strings with a length octet in front, up to a place in the message.
    mutating func strings(upTo end: Int) throws(DNSMessageError) -> [[UInt8]] {
        var strings: [[UInt8]] = []
        while self.position < end {
            let length = Int(try self.uint8())
            strings.append(Array(try self.octets(length)))
        }
        return strings
    }
}
