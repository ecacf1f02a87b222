/// Writes a document in I-JSON (RFC 7493). Whatever a text holds, it stays within its quotes.
struct JSONWriter {
    private var bytes: [UInt8] = []
    /// Something stands before in the object or array that is open.
    private var needsComma = false

    /// The document itself, an element of an array, or with a name a member of an object.
    mutating func object(_ name: StaticString? = nil, _ members: (inout JSONWriter) -> Void) {
        self.begin(name)
        self.enclosed("{", "}", members)
    }

    mutating func array(_ name: StaticString, _ elements: (inout JSONWriter) -> Void) {
        self.begin(name)
        self.enclosed("[", "]", elements)
    }

    mutating func text(_ name: StaticString?, _ text: String) {
        self.begin(name)
        self.quote(text)
    }

    mutating func texts(_ name: StaticString, _ texts: [String]) {
        self.array(name) { json in
            for text in texts { json.text(nil, text) }
        }
    }

    /// Larger numbers are not the same to everybody (RFC 7493 §2.2).
    mutating func number(_ name: StaticString, _ number: UInt64) {
        self.begin(name)
        self.bytes += "\(min(number, 1 << 53 - 1))".utf8
    }

    /// Hands over what was written since.
    mutating func take() -> [UInt8] {
        defer { self.bytes = [] }
        return self.bytes
    }

    private mutating func begin(_ name: StaticString?) {
        if self.needsComma { self.bytes.append(UInt8(ascii: ",")) }
        self.needsComma = true
        guard let name else { return }
        self.quote("\(name)")
        self.bytes.append(UInt8(ascii: ":"))
    }

    private mutating func enclosed(
        _ opening: Unicode.Scalar, _ closing: Unicode.Scalar, _ body: (inout JSONWriter) -> Void
    ) {
        self.bytes.append(UInt8(ascii: opening))
        self.needsComma = false
        body(&self)
        self.bytes.append(UInt8(ascii: closing))
        self.needsComma = true
    }

    private mutating func quote(_ text: String) {
        self.bytes.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars { self.append(scalar) }
        self.bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\"", "\\": self.bytes += [UInt8(ascii: "\\"), UInt8(truncatingIfNeeded: scalar.value)]
        // What a terminal or a log would take for something else, too.
        case "\0"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
            let digits = String(scalar.value, radix: 16)
            self.bytes += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8
        // Of no use between programs (RFC 7493 §2.1).
        case _ where scalar.properties.isNoncharacterCodePoint: self.bytes.append(UInt8(ascii: "?"))
        default: self.bytes += Array(String(scalar).utf8)
        }
    }
}
