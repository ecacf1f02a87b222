import Mail
import Resolver
import Screener

/// A site is printed so that it can be read again, is asked for any address, and its filter means what is printed.
func checkDNSBLSite(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let filter = try? DNSBLFilter(text) { try checkFilter(filter) }
    let site: DNSBLSite
    do {
        site = try DNSBLSite(text)
    } catch {
        try require(
            !error.message.isEmpty && error.part.utf8.count <= bytes.count * 3, "\(error) of \(text.debugDescription)")
        return
    }
    try require((try? DNSBLSite(site.description)) == site, "\(text.debugDescription) is printed as \(site)")
    try require(site.weight != 0 && abs(site.weight) <= 1000, "weight of \(site)")
    if let filter = site.filter { try checkFilter(filter) }
    let number = fingerprint(of: bytes)
    for address in [IPAddress.v4(UInt32(truncatingIfNeeded: number)), .v6(high: number, low: ~number)] {
        let name = DNSName(reversing: address, in: site.zone)
        let labels = name?.text.split(separator: ".").count ?? 0
        let expected = (address.width == 32 ? 4 : 32) + site.zone.text.split(separator: ".").count
        try require(labels == expected, "\(address) is asked as \(String(describing: name))")
    }
}

private func checkFilter(_ filter: DNSBLFilter) throws(Violation) {
    try require((try? DNSBLFilter(filter.description)) == filter, "\(filter) is not read again")
    let fields = filter.description.replacing("..", with: "-").split(separator: ".").map { field in
        field.split { "[;]".contains($0) }.map { member in
            let ends = member.split(separator: "-").compactMap { UInt32($0) }
            return (ends.first ?? 256)...(ends.last ?? 256)
        }
    }
    try require(fields.count == 4, "\(filter) has not four fields")
    let some = fields.map { $0.first?.lowerBound ?? 0 }.reduce(0) { $0 << 8 | $1 }
    for (index, field) in fields.enumerated() {
        let shift = UInt32(24 - 8 * index)
        for octet in UInt32(0)...255 {
            let address = some & ~(255 << shift) | octet << shift
            let isMember = field.contains { $0.contains(octet) }
            try require(filter.matches(address) == isMember, "\(IPAddress.v4(address)) and \(filter)")
        }
    }
}
