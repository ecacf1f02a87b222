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

    /// The right-hand side for a recipient, `transport:nexthop`, with its key; nil if there is none.
    package func lookup(_ mailbox: Mailbox) -> (value: String, key: String, line: Int)? {
        for key in self.keys.transport(mailbox) {
            if let entry = self.table[key] { return (entry.value, key, entry.line) }
        }
        return nil
    }

    /// What recipients have in common that go the same way: their domain, or their address where it has an entry of its own.
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
