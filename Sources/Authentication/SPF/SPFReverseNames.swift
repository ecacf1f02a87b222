import Mail

/// The names that an address has by PTR records, and that have the address themselves (RFC 7208 §5.5).
struct SPFReverseNames {
    private(set) var validated: [String] = []
    /// Something that was asked for does not exist.
    private(set) var isVoid = false

    /// A name that cannot be looked up is left out; failing altogether is having none.
    mutating func find(
        of address: IPAddress, limit: Int, _ ask: (String, NameQuery.Kind) async -> NameReply
    ) async {
        let hosts: [String]
        switch await ask(SPFName.reverse(address), .ptr) {
        case .hosts(let found): hosts = found
        case .noSuchName, .noRecords:
            self.isVoid = true
            return
        case .failed, .texts, .addresses: return
        }
        for host in hosts.prefix(limit) where !host.isEmpty && host != "." {
            switch await ask(host, address.width == 32 ? .a : .aaaa) {
            case .addresses(let found):
                if found.contains(address) { self.validated.append(SPFName.withoutTrailingDot(host)) }
            case .noSuchName, .noRecords: self.isVoid = true
            case .failed, .texts, .hosts: continue
            }
        }
    }

    /// The domain itself, a name below it, or any (RFC 7208 §7.3).
    func preferred(for domain: String) -> String? {
        let same = self.validated.first { $0.equalsIgnoringCase(domain) }
        return same ?? self.validated.first { SPFName.isName($0, in: domain) } ?? self.validated.first
    }
}
