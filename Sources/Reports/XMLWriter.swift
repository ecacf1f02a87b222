/// Writes elements, one a line, as UTF-8. Whatever a text holds, the document is well-formed XML 1.0.
struct XMLWriter {
    private(set) var bytes: [UInt8] = []
    private var open: [StaticString] = []

    mutating func declaration() { self.bytes += "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".utf8 }

    mutating func begin(_ name: StaticString) {
        self.indent()
        self.tag(name, "<", ">\n")
        self.open.append(name)
    }

    mutating func end() {
        guard let name = self.open.popLast() else { return }
        self.indent()
        self.tag(name, "</", ">\n")
    }

    mutating func element(_ name: StaticString, _ text: String) {
        self.indent()
        self.tag(name, "<", ">")
        for scalar in text.unicodeScalars { self.append(scalar) }
        self.tag(name, "</", ">\n")
    }

    /// Hands over what was written.
    mutating func take() -> [UInt8] {
        defer { self.bytes = [] }
        return self.bytes
    }

    private mutating func indent() { self.bytes += String(repeating: "  ", count: self.open.count).utf8 }

    private mutating func tag(_ name: StaticString, _ before: StaticString, _ after: StaticString) {
        for text in [before, name, after] { text.withUTF8Buffer { self.bytes += $0 } }
    }

    private mutating func append(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "&": self.bytes += "&amp;".utf8
        case "<": self.bytes += "&lt;".utf8
        case ">": self.bytes += "&gt;".utf8
        // What XML 1.0 §2.2 has no place for, white space that a reader would change, and C1 controls.
        case "\0"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}": self.bytes.append(UInt8(ascii: "?"))
        default: self.bytes += Array(String(scalar).utf8)
        }
    }
}
