package import Mail

/// The author domains of a message: those of all mailboxes in its `From` field (RFC 5322 §3.6.2, RFC 6854, RFC 6532).
///
/// What a reader may take for the address counts as one. Where the grammar is broken, every domain that any reader
/// could show is in the list; in display names that the grammar allows (quoted strings, atoms, comments, encoded words)
/// nothing is looked for, so that `"a@bank.example" <b@other.example>` is of `other.example` alone.
package struct FromField: Hashable, Sendable {
    /// In their order, each once.
    package internal(set) var domains: [DomainName] = []
    /// How many `From` fields the header has.
    package internal(set) var fieldCount: Int
    /// RFC 5322 does not allow what stands there. Much mail is like that, `Doe, John <j@example>` for one.
    package internal(set) var isMalformed = false
    /// A mailbox that has no domain name: a domain literal, no domain at all, or one that cannot exist.
    package internal(set) var hasUnusableMailbox = false
    /// The header was not read, so that nobody knows what `From` says.
    package let isHeaderTooLarge: Bool

    /// - Parameter fields: what follows the colon of each `From` field, line ends in it or not. Only two are read: with
    ///   more than one there is nothing to evaluate, and a sender can write a thousand.
    package init(fields: [[UInt8]], isHeaderTooLarge: Bool = false) {
        self.isHeaderTooLarge = isHeaderTooLarge
        self.fieldCount = fields.count
        for field in fields.prefix(2) {
            let tokens = AddressTokens(field)
            self.isMalformed = self.isMalformed || tokens.isMalformed
            var reader = AddressReader(tokens.list)
            reader.read()
            self.isMalformed = self.isMalformed || reader.isMalformed
            self.hasUnusableMailbox = self.hasUnusableMailbox || reader.hasUnusableMailbox
            for domain in reader.domains where !self.domains.contains(domain) { self.domains.append(domain) }
        }
    }

    /// Of a header with its line ends, or a whole message: what follows the empty line is not looked at.
    package init(header: [UInt8]) {
        self.init(fields: Self.fields(named: "from", in: header))
    }

    /// The values of the fields of this name, with their folded lines.
    private static func fields(named name: String, in header: [UInt8]) -> [[UInt8]] {
        var fields: [[UInt8]] = []
        var isInside = false
        for line in header.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false) {
            let text = line.last == ASCII.carriageReturn ? line.dropLast() : line
            guard let first = text.first else { break }
            if ASCII.isBlank(first) {
                if isInside { fields[fields.count - 1] += [ASCII.space] + text }
                continue
            }
            // Blanks before the colon are obsolete and read everywhere (RFC 5322 §4.5).
            let colon = text.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
            let found = text[..<colon].reversed().drop(while: ASCII.isBlank).reversed().map(ASCII.lowercased)
            isInside = colon < text.endIndex && found.elementsEqual(name.utf8)
            if isInside { fields.append(Array(text[text.index(after: colon)...])) }
        }
        return fields
    }

    /// What DMARC can do with the field.
    package enum Use: Hashable, Sendable {
        /// Each of these is evaluated.
        case evaluate([DomainName])
        /// Nothing; and most such mail is refused anyway (RFC 7489 §6.6.1).
        case unusable(Fault)
    }

    package enum Fault: String, CaseIterable, Hashable, Sendable {
        case headerTooLarge = "a header that is too large"
        case noField = "no From field"
        case severalFields = "several From fields"
        case noDomain = "no domain in the From field"
        case tooManyDomains = "too many domains in the From field"
    }

    /// More than this would make us ask too much of DNS for one message.
    package static let maximumDomains = 4

    package var use: Use {
        if self.isHeaderTooLarge { return .unusable(.headerTooLarge) }
        if self.fieldCount == 0 { return .unusable(.noField) }
        if self.fieldCount > 1 { return .unusable(.severalFields) }
        if self.domains.isEmpty { return .unusable(.noDomain) }
        return self.domains.count > Self.maximumDomains ? .unusable(.tooManyDomains) : .evaluate(self.domains)
    }
}
