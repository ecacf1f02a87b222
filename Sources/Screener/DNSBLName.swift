package import Mail
package import Resolver

extension DNSBLReturn {
    package init(_ address: UInt32, from zone: DNSName) {
        self.init(address, from: zone.text)
    }

    package static func unavailability(of address: UInt32, zone: DNSName) -> String? {
        self.unavailability(of: address, zone: zone.text)
    }
}

extension DNSName {
    /// The name under which a list is asked for an address, in front of the list's domain.
    ///
    /// It is nil if the name becomes too long, which it does not for the zone of a ``DNSBLSite``.
    package init?(reversing address: IPAddress, in zone: DNSName) {
        self.init(address.reversed(in: zone == .root ? "" : zone.text))
    }
}
