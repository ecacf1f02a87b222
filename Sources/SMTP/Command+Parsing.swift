import Mail

extension Command {
    /// Longest path with its angle brackets, in octets (RFC 5321 §4.5.3.1.3).
    static let maximumPathBytes = 256

    /// Reads a command line without its line end.
    package init(line: ArraySlice<UInt8>) throws(CommandError) {
        var scanner = ByteScanner(line)
        let verb = scanner.read { ASCII.isLetter($0) }
        guard let verb = Verb(verb, next: scanner.peek) else { throw Self.error(for: line, verb: verb) }
        switch verb {
        case .helo: self = .helo(try scanner.readName())
        case .ehlo: self = .ehlo(try scanner.readName())
        case .mail:
            guard scanner.skipBlanks(), scanner.skip(ignoringCase: "FROM:") else { throw .unrecognized }
            self = try scanner.readMail()
        case .rcpt:
            guard scanner.skipBlanks(), scanner.skip(ignoringCase: "TO:") else { throw .unrecognized }
            self = try scanner.readRcpt()
        case .bdat: self = try scanner.readBdat()
        case .data: self = try scanner.end(.data)
        case .rset: self = try scanner.end(.rset)
        case .quit: self = try scanner.end(.quit)
        case .starttls: self = try scanner.end(.starttls)
        // NOOP and HELP take a string that means nothing (RFC 5321 §4.1.1.8, §4.1.1.9).
        case .noop: self = .noop
        case .help: self = .help
        case .vrfy:
            let argument = String(validatingUTF8: scanner.readAll())?.printable(maximumBytes: 256) ?? "?"
            guard argument.contains(where: { $0 != " " }) else { throw .syntax(expected: "VRFY address") }
            self = .vrfy(argument)
        case .expn, .send, .soml, .saml, .turn, .etrn, .auth: throw .notImplemented
        }
    }

    private enum Verb: String {
        case helo, ehlo, starttls, mail, rcpt, data, bdat, rset, noop, quit, vrfy, help
        case expn, send, soml, saml, turn, etrn, auth

        /// nil also if something other than a blank follows the word.
        init?(_ letters: ArraySlice<UInt8>, next: UInt8?) {
            guard letters.count >= 4, letters.count <= 8, next.map(ASCII.isBlank) ?? true else { return nil }
            self.init(rawValue: String(decoding: letters.map(ASCII.lowercased), as: UTF8.self))
        }
    }

    /// Whether an unknown word comes from a program that speaks something else: `GET / HTTP/1.1`, `Host: example`.
    private static func error(for line: ArraySlice<UInt8>, verb: ArraySlice<UInt8>) -> CommandError {
        let word = String(decoding: verb, as: UTF8.self)
        if ["GET", "POST", "CONNECT", "PUT", "HEAD", "OPTIONS", "DELETE", "PRI"].contains(word) { return .notSMTP }
        let label = line.prefix { ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        return !label.isEmpty && label.endIndex < line.endIndex && line[label.endIndex] == UInt8(ascii: ":")
            ? .notSMTP : .unrecognized
    }
}

extension ByteScanner {
    /// Whether there was at least one blank.
    fileprivate mutating func skipBlanks() -> Bool { !self.read(while: ASCII.isBlank).isEmpty }

    /// The command, if only blanks follow it.
    fileprivate mutating func end(_ command: Command) throws(CommandError) -> Command {
        _ = self.skipBlanks()
        guard self.isAtEnd else { throw .syntax(expected: "no argument") }
        return command
    }

    /// The client's name. RFC 5321 §4.1.4 forbids refusing mail for a wrong name, so whatever could be written
    /// into a `Received` field is read; what it is worth is for the rules to say.
    fileprivate mutating func readName() throws(CommandError) -> String {
        _ = self.skipBlanks()
        let name = self.read { !ASCII.isBlank($0) && !ASCII.isControl($0) }
        _ = self.skipBlanks()
        guard self.isAtEnd, (1...DomainName.maximumBytes).contains(name.count),
            let text = String(validatingUTF8: name), text.isPrintable
        else { throw .badName }
        return text
    }

    fileprivate mutating func readMail() throws(CommandError) -> Command {
        _ = self.skipBlanks()
        let start = self.position
        let path: ReversePath
        if self.skip(ignoringCase: "<>") {
            path = .null
        } else {
            guard !self.isAtEnd else { throw .syntax(expected: "MAIL FROM:<address>") }
            path = .mailbox(try self.readPath(orElse: .badReversePath))
        }
        guard self.position - start <= Command.maximumPathBytes else { throw .pathTooLong }
        var parameters = MailParameters()
        try self.readParameters { (name, value) throws(CommandError) in try parameters.set(name, value) }
        if let mailbox = path.mailbox, !mailbox.isASCII, !parameters.smtputf8 { throw .nonASCIIPath }
        return .mail(path, parameters)
    }

    fileprivate mutating func readRcpt() throws(CommandError) -> Command {
        _ = self.skipBlanks()
        let start = self.position
        let path: ForwardPath
        if self.skip(ignoringCase: "<postmaster>") {
            path = .postmaster
        } else {
            guard !self.isAtEnd else { throw .syntax(expected: "RCPT TO:<address>") }
            path = .mailbox(try self.readPath(orElse: .badForwardPath))
        }
        guard self.position - start <= Command.maximumPathBytes else { throw .pathTooLong }
        var parameters = RecipientParameters()
        try self.readParameters { (name, value) throws(CommandError) in try parameters.set(name, value) }
        return .rcpt(path, parameters)
    }

