package import Mail

/// A policy: the terms of a record in their order (RFC 7208 §4.6).
package struct SPFRecord: Hashable, Sendable {
    package let terms: [SPFTerm]

    /// The last mechanism decides of what no other matches; without `all` and `redirect` that is neutral.
    package var redirect: SPFMacroString? {
        for case .redirect(let domain) in self.terms { return domain }
        return nil
    }

    package var explanation: SPFMacroString? {
        for case .explanation(let domain) in self.terms { return domain }
        return nil
    }

    init(checked terms: [SPFTerm]) { self.terms = terms }
}

package enum SPFTerm: Hashable, Sendable {
    case directive(SPFDirective)
    case redirect(SPFMacroString)
    case explanation(SPFMacroString)
    /// A modifier that RFC 7208 does not know; it has no effect.
    case unknown(name: String, value: SPFMacroString)
}

/// A mechanism and what comes of a match.
package struct SPFDirective: Hashable, Sendable {
    package enum Qualifier: UInt8, Hashable, Sendable {
        case pass = 0x2B, fail = 0x2D, neutral = 0x3F, softfail = 0x7E

        package var result: SPFResult.Kind {
            switch self {
            case .pass: .pass
            case .fail: .fail
            case .neutral: .neutral
            case .softfail: .softfail
            }
        }
    }

    package let qualifier: Qualifier
    package let mechanism: SPFMechanism
}

/// What a client is compared with (RFC 7208 §5).
package enum SPFMechanism: Hashable, Sendable {
    case all
    case include(SPFMacroString)
    /// Without a domain, the current one.
    case a(SPFMacroString?, SPFPrefixLengths)
    case mx(SPFMacroString?, SPFPrefixLengths)
    case ptr(SPFMacroString?)
    /// `ip4` or `ip6`, which is the family of the address. An IPv4-mapped address is one of IPv6 here.
    case address(IPAddress, prefixLength: Int?)
    case exists(SPFMacroString)

    /// Those of RFC 7208 §4.6.4, of which ten may be evaluated.
    package var causesLookup: Bool {
        switch self {
        case .include, .a, .mx, .ptr, .exists: true
        case .all, .address: false
        }
    }

    package var domain: SPFMacroString? {
        switch self {
        case .include(let domain), .exists(let domain): domain
        case .a(let domain, _), .mx(let domain, _), .ptr(let domain): domain
        case .all, .address: nil
        }
    }
}

/// `/24//64`; nil: the whole address.
package struct SPFPrefixLengths: Hashable, Sendable {
    package let v4: Int?
    package let v6: Int?

    func matches(_ address: IPAddress, _ client: IPAddress) -> Bool {
        guard address.width == client.width else { return false }
        let length = client.width == 32 ? self.v4 : self.v6
        return address.network(prefixLength: length ?? client.width).contains(client)
    }
}

// MARK: - Text

extension SPFRecord: CustomStringConvertible {
    /// A record that is read as an equal one.
    package var description: String { (["v=spf1"] + self.terms.map(\.description)).joined(separator: " ") }
}

extension SPFTerm: CustomStringConvertible {
    package var description: String {
        switch self {
        case .directive(let directive):
            (directive.qualifier == .pass ? "" : String(UnicodeScalar(directive.qualifier.rawValue)))
                + directive.mechanism.description
        case .redirect(let domain): "redirect=\(domain)"
        case .explanation(let domain): "exp=\(domain)"
        case .unknown(let name, let value): "\(name)=\(value)"
        }
    }
}

extension SPFMechanism: CustomStringConvertible {
    package var description: String {
        let suffix = { (domain: SPFMacroString?) in domain.map { ":\($0)" } ?? "" }
        return switch self {
        case .all: "all"
        case .include(let domain): "include:\(domain)"
        case .a(let domain, let lengths): "a\(suffix(domain))\(lengths)"
        case .mx(let domain, let lengths): "mx\(suffix(domain))\(lengths)"
        case .ptr(let domain): "ptr\(suffix(domain))"
        case .address(let address, let length):
            "\(address.width == 32 ? "ip4" : "ip6"):\(address)\(length.map { "/\($0)" } ?? "")"
        case .exists(let domain): "exists:\(domain)"
        }
    }
}

extension SPFPrefixLengths: CustomStringConvertible {
    package var description: String {
        (self.v4.map { "/\($0)" } ?? "") + (self.v6.map { "//\($0)" } ?? "")
    }
}
