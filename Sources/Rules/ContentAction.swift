package import Mail

/// What a rule says to do with a line or with the message (header_checks(5)), read from the right-hand side of a table.
package enum ContentAction: Hashable, Sendable {
    package enum Name: String, Hashable, Sendable, CaseIterable {
        case bcc = "BCC"
        case discard = "DISCARD"
        case dunno = "DUNNO"
        case filter = "FILTER"
        case hold = "HOLD"
        case ignore = "IGNORE"
        case info = "INFO"
        /// DUNNO's old name.
        case ok = "OK"
        case pass = "PASS"
        case prepend = "PREPEND"
        case redirect = "REDIRECT"
        case reject = "REJECT"
        case replace = "REPLACE"
        case strip = "STRIP"
        case warn = "WARN"

        /// Postfix writes no line about these.
        package var isSilent: Bool {
            switch self {
            case .dunno, .ignore, .ok: true
            case .bcc, .discard, .filter, .hold, .info, .pass, .prepend, .redirect, .reject, .replace, .strip, .warn:
                false
            }
        }
    }

    /// Goes on with the next line, and changes nothing: DUNNO, INFO, OK, WARN.
    case next
    /// IGNORE, STRIP.
    case remove
    case prepend(String)
    case replace(String)
    case hold
    case filter(String)
    case bcc(Mailbox)
    case pass
    case redirect(Mailbox)
    case discard
    case reject(Reply)

    /// Nothing behind it is looked at. REDIRECT does so in Postfix too, although its manual says otherwise.
    package var endsInspection: Bool {
        switch self {
        case .pass, .redirect, .discard, .reject: true
        case .next, .remove, .prepend, .replace, .hold, .filter, .bcc: false
        }
    }

    /// What is wrong with a right-hand side.
    package struct Problem: Error, Hashable, Sendable {
        package let message: String

        init(_ message: String) {
            self.message = message
        }
    }

    /// A right-hand side in its two parts; the argument may be empty.
    struct Text {
        let name: Name
        let argument: String

        init(_ value: String) throws(Problem) {
            guard !value.isEmpty else { throw Problem("no action") }
            let word = value.utf8.prefix { !ASCII.isBlank($0) }
            guard let name = Name.allCases.first(where: { $0.rawValue.equalsIgnoringCase(Substring(word)) }) else {
                throw Problem("unknown action '\(Substring(word).printable(maximumBytes: 40))'")
            }
            self.name = name
            self.argument = String(Substring(value.utf8[word.endIndex...].drop(while: Self.isSpace)))
        }

        private static func isSpace(_ byte: UInt8) -> Bool { byte == ASCII.space || (0x09...0x0D).contains(byte) }
    }

    /// - Parameter contentClass: what the text is put before or instead of; nil if it is not known.
    init(_ text: Text, for contentClass: ContentClass?) throws(Problem) {
        switch text.name {
        case .dunno, .info, .ok, .warn: self = .next
        case .ignore, .strip: self = .remove
        case .prepend: self = .prepend(try Self.line(text, for: contentClass))
        case .replace: self = .replace(try Self.line(text, for: contentClass))
        case .hold: self = .hold
        case .pass: self = .pass
        case .discard: self = .discard
        case .reject: self = .reject(Self.reply(text.argument))
        case .bcc: self = .bcc(try Self.mailbox(text))
        case .redirect: self = .redirect(try Self.mailbox(text))
        case .filter:
            guard text.argument.utf8.contains(UInt8(ascii: ":")) else {
                throw Problem("FILTER needs transport:destination")
            }
            self = .filter(text.argument)
        }
    }

    private static func line(_ text: Text, for contentClass: ContentClass?) throws(Problem) -> String {
        guard !text.argument.isEmpty else { throw Problem("\(text.name.rawValue) needs a text") }
        if contentClass?.isHeader == true, FieldSyntax.nameLength(in: text.argument.utf8) == nil {
            throw Problem("\(text.name.rawValue) needs a header field, 'name: value'")
        }
        return text.argument
    }

    private static func mailbox(_ text: Text) throws(Problem) -> Mailbox {
        guard let mailbox = Mailbox(text.argument) else { throw Problem("\(text.name.rawValue) needs user@domain") }
        return mailbox
    }

    // MARK: - Replies

    /// 550, or 451 where the text begins with an enhanced code that says so. The lines of a captured field become one.
    private static func reply(_ argument: String) -> Reply {
        guard !argument.isEmpty else { return Reply(550, .init(7, 1), "message content rejected") }
        let argument = String(
            decoding: argument.utf8.map { $0 == ASCII.lineFeed ? ASCII.space : $0 }, as: UTF8.self)
        guard let status = self.status(argument) else { return Reply(550, .init(7, 1), argument) }
        return Reply(status.isPermanent ? 550 : 451, status.detail, status.text)
    }

    private struct Status {
        let isPermanent: Bool
        /// It has the form of an enhanced code, and its first digit is one for errors.
        let isError: Bool
        let detail: Reply.Detail
        let text: String
    }

    /// An enhanced code (RFC 3463) at the beginning of a text. One of success is temporary: so Postfix mends it.
    private static func status(_ text: String) -> Status? {
        let word = text.utf8.prefix { !ASCII.isBlank($0) }
        let numbers = word.split(separator: ASCII.dot, omittingEmptySubsequences: false)
        guard numbers.count == 3, ["2", "4", "5"].contains(String(Substring(numbers[0]))),
            numbers.dropFirst().allSatisfy({ (1...3).contains($0.count) && $0.allSatisfy(ASCII.isDigit) }),
            let subject = Int(Substring(numbers[1])), let detail = Int(Substring(numbers[2]))
        else { return nil }
        let first = numbers[0].first
        return Status(
            isPermanent: first == UInt8(ascii: "5"), isError: first != UInt8(ascii: "2"),
            detail: Reply.Detail(subject, detail),
            text: String(Substring(text.utf8[word.endIndex...].drop(while: ASCII.isBlank))))
    }

    // MARK: - Checking tables

    static func problem(inValue value: String, for contentClass: ContentClass?) -> String? {
        do {
            if self.hasSubstitution(value.utf8.prefix { !ASCII.isBlank($0) }) { return nil }
            let text = try Text(value)
            if self.hasSubstitution(text.argument.utf8[...]) { return nil }
            _ = try ContentAction(text, for: contentClass)
            if text.name == .reject, let status = self.status(text.argument), !status.isError {
                return "the enhanced code of REJECT must begin with 4 or 5"
            }
            return nil
        } catch {
            return error.message
        }
    }

    /// `$1`, `${1}` or `$(1)`; `$$` is a dollar.
    private static func hasSubstitution(_ text: Substring.UTF8View) -> Bool {
        var scanner = ByteScanner(Array(text)[...])
        while let byte = scanner.next() {
            guard byte == UInt8(ascii: "$"), !scanner.skip("$") else { continue }
            if scanner.peek.map({ ASCII.isDigit($0) || "{(".utf8.contains($0) }) == true { return true }
        }
        return false
    }
}
