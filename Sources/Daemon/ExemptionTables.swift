import Mail
import Rules

/// Tables of whom something does not apply to.
struct ExemptionTables: Sendable {
    private let tables: [RuleTable]

    init(_ names: [String], _ key: String, _ file: String, _ loader: TableLoader, _ errors: inout [FileError]) {
        var tables: [RuleTable] = []
        for name in names {
            guard let table = loader.table(name, for: key, file, &errors) else { continue }
            for (value, line) in table.values where Self.isExempt(value) == nil {
                errors.append(
                    FileError(file: table.file ?? file, line: line, message: "'\(value)' is not OK, permit or dunno"))
            }
            tables.append(table)
        }
        self.tables = tables
    }

    private static func isExempt(_ value: String) -> Bool? {
        switch value.lowercased() {
        case "ok", "permit": true
        case "dunno": false
        default: nil
        }
    }

    func exempt(_ client: IPAddress) -> Bool {
        self.exempt { $0.isIndexed ? AddressKeys.access(address: client) : [client.description] }
    }

    func exempt(_ recipient: Mailbox, _ keys: AddressKeys) -> Bool {
        self.exempt { $0.isIndexed ? keys.access(recipient) : [TextTable.fold(recipient.description)] }
    }

    /// The first key that a table has decides for it, the first table that exempts for all.
    private func exempt(_ keys: (RuleTable) -> [String]) -> Bool {
        self.tables.contains { table in
            for key in keys(table) {
                var faults: [TableFault] = []
                guard let match = table.lookup(key, faults: &faults) else { continue }
                return Self.isExempt(match.value) ?? false
            }
            return false
        }
    }
}
