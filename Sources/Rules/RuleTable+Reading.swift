extension RuleTable {
    /// The types of tables that are read from text.
    package enum FileType: String, CaseIterable, Sendable {
        case cidr
        case pcre
        case regexp
        /// These four name Postfix's ways to index one text format, and that text is what is read.
        case hash
        case texthash
        case lmdb
        case btree
    }

    /// Reads the text of a table.
    ///
    /// - Parameters:
    ///   - name: `TYPE:NAME` as it was written.
    ///   - file: where the text comes from.
    /// - Throws: every problem of the table, not only the first.
    package init(name: String, file: String?, type: FileType, text: String) throws(TableProblems) {
        let content: Content
        switch type {
        case .cidr: content = .cidr(try CIDRTable(text: text))
        case .pcre: content = .pattern(try PatternTable(text: text, kind: .pcre))
        case .regexp: content = .pattern(try PatternTable(text: text, kind: .regexp))
        case .hash, .texthash, .lmdb, .btree: content = .text(try TextTable(text))
        }
        self.init(name: name, file: file, content: content)
    }

    /// Reads a table that stands in the configuration: `inline:{…}`, `static:…`, and `cidr:`, `pcre:` or `regexp:` with
    /// rules in braces; nil for a name that belongs to a file, or to nothing.
    ///
    /// Each rule counts as a line in problems and warnings.
    package init?(inConfiguration name: String) throws(InlineTableError) {
        guard let colon = name.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let text = try InlineTable.oneLine(String(name[name.index(after: colon)...]))
        let content: Content
        switch name[..<colon] {
        case "inline": content = .text(try TextTable(inline: text))
        case "static": content = .fixed(text.hasPrefix("{") ? try InlineTable.inside(text) : text)
        case let type:
            guard text.hasPrefix("{"), let type = FileType(rawValue: String(type)) else { return nil }
            content = try Self.content(type, text)
        }
        self.init(name: name, file: nil, content: content)
    }

    private static func content(_ type: FileType, _ text: String) throws(InlineTableError) -> Content {
        switch type {
        case .cidr, .pcre, .regexp: break
        case .hash, .texthash, .lmdb, .btree:
            throw InlineTableError("\(type): is read from files only; write inline:\(text)")
        }
        let rules = try InlineTable.rules(text).joined(separator: "\n")
        do {
            return try RuleTable(name: "", file: nil, type: type, text: rules).content
        } catch {
            throw InlineTableError(error.list.map { "rule \($0.line): \($0.message)" }.joined(separator: "; "))
        }
    }

    /// What is allowed in the table and probably not meant.
    package var warnings: [TableProblem] {
        switch self.content {
        case .text(let table): table.warnings
        case .cidr(let table): table.warnings
        case .pattern(let table): table.warnings
        case .fixed: []
        }
    }
}

extension TextTable {
    fileprivate init(inline text: String) throws(InlineTableError) {
        var entries: [String: Entry] = [:]
        var keys: [String] = []
        for (key, value) in try InlineTable.pairs(text) {
            let folded = Self.fold(key)
            guard entries.updateValue(Entry(value: value, line: 0), forKey: folded) == nil else {
                throw InlineTableError("key '\(folded)' stands there twice")
            }
            keys.append(folded)
        }
        self.init(entries: entries, keys: keys)
    }
}
