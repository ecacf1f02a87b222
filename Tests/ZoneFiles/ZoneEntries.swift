/// What is wrong in a zone file, and where.
package struct ZoneFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// From 1.
    package let line: Int
    package let problem: String

    package var description: String { "line \(self.line): \(self.problem)" }
}

/// One entry of a master file: a directive or a record, on one line or more (RFC 1035 §5.1).
struct ZoneEntry {
    /// Where it begins, from 1.
    let line: Int
    /// It begins with a blank: the owner is that of the record before.
    var isIndented = false
    /// The words, without quotes; escapes are still in them.
    var fields: [String] = []
}

extension ZoneEntry {
    /// Splits a master file: comments, quotes and parentheses are dealt with here.
    static func split(_ text: String) throws(ZoneFileError) -> [ZoneEntry] {
        var entries: [ZoneEntry] = []
        var entry = ZoneEntry(line: 1)
        var isInParentheses = false
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            if !isInParentheses {
                entry = ZoneEntry(line: index + 1)
                entry.isIndented = line.first.map { $0 == " " || $0 == "\t" } ?? false
            }
            for field in try Self.fields(of: line, number: index + 1) {
                switch field {
                case .word(let text): entry.fields.append(text)
                case .parenthesis(let isOpening):
                    guard isOpening != isInParentheses else {
                        throw ZoneFileError(line: index + 1, problem: "parenthesis does not match")
                    }
                    isInParentheses = isOpening
                }
            }
            if !isInParentheses, !entry.fields.isEmpty { entries.append(entry) }
        }
        guard !isInParentheses else { throw ZoneFileError(line: entry.line, problem: "parenthesis is not closed") }
        return entries
    }

    private enum Field {
        case word(String)
        case parenthesis(isOpening: Bool)
    }

    private static func fields(of line: Substring, number: Int) throws(ZoneFileError) -> [Field] {
        var fields: [Field] = []
        var rest = line
        while let first = rest.first {
            switch first {
            case " ", "\t", "\r": rest.removeFirst()
            case ";": return fields
            case "(", ")":
                fields.append(.parenthesis(isOpening: first == "("))
                rest.removeFirst()
            case "\"":
                rest.removeFirst()
                fields.append(.word(Self.word(&rest) { $0 == "\"" }))
                guard rest.popFirst() == "\"" else { throw ZoneFileError(line: number, problem: "quote is not closed") }
            default: fields.append(.word(Self.word(&rest) { " \t\r;()\"".contains($0) }))
            }
        }
        return fields
    }

    /// Takes everything before a character that ends it and has no backslash in front.
    private static func word(_ rest: inout Substring, endsAt isEnd: (Character) -> Bool) -> String {
        var word = ""
        while let character = rest.first, !isEnd(character) {
            word.append(rest.removeFirst())
            if character == "\\", !rest.isEmpty { word.append(rest.removeFirst()) }
        }
        return word
    }
}
