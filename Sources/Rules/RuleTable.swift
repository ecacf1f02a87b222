import Mail

/// What a table says to a key.
package struct TableMatch: Hashable, Sendable {
    /// The right-hand side, with what a pattern has captured put in.
    package let value: String
    /// Where the rule stands in its file, or among the rules of `cidr:{…}` and the like, from 1; 0 without rules.
    package let line: Int
    /// The key or the pattern of the rule, as it is written.
    package let rule: String

    package init(value: String, line: Int, rule: String) {
        self.value = value
        self.line = line
        self.rule = rule
    }
}

/// A rule that could not be tried to its end, because its pattern reached a limit: it counts as one that does not
/// match, and somebody should be told.
package struct TableFault: Hashable, Sendable {
    package let line: Int
    package let message: String

    package init(line: Int, message: String) {
        self.line = line
        self.message = message
    }
}

/// A table of any type, as restrictions and checks ask it.
package struct RuleTable: Sendable {
    package enum Content: Sendable {
        case text(TextTable)
        case cidr(CIDRTable)
        case pattern(PatternTable)
        /// `static:`, the same for every key.
        case fixed(String)
    }

    /// `TYPE:NAME` as the administrator wrote it.
    package let name: String
    /// The file it was read from, for errors and reasons; nil if it stands in the configuration.
    package let file: String?
    package let content: Content

    package init(name: String, file: String?, content: Content) {
        self.name = name
        self.file = file
        self.content = content
    }

    /// Whether the table holds keys, so that it is also asked for parts of an address (SEMANTICS §3); one with
    /// patterns is asked once, for the whole.
    package var isIndexed: Bool {
        switch self.content {
        case .text: true
        case .cidr, .pattern, .fixed: false
        }
    }

    /// Whether a look-up tries patterns, which may take time.
    var hasPatterns: Bool {
        switch self.content {
        case .text, .cidr, .fixed: false
        case .pattern: true
        }
    }

    /// What the first rule that matches says.
    ///
    /// - Parameters:
    ///   - key: as it came; tables that hold keys fold it.
    ///   - faults: gets a fault for each rule whose pattern reached a limit.
    package func lookup(_ key: String, faults: inout [TableFault]) -> TableMatch? {
        switch self.content {
        case .text(let table):
            let folded = TextTable.fold(key)
            return table[folded].map { TableMatch(value: $0.value, line: $0.line, rule: folded) }
        case .cidr(let table):
            guard let address = IPAddress(key) else { return nil }
            return table.lookup(address).map { TableMatch(value: $0.value, line: $0.line, rule: key) }
        case .pattern(let table):
            var key = key
            return key.withUTF8 { table.lookup(UnsafeRawBufferPointer($0), faults: &faults) }
        case .fixed(let value): return TableMatch(value: value, line: 0, rule: "")
        }
    }

    /// The same for octets that need not be UTF-8, such as a line of a message.
    ///
    /// - Parameter skipped: lines of a table of patterns that are not tried.
    package func lookup(
        octets: UnsafeRawBufferPointer, skipping skipped: Set<Int> = [], faults: inout [TableFault]
    ) -> TableMatch? {
        switch self.content {
        case .pattern(let table): table.lookup(octets, skipping: skipped, faults: &faults)
        case .text, .cidr, .fixed: self.lookup(String(decoding: octets, as: UTF8.self), faults: &faults)
        }
    }

    /// Whether what a pattern captures is put into a right-hand side, so that it is not known before.
    package func hasCaptures(in value: String) -> Bool {
        switch self.content {
        case .pattern: value.contains("$")
        case .text, .cidr, .fixed: false
        }
    }

    /// Every right-hand side with its line, in the order of the lines, so that they can be checked before they are
    /// used; of a pattern as it is written, without what groups capture.
    package var values: [(value: String, line: Int)] {
        switch self.content {
        case .text(let table): table.keys.compactMap { key in table[key].map { ($0.value, $0.line) } }
        case .cidr(let table): table.entries.map { ($0.value, $0.line) }
        case .pattern(let table): table.entries.map { ($0.result, $0.line) }
        case .fixed(let value): [(value, 0)]
        }
    }
}
