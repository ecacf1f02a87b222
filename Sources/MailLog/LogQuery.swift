package import Mail

/// What a line has to have to be found.
package enum LogTerm: Hashable, Sendable {
    package enum Side: Hashable, Sendable { case from, to, either }

    /// An address with `*` for any text; of the null reverse-path it is empty.
    case address(Wildcard, Side)
    /// A domain with `*` for any text, of an address or a next hop.
    case domain(Wildcard)
    case client(IPNetwork)
    /// A message, also where it is told about in a notice.
    case id(String)
    case reference(String)
    case session(String)
    /// Sessions and messages are named alike.
    case idOrSession(String)

    package enum SyntaxError: Error, Hashable, Sendable {
        case notATerm(String)
        case notAnID(String)
        case notAClient(String)
        /// Bits behind the prefix are set; the network meant may be this one.
        case hostBitsSet(String, meant: IPNetwork)
    }

    /// Characters of a reference.
    private static let referenceLength = 6

    /// Recognises a term by its form.
    package init(recognising text: String) throws(SyntaxError) {
        if text == "<>" {
            self = .address(Wildcard(""), .from)
        } else if text.hasPrefix("@") {
            self = .domain(Wildcard(text.dropFirst()))
        } else if text.contains("@") {
            self = .address(Wildcard(text.unbracketed), .either)
        } else if text.contains("/") || IPAddress(text) != nil {
            self = try Self.client(named: text)
        } else if text.contains(".") {
            self = Self.domain(named: text)
        } else if QueueID(text) != nil {
            self = .idOrSession(text.uppercased())
        } else if text.utf8.count == Self.referenceLength, text.utf8.allSatisfy(ASCII.isAlphanumeric) {
            self = .reference(text.uppercased())
        } else {
            throw .notATerm(text)
        }
    }

    /// `<>` is the null reverse-path.
    package static func address(named text: String, _ side: Side) -> LogTerm {
        .address(Wildcard(text.unbracketed), side)
    }

    /// `.example.com` is what is below it.
    package static func domain(named text: String) -> LogTerm {
        let name = text.hasPrefix("@") ? text.dropFirst() : text[...]
        return .domain(Wildcard(name.hasPrefix(".") ? "*\(name)" : Domain(name)?.key ?? String(name)))
    }

    package static func client(named text: String) throws(SyntaxError) -> LogTerm {
        do { return .client(try IPNetwork(text)) } catch {
            switch error {
            case .notANetwork: throw .notAClient(text)
            case .hostBitsSet(let meant): throw .hostBitsSet(text, meant: meant)
            }
        }
    }

    package static func id(named text: String) throws(SyntaxError) -> LogTerm {
        guard QueueID(text) != nil else { throw .notAnID(text) }
        return .id(text.uppercased())
    }

    package static func session(named text: String) throws(SyntaxError) -> LogTerm {
        guard QueueID(text) != nil else { throw .notAnID(text) }
        return .session(text.uppercased())
    }

    package func matches(_ line: LogLine) -> Bool {
        switch self {
        case .address(let pattern, let side):
            side != .to && (line["from"].map(pattern.matches) ?? false)
                || side != .from && line.recipients.contains(where: pattern.matches)
        case .domain(let pattern):
            line.addresses.contains { $0.domainPart.map(pattern.matches) ?? false }
                || line["destination"].map(pattern.matches) ?? false
        case .client(let network): line.client.map(network.contains) ?? false
        case .id(let id): LogStory.messageKeys.contains { line[$0] == id }
        case .reference(let reference): line["ref"] == reference
        case .session(let session): line[LogStory.sessionKey] == session
        case .idOrSession(let id): ([LogStory.sessionKey] + LogStory.messageKeys).contains { line[$0] == id }
        }
    }
}

extension StringProtocol {
    /// Without the angle brackets of a path.
    fileprivate var unbracketed: String {
        self.hasPrefix("<") && self.hasSuffix(">") ? String(self.dropFirst().dropLast()) : String(self)
    }

    /// What follows the last `@`, as it is compared.
    var domainPart: String? {
        self.lastIndex(of: "@").map { String(self[self.index(after: $0)...]).asciiLowercased }
    }
}

extension LogLine {
    /// Those that the line names; it may name fewer than it tells of.
    package var recipients: [String] { self["to"].map { Self.mailboxes($0) } ?? [] }

    /// Sender and recipients; the null reverse-path is none.
    package var addresses: [String] { (self["from"].map { $0.isEmpty ? [] : [$0] } ?? []) + self.recipients }

    package var client: IPAddress? { self["client"].flatMap { Endpoint($0)?.address ?? IPAddress($0) } }

    /// Takes a list apart; a quoted local part may have commas.
    private static func mailboxes(_ list: String) -> [String] {
        guard list.utf8.contains(UInt8(ascii: ",")) else { return list.isEmpty ? [] : [list] }
        var result: [String] = []
        var current: [UInt8] = []
        var (isQuoted, isEscaped) = (false, false)
        for byte in list.utf8 {
            if byte == UInt8(ascii: ","), !isQuoted {
                result.append(String(decoding: current, as: UTF8.self))
                current = []
                continue
            }
            current.append(byte)
            if byte == UInt8(ascii: "\""), !isEscaped { isQuoted.toggle() }
            isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
        }
        result.append(String(decoding: current, as: UTF8.self))
        return result.filter { !$0.isEmpty }
    }
}

/// What is searched for: all terms in one line, within a time, in lines of some kinds.
package struct LogQuery: Sendable {
    package var terms: [LogTerm] = []
    /// Empty for all.
    package var events: Set<String> = []
    package var since: Timestamp?
    /// Behind the last one.
    package var until: Timestamp?

    package init() {}

    /// Whether there is anything that a story could be told of.
    package var isSearch: Bool { !self.terms.isEmpty || !self.events.isEmpty }

    package func isInTime(_ line: LogLine) -> Bool {
        self.since.map { line.time >= $0 } ?? true && self.until.map { line.time < $0 } ?? true
    }

    package func matches(_ line: LogLine) -> Bool {
        guard self.isInTime(line) else { return false }
        guard self.events.isEmpty || self.events.contains(line.event ?? line["level"] ?? "") else { return false }
        return self.terms.allSatisfy { $0.matches(line) }
    }
}
