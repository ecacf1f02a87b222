/// What stands behind the `@` of a mailbox, or what a client calls itself: a domain or an address literal
/// (RFC 5321 §4.1.2).
package enum Domain: Hashable, Sendable {
    case name(DomainName)
    case literal(AddressLiteral)

    /// The domain name; nil for an address literal.
    package var name: DomainName? {
        if case .name(let name) = self { name } else { nil }
    }

    /// The form for comparing and looking up: lower case, A-labels, literals in canonical text.
    package var key: String {
        switch self {
        case .name(let name): name.ascii
        case .literal(let literal): "[\(literal.taggedText)]"
        }
    }

    package var isASCII: Bool {
        if case .name(let name) = self { name.text.isASCII } else { true }
    }
}

extension Domain: CustomStringConvertible {
    /// As the client wrote it.
    package var description: String {
        switch self {
        case .name(let name): name.text
        case .literal(let literal): literal.description
        }
    }

    package init?(_ text: some StringProtocol) {
        if text.utf8.first == UInt8(ascii: "[") {
            guard let literal = AddressLiteral(text) else { return nil }
            self = .literal(literal)
        } else {
            guard let name = DomainName(text) else { return nil }
            self = .name(name)
        }
    }
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3). No other tag is registered, so no other is read.
package struct AddressLiteral: Hashable, Sendable, CustomStringConvertible {
    package let address: IPAddress
    /// As it was written, with its brackets.
    package let description: String

    package init(_ address: IPAddress) {
        self.address = address
        self.description = "[\(Self.taggedText(address))]"
    }

    package init?(_ text: some StringProtocol) {
        guard text.hasPrefix("["), text.hasSuffix("]") else { return nil }
        let inner = text.dropFirst().dropLast()
        if inner.prefix(5).equalsIgnoringCase("IPv6:") {
            guard let address = IPAddress(inner.dropFirst(5)), inner.utf8.dropFirst(5).contains(UInt8(ascii: ":"))
            else {
                return nil
            }
            self.address = address
        } else {
            guard let address = IPAddress(inner), address.width == 32 else { return nil }
            self.address = address
        }
        self.description = String(text)
    }

    /// `192.0.2.1` or `IPv6:2001:db8::1`.
    package var taggedText: String { Self.taggedText(self.address) }

    private static func taggedText(_ address: IPAddress) -> String {
        address.width == 32 ? "\(address)" : "IPv6:\(address)"
    }

    package static func == (left: AddressLiteral, right: AddressLiteral) -> Bool { left.address == right.address }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.address) }
}

/// A domain name of a mail address: labels of letters, digits, hyphens, or U-labels (RFC 5321 §2.3.5, RFC 6531 §3.3).
///
/// Underscores are accepted, because names that have them send mail. A trailing dot is not: RFC 5321 knows
/// none, and `example.com.` must not be another domain than `example.com` to any list.
package struct DomainName: Hashable, Sendable {
    /// As it was written.
    package let text: String
    /// Lower case with A-labels; the form for DNS and every comparison.
    package let ascii: String

    package static let maximumBytes = 255

    package init?(_ text: some StringProtocol) {
        let text = String(text)
        guard let form = Self.form(of: text) else { return nil }
        switch form {
        case .lowercase: self.ascii = text
        case .mixedCase: self.ascii = text.asciiLowercased
        case .international:
            guard text.isPrintable, let ascii = Punycode.asciiDomain(text), Self.form(of: ascii) != nil else {
                return nil
            }
            self.ascii = ascii
        }
        self.text = text
    }

    package static func == (left: DomainName, right: DomainName) -> Bool { left.ascii == right.ascii }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.ascii) }

    package var labelCount: Int { self.ascii.utf8.reduce(1) { $0 + ($1 == ASCII.dot ? 1 : 0) } }

    private enum Form { case lowercase, mixedCase, international }

    /// What must be done to the text to compare it; nil if it is no domain.
    private static func form(of text: String) -> Form? {
        var form = Form.lowercase
        var labelBytes = 0
        var last = ASCII.dot
        guard (1...Self.maximumBytes).contains(text.utf8.count) else { return nil }
        for byte in text.utf8 {
            switch byte {
            case ASCII.dot:
                guard labelBytes > 0, last != UInt8(ascii: "-") else { return nil }
                labelBytes = 0
            case UInt8(ascii: "-") where labelBytes == 0: return nil
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                labelBytes += 1
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                if form == .lowercase { form = .mixedCase }
                labelBytes += 1
            case 0x80...:
                form = .international
                labelBytes += 1
            default: return nil
            }
            // U-labels are counted in their A-label form, by the second look at it.
            guard labelBytes <= 63 || form == .international else { return nil }
            last = byte
        }
        guard labelBytes > 0, last != UInt8(ascii: "-") else { return nil }
        return form == .international || !text.containsALabel || Punycode.hasValidALabels(text) ? form : nil
    }
}

extension String {
    /// Whether any label begins with `xn--`.
    fileprivate var containsALabel: Bool {
        guard self.utf8.count > 4 else { return false }
        return self.split(separator: ".").contains { $0.prefix(4).equalsIgnoringCase("xn--") }
    }
}
