import Mail

/// What DNSSEC says of a host's addresses.
package struct HostSecurity: Hashable, Sendable {
    package var isIPv4Secure: Bool
    package var isIPv6Secure: Bool
    /// Where its CNAME chain ends; nil if it is no alias.
    package var canonicalName: String?

    package init(isIPv4Secure: Bool = false, isIPv6Secure: Bool = false, canonicalName: String? = nil) {
        self.isIPv4Secure = isIPv4Secure
        self.isIPv6Secure = isIPv6Secure
        self.canonicalName = canonicalName
    }

    func isSecure(_ address: IPAddress) -> Bool { address.width == 32 ? self.isIPv4Secure : self.isIPv6Secure }
}

/// How a server was found: which next hop it is a server of, and what DNSSEC says of the way there (RFC 7672 §2.2).
package struct ServerOrigin: Hashable, Sendable {
    package var hop: NextHop?
    /// The domain of MX records, and what it is an alias of; empty where there was none to ask about.
    package var domains: [String]
    /// Of the MX record that names the host; 0 where there is none, nil where none is asked for.
    package var preference: Int?
    /// The MX records, or that there are none, are proven.
    package var isMXSecure: Bool
    /// The address is proven, the host's CNAME chain included.
    package var isAddressSecure: Bool
    /// Where the host's CNAME chain ends; nil if it is no alias.
    package var canonicalName: String?

    package init(
        hop: NextHop? = nil, domains: [String] = [], isMXSecure: Bool = false, isAddressSecure: Bool = false,
        canonicalName: String? = nil
    ) {
        self.hop = hop
        self.domains = domains
        self.isMXSecure = isMXSecure
        self.isAddressSecure = isAddressSecure
        self.canonicalName = canonicalName
    }

    /// The domain whose policies for its mail count: that of MX records, never a host that the administrator named.
    package var domain: String? {
        guard let hop, hop.usesMX, case .name(let name) = hop.host else { return nil }
        return name.asciiLowercased
    }

    func leading(to host: HostSecurity, at address: IPAddress) -> ServerOrigin {
        var origin = self
        origin.isAddressSecure = host.isSecure(address)
        origin.canonicalName = host.canonicalName
        return origin
    }
}
