import Mail
import Rules

/// The tables that go along, each once.
struct TableShelf {
    struct Entry {
        /// Its file's name in the folder of tables.
        let name: String
        let text: String
        let isSecret: Bool
    }

    private(set) var entries: [Entry] = []

    /// Puts a text under a name, or under one like it if another text has that name.
    ///
    /// - Returns: the name it has got.
    mutating func add(_ name: String, _ text: String, isSecret: Bool = false) -> String {
        var candidate = name
        var number = 2
        while let entry = self.entries.first(where: { $0.name == candidate }) {
            if entry.text == text { return candidate }
            candidate = "\(name)-\(number)"
            number += 1
        }
        self.entries.append(Entry(name: candidate, text: text, isSecret: isSecret))
        return candidate
    }
}

/// The name of a table in main.cf, taken apart.
struct TableName: Hashable {
    /// Without `proxy:`.
    let type: String
    /// A path, or what stands in braces.
    let rest: String

    init?(_ text: String) {
        var text = text[...]
        while text.hasPrefix("proxy:") { text = text.dropFirst("proxy:".count) }
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else { return nil }
        let type = text[..<colon]
        guard type.utf8.allSatisfy({ ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "_") }) else { return nil }
        self.type = type.lowercased()
        self.rest = String(text[text.index(after: colon)...])
    }

    var text: String { "\(self.type):\(self.rest)" }

    /// Tables that are made from a text with keys and values.
    static let indexed: Set<String> = ["hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash"]
    static let patterns: Set<String> = ["cidr", "pcre", "regexp"]

    var isIndexed: Bool { Self.indexed.contains(self.type) }
    var isInline: Bool {
        self.type == "inline" || self.type == "static"
            || (Self.patterns.contains(self.type) && self.rest.hasPrefix("{"))
    }

    /// How the text of a file is read; nil if there is none.
    var fileType: RuleTable.FileType? {
        guard !self.isInline else { return nil }
        if self.isIndexed { return .texthash }
        return Self.patterns.contains(self.type) ? RuleTable.FileType(rawValue: self.type) : nil
    }

    var fileName: String { String(self.rest.split(separator: "/").last ?? "table") }
}
