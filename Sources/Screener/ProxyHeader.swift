package import Mail

/// What a proxy says of a connection before it passes it on: the PROXY protocol, version 1 and 2 (haproxy's
/// proxy-protocol.txt; SEMANTICS §14).
package enum ProxyHeader {
    package enum Source: Hashable, Sendable {
        /// The client as the proxy sees it, and the address of the proxy that it connected to.
        case proxied(client: Endpoint, local: Endpoint)
        /// The proxy speaks for itself, such as for a health check, or does not know for whom: the addresses of the
        /// connection count.
        case own
    }

    package enum Progress: Hashable, Sendable {
        /// All octets may be the beginning of a header.
        case incomplete
        /// So many octets are the header; what follows them is the client's.
        case complete(bytes: Int, Source)
        /// The text is for the log and holds nothing that the peer sent.
        case malformed(String)
    }

    /// With CR and LF.
    package static let maximumTextBytes = 107
    /// Of version 2, with the sixteen octets at whose end the length stands. The protocol allows 65,551.
    package static let maximumBinaryBytes = 16 + 2048

    /// Reads a header from its first octet on. The first octet that is wrong decides: nothing waits for more.
    ///
    /// - Parameter bytes: all that was received, not only what is new.
    package static func read(_ bytes: UnsafeRawBufferPointer) -> Progress {
        var reader = ProxyHeaderReader(bytes)
        do {
            let source = bytes.first == 0x0D ? try reader.readBinary() : try reader.readText()
            return .complete(bytes: reader.position, source)
        } catch {
            switch error {
            case .incomplete: return .incomplete
            case .malformed(let message): return .malformed(message)
            }
        }
    }
}

/// Reads octets until they end or one is wrong.
struct ProxyHeaderReader {
    enum Stop: Error {
        case incomplete
        case malformed(String)
    }

    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    private var remainingBytes: Int { self.bytes.count - self.position }

    func peek() throws(Stop) -> UInt8 {
        guard self.remainingBytes > 0 else { throw .incomplete }
        return self.bytes[self.position]
    }

    mutating func next() throws(Stop) -> UInt8 {
        let byte = try self.peek()
        self.position += 1
        return byte
    }

    /// Goes back to a place that was read.
    mutating func rewind(to position: Int) {
        self.position = min(position, self.position)
    }

    mutating func expect(_ text: StaticString, orError message: String) throws(Stop) {
        for index in 0..<text.utf8CodeUnitCount {
            guard try self.next() == text.utf8Start[index] else { throw .malformed(message) }
        }
    }
}

// MARK: - Version 2

extension ProxyHeaderReader {
    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]

    /// What the addresses are; the rest of the header is TLVs, which are skipped.
    private enum AddressBlock {
        case none, v4, v6, unix

        var bytes: Int {
            switch self {
            case .none: 0
            case .v4: 12
            case .v6: 36
            case .unix: 216
            }
        }
    }

    mutating func readBinary() throws(Stop) -> ProxyHeader.Source {
        for octet in Self.signature {
            guard try self.next() == octet else { throw .malformed("the signature of version 2 is damaged") }
        }
        let block = try self.readAddressBlock()
        let count = try self.readLength(atLeast: block.bytes)
        guard self.remainingBytes >= count else { throw .incomplete }
        defer { self.position += count }
        let addresses = self.bytes[self.position..<self.position + block.bytes]
        switch block {
        case .none, .unix: return .own
        case .v4: return Self.source(addresses, addressBytes: 4) { .v4(UInt32(Self.number($0))) }
        case .v6: return Self.source(addresses, addressBytes: 16) { IPAddress(v6Bytes: $0) }
        }
    }

    private mutating func readAddressBlock() throws(Stop) -> AddressBlock {
        let first = try self.next()
        guard first >> 4 == 2 else { throw .malformed("version \(first >> 4) is not supported") }
        guard first & 15 <= 1 else { throw .malformed("command \(first & 15) is not known") }
        let family = try self.next()
        // LOCAL: the family and what follows are ignored, whatever they are.
        guard first & 15 == 1 else { return .none }
        switch family {
        case 0x00: return .none
        case 0x11, 0x12: return .v4
        case 0x21, 0x22: return .v6
        case 0x31, 0x32: return .unix
        default: throw .malformed("family and transport \(family) are not known")
        }
    }

    /// The length of addresses and TLVs together.
    private mutating func readLength(atLeast minimum: Int) throws(Stop) -> Int {
        let limit = ProxyHeader.maximumBinaryBytes - 16
        let high = Int(try self.next()) << 8
        guard high <= limit else { throw .malformed("longer than \(limit) octets") }
        let count = high | Int(try self.next())
        guard count <= limit else { throw .malformed("longer than \(limit) octets") }
        guard count >= minimum else { throw .malformed("\(count) octets are too short for the addresses") }
        return count
    }

    /// Both addresses stand in front of both ports.
    private static func source(
        _ bytes: Slice<UnsafeRawBufferPointer>, addressBytes: Int,
        _ address: (Slice<UnsafeRawBufferPointer>) -> IPAddress
    ) -> ProxyHeader.Source {
        let ports = bytes.dropFirst(2 * addressBytes)
        return .proxied(
            client: Endpoint(address(bytes.prefix(addressBytes)), port: Self.number(ports.prefix(2))),
            local: Endpoint(
                address(bytes.dropFirst(addressBytes).prefix(addressBytes)), port: Self.number(ports.dropFirst(2))))
    }

    private static func number(_ bytes: Slice<UnsafeRawBufferPointer>) -> Int {
        bytes.reduce(0) { $0 << 8 | Int($1) }
    }
}
