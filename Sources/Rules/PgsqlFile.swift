import Mail

/// A file of pgsql_table(5): which data base, and how it is asked.
package struct PgsqlFile: Hashable, Sendable {
    package enum Host: Hashable, Sendable {
        /// The folder of a socket.
        case socket(String)
        case name(String, port: String?)
        /// `postgresql://…`, which says all else too.
        case uri(String)
    }

    package var hosts = [Host.name("localhost", port: nil)]
    package var user: String?
    package var password: String?
    package var database: String?
    package var encoding = "UTF8"
    package var query: PgsqlQuery
    /// All keys, for `postern recipients sync`; Postfix has no such thing.
    package var listQuery: PgsqlQuery?
    package var resultFormat = PgsqlResultFormat.value
    /// Domains of which addresses are looked up; empty is all keys.
    package var domains: Set<String> = []
    /// The most values that a key may have; 0 is any number.
    package var expansionLimit = 0
    package var idle = Duration.seconds(60)
    package var retry = Duration.seconds(60)
    package var warnings: [TableProblem] = []

    /// The values of the query for a key; nil if nothing is asked.
    package func values(for key: String) -> [String]? {
        if !self.domains.isEmpty {
            guard let at = key.lastIndex(of: "@"), at > key.startIndex,
                self.domains.contains(String(key[key.index(after: at)...]).asciiLowercased)
            else { return nil }
        }
        guard self.resultFormat.isFilled(by: key) else { return nil }
        return self.query.values(for: key)
    }
}

extension PgsqlFile {
    private static let keys: Set<String> = [
        "hosts", "user", "password", "dbname", "encoding", "query", "list_query", "result_format", "domain",
        "expansion_limit", "idle_interval", "retry_interval", "select_function", "select_field", "table",
        "where_field", "additional_conditions",
    ]
    /// What Postfix's other SQL tables know, and libpq does without.
    private static let ignored: Set<String> = ["option_group", "option_file", "require_result_set"]

    /// Reads a file.
    ///
    /// - Throws: every problem, not only the first.
    package init(_ text: String) throws(TableProblems) {
        var reader = PgsqlFileReader()
        for logical in TextTable.logicalLines(of: text, problems: &reader.problems) {
            reader.take(logical, known: Self.keys, ignored: Self.ignored)
        }
        guard let query = reader.query() else { throw reader.failure }
        self.init(query: query)
        self.listQuery = reader.listQuery()
        self.hosts = reader.hosts() ?? self.hosts
        (self.user, self.password) = (reader.text("user"), reader.text("password"))
        self.database = reader.text("dbname")
        self.encoding = reader.text("encoding") ?? self.encoding
        self.resultFormat = reader.resultFormat() ?? self.resultFormat
        self.domains = reader.domains()
        self.expansionLimit = reader.number("expansion_limit", from: 0) ?? self.expansionLimit
        self.idle = reader.number("idle_interval", from: 1).map { .seconds($0) } ?? self.idle
        self.retry = reader.number("retry_interval", from: 1).map { .seconds($0) } ?? self.retry
        reader.checkDatabase(self.hosts)
        guard reader.problems.isEmpty else { throw reader.failure }
        self.warnings = reader.warnings
    }
}

/// The lines of a file by their names, and what is wrong with them.
private struct PgsqlFileReader {
    private struct Entry {
        let value: String
        let line: Int
    }

    private var entries: [String: Entry] = [:]
    var problems: [TableProblem] = []
    private(set) var warnings: [TableProblem] = []

    var failure: TableProblems { TableProblems(list: self.problems.sorted { $0.line < $1.line }) }

    private mutating func complain(_ line: Int, _ message: String) {
        self.problems.append(TableProblem(line: line, message: message))
    }

