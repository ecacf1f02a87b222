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

    /// For an access table that holds keys: the addresses, the domain and its parents, `user+ext@`, `user@`
    /// (SEMANTICS §3).
    package func access(_ mailbox: Mailbox) -> [String] {
        let addresses = self.addresses(mailbox)
        let locals = addresses.compactMap { key in key.lastIndex(of: "@").map { String(key[...$0]) } }
        return addresses + Self.access(domain: mailbox.domain.key) + locals
    }

    /// `a.b.example`, `b.example`, `example`; of what is an address only itself.
    package static func access(domain: String) -> [String] {
        var keys = [domain]
        guard IPAddress(domain) == nil else { return keys }
        var rest = domain[...]
        while let dot = rest.dropFirst().firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if !rest.isEmpty { keys.append(String(rest)) }
        }
        return keys
    }

    /// `192.0.2.1`, `192.0.2`, `192.0`, `192`; of IPv6 the shortest text, cut at each colon from the right.
    package static func access(address: IPAddress) -> [String] {
        var key = address.description[...]
        var keys = [String(key)]
        while let cut = key.lastIndex(of: address.width == 32 ? "." : ":") {
            key = key[..<cut]
            keys.append(String(key))
        }
        return keys
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
