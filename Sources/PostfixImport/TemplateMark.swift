import Mail

/// A place that a program should have filled in: `{{ name }}`, `{% if … %}`, `@@NAME@@`, `__NAME__`, `_NAME_` or
/// `PH_NAME`.
package struct TemplateMark: Hashable, Sendable {
    package let text: String
    package let line: Int
    package let column: Int

    /// The first in a text, comments aside; nil if it is a finished file.
    package static func first(in text: String) -> TemplateMark? {
        for (index, line) in text.utf8.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false).enumerated() {
            let bytes = Array(line)
            let isComment = bytes.first { !LogicalText.isSpace($0) } == UInt8(ascii: "#")
            for start in bytes.indices {
                guard let length = Self.length(bytes, at: start, isComment: isComment) else { continue }
                let shown = String(decoding: bytes[start..<min(bytes.count, start + min(length, 40))], as: UTF8.self)
                let column = String(decoding: bytes[..<start], as: UTF8.self).count + 1
                return TemplateMark(text: shown, line: index + 1, column: column)
            }
        }
        return nil
    }

    /// How long a mark is that begins at a place; nil if none does.
    private static func length(_ bytes: [UInt8], at start: Int, isComment: Bool) -> Int? {
        let rest = bytes[start...]
        if rest.starts(with: "{%".utf8) || rest.starts(with: "{#".utf8) { return self.end(rest, of: rest.dropFirst(2)) }
        guard !isComment else { return nil }
        if rest.starts(with: "{{".utf8) { return self.isExpression(bytes, start) ? self.end(rest, of: rest) : nil }
        if rest.starts(with: "<%".utf8) { return self.end(rest, of: rest) }
        guard start == 0 || !Self.isWord(bytes[start - 1]) else { return nil }
        let word = rest.prefix { Self.isWord($0) || $0 == UInt8(ascii: "@") }
        return Self.isPlaceholder(word) ? word.count : nil
    }

    private static func end(_ rest: ArraySlice<UInt8>, of inner: ArraySlice<UInt8>) -> Int {
        let close = inner.firstIndex(of: UInt8(ascii: "}")) ?? rest.endIndex
        return min(rest.endIndex, close + 2) - rest.startIndex
    }

    /// `{{` also begins rules in `pcre:{{/x/ REJECT}}`, pairs in `inline:{{a = b}}` and comparisons in `${{a} == {b}}`.
    private static func isExpression(_ bytes: [UInt8], _ start: Int) -> Bool {
        let before = String(decoding: bytes[..<start], as: UTF8.self)
        if before.hasSuffix("$") || before.hasSuffix("inline:") || before.hasSuffix("static:") { return false }
        let inside = bytes[(start + 2)...].drop { LogicalText.isSpace($0) || $0 == UInt8(ascii: "-") }
        guard let first = inside.first else { return false }
        if inside.starts(with: "if ".utf8) || inside.starts(with: "endif".utf8) {
            return !before.hasSuffix("cidr:") && !before.hasSuffix("pcre:") && !before.hasSuffix("regexp:")
        }
        return ASCII.isLetter(first) || "._('\"".utf8.contains(first)
    }

    private static func isWord(_ byte: UInt8) -> Bool { ASCII.isAlphanumeric(byte) || byte == UInt8(ascii: "_") }

    private static func isPlaceholder(_ word: ArraySlice<UInt8>) -> Bool {
        let text = String(decoding: word, as: UTF8.self)
        func isName(_ text: Substring) -> Bool {
            guard let first = text.utf8.first, (0x41...0x5A).contains(first) else { return false }
            return text.utf8.allSatisfy {
                (0x41...0x5A).contains($0) || ASCII.isDigit($0) || $0 == UInt8(ascii: "_")
            }
        }
        if text.hasPrefix("PH_"), isName(text.dropFirst(3)) { return true }
        for edge in ["@@", "__", "_"] where text.hasPrefix(edge) && text.hasSuffix(edge) {
            if text.utf8.count > 2 * edge.utf8.count, isName(text.dropFirst(edge.count).dropLast(edge.count)) {
                return true
            }
        }
        return false
    }
}
