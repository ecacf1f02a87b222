import Mail

/// What is wrong in a table, and in which line (from 1).
package struct TableProblem: Error, Hashable, Sendable {
    package let line: Int
    package let message: String

    package init(line: Int, message: String) {
        self.line = line
        self.message = message
    }
}

package struct TableProblems: Error, Hashable, Sendable {
    package let list: [TableProblem]

    package init(list: [TableProblem]) {
        self.list = list
    }
}

/// A table in Postfix's text format, as `hash:`, `texthash:` and `lmdb:` tables are made from: a key, blanks, a value.
///
/// Lines that begin with a blank continue the line before; lines whose first other character is `#` are comments,
/// also between a line and its continuation (SEMANTICS §5). Keys are folded to lower case. A key that comes twice
/// is an error, because Postfix's table types do not agree on which one counts.
package struct TextTable: Sendable {
    package struct Entry: Hashable, Sendable {
        package let value: String
        package let line: Int
    }

    private var store: EntryStore
    /// Lines that look like entries, but continue the one before.
    package private(set) var warnings: [TableProblem] = []

    package init(entries: [String: Entry], keys: [String]) {
        self.store = EntryStore()
        for key in keys {
            guard let entry = entries[key] else { continue }
            _ = self.store.insert(key.utf8, entry.value.utf8, line: entry.line)
        }
    }

    /// Reads a whole table.
    ///
    /// - Throws: every problem of the table, not only the first.
    package init(_ text: String) throws(TableProblems) {
        var text = text
        var problems: [TableProblem] = []
        self.store = EntryStore()
        guard text.utf8.count <= EntryStore.largestBytes else {
            throw TableProblems(list: [TableProblem(line: 1, message: "the table is larger than 1 GB")])
        }
        let damaged = text.withUTF8 { bytes in
            self.store = EntryStore(octets: bytes.count, entries: bytes.count { $0 == ASCII.lineFeed })
            return forEachLogicalLine(of: bytes) { line, bytes, continuations in
                if let problem = self.add(bytes, line: line) { problems.append(problem) }
                self.warnings += continuations.filter { Self.looksLikeEntry($0, bytes) }
                    .map { TableProblem.gluedLine($0.line, to: line) }
            }
        }
        problems += damaged
        guard problems.isEmpty else { throw TableProblems(list: problems.sorted { $0.line < $1.line }) }
    }

    private mutating func add(_ bytes: UnsafeBufferPointer<UInt8>, line: Int) -> TableProblem? {
        guard let end = bytes.firstIndex(where: ASCII.isBlank) else {
            let shown = String(decoding: bytes, as: UTF8.self)
            return TableProblem(line: line, message: "a key without value: '\(shown)'")
        }
        let key = bytes[..<end]
        // By octets: with a combining mark behind it a blank is another Character.
        let value = bytes[end...].drop(while: ASCII.isBlank)
        let isASCII = key.allSatisfy { $0 < 0x80 }
        let first =
            isASCII
            ? self.store.insert(key.lazy.map(ASCII.lowercased), value, line: line)
            : self.store.insert(Self.fold(String(decoding: key, as: UTF8.self)).utf8, value, line: line)
        return first.map {
            let shown = Self.fold(String(decoding: key, as: UTF8.self))
            return TableProblem(line: line, message: "key '\(shown)' stands in line \($0) already")
        }
    }

    package subscript(key: String) -> Entry? {
        self.store.find(key).map { Entry(value: self.store.value($0), line: self.store.line($0)) }
    }

    package var count: Int { self.store.count }

    /// The keys as they come in the file. They are made when they are asked for.
    package var keys: [String] { (0..<self.store.count).map(self.store.key) }

    /// All entries by their keys. They are made when they are asked for.
    package var entries: [String: Entry] {
        let pairs = (0..<self.store.count).map { number in
            (self.store.key(number), Entry(value: self.store.value(number), line: self.store.line(number)))
        }
        return Dictionary(uniqueKeysWithValues: pairs)
    }

    /// What stands behind the `@` of keys.
    package var domains: Set<String> {
        var domains: Set<String> = []
        // Addresses of one domain mostly follow each other.
        var last: ArraySlice<UInt8>?
        for number in 0..<self.store.count {
            guard let domain = self.store.domain(number), domain != last else { continue }
            domains.insert(String(decoding: domain, as: UTF8.self))
            last = domain
        }
        return domains
    }

    /// A key as it is looked up: lower case, and a domain that is not ASCII with A-labels.
    package static func fold(_ key: String) -> String {
        guard !key.isASCII else { return key.asciiLowercased }
        let at = key.lastIndex(of: "@")
        let domainStart = at.map { key.index(after: $0) } ?? key.startIndex
        let ascii = Punycode.asciiDomain(String(key[domainStart...])) ?? String(key[domainStart...])
        return key[..<domainStart].lowercased() + ascii
    }
}

extension TextTable {
    /// Whether a line that was put behind a whole entry begins with an address or domain, and has more than that.
    private static func looksLikeEntry(_ line: ContinuationBytes, _ entry: UnsafeBufferPointer<UInt8>) -> Bool {
        let before = entry[..<line.offset].split(maxSplits: 2, whereSeparator: ASCII.isBlank)
        let words = line.bytes.split(maxSplits: 2, whereSeparator: ASCII.isBlank)
        guard before.count > 1, words.count > 1 else { return false }
        let domain = words[0].split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false).last
        guard let domain, let last = domain.last, domain.dropFirst().contains(ASCII.dot) else { return false }
        return ASCII.isAlphanumeric(last)
            && domain.allSatisfy { ASCII.isAlphanumeric($0) || $0 == ASCII.dot || $0 == UInt8(ascii: "-") }
    }
}

extension TextTable {
    /// What is allowed in a table of recipients and probably not meant.
    package var recipientWarnings: [TableProblem] {
        (0..<self.store.count).lazy.filter { self.store.isCatchAll($0) }.map {
            TableProblem(
                line: self.store.line($0),
                message: "'\(self.store.key($0))' takes mail for every address of its domain, also for those that the "
                    + "primary does not know: it will have to be returned")
        }
    }
}
