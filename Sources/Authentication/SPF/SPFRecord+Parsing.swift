import Mail

extension SPFRecord {
    /// Whether the text is a record of SPF at all: its version, and then a space or nothing (RFC 7208 §4.5).
    package static func isRecord(_ text: [UInt8]) -> Bool {
        var scanner = ByteScanner(text[...])
        return scanner.skip(ignoringCase: "v=spf1") && (scanner.isAtEnd || scanner.peek == ASCII.space)
    }

    /// Reads all of a record; one wrong term makes all of it wrong (RFC 7208 §4.6).
    package init(_ text: [UInt8]) throws(SPFSyntaxError) {
        guard Self.isRecord(text) else { throw SPFSyntaxError("no v=spf1") }
        var terms: [SPFTerm] = []
        var (hasRedirect, hasExplanation) = (false, false)
        for word in text.dropFirst(6).split(separator: ASCII.space) {
            let term = try SPFTerm(word)
            switch term {
            case .redirect:
                guard !hasRedirect else { throw SPFSyntaxError("redirect appears twice") }
                hasRedirect = true
            case .explanation:
                guard !hasExplanation else { throw SPFSyntaxError("exp appears twice") }
                hasExplanation = true
            case .directive, .unknown: break
            }
            terms.append(term)
        }
        self.init(checked: terms)
    }
}

extension SPFTerm {
    /// A modifier has `=` right behind its name; everything else is a directive (RFC 7208 §4.6.1).
    fileprivate init(_ word: ArraySlice<UInt8>) throws(SPFSyntaxError) {
        var scanner = ByteScanner(word)
        if let first = scanner.peek, ASCII.isLetter(first) {
            let name = scanner.read { ASCII.isAlphanumeric($0) || "-_.".utf8.contains($0) }
            if scanner.skip("=") {
                self = try Self.modifier(String(decoding: name, as: UTF8.self), scanner.rest)
                return
            }
        }
        self = .directive(try SPFDirective(word))
    }

    private static func modifier(_ name: String, _ value: ArraySlice<UInt8>) throws(SPFSyntaxError) -> SPFTerm {
        switch name.asciiLowercased {
        case "redirect": .redirect(try SPFMacroString(domainSpec: value))
        case "exp": .explanation(try SPFMacroString(domainSpec: value))
        default: .unknown(name: name, value: try SPFMacroString(value, for: .record))
        }
    }
}

extension SPFDirective {
    fileprivate init(_ word: ArraySlice<UInt8>) throws(SPFSyntaxError) {
        let qualifier = word.first.flatMap(Qualifier.init)
        self.qualifier = qualifier ?? .pass
        self.mechanism = try SPFMechanism(qualifier == nil ? word : word.dropFirst())
    }
}

extension SPFMechanism {
    fileprivate init(_ word: ArraySlice<UInt8>) throws(SPFSyntaxError) {
        var scanner = ByteScanner(word)
        let name = String(decoding: scanner.read(while: ASCII.isAlphanumeric), as: UTF8.self).asciiLowercased
        let argument = scanner.rest
        switch name {
        case "all":
            guard argument.isEmpty else { throw SPFSyntaxError("all takes no argument") }
            self = .all
        case "include": self = .include(try SPFMacroString(domainSpec: try Self.required(argument, name)))
        case "exists": self = .exists(try SPFMacroString(domainSpec: try Self.required(argument, name)))
        case "a":
            let (domain, lengths) = try Self.domainAndLengths(argument)
            self = .a(domain, lengths)
        case "mx":
            let (domain, lengths) = try Self.domainAndLengths(argument)
            self = .mx(domain, lengths)
        case "ptr":
            self = .ptr(argument.isEmpty ? nil : try SPFMacroString(domainSpec: try Self.required(argument, name)))
        case "ip4", "ip6": self = try Self.network(try Self.required(argument, name), isV4: name == "ip4")
        default:
            let shown = String(decoding: word.prefix(40).filter { 0x21...0x7E ~= $0 }, as: UTF8.self)
            throw SPFSyntaxError("'\(shown)' is no mechanism")
        }
    }

    /// What stands behind the colon.
    private static func required(_ argument: ArraySlice<UInt8>, _ name: String) throws(SPFSyntaxError) -> ArraySlice<
        UInt8
    > {
        guard argument.first == UInt8(ascii: ":") else { throw SPFSyntaxError("\(name) needs a colon and an argument") }
        return argument.dropFirst()
    }

