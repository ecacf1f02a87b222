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

/// However a header comes, it is read once, as a look at the whole line would have it; and whoever waits for more of it
/// can get more.
func checkProxyHeader(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let progress = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in
        var held: [UInt8] = []
        for piece in pieces {
            held += piece
            let progress = readProxyHeader(held)
            if progress != .incomplete { return progress }
        }
        return .incomplete
    }
    switch progress {
    case .incomplete:
        try require(bytes.count < ProxyHeader.maximumBinaryBytes, "more than a header: \(shown(bytes))")
        try checkCompletion(of: bytes)
    case .malformed(let message):
        try require(!message.isEmpty && message.isPrintable, "\(message.debugDescription)")
        // The octet in front of which it was not yet malformed is the wrong one.
        let count = bytes.indices.first { readProxyHeader(Array(bytes[...$0])) == progress } ?? 0
        try checkCompletion(of: Array(bytes[..<count]))
    case .complete(let count, let source):
        try require((1...bytes.count).contains(count), "\(count) of \(bytes.count) octets")
        guard bytes.first == UInt8(ascii: "P") else { return }
        try require(count <= ProxyHeader.maximumTextBytes, "a line of \(count) octets")
        try checkProxyLine(Array(bytes[..<count]), source)
    }
}

private func readProxyHeader(_ bytes: [UInt8]) -> ProxyHeader.Progress { bytes.withUnsafeBytes(ProxyHeader.read) }

/// The beginning of a header has an end: the first octet that is possible, and so on.
private func checkCompletion(of start: [UInt8]) throws(Violation) {
    let candidates: [UInt8] = Array("\r\n :.0".utf8) + Array(0...255)
    var bytes = start
    while readProxyHeader(bytes) == .incomplete {
        // Behind its length nothing in a binary header can be wrong.
        if bytes.first == ASCII.carriageReturn, bytes.count >= 16 {
            bytes += [UInt8](repeating: 0, count: ProxyHeader.maximumBinaryBytes - bytes.count)
            continue
        }
        bytes.append(0)
        let next = candidates.first { candidate in
            bytes[bytes.count - 1] = candidate
            return readProxyHeader(bytes).isPossible
        }
        try require(next != nil, "nothing can follow \(shown(bytes.dropLast())), which is to be continued")
    }
    try require(readProxyHeader(bytes).isPossible, "malformed: \(shown(bytes))")
}

extension ProxyHeader.Progress {
    fileprivate var isPossible: Bool {
        switch self {
        case .incomplete, .complete: true
        case .malformed: false
        }
    }
}

private func checkProxyLine(_ line: [UInt8], _ source: ProxyHeader.Source) throws(Violation) {
    let words = String(decoding: line.dropLast(2), as: UTF8.self).split(
        separator: " ", omittingEmptySubsequences: false)
    try require(line.suffix(2) == [13, 10] && words[0] == "PROXY", "\(shown(line)) is complete")
    switch source {
    case .own: try require(words.count > 1 && words[1] == "UNKNOWN", "\(shown(line)) is of the proxy")
    case .proxied(let client, let local):
        try require(words.count == 6, "\(shown(line)) is complete")
        try require(max(client.port, local.port) <= 65535, "ports of \(shown(line))")
        try require(words[1] == (words[2].contains(":") ? "TCP6" : "TCP4"), "family of \(shown(line))")
        try require(words[2].contains(":") == words[3].contains(":"), "families of \(shown(line))")
        try require(
            IPAddress(words[2]) == client.address && "\(client.port)" == words[4], "\(shown(line)) is \(client)")
        try require(IPAddress(words[3]) == local.address && "\(local.port)" == words[5], "\(shown(line)) is \(local)")
    }
}
