package import Mail

/// Which way a recipient's mail goes, by Postfix's transport(5) format (SEMANTICS §6).
package struct TransportTable: Sendable {
    private let table: TextTable
    private let keys: AddressKeys
    /// Keys with a local part, for which the route of the domain does not do.
    private let addresses: Set<String>

    package static let empty = TransportTable(TextTable(entries: [:], keys: []), delimiter: nil)

    package init(_ table: TextTable, delimiter: Character?) {
        self.table = table
        self.keys = AddressKeys(delimiter: delimiter)
        self.addresses = Set(table.keys.filter { $0.contains("@") })
    }

    /// The right-hand side for the recipients of a lane, `transport:nexthop`, with its key; nil if there is none.
    ///
    /// A lane is named after a domain, or after an address that has an entry of its own (``lane(_:)``). An address
    /// is looked up first, then the domain, `.parent` domains, and `*`.
    package func lookup(lane: String) -> (value: String, key: String, line: Int)? {
        let domain = lane.lastIndex(of: "@").map { String(lane[lane.index(after: $0)...]) } ?? lane
        let keys = (domain == lane ? [] : [lane]) + AddressKeys.domain(domain) + ["*"]
        for key in keys {
            if let entry = self.table[key] { return (entry.value, key, entry.line) }
        }
        return nil
    }

    /// What recipients have in common that go the same way: their domain, or their address where it has an entry of
    /// its own.
    package func lane(_ mailbox: Mailbox) -> String {
        guard !self.addresses.isEmpty else { return mailbox.domain.key }
        return self.keys.addresses(mailbox).first(where: self.addresses.contains) ?? mailbox.domain.key
    }

    /// Tells apart tables that sort recipients into other lanes.
    package var laneFingerprint: [String] { self.addresses.sorted() }

    package var domains: DomainSet { DomainSet(keys: self.table.keys) }

    package var all: [(key: String, value: String, line: Int)] {
        self.table.keys.compactMap { key in self.table[key].map { (key, $0.value, $0.line) } }
    }
}