    /// `[ ":" domain-spec ] [ dual-cidr-length ]`. The domain may hold slashes; what is a length stands at the end.
    private static func domainAndLengths(
        _ argument: ArraySlice<UInt8>
    ) throws(SPFSyntaxError) -> (SPFMacroString?, SPFPrefixLengths) {
        var rest = argument
        var v6 = Self.takeNumber(atEndOf: &rest)
        var v4: ArraySlice<UInt8>?
        if v6 != nil, rest.last == UInt8(ascii: "/") {
            rest = rest.dropLast()
            v4 = Self.takeNumber(atEndOf: &rest)
        } else {
            (v4, v6) = (v6, nil)
        }
        let lengths = SPFPrefixLengths(
            v4: try v4.map { digits throws(SPFSyntaxError) in try Self.prefixLength(digits, atMost: 32) },
            v6: try v6.map { digits throws(SPFSyntaxError) in try Self.prefixLength(digits, atMost: 128) })
        guard !rest.isEmpty else { return (nil, lengths) }
        return (try SPFMacroString(domainSpec: try Self.required(rest, "the mechanism")), lengths)
    }

    /// Takes `/` and digits away; nil if there are none.
    private static func takeNumber(atEndOf text: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let start = text.lastIndex { !ASCII.isDigit($0) }
        guard let start, text[start] == UInt8(ascii: "/"), start + 1 < text.endIndex else { return nil }
        defer { text = text[..<start] }
        return text[(start + 1)...]
    }

    /// Without leading zeros (RFC 7208 §12).
    private static func prefixLength(_ digits: ArraySlice<UInt8>, atMost limit: Int) throws(SPFSyntaxError) -> Int {
        guard (1...3).contains(digits.count), digits.allSatisfy(ASCII.isDigit),
            digits.count == 1 || digits.first != UInt8(ascii: "0"),
            let length = Int(String(decoding: digits, as: UTF8.self)), length <= limit
        else { throw SPFSyntaxError("'\(String(decoding: digits.prefix(8), as: UTF8.self))' is no length of a prefix") }
        return length
    }

    private static func network(_ argument: ArraySlice<UInt8>, isV4: Bool) throws(SPFSyntaxError) -> SPFMechanism {
        let slash = argument.firstIndex(of: UInt8(ascii: "/")) ?? argument.endIndex
        let address = isV4 ? Self.v4(argument[..<slash]) : Self.v6(argument[..<slash])
        guard let address else { throw SPFSyntaxError("\(isV4 ? "ip4" : "ip6") needs an address of its family") }
        let length =
            slash == argument.endIndex
            ? nil : try Self.prefixLength(argument[(slash + 1)...], atMost: isV4 ? 32 : 128)
        return .address(address, prefixLength: length)
    }

    /// Four numbers without leading zeros. Read here, octet by octet: records may have thousands of them.
    private static func v4(_ text: ArraySlice<UInt8>) -> IPAddress? {
        var (value, number, digits, dots) = (UInt32(0), UInt32(0), 0, 0)
        for byte in text {
            if ASCII.isDigit(byte) {
                guard digits == 0 || number > 0 else { return nil }
                number = number * 10 + UInt32(byte - 0x30)
                digits += 1
                guard number <= 255 else { return nil }
            } else {
                guard byte == ASCII.dot, digits > 0, dots < 3 else { return nil }
                (value, number, digits, dots) = (value << 8 | number, 0, 0, dots + 1)
            }
        }
        return digits > 0 && dots == 3 ? .v4(value << 8 | number) : nil
    }

    private static func v6(_ text: ArraySlice<UInt8>) -> IPAddress? {
        guard text.contains(UInt8(ascii: ":")), text.count <= 45 else { return nil }
        return IPAddress(String(decoding: text, as: UTF8.self))?.asV6
    }
}

extension IPAddress {
    /// An IPv4-mapped address as the IPv6 address that was written: it is one of the networks of IPv6.
    fileprivate var asV6: IPAddress {
        switch self {
        case .v4(let value): .v6(high: 0, low: 0xFFFF_0000_0000 | UInt64(value))
        case .v6: self
        }
    }
}
