import Mail

/// The logical lines of main.cf and master.cf: a line with those behind it that begin with a blank. Empty lines and
/// lines whose first other character is `#` do not count, also not between a line and its continuation.
package struct LogicalText: Sendable {
    package struct Line: Hashable, Sendable {
        /// The first of its physical lines, from 1.
        package let number: Int
        /// The physical lines one behind the other, without their ends.
        package let text: String
        /// Where each physical line begins in `text`, in octets, with its number.
        package let parts: [(number: Int, offset: Int)]

        package static func == (left: Line, right: Line) -> Bool {
            left.number == right.number && left.text == right.text
                && left.parts.elementsEqual(right.parts) { $0.number == $1.number && $0.offset == $1.offset }
        }

        package func hash(into hasher: inout Hasher) {
            hasher.combine(self.number)
            hasher.combine(self.text)
        }
    }

    package let lines: [Line]
    /// Lines that begin with a blank and continue nothing; Postfix passes over them with a warning.
    package let strayLines: [Int]

    package init(_ text: String) {
        var builder = Builder()
        var number = 0
        for line in text.utf8.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false) {
            number += 1
            builder.add(line, number)
        }
        builder.end()
        self.lines = builder.lines
        self.strayLines = builder.stray
    }

    /// Blanks as C's isspace() has them in these files.
    package static func isSpace(_ byte: UInt8) -> Bool { byte == ASCII.space || (0x09...0x0D).contains(byte) }

    private struct Builder {
        var lines: [Line] = []
        var stray: [Int] = []
        private var text: [UInt8] = []
        private var parts: [(number: Int, offset: Int)] = []
        private var isStray = false

        mutating func add(_ line: Substring.UTF8View, _ number: Int) {
            let first = line.first { !LogicalText.isSpace($0) }
            guard let first, first != UInt8(ascii: "#") else { return }
            let continues = line.first.map(LogicalText.isSpace) ?? false
            if continues, self.parts.isEmpty || self.isStray {
                self.end()
                self.isStray = true
                self.stray.append(number)
                return
            }
            if !continues { self.end() }
            self.parts.append((number, self.text.count))
            self.text += line
        }

        mutating func end() {
            defer { (self.text, self.parts, self.isStray) = ([], [], false) }
            guard let first = self.parts.first else { return }
            self.lines.append(
                Line(number: first.number, text: String(decoding: self.text, as: UTF8.self), parts: self.parts))
        }
    }
}

extension LogicalText.Line {
    /// The physical line that holds an octet of the text.
    package func number(at offset: Int) -> Int {
        self.parts.last { $0.offset <= offset }?.number ?? self.number
    }
}
