import Mail

/// Networks as Postfix's lists of clients have them.
enum MatchList {
    /// `192.0.2.0/24`, `[2001:db8::]/32`, `[::1]/128`, `192.0.2.1`. Bits behind the prefix do not count, and what is
    /// IPv4-mapped is IPv4.
    static func network(_ text: String) -> IPNetwork? {
        var bare = text
        // Also `[2001:db8::/32]`.
        if bare.hasPrefix("["), bare.hasSuffix("]") { bare = String(bare.dropFirst().dropLast()) }
        do {
            return try IPNetwork(bare)
        } catch IPNetwork.SyntaxError.hostBitsSet(let meant) {
            return meant
        } catch {
            return Self.mapped(bare)
        }
    }

    /// `[::ffff:127.0.0.0]/104`, which the library for addresses may read as IPv4 with a longer prefix than it has.
    private static func mapped(_ text: String) -> IPNetwork? {
        let parts = text.split(separator: "/", maxSplits: 1)
        guard parts.count == 2, let length = Int(parts[1]), (96...128).contains(length) else { return nil }
        var host = parts[0]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard host.lowercased().hasPrefix("::ffff:"), let address = IPAddress(host.dropFirst("::ffff:".count)),
            address.width == 32
        else { return nil }
        return address.network(prefixLength: length - 96)
    }
}