    /// A path: the mailbox in angle brackets, a source route before it read and forgotten (RFC 5321 §4.1.1.3,
    /// appendix C). The brackets may be missing, as they are with some old programs.
    private mutating func readPath(orElse error: CommandError) throws(CommandError) -> Mailbox {
        let isBracketed = self.skip("<")
        let hasEightBit = self.rest.contains { $0 >= 0x80 }
        if isBracketed, self.peek == UInt8(ascii: "@") {
            guard self.skipSourceRoute() else { throw error }
        }
        guard let mailbox = self.readMailbox(), !isBracketed || self.skip(">"),
            self.peek.map(ASCII.isBlank) ?? true
        else {
            if self.bytes.count > Command.maximumPathBytes + 64 { throw .pathTooLong }
            throw hasEightBit ? .nonASCIIPath : error
        }
        return mailbox
    }

    /// `@one.example,@two.example:`.
    private mutating func skipSourceRoute() -> Bool {
        while self.skip("@") {
            let domain = self.read { ASCII.isAlphanumeric($0) || "-.[]:_".utf8.contains($0) && $0 != UInt8(ascii: ":") }
            guard !domain.isEmpty else { return false }
            if self.skip(":") { return true }
            guard self.skip(",") else { return false }
        }
        return false
    }

    /// `KEYWORD=value` and `KEYWORD`, blanks between them (RFC 5321 §4.1.1.11).
    private mutating func readParameters(
        _ set: (_ name: String, _ value: ArraySlice<UInt8>?) throws(CommandError) -> Void
    ) throws(CommandError) {
        var seen: Set<String> = []
        while self.skipBlanks(), !self.isAtEnd {
            let word = self.read { ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
            let name = String(decoding: word.map(ASCII.uppercased), as: UTF8.self)
            var value: ArraySlice<UInt8>?
            if self.skip("=") { value = self.read { !ASCII.isBlank($0) && !ASCII.isControl($0) } }
            guard !name.isEmpty, self.peek.map(ASCII.isBlank) ?? true, value?.isEmpty != true,
                seen.insert(name).inserted
            else { throw .badParameter(name) }
            try set(name, value)
        }
        guard self.isAtEnd else { throw .syntax(expected: "parameters") }
    }

    fileprivate mutating func readBdat() throws(CommandError) -> Command {
        guard self.skipBlanks() else { throw .syntax(expected: "BDAT size [LAST]") }
        let digits = self.read(while: ASCII.isDigit)
        guard digits.count <= 15, let bytes = Int(String(decoding: digits, as: UTF8.self)) else {
            throw .syntax(expected: "BDAT size [LAST]")
        }
        _ = self.skipBlanks()
        let isLast = self.skip(ignoringCase: "LAST")
        _ = self.skipBlanks()
        guard self.isAtEnd else { throw .syntax(expected: "BDAT size [LAST]") }
        return .bdat(bytes: bytes, isLast: isLast)
    }
}

extension MailParameters {
    fileprivate mutating func set(_ name: String, _ value: ArraySlice<UInt8>?) throws(CommandError) {
        let text = value.map { String(decoding: $0, as: UTF8.self) }
        switch (name, text) {
        case ("SIZE", let text?):
            guard text.utf8.count <= 18, text.utf8.allSatisfy(ASCII.isDigit), let bytes = Int(text) else {
                throw .badParameter(name)
            }
            self.declaredBytes = bytes
        case ("BODY", let text?):
            switch text.uppercased() {
            case "7BIT": self.body = .sevenBit
            case "8BITMIME": self.body = .eightBitMIME
            default: throw .badParameter(name)
            }
        case ("SMTPUTF8", nil): self.smtputf8 = true
        case ("REQUIRETLS", nil): self.tls = .required
        case ("RET", let text?):
            switch text.uppercased() {
            case "FULL": self.noticeReturn = .full
            case "HDRS": self.noticeReturn = .headers
            default: throw .badParameter(name)
            }
        case ("ENVID", let text?):
            // RFC 3461 §4.4: at most 100 characters, before encoding.
            guard let decoded = XText.decode(text), decoded.count <= 100 else { throw .badParameter(name) }
            self.envelopeID = text
        case ("SIZE", nil), ("BODY", nil), ("SMTPUTF8", _), ("REQUIRETLS", _), ("RET", nil), ("ENVID", nil):
            throw .badParameter(name)
        default: throw .unknownParameter(name)
        }
    }
}

extension RecipientParameters {
    fileprivate mutating func set(_ name: String, _ value: ArraySlice<UInt8>?) throws(CommandError) {
        switch (name, value) {
        case ("NOTIFY", let value?):
            guard let conditions = NoticeConditions(notify: String(decoding: value, as: UTF8.self)) else {
                throw .badParameter(name)
            }
            self.notify = conditions
        case ("ORCPT", let value?):
            // RFC 3461 §4.2: at most 500 characters, also in the form in which it is passed on.
            guard value.count <= 500, let text = String(validatingUTF8: value), OriginalRecipient(text) != nil,
                OriginalRecipient.asciiForm(of: text).utf8.count <= 500
            else { throw .badParameter(name) }
            self.originalRecipient = text
        case ("NOTIFY", nil), ("ORCPT", nil): throw .badParameter(name)
        default: throw .unknownParameter(name)
        }
    }
}

extension NoticeConditions {
    /// Reads `NEVER` or a list of the others (RFC 3461 §4.1).
    fileprivate init?(notify text: String) {
        let words = text.uppercased().split(separator: ",", omittingEmptySubsequences: false)
        if words == ["NEVER"] {
            self = .never
            return
        }
        var conditions = NoticeConditions()
        for word in words {
            switch word {
            case "SUCCESS": conditions.insert(.success)
            case "FAILURE": conditions.insert(.failure)
            case "DELAY": conditions.insert(.delay)
            default: return nil
            }
        }
        self = conditions
    }
}
