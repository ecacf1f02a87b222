import Mail

/// The left-hand side of a line of a ``CIDRTable``.
struct CIDRPattern: Hashable, Sendable, CustomStringConvertible {
    let network: IPNetwork
    let isNegated: Bool

    /// An address of the other family matches neither a network nor its negation.
    func matches(_ address: IPAddress) -> Bool {
        address.width == self.network.base.width && self.network.contains(address) != self.isNegated
    }

    var description: String { "\(self.isNegated ? "!" : "")\(self.network)" }

    /// Reads an address or `address/length`, with brackets around either or none.
    init(_ text: String, isNegated: Bool) throws(CIDRSyntaxError) {
        if text.isEmpty { throw CIDRSyntaxError("a network is missing") }
        let bare = try Self.withoutBrackets(text)
        try Self.checkUnmapped(bare)
        do {
            self.network = try IPNetwork(bare)
        } catch {
            switch error {
            case .notANetwork: throw CIDRSyntaxError("'\(text)' is neither an address nor a network")
            case .hostBitsSet(let meant):
                throw CIDRSyntaxError("'\(text)' has bits behind its prefix: probably '\(meant)' is meant")
            }
        }
        self.isNegated = isNegated
    }

    private static func withoutBrackets(_ text: String) throws(CIDRSyntaxError) -> String {
        guard text.hasPrefix("[") else { return text }
        guard let close = text.firstIndex(of: "]") else { throw CIDRSyntaxError("']' is missing in '\(text)'") }
        let rest = text[text.index(after: close)...]
        guard rest.isEmpty || rest.hasPrefix("/") else { throw CIDRSyntaxError("text behind ']' in '\(text)'") }
        return "\(text[..<close].dropFirst())\(rest)"
    }

    /// Networks of IPv6 hold no IPv4-mapped addresses: ``IPAddress`` makes them IPv4.
    private static func checkUnmapped(_ text: String) throws(CIDRSyntaxError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts[0].contains(":"), let address = IPAddress(parts[0]), address.width == 32 else { return }
        let length = parts.count == 1 ? 128 : Int(parts[1]) ?? 0
        let meant = length < 96 ? "" : ": write '\(address.network(prefixLength: length - 96))'"
        throw CIDRSyntaxError("'\(text)' is IPv4-mapped, and no client is looked up so\(meant)")
    }
}

/// What is wrong in a line of a ``CIDRTable``.
struct CIDRSyntaxError: Error {
    let message: String

    init(_ message: String) {
        self.message = message
    }
}
