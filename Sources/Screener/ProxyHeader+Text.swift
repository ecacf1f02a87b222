import Mail

/// Version 1 is a line: `PROXY TCP4 192.0.2.1 198.51.100.1 40000 25`.
///
/// It is read strictly, because a machine wrote it: single blanks, capitals, numbers without leading zeros.
extension ProxyHeaderReader {
    mutating func readText() throws(Stop) -> ProxyHeader.Source {
        try self.expect("PROXY ", orError: "neither 'PROXY ' nor the signature of version 2")
        let unknown = "neither TCP4 nor TCP6 nor UNKNOWN"
        if try self.peek() == UInt8(ascii: "U") {
            try self.expect("UNKNOWN", orError: unknown)
            return try self.readUnknown()
        }
        try self.expect("TCP", orError: unknown)
        switch try self.next() {
        case UInt8(ascii: "4"): return try self.readEndpoints { (reader) throws(Stop) in .v4(try reader.readV4()) }
        case UInt8(ascii: "6"): return try self.readEndpoints { (reader) throws(Stop) in try reader.readV6() }
        default: throw .malformed(unknown)
        }
    }

    /// What stands behind UNKNOWN is to be ignored. Only here can a line become too long: with the longest addresses
    /// it has 104 octets.
    private mutating func readUnknown() throws(Stop) -> ProxyHeader.Source {
        let first = try self.peek()
        guard first == ASCII.space || first == ASCII.carriageReturn else {
            throw .malformed("no blank behind UNKNOWN")
        }
        while true {
            let byte = try self.next()
            if byte == ASCII.carriageReturn { break }
            guard byte != ASCII.lineFeed else { throw .malformed("the line ends without CR") }
            guard self.position <= ProxyHeader.maximumTextBytes - 2 else {
                throw .malformed("longer than \(ProxyHeader.maximumTextBytes) octets")
            }
        }
        try self.expect("\n", orError: "no LF behind CR")
        return .own
    }

    private mutating func readEndpoints(
        _ readAddress: (inout ProxyHeaderReader) throws(Stop) -> IPAddress
    ) throws(Stop) -> ProxyHeader.Source {
        try self.expect(" ", orError: "no blank behind the family")
        let client = try readAddress(&self)
        try self.expect(" ", orError: "no blank behind the client's address")
        let local = try readAddress(&self)
        try self.expect(" ", orError: "no blank behind the local address")
        let clientPort = try self.readNumber(upTo: 65535, "the client's port")
        try self.expect(" ", orError: "no blank behind the client's port")
        let localPort = try self.readNumber(upTo: 65535, "the local port")
        try self.expect("\r\n", orError: "no CR and LF behind the local port")
        return .proxied(client: Endpoint(client, port: clientPort), local: Endpoint(local, port: localPort))
    }

    /// Digits up to an octet that is none, which must have come: until then more may follow.
    private mutating func readNumber(upTo limit: Int, _ name: String) throws(Stop) -> Int {
        guard ASCII.isDigit(try self.peek()) else { throw .malformed("\(name) is no number") }
        var value = 0
        var isFirst = true
        while ASCII.isDigit(try self.peek()) {
            guard isFirst || value > 0 else { throw .malformed("\(name) has a leading zero") }
            value = value * 10 + Int(try self.next() - 0x30)
            guard value <= limit else { throw .malformed("\(name) is above \(limit)") }
            isFirst = false
        }
        return value
    }

    private mutating func readV4() throws(Stop) -> UInt32 {
        var value: UInt32 = 0
        for index in 0..<4 {
            if index > 0 { try self.expect(".", orError: "no dot behind a number of an IPv4 address") }
            value = value << 8 | UInt32(try self.readNumber(upTo: 255, "a number of an IPv4 address"))
        }
        return value
    }

    /// The forms of RFC 4291 §2.2, the third of them only as programs print it: `::ffff:192.0.2.1`, `::192.0.2.1`.
    private mutating func readV6() throws(Stop) -> IPAddress {
        var groups: [UInt16] = []
        var gap: Int?
        if try self.peek() == UInt8(ascii: ":") {
            try self.expect("::", orError: "an IPv6 address begins with one colon")
            gap = 0
        }
        while true {
            // The address may end in two colons.
            if gap == groups.count, !ASCII.isHexDigit(try self.peek()) { break }
            guard groups.count < (gap == nil ? 8 : 7) else { throw .malformed("an IPv6 address has too many groups") }
            let start = self.position
            groups.append(try self.readGroup())
            let byte = try self.peek()
            if byte == ASCII.dot, gap == 0, groups.count == 1 || groups.count == 2 && groups[0] == 0xFFFF {
                self.rewind(to: start)
                let value = try self.readV4()
                groups[groups.count - 1] = UInt16(value >> 16)
                groups.append(UInt16(value & 0xFFFF))
                break
            }
            guard byte == UInt8(ascii: ":") else { break }
            guard groups.count < (gap == nil ? 8 : 7) else { throw .malformed("an IPv6 address has too many groups") }
            _ = try self.next()
            if gap == nil, try self.peek() == UInt8(ascii: ":") {
                _ = try self.next()
                gap = groups.count
            }
        }
        guard gap != nil || groups.count == 8 else { throw .malformed("an IPv6 address has too few groups") }
        let gapStart = gap ?? groups.count
        let zeros = Array(repeating: UInt16(0), count: 8 - groups.count)
        let all = groups[..<gapStart] + zeros + groups[gapStart...]
        return IPAddress(v6Bytes: all.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] })
    }

    private mutating func readGroup() throws(Stop) -> UInt16 {
        var value: UInt16 = 0
        for count in 0... {
            let byte = try self.peek()
            guard ASCII.isHexDigit(byte) else {
                if count == 0 { throw .malformed("an IPv6 address lacks a group") }
                break
            }
            guard count < 4 else { throw .malformed("a group of an IPv6 address has more than four digits") }
            _ = try self.next()
            value = value << 4 | UInt16(ASCII.isDigit(byte) ? byte - 0x30 : (byte | 0x20) - 0x57)
        }
        return value
    }
}
