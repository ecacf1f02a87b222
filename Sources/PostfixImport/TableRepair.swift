import Mail
package import Rules

/// A table's text in which every line is one that Postern reads: others are put into comments, as Postfix passes over
/// them, with a warning that nobody sees.
package struct TableRepair {
    let text: String
    /// Lines that are comments now, and why.
    let removed: [TableProblem]
    /// What is wrong and could not be mended.
    let remaining: [TableProblem]

    /// - Parameter problems: what is wrong in a text; tried again until nothing is.
    init(_ text: String, problems: (String) -> [TableProblem]) {
        var text = text
        var removed: [TableProblem] = []
        var remaining = problems(text)
        // Each round takes lines away, so that it ends.
        while !remaining.isEmpty, removed.count < 100_000 {
            let fixed = Self.comment(out: remaining, in: text)
            guard fixed != text else { break }
            removed += remaining
            text = fixed
            remaining = problems(text)
        }
        self.text = text
        self.removed = removed.sorted { $0.line < $1.line }
        self.remaining = remaining
    }

    static let mark = "# postern import"

    /// Each problem's logical line becomes comments: the line itself with the reason, and those that continue it.
    package static func comment(out problems: [TableProblem], in text: String) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for problem in problems {
            let first = problem.line - 1
            guard lines.indices.contains(first), !lines[first].hasPrefix(self.mark) else { continue }
            lines[first] = "\(self.mark) (\(Words.oneLine(problem.message))): \(lines[first])"
            var next = first + 1
            while next < lines.count, let start = lines[next].utf8.first, LogicalText.isSpace(start) {
                let isText = lines[next].utf8.first { !LogicalText.isSpace($0) }
                if let isText, isText != UInt8(ascii: "#") { lines[next] = "\(self.mark): \(lines[next])" }
                next += 1
            }
        }
        return lines.joined(separator: "\n")
    }

    /// What is wrong with a table of a type, its right-hand sides included.
    static func problems(
        _ text: String, type: RuleTable.FileType, value: (String, Int) -> String?
    ) -> [TableProblem] {
        let table: RuleTable
        do {
            table = try RuleTable(name: type.rawValue, file: nil, type: type, text: text)
        } catch {
            return error.list
        }
        return table.values.compactMap { text, line in
            guard !table.hasCaptures(in: text), let problem = value(text, line) else { return nil }
            return TableProblem(line: line, message: problem)
        }
    }
}
