package import Mail

/// Puts the lines of a server's reply together (RFC 5321 §4.2.1), and puts up with what servers really send.
///
/// Lines without a code inside a multi-line reply are text; the code of the last line counts, as in every
/// widespread client; a reply may have any length, but only its beginning is kept.
package struct ReplyParser: Sendable {
    package enum Malformed: Error, Equatable, Sendable {
        /// The line does not begin with a reply code.
        case noCode(String)
        /// More lines than any honest reply has.
        case endless
    }

    /// Lines kept of a reply. The keywords of EHLO are well below it.
    private static let keptLines = 100
    private static let maximumLines = 10_000

    private var lines: [String] = []
    private var lineCount = 0

    package init() {}

    /// Takes a line without its line end.
    ///
    /// - Returns: the reply, if the line was its last.
    package mutating func next(_ line: [UInt8]) throws(Malformed) -> Reply? {
        let text = String(decoding: line, as: UTF8.self).printable(maximumBytes: Reply.maximumLineBytes)
        guard let (code, isLast, start) = Self.code(of: line) else {
            guard self.lineCount > 0 else { throw .noCode(text) }
            try self.keep(text)
            return nil
        }
        try self.keep(String(decoding: line[start...], as: UTF8.self))
        guard isLast else { return nil }
        defer { self = ReplyParser() }
        return Self.reply(code, self.lines)
    }

    private mutating func keep(_ text: String) throws(Malformed) {
        self.lineCount += 1
        guard self.lineCount <= Self.maximumLines else { throw .endless }
        if self.lines.count < Self.keptLines { self.lines.append(text) }
    }

    /// The three digits, whether no hyphen follows them, and where the text begins.
    private static func code(of line: [UInt8]) -> (code: Int, isLast: Bool, textStart: Int)? {
        guard line.count >= 3, line[..<3].allSatisfy(ASCII.isDigit), (0x32...0x35).contains(line[0]) else { return nil }
        let code = line[..<3].reduce(0) { $0 * 10 + Int($1 & 15) }
        guard line.count > 3 else { return (code, true, 3) }
        guard ASCII.isBlank(line[3]) || line[3] == UInt8(ascii: "-") else { return nil }
        return (code, ASCII.isBlank(line[3]), 4)
    }

    /// Takes the enhanced code off each line that has one of the same class; that of the last line counts.
    private static func reply(_ code: Int, _ lines: [String]) -> Reply {
        var detail: Reply.Detail?
        var texts: [String] = []
        for line in lines {
            let (found, text) = Self.detail(of: line, class: code / 100)
            detail = found
            texts.append(text)
        }
        return Reply(code: code, detail: detail, lines: texts)
    }

    private static func detail(of line: String, class outcome: Int) -> (Reply.Detail?, String) {
        var scanner = ByteScanner(line)
        guard scanner.next() == UInt8(ascii: "0") + UInt8(outcome), scanner.skip("."),
            let subject = scanner.readEnhancedNumber(), scanner.skip("."), let detail = scanner.readEnhancedNumber(),
            scanner.isAtEnd || scanner.skip(" ")
        else { return (nil, line) }
        return (Reply.Detail(subject, detail), String(decoding: scanner.rest, as: UTF8.self))
    }
}

extension ByteScanner {
    /// One to three digits (RFC 3463 §2).
    fileprivate mutating func readEnhancedNumber() -> Int? {
        let digits = self.read(while: ASCII.isDigit)
        guard (1...3).contains(digits.count) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 & 15) }
    }
}
