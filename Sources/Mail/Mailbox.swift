/// What stands before the `@`: a dot-string or a quoted string (RFC 5321 §4.1.2).
package struct LocalPart: Hashable, Sendable, CustomStringConvertible {
    /// As it was written; what is forwarded is this and nothing else.
    package let description: String
    /// Without quotes and backslashes: the name that the domain's own server sees.
    package let unquoted: String

    package static func == (left: LocalPart, right: LocalPart) -> Bool { left.unquoted == right.unquoted }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.unquoted) }

    /// Contains a character by which old mailers were told to relay onwards: `user%other@here`, `other!user@here`,
    /// `"user@other"@here`. We would pass it on unchanged, and the primary, which trusts us, might obey.
    package var routesOnward: Bool {
        self.unquoted.utf8.contains { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "!") || $0 == UInt8(ascii: "@") }
    }
}

/// A mail address: local part and domain (RFC 5321 §2.3.11). Holds no CR, LF, NUL or other control character.
package struct Mailbox: Hashable, Sendable, CustomStringConvertible {
    package let localPart: LocalPart
    package let domain: Domain

    package init(localPart: LocalPart, domain: Domain) {
        self.localPart = localPart
        self.domain = domain
    }

    /// As it was written.
    package var description: String { "\(self.localPart)@\(self.domain)" }

    package var isASCII: Bool { self.localPart.description.isASCII && self.domain.isASCII }

    /// Reads a whole mailbox; nil if it is none or anything follows it.
    package init?(_ text: some StringProtocol) {
        var scanner = ByteScanner(text)
        guard let mailbox = scanner.readMailbox(), scanner.isAtEnd else { return nil }
        self = mailbox
    }
}

/// Where a message says that notices about it go; `MAIL FROM` (RFC 5321 §3.3).
package enum ReversePath: Hashable, Sendable, CustomStringConvertible {
    /// `<>`: of notices and other mail that must not be answered.
    case null
    case mailbox(Mailbox)

    package var mailbox: Mailbox? {
        if case .mailbox(let mailbox) = self { mailbox } else { nil }
    }

    /// Without angle brackets; empty for the null reverse-path.
    package var description: String { self.mailbox?.description ?? "" }
}

/// Whom a message is for; `RCPT TO` (RFC 5321 §3.3).
package enum ForwardPath: Hashable, Sendable, CustomStringConvertible {
    case mailbox(Mailbox)
    /// `<Postmaster>` without a domain, in any case (RFC 5321 §4.5.1).
    case postmaster

    package var description: String {
        switch self {
        case .mailbox(let mailbox): mailbox.description
        case .postmaster: "postmaster"
        }
    }
}

extension ByteScanner {
    /// Reads `Local-part "@" ( Domain / address-literal )` in its UTF-8 form (RFC 6531 §3.3); nil, somewhere in
    /// the text, if there is none.
    ///
    /// Dots may stand anywhere in an unquoted local part, because millions of Japanese addresses have them so.
    package mutating func readMailbox() -> Mailbox? {
        guard let localPart = self.readLocalPart(), self.skip("@") else { return nil }
        let start = self.position
        if self.peek == UInt8(ascii: "[") {
            _ = self.read { $0 != UInt8(ascii: "]") && !ASCII.isBlank($0) && !ASCII.isControl($0) }
            guard self.skip("]") else { return nil }
        } else {
            _ = self.read { ASCII.isAlphanumeric($0) || $0 >= 0x80 || "-._".utf8.contains($0) }
        }
        guard let text = String(validatingUTF8: self.bytes[start..<self.position]), let domain = Domain(text) else {
            return nil
        }
        return Mailbox(localPart: localPart, domain: domain)
    }

    /// Reads a dot-string or a quoted string. Octets above 127 must be valid UTF-8.
    package mutating func readLocalPart() -> LocalPart? {
        let start = self.position
        guard self.peek == UInt8(ascii: "\"") else {
            let bytes = self.read(while: Self.isAtomTextOrDot)
            guard !bytes.isEmpty, let text = String(validatingUTF8: bytes), text.isASCII || text.isPrintable else {
                return nil
            }
            return LocalPart(description: text, unquoted: text)
        }
        guard let unquoted = self.readQuotedString(),
            let text = String(validatingUTF8: self.bytes[start..<self.position]),
            let value = String(validatingUTF8: unquoted[...]), text.isASCII || text.isPrintable
        else { return nil }
        return LocalPart(description: text, unquoted: value)
    }

    /// The content of a quoted string, its backslashes removed.
    private mutating func readQuotedString() -> [UInt8]? {
        guard self.skip("\"") else { return nil }
        var content: [UInt8] = []
        while let byte = self.next() {
            switch byte {
            case UInt8(ascii: "\""): return content
            case UInt8(ascii: "\\"):
                guard let quoted = self.next(), !ASCII.isControl(quoted), quoted < 0x80 else { return nil }
                content.append(quoted)
            default:
                guard !ASCII.isControl(byte) else { return nil }
                content.append(byte)
            }
        }
        return nil
    }

    private static func isAtomTextOrDot(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "["),
            UInt8(ascii: "]"), UInt8(ascii: ":"), UInt8(ascii: ";"), UInt8(ascii: "@"), UInt8(ascii: "\\"),
            UInt8(ascii: ","), UInt8(ascii: "\""):
            false
        default: byte > ASCII.space && byte != 0x7F
        }
    }
}
