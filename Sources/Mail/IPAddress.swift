/// An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses are IPv4 here, because that is who is connected.
package enum IPAddress: Hashable, Sendable {
    case v4(UInt32)
    case v6(high: UInt64, low: UInt64)

    /// The sixteen octets of an IPv6 address, in network order.
    package init(v6Bytes bytes: some Sequence<UInt8>) {
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in bytes.enumerated().prefix(16) {
            if index < 8 { words.0 = words.0 << 8 | UInt64(byte) } else { words.1 = words.1 << 8 | UInt64(byte) }
        }
        self =
            words.0 == 0 && words.1 >> 32 == 0xFFFF
            ? .v4(UInt32(words.1 & 0xFFFF_FFFF)) : .v6(high: words.0, low: words.1)
    }

    /// Bits of an address of this family: 32 or 128.
    package var width: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    package var isLoopback: Bool {
        switch self {
        case .v4(let value): value >> 24 == 127
        case .v6(let high, let low): high == 0 && low == 1
        }
    }

    /// `0.0.0.0` or `::`.
    package var isUnspecified: Bool { self == .v4(0) || self == .v6(high: 0, low: 0) }

    /// The network of this address with so many leading bits; the others become zero.
    package func network(prefixLength: Int) -> IPNetwork {
        let length = min(max(prefixLength, 0), self.width)
        switch self {
        case .v4(let value):
            return IPNetwork(masked: .v4(value & UInt32.leadingOnes(length)), prefixLength: length)
        case .v6(let high, let low):
            let masked = IPAddress.v6(
                high: high & UInt64.leadingOnes(min(length, 64)), low: low & UInt64.leadingOnes(max(length - 64, 0)))
            return IPNetwork(masked: masked, prefixLength: length)
        }
    }
}

extension FixedWidthInteger {
    fileprivate static func leadingOnes(_ count: Int) -> Self {
        count == 0 ? 0 : ~Self.zero << (Self.bitWidth - count)
    }
}

// MARK: - Text

extension IPAddress: CustomStringConvertible {
    /// Dotted quad, or the canonical text of RFC 5952.
    package var description: String {
        switch self {
        case .v4(let value):
            "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
        case .v6(let high, let low):
            Self.text(of: (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> (48 - 16 * ($0 & 3))) })
        }
    }

    /// The longest run of two or more zero groups, the first of equals, becomes `::` (RFC 5952 §4.2).
    private static func text(of groups: [UInt16]) -> String {
        var best = 0..<0
        var start = 0
        for index in 0...8 where index == 8 || groups[index] != 0 {
            if index - start >= 2, index - start > best.count { best = start..<index }
            start = index + 1
        }
        let hexadecimal = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
        guard !best.isEmpty else { return hexadecimal(groups[...]) }
        return "\(hexadecimal(groups[..<best.lowerBound]))::\(hexadecimal(groups[best.upperBound...]))"
    }

    /// Reads a dotted quad (no leading zeros, which some programs take for octal) or any form of RFC 4291 §2.2.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        if bytes.contains(UInt8(ascii: ":")) {
            guard let octets = Self.v6Bytes(bytes[...]) else { return nil }
            self.init(v6Bytes: octets)
        } else {
            guard let value = Self.v4Value(bytes[...]) else { return nil }
            self = .v4(value)
        }
    }

    private static func v4Value(_ text: ArraySlice<UInt8>) -> UInt32? {
        var (value, octet): (UInt32, UInt32) = (0, 0)
        var (digits, dots) = (0, 0)
        for byte in text {
            if byte == UInt8(ascii: ".") {
                guard digits > 0, dots < 3 else { return nil }
                value = value << 8 | octet
                dots += 1
                (octet, digits) = (0, 0)
            } else {
                // Behind a zero there is nothing more.
                guard ASCII.isDigit(byte), digits == 0 || octet > 0 else { return nil }
                octet = octet * 10 + UInt32(byte - UInt8(ascii: "0"))
                digits += 1
                guard octet <= 255 else { return nil }
            }
        }
        return dots == 3 && digits > 0 ? value << 8 | octet : nil
    }

    private static func v6Bytes(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let colon = UInt8(ascii: ":")
        let gap = text.indices.dropLast().first { text[$0] == colon && text[$0 + 1] == colon }
        guard let gap else { return Self.groups(text, mayEndInV4: true).flatMap { $0.count == 16 ? $0 : nil } }
        guard let front = Self.groups(text[..<gap], mayEndInV4: false),
            let back = Self.groups(text[(gap + 2)...], mayEndInV4: true), front.count + back.count <= 14
        else { return nil }
        return front + [UInt8](repeating: 0, count: 16 - front.count - back.count) + back
    }

    private static func groups(_ text: ArraySlice<UInt8>, mayEndInV4: Bool) -> [UInt8]? {
        guard !text.isEmpty else { return [] }
        var bytes: [UInt8] = []
        var rest = text
        while true {
            let end = rest.firstIndex(of: UInt8(ascii: ":")) ?? rest.endIndex
            let isLast = end == rest.endIndex
            if isLast, mayEndInV4, let value = Self.v4Value(rest) {
                for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
            } else {
                guard let group = Self.group(rest[..<end]) else { return nil }
                bytes.append(UInt8(group >> 8))
                bytes.append(UInt8(group & 255))
            }
            guard bytes.count <= 16 else { return nil }
            if isLast { return bytes }
            rest = rest[(end + 1)...]
        }
    }

    /// One to four hexadecimal digits.
    private static func group(_ text: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(text.count) else { return nil }
        var value: UInt16 = 0
        for byte in text {
            guard let digit = ASCII.hexValue(byte) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }
}

/// A network: an address and how many of its leading bits count.
package struct IPNetwork: Hashable, Sendable {
    /// The first address of the network.
    package let base: IPAddress
    package let prefixLength: Int

    fileprivate init(masked base: IPAddress, prefixLength: Int) {
        self.base = base
        self.prefixLength = prefixLength
    }

    package func contains(_ address: IPAddress) -> Bool {
        address.width == self.base.width && address.network(prefixLength: self.prefixLength) == self
    }
}

extension IPNetwork: CustomStringConvertible {
    package var description: String { "\(self.base)/\(self.prefixLength)" }

    /// What is wrong with the text of a network.
    package enum SyntaxError: Error, Equatable {
        case notANetwork
        /// Bits behind the prefix are set; the network meant may be the one given here.
        case hostBitsSet(meant: IPNetwork)
    }

    /// Reads `192.0.2.0/24`, `2001:db8::/32`, `[2001:db8::]/32` or a single address.
    package init(_ text: String) throws(SyntaxError) {
        var parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        if parts[0].hasPrefix("["), parts[0].hasSuffix("]") { parts[0] = parts[0].dropFirst().dropLast() }
        guard let address = IPAddress(parts[0]) else { throw .notANetwork }
        guard parts.count == 2 else {
            self = address.network(prefixLength: address.width)
            return
        }
        guard parts[1].utf8.allSatisfy(ASCII.isDigit), let length = Int(parts[1]), length <= address.width else {
            throw .notANetwork
        }
        self = address.network(prefixLength: length)
        guard self.base == address else { throw .hostBitsSet(meant: self) }
    }
}
