import Mail

/// Finds the domains of the mailboxes in an address list, of whatever it can make sense of (RFC 5322 §3.4, §4.4).
struct AddressReader {
    private(set) var domains: [DomainName] = []
    private(set) var isMalformed = false
    private(set) var hasUnusableMailbox = false

    private let tokens: [AddressToken]
    private var position = 0

    /// One mailbox between commas, as far as it has been read.
    private struct Element {
        /// Addresses outside angle brackets. Where angle brackets follow, they are a display name that RFC 5322 does
        /// not allow, and that readers may show as the address.
        var bareCount = 0
        var bareUnusable = 0
        var angleCount = 0
        var wordCount = 0
        var isEmpty: Bool { self.bareCount + self.angleCount + self.wordCount == 0 }
    }

    init(_ tokens: [AddressToken]) {
        self.tokens = tokens
    }

    private var next: AddressToken? { self.position < self.tokens.count ? self.tokens[self.position] : nil }

    mutating func read() {
        var element = Element()
        while let token = self.next {
            self.position += 1
            switch token.kind {
            case .special(UInt8(ascii: ",")), .special(UInt8(ascii: ";")):
                self.finish(element)
                element = Element()
            case .special(UInt8(ascii: ":")):
                // The name of a group (RFC 6854): what stood before it is a phrase.
                if element.bareCount + element.angleCount > 0 || element.wordCount == 0 { self.isMalformed = true }
                element = Element()
            case .special(UInt8(ascii: "<")): self.readAngle(&element)
            case .special(UInt8(ascii: "@")):
                element.bareCount += 1
                if !self.readDomain() { element.bareUnusable += 1 }
            case .special(ASCII.dot), .atom, .quoted: element.wordCount += 1
            case .literal, .special: self.isMalformed = true
            }
        }
        self.finish(element)
    }

    private mutating func finish(_ element: Element) {
        guard !element.isEmpty else { return }  // RFC 5322 §4.4: lists may have empty elements.
        let addresses = element.bareCount + element.angleCount
        if addresses != 1 { self.isMalformed = true }
        if element.angleCount == 0, element.bareUnusable > 0 { self.hasUnusableMailbox = true }
    }

    /// Reads what follows `<`, up to `>` or what else ends it.
    private mutating func readAngle(_ element: inout Element) {
        element.angleCount += 1
        self.skipRoute()
        var found = 0
        while let token = self.next, !token.isSpecial(">") {
            if token.isSpecial("<") || token.isSpecial(",") || token.isSpecial(";") { break }
            self.position += 1
            guard token.isSpecial("@") else { continue }
            found += 1
            if !self.readDomain() { self.hasUnusableMailbox = true }
        }
        if found == 0 { self.hasUnusableMailbox = true }
        let isClosed = self.next?.isSpecial(">") ?? false
        if isClosed { self.position += 1 }
        if found != 1 || !isClosed { self.isMalformed = true }
    }

    /// `@a.example,@b.example:` (RFC 5322 §4.4): relays of old, nobody's address. Without a colon it is none.
    private mutating func skipRoute() {
        guard self.next?.isSpecial("@") ?? false else { return }
        for (offset, token) in self.tokens[self.position...].enumerated() {
            switch token.kind {
            case .special(UInt8(ascii: ":")):
                self.position += offset + 1
                return
            case .special(UInt8(ascii: "@")), .special(UInt8(ascii: ",")), .special(ASCII.dot), .atom, .literal: break
            case .special, .quoted: return
            }
        }
    }

    /// Reads what follows `@`.
    ///
    /// - Returns: false if it is no domain name.
    private mutating func readDomain() -> Bool {
        if case .literal = self.next?.kind {
            self.position += 1
            return false
        }
        var text: [UInt8] = []
        var isWhole = true
        while let token = self.next {
            // Blanks and comments may stand around the dots (obs-domain), but some readers stop there.
            if token.followsBlank, !text.isEmpty {
                guard token.isSpecial(".") || text.last == ASCII.dot else { break }
                if isWhole { self.add(text) }
                isWhole = false
                self.isMalformed = true
            }
            switch token.kind {
            case .atom(let bytes): text += bytes
            case .special(ASCII.dot): text.append(ASCII.dot)
            case .special, .quoted, .literal: return self.add(text)
            }
            self.position += 1
        }
        return self.add(text)
    }

    /// Whether it is a domain name; a dot behind it does not count.
    @discardableResult
    private mutating func add(_ text: [UInt8]) -> Bool {
        var text = text[...]
        if text.last == ASCII.dot {
            text = text.dropLast()
            self.isMalformed = true
        }
        guard let name = String(validatingUTF8: text).flatMap({ DomainName($0) }) else {
            self.isMalformed = true
            return false
        }
        // More than any receiver evaluates need not be kept.
        if self.domains.count <= FromField.maximumDomains, !self.domains.contains(name) { self.domains.append(name) }
        return true
    }
}
