import Mail

extension AuthenticationResults {
    /// Reads the value of a field, folded or not, as others write it.
    ///
    /// A part between semicolons that cannot be read is left out; what follows a quotation or comment without end is not
    /// looked at, because nobody can say what it belongs to. Nothing in a comment or a quotation becomes a result.
    ///
    /// - Parameter isARC: it begins with `i=1;` (RFC 8617 §4.1.1), which is skipped.
    /// - Returns: nil if there is no authserv-id.
    package init?(_ payload: [UInt8], isARC: Bool = false) {
        var reader = ResultsReader(payload)
        if isARC {
            guard reader.readKeyword() == "i", reader.skip("="), reader.readKeyword() != nil, reader.skip(";") else {
                return nil
            }
        }
        guard let authservID = reader.readValue(), !authservID.isEmpty else { return nil }
        self.init(authservID)
        while reader.skipToNextPart() {
            if let method = reader.readMethod() { self.methods.append(method) }
        }
    }
}

/// Reads the parts of a field's value. Between any two things there may be blanks and comments.
struct ResultsReader {
    private let bytes: [UInt8]
    private var position = 0
    /// The text of the comment that was skipped last.
    private var lastComment: String?
    /// A quotation or comment has no end.
    private var isBroken = false

    /// So many parts of one field are read.
    private var partsLeft = 200

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    private var peek: UInt8? { self.position < self.bytes.count && !self.isBroken ? self.bytes[self.position] : nil }

    private static func isBlank(_ byte: UInt8) -> Bool {
        ASCII.isBlank(byte) || byte == ASCII.carriageReturn || byte == ASCII.lineFeed
    }

    private mutating func skipBlanks() {
        while let byte = self.peek {
            if Self.isBlank(byte) {
                self.position += 1
            } else if byte == UInt8(ascii: "(") {
                self.skipComment()
            } else {
                return
            }
        }
    }

    private mutating func skipComment() {
        let start = self.position + 1
        var depth = 0
        while let byte = self.peek {
            self.position += 1
            switch byte {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"): depth -= 1
            case UInt8(ascii: "\\"): self.position = min(self.position + 1, self.bytes.count)
            default: break
            }
            if depth == 0 {
                let words = self.bytes[start..<self.position - 1].split(whereSeparator: Self.isBlank)
                self.lastComment = String(decoding: Array(words.joined(separator: [ASCII.space])), as: UTF8.self)
                return
            }
        }
        self.isBroken = true
    }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        self.skipBlanks()
        guard self.peek == UInt8(ascii: character) else { return false }
        self.position += 1
        return true
    }

    /// Letters, digits, hyphens and underscores, in lower case.
    mutating func readKeyword() -> String? {
        self.skipBlanks()
        let start = self.position
        while let byte = self.peek, ASCII.isAlphanumeric(byte) || byte == 0x2D || byte == 0x5F { self.position += 1 }
        let word = self.bytes[start..<self.position]
        return word.isEmpty ? nil : String(decoding: word.map(ASCII.lowercased), as: UTF8.self)
    }

    /// A token, which here may have most characters, a quoted string, or a quoted local part with its domain.
    mutating func readValue() -> String? {
        self.skipBlanks()
        var value: [UInt8] = []
        while let byte = self.peek, !Self.isBlank(byte), byte != UInt8(ascii: ";"), byte != UInt8(ascii: "(") {
            if byte == UInt8(ascii: "\"") {
                guard let text = self.readQuoted() else { return nil }
                value += text
            } else {
                value.append(byte)
                self.position += 1
            }
        }
        return String(validatingUTF8: value[...])
    }

    private mutating func readQuoted() -> [UInt8]? {
        self.position += 1
        var text: [UInt8] = []
        while let byte = self.peek {
            self.position += 1
            if byte == UInt8(ascii: "\"") { return text }
            if byte == UInt8(ascii: "\\"), let quoted = self.peek {
                self.position += 1
                text.append(quoted)
            } else if byte != ASCII.carriageReturn, byte != ASCII.lineFeed {
                text.append(byte)
            }
        }
        self.isBroken = true
        return nil
    }

    /// Goes behind the next semicolon; false if there is none.
    mutating func skipToNextPart() -> Bool {
        self.partsLeft -= 1
        guard self.partsLeft > 0 else { return false }
        while let byte = self.peek {
            switch byte {
            case UInt8(ascii: ";"):
                self.position += 1
                return true
            case UInt8(ascii: "("): self.skipComment()
            case UInt8(ascii: "\""): _ = self.readQuoted()
            default: self.position += 1
            }
        }
        return false
    }

    /// `method=result (comment) reason=text type.property=value`; nil also for `none`.
    mutating func readMethod() -> AuthenticationResults.Method? {
        guard let name = self.readKeyword() else { return nil }
        if self.skip("/") { _ = self.readKeyword() }
        guard self.skip("="), let result = self.readKeyword() else { return nil }
        guard self.endsWord else { return nil }
        self.lastComment = nil
        self.skipBlanks()
        var method = AuthenticationResults.Method(name, result, comment: self.lastComment)
        while method.properties.count < 50, let property = self.readProperty() {
            if property.type.isEmpty, property.name == "reason" {
                method.reason = property.value
            } else {
                method.properties.append(property)
            }
        }
        // Something behind it that is no property: whoever wrote it meant something else than was read.
        return self.isBroken || !(self.peek == nil || self.peek == UInt8(ascii: ";")) ? nil : method
    }

    /// Nothing else is joined to the word that was read.
    private var endsWord: Bool {
        self.peek.map { Self.isBlank($0) || $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: "(") } ?? true
    }

    /// - Returns: nil, and nothing is read, if there is none.
    private mutating func readProperty() -> AuthenticationResults.Property? {
        let start = self.position
        let property = self.readWholeProperty()
        if property == nil { self.position = start }
        return property
    }

    private mutating func readWholeProperty() -> AuthenticationResults.Property? {
        guard let first = self.readKeyword() else { return nil }
        var second: String?
        if self.skip(".") {
            second = self.readKeyword()
            guard second != nil else { return nil }
        }
        guard self.skip("="), let value = self.readValue() else { return nil }
        self.skipBlanks()
        return AuthenticationResults.Property(second == nil ? "" : first, second ?? first, value)
    }
}
