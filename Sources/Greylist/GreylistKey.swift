import Mail

/// Whose record it is. The network stands in it as it is; of sender and recipient only a fingerprint, which keeps keys
/// short and addresses off the disk. Two of them could only collide within one network.
enum GreylistKey {
    static func triplet(_ network: IPNetwork, sender: ReversePath, recipient: Mailbox) -> [UInt8] {
        let recipient = "\(recipient.localPart.unquoted.lowercased())@\(recipient.domain.key)"
        let text = Array(GreylistSender.key(sender).utf8) + [0] + recipient.utf8
        return self.key(UInt8(ascii: "t"), network) + self.fingerprint(text)
    }

    static func client(_ network: IPNetwork) -> [UInt8] { self.key(UInt8(ascii: "c"), network) }

    /// Kind, 4 or 6, length of the prefix, and the octets of the address that it covers.
    private static func key(_ kind: UInt8, _ network: IPNetwork) -> [UInt8] {
        var bytes: [UInt8] = [kind, network.base.width == 32 ? 4 : 6, UInt8(network.prefixLength)]
        switch network.base {
        case .v4(let value): withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
        case .v6(let high, let low):
            withUnsafeBytes(of: high.bigEndian) { bytes += $0 }
            withUnsafeBytes(of: low.bigEndian) { bytes += $0 }
        }
        return bytes
    }

    /// FNV-1a of 128 bits (draft-eastlake-fnv), in network order.
    static func fingerprint(_ bytes: [UInt8]) -> [UInt8] {
        var hash: UInt128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D
        for byte in bytes { hash = (hash ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013B }
        return withUnsafeBytes(of: hash.bigEndian) { Array($0) }
    }
}
