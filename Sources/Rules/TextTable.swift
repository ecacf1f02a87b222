import Mail

/// What is wrong in a table, and in which line (from 1).
package struct TableProblem: Error, Hashable, Sendable {
    package let line: Int
    package let message: String
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

    package let entries: [String: Entry]
    /// The keys as they come in the file.
    package let keys: [String]

    package init(entries: [String: Entry], keys: [String]) {
        self.entries = entries
        self.keys = keys
    }

    /// Reads a whole table.
    ///
    /// - Throws: every problem of the table, not only the first.
    package init(_ text: String) throws(TableProblems) {
        var entries: [String: Entry] = [:]
        var keys: [String] = []
        var problems: [TableProblem] = []
        for logical in Self.logicalLines(of: text, problems: &problems) {
            guard let (key, value) = Self.split(logical.text) else {
                problems.append(TableProblem(line: logical.line, message: "a key without value: '\(logical.text)'"))
                continue
            }
            if let first = entries[key] {
                problems.append(
                    TableProblem(line: logical.line, message: "key '\(key)' stands in line \(first.line) already"))
                continue
            }
            entries[key] = Entry(value: value, line: logical.line)
            keys.append(key)
        }
        guard problems.isEmpty else { throw TableProblems(list: problems) }
        self.init(entries: entries, keys: keys)
    }

    package subscript(key: String) -> Entry? { self.entries[key] }

    /// A line with the lines that continue it.
    package struct LogicalLine: Hashable, Sendable {
        package let line: Int
        package var text: String
    }

    /// Puts continued lines together and leaves comments and empty lines out.
    package static func logicalLines(of text: String, problems: inout [TableProblem]) -> [LogicalLine] {
        var lines: [LogicalLine] = []
        for (index, bytes) in Array(text.utf8).split(separator: ASCII.lineFeed, omittingEmptySubsequences: false)
            .enumerated()
        {
            var line = bytes
            while let last = line.last, ASCII.isBlank(last) || last == ASCII.carriageReturn { line.removeLast() }
            guard let first = line.first(where: { !ASCII.isBlank($0) }), first != UInt8(ascii: "#") else { continue }
            if line.contains(where: { ASCII.isControl($0) && $0 != ASCII.tab }) {
                problems.append(TableProblem(line: index + 1, message: "a control character"))
                continue
            }
            let part = String(decoding: line, as: UTF8.self)
            guard ASCII.isBlank(line[line.startIndex]) else {
                lines.append(LogicalLine(line: index + 1, text: part))
                continue
            }
            if lines.isEmpty {
                problems.append(
                    TableProblem(line: index + 1, message: "the first line begins with a blank and continues nothing"))
            } else {
                lines[lines.count - 1].text += part
            }
        }
        return lines
    }

    private static func split(_ line: String) -> (key: String, value: String)? {
        guard let end = line.utf8.firstIndex(where: ASCII.isBlank) else { return nil }
        // By octets: with a combining mark behind it a blank is another Character.
        let value = line.utf8[end...].drop(while: ASCII.isBlank)
        return (Self.fold(String(line[..<end])), String(Substring(value)))
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

package struct TableProblems: Error, Hashable, Sendable {
    package let list: [TableProblem]
}
