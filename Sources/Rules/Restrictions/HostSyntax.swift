import Mail

/// What counts as a host name (Postfix's `valid_hostname`), which is more than ``DomainName`` allows in one way and less
/// in another: underscores may stand anywhere, and a name of numbers alone is none.
enum HostSyntax {
    static func isHostName(_ text: some StringProtocol) -> Bool {
        var labelBytes = 0
        var last = UInt8(ascii: ".")
        var hasLetter = false
        guard (1...255).contains(text.utf8.count) else { return false }
        for byte in text.utf8 {
            switch byte {
            case ASCII.dot:
                guard labelBytes > 0, last != UInt8(ascii: "-") else { return false }
                labelBytes = 0
            case UInt8(ascii: "-"):
                guard labelBytes > 0 else { return false }
                labelBytes += 1
                hasLetter = true
            case _ where ASCII.isAlphanumeric(byte) || byte == UInt8(ascii: "_"):
                labelBytes += 1
                if !ASCII.isDigit(byte) { hasLetter = true }
            default: return false
            }
            guard labelBytes <= 63 else { return false }
            last = byte
        }
        return labelBytes > 0 && last != UInt8(ascii: "-") && hasLetter
    }

    /// `192.0.2.1` or `IPv6:2001:db8::1`, as it stands between the brackets of a literal.
    static func isLiteral(_ text: some StringProtocol) -> Bool { AddressLiteral("[\(text)]") != nil }

    /// Without the one dot at the end that a name may have.
    static func withoutFinalDot(_ name: String) -> Substring {
        name.utf8.count > 1 && name.hasSuffix(".") && !name.hasSuffix("..") ? name.dropLast() : name[...]
    }

    /// The name in lower case and ASCII, for asking name servers; nil if it cannot be a name.
    static func askable(_ name: some StringProtocol) -> String? {
        let bare = Self.withoutFinalDot(String(name))
        guard bare.isASCII else { return DomainName(bare)?.ascii }
        return Self.isHostName(bare) ? bare.asciiLowercased : nil
    }
}

extension HostSyntax {
    /// A host name of several labels, with or without a dot at its end.
    static func isQualified(_ name: String) -> Bool {
        let bare = Self.withoutFinalDot(name)
        return Self.isHostName(bare) && bare.utf8.contains(ASCII.dot)
    }
}
