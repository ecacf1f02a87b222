/// The type of a record, by its number in the IANA registry. Any other number can be asked for as well.
package struct DNSType: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let a = DNSType(rawValue: 1)
    package static let ns = DNSType(rawValue: 2)
    package static let cname = DNSType(rawValue: 5)
    package static let soa = DNSType(rawValue: 6)
    package static let ptr = DNSType(rawValue: 12)
    package static let mx = DNSType(rawValue: 15)
    package static let txt = DNSType(rawValue: 16)
    package static let aaaa = DNSType(rawValue: 28)
    package static let srv = DNSType(rawValue: 33)
    package static let ds = DNSType(rawValue: 43)
    package static let rrsig = DNSType(rawValue: 46)
    package static let nsec = DNSType(rawValue: 47)
    package static let dnskey = DNSType(rawValue: 48)
    package static let nsec3 = DNSType(rawValue: 50)
    package static let tlsa = DNSType(rawValue: 52)
    package static let caa = DNSType(rawValue: 257)

    private static let names: [DNSType: String] = [
        .a: "A", .ns: "NS", .cname: "CNAME", .soa: "SOA", .ptr: "PTR", .mx: "MX", .txt: "TXT", .aaaa: "AAAA",
        .srv: "SRV", .ds: "DS", .rrsig: "RRSIG", .nsec: "NSEC", .dnskey: "DNSKEY", .nsec3: "NSEC3", .tlsa: "TLSA",
        .caa: "CAA",
    ]
}

extension DNSType: CustomStringConvertible {
    /// `MX`, or `TYPE65` where there is no name here (RFC 3597 §5).
    package var description: String { Self.names[self] ?? "TYPE\(self.rawValue)" }
}

/// A name and the type of records wanted of it; the class is always IN.
package struct DNSQuestion: Hashable, Sendable {
    package let name: DNSName
    package let type: DNSType

    package init(_ name: DNSName, _ type: DNSType) {
        self.name = name
        self.type = type
    }

    /// - Throws: ``DNSFailure/invalidName``.
    package init(_ name: some StringProtocol, _ type: DNSType) throws(DNSFailure) {
        guard let name = DNSName(name) else { throw .invalidName }
        self.init(name, type)
    }
}

extension DNSQuestion: CustomStringConvertible {
    /// `example.com MX`
    package var description: String { "\(self.name) \(self.type)" }
}
