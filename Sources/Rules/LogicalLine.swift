import Mail

extension TextTable {
    /// A line with the lines that continue it.
    package struct LogicalLine: Hashable, Sendable {
        /// A line that begins with a blank.
        package struct Continuation: Hashable, Sendable {
            package let line: Int
            /// Without blanks around it.
            package let text: String
        }

        package let line: Int
        package let text: String
        package let continuations: [Continuation]
    }

    /// Puts continued lines together and leaves comments and empty lines out.
    package static func logicalLines(of text: String, problems: inout [TableProblem]) -> [LogicalLine] {
        var lines: [LogicalLine] = []
        var text = text
        text.withUTF8 { bytes in
            problems += forEachLogicalLine(of: bytes) { line, bytes, continuations in
                lines.append(
                    LogicalLine(
                        line: line, text: String(decoding: bytes, as: UTF8.self),
                        continuations: continuations.map {
                            .init(line: $0.line, text: String(decoding: $0.bytes, as: UTF8.self))
                        }))
            }
        }
        return lines
    }
}

/// A line that continues the one before: its number, its text without blanks around it, and how much of the logical
/// line stands before it.
typealias ContinuationBytes = (line: Int, bytes: Slice<UnsafeBufferPointer<UInt8>>, offset: Int)

/// Reads the lines of a table: those that begin with a blank continue the line before; empty ones do not count, nor do
/// those whose first other character is `#` (SEMANTICS §5). Blanks at the end do not count, and line ends may be CRLF.
///
/// - Parameter body: gets the number of the first line and the text, which is valid only there.
/// - Returns: what is wrong with lines that the body therefore does not get.
func forEachLogicalLine(
    of text: UnsafeBufferPointer<UInt8>,
    _ body: (_ line: Int, _ text: UnsafeBufferPointer<UInt8>, _ continuations: [ContinuationBytes]) -> Void
) -> [TableProblem] {
    var problems: [TableProblem] = []
    var pending = PendingLine(text)
    var number = 0
    var start = 0
    while start < text.count {
        var end = start
        while end < text.count, text[end] != ASCII.lineFeed { end += 1 }
        number += 1
        let line = PhysicalLine(text, start..<end)
        start = end + 1
        switch line.kind {
        case .nothing: break
        case .damaged: problems.append(TableProblem(line: number, message: "a control character"))
        case .beginning:
            pending.end(body)
            pending.begin(line, number)
        case .continuation where pending.isEmpty:
            problems.append(
                TableProblem(line: number, message: "the first line begins with a blank and continues nothing"))
        case .continuation: pending.append(line, number)
        }
    }
    pending.end(body)
    return problems
}

/// A line as it stands in the file.
private struct PhysicalLine {
    enum Kind {
        /// Empty, or a comment.
        case nothing
        case beginning
        case continuation
        /// It holds control characters.
        case damaged
    }

    let kind: Kind
    /// Without the line end.
    let whole: Range<Int>
    /// Without blanks at its end.
    let trimmed: Range<Int>
    /// Without blanks around it.
    let bare: Range<Int>

    init(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
        var (first, end) = (range.lowerBound, range.upperBound)
        while end > first, text[end - 1] == ASCII.carriageReturn { end -= 1 }
        self.whole = first..<end
        while end > first, ASCII.isBlank(text[end - 1]) || text[end - 1] == ASCII.carriageReturn { end -= 1 }
        self.trimmed = first..<end
        while first < end, ASCII.isBlank(text[first]) { first += 1 }
        self.bare = first..<end
        if first == end || text[first] == UInt8(ascii: "#") {
            self.kind = .nothing
        } else if self.bare.contains(where: { ASCII.isControl(text[$0]) && text[$0] != ASCII.tab }) {
            self.kind = .damaged
        } else {
            self.kind = first == range.lowerBound ? .beginning : .continuation
        }
    }
}

/// A line that others may continue. It is copied only then.
private struct PendingLine {
    private let text: UnsafeBufferPointer<UInt8>
    private var line = 0
    /// The last of its physical lines, which is not yet in `gathered`.
    private var last: PhysicalLine?
    /// The lines before the last.
    private var gathered: [UInt8] = []
    private var continuations: [ContinuationBytes] = []

    init(_ text: UnsafeBufferPointer<UInt8>) {
        self.text = text
    }

    var isEmpty: Bool { self.last == nil }

    mutating func begin(_ line: PhysicalLine, _ number: Int) {
        self.line = number
        self.last = line
    }

    /// Blanks at the end of the line before count now.
    mutating func append(_ line: PhysicalLine, _ number: Int) {
        if let last { self.gathered += self.text[last.whole].lazy.filter { $0 != ASCII.carriageReturn } }
        self.continuations.append((number, self.text[line.bare], self.gathered.count))
        self.last = line
    }

    mutating func end(_ body: (Int, UnsafeBufferPointer<UInt8>, [ContinuationBytes]) -> Void) {
        guard let last else { return }
        self.last = nil
        guard !self.continuations.isEmpty else {
            body(self.line, UnsafeBufferPointer(rebasing: self.text[last.trimmed]), [])
            return
        }
        self.gathered += self.text[last.trimmed]
        self.gathered.withUnsafeBufferPointer { body(self.line, $0, self.continuations) }
        self.gathered.removeAll(keepingCapacity: true)
        self.continuations.removeAll(keepingCapacity: true)
    }
}

extension TextTable.LogicalLine {
    /// Warnings of lines that were probably meant to stand for themselves: those who indent the lines of a block lose
    /// them to the line before.
    func gluedLineWarnings(_ isRule: (String) -> Bool) -> [TableProblem] {
        self.continuations.filter { isRule($0.text) }.map { TableProblem.gluedLine($0.line, to: self.line) }
    }
}

extension TableProblem {
    static func gluedLine(_ line: Int, to first: Int) -> TableProblem {
        TableProblem(
            line: line,
            message: "it begins with a blank and so belongs to line \(first), but looks like a rule of its own")
    }
}
