import Mail

/// How Postfix takes values apart: words between commas and blanks, of which braces make one.
package enum Words {
    package static func isSeparator(_ byte: UInt8) -> Bool { LogicalText.isSpace(byte) || byte == UInt8(ascii: ",") }

    /// The words of a list; braces and what they hold are part of their word.
    ///
    /// - Parameter separators: which octets stand between words; by default blanks and commas.
    package static func split(_ text: String, by isSeparator: (UInt8) -> Bool = Self.isSeparator) -> [String] {
        var words: [String] = []
        var word: [UInt8] = []
        var depth = 0
        for byte in text.utf8 {
            if byte == UInt8(ascii: "{") { depth += 1 }
            if byte == UInt8(ascii: "}"), depth > 0 { depth -= 1 }
            if depth == 0, isSeparator(byte) {
                if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
                word = []
            } else {
                word.append(byte)
            }
        }
        if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
        return words
    }

    /// What stands between the braces around a text, without blanks at its ends; nil if there are none.
    package static func inside(_ text: String) -> String? {
        guard text.utf8.count >= 2, text.hasPrefix("{"), text.hasSuffix("}") else { return nil }
        var depth = 0
        for (place, byte) in text.utf8.enumerated() {
            if byte == UInt8(ascii: "{") { depth += 1 }
            if byte == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return place == text.utf8.count - 1 ? Self.trimmed(text.dropFirst().dropLast()) : nil }
        }
        return nil
    }

    package static func trimmed(_ text: some StringProtocol) -> String {
        var bytes = Array(text.utf8)[...]
        while let first = bytes.first, LogicalText.isSpace(first) { bytes.removeFirst() }
        while let last = bytes.last, LogicalText.isSpace(last) { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Line ends and runs of blanks as single blanks, for reports.
    package static func oneLine(_ text: String) -> String {
        text.utf8.split(whereSeparator: LogicalText.isSpace).map { String(decoding: Array($0), as: UTF8.self) }
            .joined(separator: " ")
    }
}
