import Mail

/// Names as SPF makes them: dotted text in which nothing is escaped (RFC 7208 §4.8).
enum SPFName {
    /// Octets of a name in this form (RFC 7208 §7.3).
    static let maximumBytes = 253

    /// The presentation form that DNS is asked for, in lower case; nil if there can be no such name: labels that are
    /// empty or too long, or other octets than printable ASCII.
    static func query(_ text: String) -> String? {
        let text = Self.withoutTrailingDot(text)
        guard (1...Self.maximumBytes).contains(text.utf8.count) else { return nil }
        var output: [UInt8] = []
        var labelBytes = 0
        for byte in text.utf8 {
            switch byte {
            case ASCII.dot:
                guard labelBytes > 0 else { return nil }
                labelBytes = 0
                output.append(byte)
                continue
            case ASCII.space: output += Array(#"\032"#.utf8)
            case UInt8(ascii: "\\"): output += Array(#"\\"#.utf8)
            case 0x21...0x7E: output.append(ASCII.lowercased(byte))
            default: return nil
            }
            labelBytes += 1
            guard labelBytes <= 63 else { return nil }
        }
        return labelBytes > 0 ? String(decoding: output, as: UTF8.self) : nil
    }

    /// The domain of an identity or of a policy: a name of two labels or more, U-labels become A-labels
    /// (RFC 7208 §4.3, RFC 8616 §4); nil for everything else, address literals too.
    static func domain(_ text: String) -> String? {
        var text = Self.withoutTrailingDot(text)
        if !text.isASCII {
            guard let name = DomainName(text) else { return nil }
            text = name.ascii
        }
        guard text.utf8.first != UInt8(ascii: "["), text.utf8.contains(ASCII.dot), Self.query(text) != nil else {
            return nil
        }
        return text
    }

    static func withoutTrailingDot(_ text: String) -> String {
        text.utf8.last == ASCII.dot ? String(text.dropLast()) : text
    }

    /// The reverse name of an address (RFC 1035 §3.5, RFC 3596 §2.5).
    static func reverse(_ address: IPAddress) -> String {
        let parts = Self.parts(of: address).reversed().joined(separator: ".")
        return "\(parts).\(Self.family(of: address)).arpa"
    }

    /// What the macro `v` stands for.
    static func family(of address: IPAddress) -> String { address.width == 32 ? "in-addr" : "ip6" }

    /// What the macro `i` stands for, in its parts: four octets or 32 nibbles.
    static func parts(of address: IPAddress) -> [String] {
        switch address {
        case .v4(let value): [24, 16, 8, 0].map { "\(value >> UInt32($0) & 255)" }
        case .v6(let high, let low):
            [high, low].flatMap { word in (0..<16).map { String(word >> UInt64(60 - 4 * $0) & 15, radix: 16) } }
        }
    }

    /// Whether the name is the domain or below it; both without trailing dot.
    static func isName(_ name: String, in domain: String) -> Bool {
        let (name, domain) = (name.asciiLowercased, domain.asciiLowercased)
        return name == domain || name.hasSuffix(".\(domain)")
    }
}
