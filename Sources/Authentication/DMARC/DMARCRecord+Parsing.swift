import Mail

extension DMARCRecord {
    /// Whether this TXT record claims to be a DMARC record: `v=DMARC1` comes first, its value in this case
    /// (RFC 7489 §6.6.3 step 2). Others at the same name do not count.
    package static func claims(_ bytes: [UInt8]) -> Bool {
        var scanner = ByteScanner(bytes[...])
        guard scanner.skip(ignoringCase: "v") else { return false }
        _ = scanner.read(while: ASCII.isBlank)
        guard scanner.skip("=") else { return false }
        _ = scanner.read(while: ASCII.isBlank)
        guard scanner.read(while: ASCII.isAlphanumeric).elementsEqual("DMARC1".utf8) else { return false }
        _ = scanner.read(while: ASCII.isBlank)
        return scanner.isAtEnd || scanner.peek == UInt8(ascii: ";")
    }

    /// Reads a record.
    ///
    /// Wrong values of tags other than `p`, `sp` and `np` give way to defaults (RFC 7489 §6.3), and unknown tags are
    /// ignored. `p` may stand anywhere, as RFC 9989 has it and everybody reads it.
    package init(_ bytes: [UInt8]) throws(SyntaxError) {
        guard Self.claims(bytes) else { throw .otherRecord }
        var seen: Set<String> = ["v"]
        for piece in bytes.split(separator: UInt8(ascii: ";")).dropFirst() {
            let parts = piece.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self).trimmed }
            if parts == [""] { continue }
            let name = parts.first?.asciiLowercased ?? ""
            guard parts.count == 2, Self.isTagName(name) else { throw .noTag(parts.joined(separator: "=")) }
            guard seen.insert(name).inserted else { throw .repeatedTag(name) }
            self.set(name, parts[1])
        }
    }

    private static func isTagName(_ name: String) -> Bool {
        guard let first = name.utf8.first, ASCII.isLetter(first) else { return false }
        return name.utf8.allSatisfy { ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "_") }
    }

    private mutating func set(_ name: String, _ value: String) {
        let small = value.asciiLowercased
        switch name {
        case "p": self.policy = Self.request(small)
        case "sp": self.subdomainPolicy = Self.request(small)
        case "np": self.nonexistentPolicy = Self.request(small)
        case "psd": self.publicSuffix = PublicSuffixClaim(rawValue: small) ?? .unknown
        case "t": self.isTest = small == "y"
        case "adkim": self.dkimMode = AlignmentMode(rawValue: small) ?? .relaxed
        case "aspf": self.spfMode = AlignmentMode(rawValue: small) ?? .relaxed
        case "pct": self.percentage = Self.number(value, upTo: 100) ?? 100
        case "rua": self.aggregateReports = Self.uris(value)
        case "ruf": self.failureReports = Self.uris(value)
        case "fo": self.setFailureOptions(small)
        case "rf": self.reportFormats = small.split(separator: ":").map(\.trimmed)
        case "ri": self.reportInterval = .seconds(Self.number(value, upTo: Int(UInt32.max)) ?? 86_400)
        default: break
        }
    }

    private static func request(_ value: String) -> Request {
        DMARCPolicy(rawValue: value).map { .policy($0) } ?? .invalid
    }

    /// Digits and nothing else.
    private static func number(_ text: some StringProtocol, upTo maximum: Int) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy(ASCII.isDigit), let number = Int(text) else { return nil }
        return number <= maximum ? number : nil
    }

    private mutating func setFailureOptions(_ value: String) {
        let options = Set(value.split(separator: ":").flatMap(\.trimmed))
        if !options.isEmpty, options.isSubset(of: ["0", "1", "d", "s"]) { self.failureOptions = options }
    }

    /// Those that are URIs; commas and exclamation marks of their own are percent-encoded (RFC 7489 §6.4).
    private static func uris(_ value: String) -> [ReportURI] {
        value.split(separator: ",").compactMap { Self.uri($0.trimmed) }
    }

    private static func uri(_ text: String) -> ReportURI? {
        let parts = text.split(separator: "!", maxSplits: 1, omittingEmptySubsequences: false)
        guard let uri = parts.first, Self.isURI(uri) else { return nil }
        guard parts.count == 2 else { return ReportURI(uri: String(uri), limitBytes: nil) }
        guard let limit = Self.size(parts[1]) else { return nil }
        return ReportURI(uri: String(uri), limitBytes: limit)
    }

    /// `10m`: powers of 1024.
    private static func size(_ text: Substring) -> Int? {
        let units: [Character: Int] = ["k": 10, "m": 20, "g": 30, "t": 40]
        guard let last = text.last?.lowercased().first, let shift = units[last] else {
            return Self.number(text, upTo: Int(UInt32.max))
        }
        return Self.number(text.dropLast(), upTo: 1 << 20).map { $0 << shift }
    }

    private static func isURI(_ text: Substring) -> Bool {
        guard let colon = text.firstIndex(of: ":"), let first = text.utf8.first, ASCII.isLetter(first) else {
            return false
        }
        let scheme = text[..<colon]
        let rest = text[text.index(after: colon)...]
        let isScheme = scheme.utf8.allSatisfy { ASCII.isAlphanumeric($0) || "+-.".utf8.contains($0) }
        let isRest = rest.utf8.allSatisfy { $0 > ASCII.space && $0 < 0x7F && !"\"<>\\^`{|}".utf8.contains($0) }
        guard isScheme, isRest, !rest.isEmpty else { return false }
        guard scheme.equalsIgnoringCase("mailto") else { return true }
        guard let at = rest.lastIndex(of: "@") else { return false }
        return at > rest.startIndex && rest.index(after: at) < rest.endIndex
    }
}

extension StringProtocol {
    /// Without blanks and line ends around it.
    fileprivate var trimmed: String {
        let isText = { (byte: UInt8) in
            !ASCII.isBlank(byte) && byte != ASCII.carriageReturn && byte != ASCII.lineFeed
        }
        let bytes = Array(self.utf8)
        guard let first = bytes.firstIndex(where: isText), let last = bytes.lastIndex(where: isText) else { return "" }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }
}
