import Mail

/// `transport:nexthop` as Postern has it in transport tables and behind FILTER.
enum DestinationSyntax {
    /// What Postern could not do with it; nil if it can.
    static func problem(_ text: String) -> String? {
        let (transport, nextHop) = Importer.split(text)
        if text.hasPrefix("[") || transport.contains(".") { return self.problem(inNextHops: text) }
        switch transport {
        case "smtp", "relay", "": return nextHop.isEmpty ? nil : self.problem(inNextHops: nextHop)
        case "error", "retry", "discard": return nil
        default: return "Postern has no transport '\(transport)'"
        }
    }

    private static func problem(inNextHops text: String) -> String? {
        for part in text.split(separator: ",") {
            let hop = Words.trimmed(part)
            var host = hop[...]
            var port: Substring = "25"
            if hop.hasPrefix("["), let end = hop.firstIndex(of: "]") {
                host = hop[hop.index(after: hop.startIndex)..<end]
                let rest = hop[hop.index(after: end)...]
                if !rest.isEmpty { port = rest.hasPrefix(":") ? rest.dropFirst() : "?" }
            } else if let colon = hop.lastIndex(of: ":") {
                (host, port) = (hop[..<colon], hop[hop.index(after: colon)...])
            }
            if host.lowercased().hasPrefix("ipv6:") { host = host.dropFirst(5) }
            let isPort =
                ["smtp", "submission", "lmtp"].contains(port) || (Int(port).map { (1...65_535).contains($0) } ?? false)
            guard isPort, IPAddress(host) != nil || DomainName(host) != nil else { return "'\(hop)' is not a next hop" }
        }
        return nil
    }
}
