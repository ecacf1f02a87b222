/// The data of one record.
package enum DNSRecord: Hashable, Sendable {
    /// An IPv4 address in host order: 192.0.2.1 is 0xC0000201.
    case a(UInt32)
    case aaaa(high: UInt64, low: UInt64)
    case mx(preference: UInt16, exchange: DNSName)
    /// The strings of a TXT record; each has at most 255 octets of any value.
    case txt([[UInt8]])
    case ptr(DNSName)
    case ns(DNSName)
    case cname(DNSName)
    indirect case soa(DNSAuthority)
    case tlsa(DNSCertificateAssociation)
    /// Records of every other type, as they came.
    case other(DNSType, [UInt8])

    package var type: DNSType {
        switch self {
        case .a: .a
        case .aaaa: .aaaa
        case .mx: .mx
        case .txt: .txt
        case .ptr: .ptr
        case .ns: .ns
        case .cname: .cname
        case .soa: .soa
        case .tlsa: .tlsa
        case .other(let type, _): type
        }
    }
}

/// Start of a zone of authority (RFC 1035 §3.3.13).
package struct DNSAuthority: Hashable, Sendable {
    package let primary: DNSName
    package let mailbox: DNSName
    package let serial: UInt32
    package let refresh: Duration
    package let retry: Duration
    package let expire: Duration
    /// How long a negative answer may be kept (RFC 2308 §4).
    package let minimum: Duration

    package init(
        primary: DNSName, mailbox: DNSName, serial: UInt32, refresh: Duration, retry: Duration, expire: Duration,
        minimum: Duration
    ) {
        self.primary = primary
        self.mailbox = mailbox
        self.serial = serial
        self.refresh = refresh
        self.retry = retry
        self.expire = expire
        self.minimum = minimum
    }
}

/// The numbers and the data of a TLSA record (RFC 6698 §2.1), not judged here.
package struct DNSCertificateAssociation: Hashable, Sendable {
    package let usage: UInt8
    package let selector: UInt8
    package let matching: UInt8
    package let data: [UInt8]

    package init(usage: UInt8, selector: UInt8, matching: UInt8, data: [UInt8]) {
        self.usage = usage
        self.selector = selector
        self.matching = matching
        self.data = data
    }
}
