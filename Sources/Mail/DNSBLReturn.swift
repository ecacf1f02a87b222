/// What an address means that a list returns.
///
/// Lists that refuse to answer return an address too. Postfix takes any address for "listed", and a relay that asks
/// too often then refuses all mail (SEMANTICS §18).
package enum DNSBLReturn: Hashable, Sendable {
    case listed
    /// The list says nothing of the client. The text is for the log.
    case unavailable(String)

    /// - Parameters:
    ///   - address: an IPv4 address in host order.
    ///   - zone: the list that returned it, in lower case.
    package init(_ address: UInt32, from zone: String) {
        self = Self.unavailability(of: address, zone: zone).map { .unavailable($0) } ?? .listed
    }

    /// Why the list does not answer us; nil if it does.
    package static func unavailability(of address: UInt32, zone: String) -> String? {
        switch address {
        case 0x7FFF_FFFC: "the list's name is mistyped (127.255.255.252)"
        case 0x7FFF_FFFE: "asked through a public resolver (127.255.255.254)"
        case 0x7FFF_FFFF: "too many queries (127.255.255.255)"
        case 0x7FFF_FF00...0x7FFF_FFFF: "error code \(IPAddress.v4(address))"
        // URIBL and SURBL, and RFC 5782 §2.1 keeps other lists from using it.
        case 0x7F00_0001: "query refused (127.0.0.1)"
        case 0x7F00_00FF where zone == "dnswl.org" || zone.hasSuffix(".dnswl.org"):
            "over the limit of dnswl.org (127.0.0.255)"
        case 0x7F00_0000...0x7FFF_FFFF: nil
        default: "the answer \(IPAddress.v4(address)) is none of a list: the domain may be parked or hijacked"
        }
    }
}

extension IPAddress {
    /// The name under which a list is asked for the address: octets of IPv4 and nibbles of IPv6 from the last to the
    /// first (RFC 5782 §2.1, §2.4), in front of the list's domain. Either is asked for type A.
    package func reversed(in zone: String) -> String {
        String(unsafeUninitializedCapacity: Self.maximumReversedBytes + zone.utf8.count) { buffer in
            var count = 0
            let append = { (byte: UInt8) in
                buffer[count] = byte
                count += 1
            }
            switch self {
            case .v4(let value):
                for shift in stride(from: 0, to: 32, by: 8) {
                    let octet = UInt8(truncatingIfNeeded: value >> UInt32(shift))
                    if octet >= 100 { append(0x30 + octet / 100) }
                    if octet >= 10 { append(0x30 + octet / 10 % 10) }
                    append(0x30 + octet % 10)
                    append(ASCII.dot)
                }
            case .v6(let high, let low):
                for word in [low, high] {
                    for shift in stride(from: 0, to: 64, by: 4) {
                        let nibble = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
                        append(nibble < 10 ? 0x30 + nibble : 0x57 + nibble)
                        append(ASCII.dot)
                    }
                }
            }
            for byte in zone.utf8 { append(byte) }
            return count
        }
    }

    /// 32 nibbles with their dots; an IPv4 address takes 16 at most.
    private static let maximumReversedBytes = 64
}
