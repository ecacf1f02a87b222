import Mail

extension STSPolicy {
    /// A year and a bit (RFC 8461 §3.2).
    package static let longestAge = Duration.seconds(31_557_600)
    /// Octets of a whole policy, which RFC 8461 §3.3 suggests.
    package static let longestBody = 65_536
    /// Patterns that are taken; more than twenty times as many as large providers have.
    package static let mostPatterns = 64
    /// Octets of lines that are kept for reports.
    package static let longestReport = 4096

    /// Reads what the server of policies sent (RFC 8461 §3.2).
    ///
    /// Lines end with LF or CRLF; empty ones, which the grammar does not have, do no harm. Unknown fields are passed over,
    /// and of those that are repeated the first counts, but for `mx`. Names in Unicode become A-labels.
    ///
    /// - Throws: ``STSFault`` with `sts-policy-invalid`, and with what is wrong.
    package init(published bytes: [UInt8]) throws(STSFault) {
        guard bytes.count <= Self.longestBody else { throw .invalid("longer than \(Self.longestBody) octets") }
        var fields = STSFields()
        for line in bytes.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false) {
            let line = line.last == ASCII.carriageReturn ? line.dropLast() : line
            if !line.allSatisfy(ASCII.isBlank) { try fields.add(line) }
        }
        guard fields.hasVersion else { throw .invalid("no version") }
        guard let mode = fields.mode else { throw .invalid("no mode") }
        guard let age = fields.maximumAge else { throw .invalid("no max_age") }
        guard mode == .none || !fields.patterns.isEmpty else { throw .invalid("no mx") }
        self.init(mode: mode, mxPatterns: fields.patterns, maximumAge: age, lines: fields.lines)
    }
}

/// What has been read of a policy.
private struct STSFields {
    var hasVersion = false
    var mode: STSPolicy.Mode?
    var maximumAge: Duration?
    var patterns: [String] = []
    var lines: [String] = []
    private var lineBytes = 0

    mutating func add(_ line: ArraySlice<UInt8>) throws(STSFault) {
        guard let text = String(validating: line, as: UTF8.self), !line.contains(where: Self.isForbidden) else {
            throw .invalid("a line is not text")
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), STSSyntax.isName(line[..<colon]) else {
            throw .invalid("a line is no field")
        }
        let key = String(decoding: line[..<colon], as: UTF8.self)
        let value = String(decoding: STSSyntax.trimmed(line[(colon + 1)...]), as: UTF8.self)
        switch key {
        case "version":
            guard self.hasVersion || value == "STSv1" else { throw .invalid("unknown version") }
            self.hasVersion = true
        case "mode": try self.addMode(value)
        case "max_age": try self.addAge(value)
        case "mx": try self.addPattern(value)
        default: break
        }
        self.lineBytes += line.count
        if self.lineBytes <= STSPolicy.longestReport { self.lines.append(text) }
    }

    private mutating func addMode(_ value: String) throws(STSFault) {
        guard self.mode == nil else { return }
        guard let mode = STSPolicy.Mode(rawValue: value) else { throw .invalid("unknown mode") }
        self.mode = mode
    }

    private mutating func addAge(_ value: String) throws(STSFault) {
        guard self.maximumAge == nil else { return }
        guard (1...10).contains(value.utf8.count), value.utf8.allSatisfy(ASCII.isDigit), let seconds = Int64(value),
            .seconds(seconds) <= STSPolicy.longestAge
        else { throw .invalid("max_age is no number of seconds up to a year") }
        self.maximumAge = .seconds(seconds)
    }

    /// `*` stands for the whole leftmost label or not at all, and there must be a name behind it.
    private mutating func addPattern(_ value: String) throws(STSFault) {
        let isWildcard = value.hasPrefix("*.")
        guard let name = DomainName(isWildcard ? value.dropFirst(2) : value[...]) else {
            throw .invalid("an mx is no name")
        }
        let pattern = isWildcard ? "*.\(name.ascii)" : name.ascii
        guard !self.patterns.contains(pattern) else { return }
        guard self.patterns.count < STSPolicy.mostPatterns else { throw .invalid("too many mx") }
        self.patterns.append(pattern)
    }

    private static func isForbidden(_ byte: UInt8) -> Bool { ASCII.isControl(byte) && byte != ASCII.tab }
}

extension STSFault {
    /// The text says nothing that the policy's author wrote: it goes into reports.
    static func invalid(_ reason: String) -> STSFault { STSFault(.stsPolicyInvalid, reason) }
}
