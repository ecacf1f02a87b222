import Mail

/// Who we are to a next hop.
package struct SASLPassword: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    package let user: String
    package let password: String

    package init(user: String, password: String) {
        self.user = user
        self.password = password
    }

    /// Without the password, so that it gets into no log.
    package var description: String { "user \(self.user)" }

    package var customMirror: Mirror { Mirror(self, children: ["user": self.user]) }
}

/// Users and passwords by next hop (postconf(5), smtp_sasl_password_maps).
package struct SASLPasswordTable: Hashable, Sendable {
    private var entries: [String: SASLPassword?] = [:]
    package private(set) var warnings: [SecurityTableProblem] = []

    package static let empty = SASLPasswordTable()

    private init() {}

    /// Values are `user:password`; the password may have colons. Without a user there is no authentication.
    ///
    /// - Throws: every problem of the table, not only the first.
    package init(_ lines: [SecurityTableLine]) throws(SecurityTableProblems) {
        var problems: [SecurityTableProblem] = []
        for line in lines {
            func fail(_ message: String) { problems.append(SecurityTableProblem(line: line.line, message: message)) }
            guard let key = NextHopKey.canonical(line.key), !key.hasPrefix(".") else {
                self.warnings.append(
                    SecurityTableProblem(
                        line: line.line, message: "'\(line.key)' is no next hop: nothing is looked up under it"))
                continue
            }
            guard let colon = line.value.firstIndex(of: ":") else {
                fail("no ':' between user and password")
                continue
            }
            guard self.entries[key] == nil else {
                fail("'\(line.key)' is a next hop that came before")
                continue
            }
            let user = String(line.value[..<colon])
            let password = String(line.value[line.value.index(after: colon)...])
            guard !user.utf8.contains(0), !password.utf8.contains(0) else {
                fail("a user or password cannot hold NUL")
                continue
            }
            self.entries[key] = user.isEmpty ? .some(nil) : SASLPassword(user: user, password: password)
        }
        guard problems.isEmpty else { throw SecurityTableProblems(list: problems) }
    }

    package var isEmpty: Bool { self.entries.isEmpty }

    /// For the server by its name first, then for the next hop as it stands in the transport table, as Postfix does.
    /// The port counts only for the next hop.
    package func password(of server: ServerAddress) -> SASLPassword? {
        guard !self.entries.isEmpty else { return nil }
        for key in [server.name.asciiLowercased, server.origin.hop?.text].compactMap({ $0 }) {
            if let entry = self.entries[key] { return entry }
        }
        return nil
    }
}