    mutating func take(_ logical: TextTable.LogicalLine, known: Set<String>, ignored: Set<String>) {
        let parts = logical.text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = Self.trimmed(parts[0])
        guard parts.count == 2, !name.isEmpty else {
            return self.complain(logical.line, "not of the form name = value")
        }
        if ignored.contains(name) {
            self.warnings.append(TableProblem(line: logical.line, message: "\(name) is ignored"))
            return
        }
        guard known.contains(name) else { return self.complain(logical.line, "unknown name '\(name)'") }
        if let first = self.entries[name] {
            return self.complain(logical.line, "\(name) stands in line \(first.line) already")
        }
        self.entries[name] = Entry(value: Self.trimmed(parts[1]), line: logical.line)
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var bytes = Array(text.utf8)[...]
        while let first = bytes.first, ASCII.isBlank(first) { bytes = bytes.dropFirst() }
        while let last = bytes.last, ASCII.isBlank(last) { bytes = bytes.dropLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Nil if it is not there, or empty.
    func text(_ name: String) -> String? {
        self.entries[name].flatMap { $0.value.isEmpty ? nil : $0.value }
    }

    mutating func number(_ name: String, from least: Int) -> Int? {
        guard let entry = self.entries[name] else { return nil }
        guard let number = Int(entry.value), (least...1_000_000_000).contains(number) else {
            self.complain(entry.line, "\(name) is not a number from \(least)")
            return nil
        }
        return number
    }

    // MARK: Queries

    /// Of the forms that there are the first counts: `query`, `select_function`, `select_field` and those with it.
    mutating func query() -> PgsqlQuery? {
        if let entry = self.entries["query"] { return self.query(entry.value, entry.line) }
        if let entry = self.entries["select_function"] {
            return self.query("SELECT \(entry.value)('%s')", entry.line)
        }
        var parts: [String] = []
        for name in ["select_field", "table", "where_field"] {
            guard let entry = self.entries[name] else {
                self.complain(1, "there is no query")
                return nil
            }
            parts.append(entry.value)
        }
        let more = self.text("additional_conditions").map { " \($0)" } ?? ""
        return self.query(
            "SELECT \(parts[0]) FROM \(parts[1]) WHERE \(parts[2]) = '%s'\(more)", self.entries["table"]?.line ?? 1)
    }

    mutating func listQuery() -> PgsqlQuery? {
        guard let entry = self.entries["list_query"], let query = self.query(entry.value, entry.line) else {
            return nil
        }
        guard query.parameters.isEmpty else {
            self.complain(entry.line, "list_query is asked without a key: it has no placeholders")
            return nil
        }
        return query
    }

    private mutating func query(_ template: String, _ line: Int) -> PgsqlQuery? {
        do { return try PgsqlQuery(template: template) } catch {
            self.complain(line, "query: \(error.message)")
            return nil
        }
    }

    mutating func resultFormat() -> PgsqlResultFormat? {
        guard let entry = self.entries["result_format"] else { return nil }
        guard let format = PgsqlResultFormat(entry.value) else {
            self.complain(entry.line, "result_format has an unknown placeholder, or is empty")
            return nil
        }
        return format
    }

    // MARK: Servers and domains

    mutating func hosts() -> [PgsqlFile.Host]? {
        guard let entry = self.entries["hosts"] else { return nil }
        var hosts: [PgsqlFile.Host] = []
        for word in entry.value.split(whereSeparator: { $0 == "," || $0 == " " || $0 == "\t" }) {
            guard let host = PgsqlFile.Host(String(word)) else {
                self.complain(entry.line, "'\(word)' is not a host")
                continue
            }
            hosts.append(host)
        }
        return hosts.isEmpty ? nil : hosts
    }

    mutating func checkDatabase(_ hosts: [PgsqlFile.Host]) {
        let needsName = hosts.contains { if case .uri = $0 { false } else { true } }
        if needsName, self.text("dbname") == nil {
            self.complain(self.entries["hosts"]?.line ?? 1, "dbname is missing")
        }
    }

    mutating func domains() -> Set<String> {
        guard let entry = self.entries["domain"] else { return [] }
        var domains: Set<String> = []
        for word in entry.value.split(whereSeparator: { $0 == "," || $0 == " " || $0 == "\t" }) {
            guard let name = DomainName(word) else {
                self.complain(entry.line, "'\(word)' is not a domain; files and tables are not read here")
                continue
            }
            domains.insert(name.ascii)
        }
        return domains
    }
}

extension PgsqlFile.Host {
    /// Reads a word of `hosts`; `unix:` and `inet:` are only prefixes.
    init?(_ word: String) {
        if word.hasPrefix("postgresql://") || word.hasPrefix("postgres://") {
            self = .uri(word)
            return
        }
        let rest = word.hasPrefix("unix:") || word.hasPrefix("inet:") ? word.dropFirst(5) : word[...]
        guard !rest.isEmpty else { return nil }
        if rest.hasPrefix("/") {
            self = .socket(String(rest))
            return
        }
        guard let colon = rest.lastIndex(of: ":") else {
            self = .name(String(rest), port: nil)
            return
        }
        let (name, port) = (rest[..<colon], rest[rest.index(after: colon)...])
        guard !name.isEmpty, let number = Int(port), (1...65535).contains(number) else { return nil }
        self = .name(String(name), port: String(port))
    }
}
