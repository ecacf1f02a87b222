import Mail

/// A line of a table by next hop, as it stands there.
package struct SecurityTableLine: Sendable {
    package let key: String
    package let value: String
    /// From 1.
    package let line: Int

    package init(key: String, value: String, line: Int) {
        self.key = key
        self.value = value
        self.line = line
    }
}

/// What is wrong in such a table, or probably not meant, and where. Passwords are never in it.
package struct SecurityTableProblem: Error, Hashable, Sendable {
    package let line: Int
    package let message: String

    package init(line: Int, message: String) {
        self.line = line
        self.message = message
    }
}

package struct SecurityTableProblems: Error, Hashable, Sendable {
    package let list: [SecurityTableProblem]
}

/// Keys of tables by next hop.
enum NextHopKey {
    /// As ``NextHop/text`` has it: `[host]:25` is `[host]`. A parent domain keeps its dot in front.
    ///
    /// - Returns: nil if no next hop has such a key.
    static func canonical(_ key: String) -> String? {
        if key.hasPrefix(".") { return DomainName(key.dropFirst()).map { ".\($0.ascii)" } }
        return (try? NextHop(text: key))?.text  // What is wrong with it is told by whoever asks.
    }

    /// The keys of a next hop, the closest first: parent domains only for a domain that stands there alone, as with
    /// Postfix (postconf(5), smtp_tls_policy_maps).
    static func keys(of hop: NextHop) -> [String] {
        guard case .name(let name) = hop.host, hop.usesMX, hop.port == 25 else { return [hop.text] }
        return [hop.text] + Self.parents(of: name)
    }

    /// `.example.com` and `.com` of `mail.example.com`.
    private static func parents(of name: String) -> [String] {
        var parents: [String] = []
        var rest = name[...]
        while let dot = rest.dropFirst().firstIndex(of: ".") {
            rest = rest[dot...]
            parents.append(String(rest))
        }
        return parents
    }
}
