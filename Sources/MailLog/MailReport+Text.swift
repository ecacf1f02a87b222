import Mail

extension MailReport {
    /// Columns of the text; only words that have no blank may go beyond.
    private static let width = 80

    /// The report in lines of at most 80 columns, each with a line feed.
    package var text: String {
        var lines = [self.title, String(repeating: "=", count: min(Self.width, self.title.count))]
        for section in self.shownSections {
            lines += ["", section.title, String(repeating: "-", count: min(Self.width, section.title.count))]
            lines += section.rows.isEmpty ? ["none"] : Self.table(section)
            if let remark = section.remark { lines += Self.wrapped("(\(remark))", indented: 0) }
        }
        return lines.map { "\($0.withoutTrailingBlanks)\n" }.joined()
    }

    /// Numbers to the right; of several texts all but the last in columns, if they are short.
    private static func table(_ section: Section) -> [String] {
        let hasTitles = section.columns.contains { !$0.title.isEmpty }
        let cells = section.rows.map { $0.map(\.shown) }
        let all = (hasTitles ? [section.columns.map(\.title)] : []) + cells
        let isText = section.columns.indices.map { column in section.rows.first?[column].isText ?? true }
        let widths = section.columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        // The last one may be as long as it likes: it goes on in the next line.
        let fixed = widths.dropLast().reduce(0) { $0 + $1 + 2 }
        guard fixed <= Self.width - 20 || isText.last == false else { return Self.list(all, isText, widths) }
        return all.flatMap { row -> [String] in
            var line = ""
            for (column, text) in row.enumerated() where column < row.count - 1 {
                line += (isText[column] ? text.padded(widths[column]) : text.padded(left: widths[column])) + "  "
            }
            guard let last = row.last else { return [line] }
            if isText.last == false { return [line + last.padded(left: widths.last ?? 0)] }
            return Self.wrapped(line + last, indented: line.count)
        }
    }

    /// Each further text on a line of its own, for tables that are too wide.
    private static func list(_ rows: [[String]], _ isText: [Bool], _ widths: [Int]) -> [String] {
        rows.enumerated().flatMap { number, row -> [String] in
            var numbers = ""
            for (column, text) in row.enumerated() where !isText[column] {
                numbers += text.padded(left: widths[column]) + "  "
            }
            let texts = row.indices.filter { isText[$0] }.map { row[$0] }
            guard let first = texts.first else { return [numbers] }
            return Self.wrapped(numbers + first, indented: numbers.count)
                + texts.dropFirst().flatMap { text in
                    Self.wrapped(
                        String(repeating: " ", count: numbers.count + 2) + text, indented: numbers.count + 2)
                }
        }
    }

    /// Breaks a line at blanks, and words that are longer than a line anywhere.
    ///
    /// - Parameter indent: blanks in front of all lines but the first.
    private static func wrapped(_ line: String, indented indent: Int) -> [String] {
        var lines: [String] = []
        var rest = Array(line)
        var start = 0
        while rest.count > Self.width {
            let blank = rest[max(start, indent) + 1..<Self.width + 1].lastIndex(of: " ")
            let cut = blank ?? Self.width
            lines.append(String(rest[..<cut]))
            start = indent
            rest = Array(repeating: " ", count: indent) + rest[cut...].drop { $0 == " " }
        }
        return lines + [String(rest)]
    }
}

extension String {
    fileprivate var withoutTrailingBlanks: String {
        var text = self[...]
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
