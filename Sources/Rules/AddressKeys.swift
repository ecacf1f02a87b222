package import Mail

/// The keys under which Postfix's tables are asked about an address, each in its order.
package struct AddressKeys: Sendable {
    /// Separates a local part from its extension: `+` in `user+ext@domain`; nil if there are no extensions.
    package let delimiter: Character?

    package init(delimiter: Character?) {
        self.delimiter = delimiter
    }

    /// `user+ext@domain`, `user@domain` (SEMANTICS §6, §8). The local part is folded for looking up, and only for that.
    package func addresses(_ mailbox: Mailbox) -> [String] {
        let local = mailbox.localPart.unquoted.lowercased()
        let domain = mailbox.domain.key
        guard let delimiter, let end = local.dropFirst().firstIndex(of: delimiter) else {
            return ["\(local)@\(domain)"]
        }
        return ["\(local)@\(domain)", "\(local[..<end])@\(domain)"]
    }

    /// For a recipient table: the addresses, then `@domain` (SEMANTICS §8).
    package func recipient(_ mailbox: Mailbox) -> [String] {
        self.addresses(mailbox) + ["@\(mailbox.domain.key)"]
    }

    /// `mail.example.com`, `.example.com`, `.com`.
    package static func domain(_ name: String) -> [String] {
        var keys = [name]
        var rest = name[...]
        while let dot = rest.firstIndex(of: ".") {
            keys.append(String(rest[dot...]))
            rest = rest[rest.index(after: dot)...]
        }
        return keys
    }
}
