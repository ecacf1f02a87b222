import Forwarder
import Mail
import Rules
import Screener

/// Reads the tables of a generation and gathers what is wrong in them.
final class TableLoader {
    let folder: String
    private(set) var errors: [FileError] = []
    var warnings: [FileError] = []
    /// One file may serve several purposes and is read once. nil is one with errors.
    private var tables: [String: TextTable?] = [:]
    private var ruleTables: [String: RuleTable] = [:]

    init(folder: String) {
        self.folder = folder
    }

    /// What is wrong with where FILTER sends a message.
    static func problem(inDestination destination: String) -> String? {
        guard let sample = Domain("example.com") else { return nil }
        do throws(RouteError) { _ = try Route(destination, recipientDomain: sample) } catch { return error.message }
        return nil
    }

    func add(_ error: FileError) { self.errors.append(error) }

    func warn(_ problems: [TableProblem]?, _ reference: TableReference?) {
        let file = reference.map { self.path(of: $0) } ?? ""
        self.warnings += (problems ?? []).map { FileError(file: file, line: $0.line, message: $0.message) }
    }

    func path(of reference: TableReference) -> String { self.path(reference.path) }

    private func path(_ name: String) -> String { name.hasPrefix("/") ? name : "\(self.folder)/\(name)" }

    /// nil for a table with errors.
    func step(_ element: AccessElement) -> ScreenerPolicy.AccessStep? {
        switch element {
        case .relayNetworks: return .relayNetworks
        case .permit: return .permit
        case .reject: return .reject
        case .dunno: return .dunno
        case .cidr(let name):
            let path = self.path(name)
            do {
                let table = try CIDRTable(file: path)
                self.warnings += table.warnings.map {
                    FileError(file: path, line: $0.line, message: $0.message)
                }
                let actions = try ClientActions(table, file: path)
                return .table { actions.action(for: $0) }
            } catch {
                self.errors += error.list
                return nil
            }
        }
    }

    /// A table of any type; an empty one if its text has errors, which are gathered.
    func ruleTable(_ name: String) throws(OptionProblem) -> RuleTable {
        if let table = self.ruleTables[name] { return table }
        var table = RuleTable(name: name, file: nil, content: .text(TextTable(entries: [:], keys: [])))
        do {
            let (read, warnings) = try RuleTable.read(name, folder: self.folder)
            table = read
            self.warnings += warnings
        } catch {
            // What has no line is wrong in the name, and is told where that stands.
            if let first = error.list.first, first.file == name { throw OptionProblem(first.message) }
            self.errors += error.list
        }
        self.ruleTables[name] = table
        return table
    }

    /// A file of pgsql_table(5).
    func database(_ name: String) -> RecipientDatabase? {
        let path = self.path(name)
        do {
            let file = try FileText.table(path) { (text) throws(TableProblems) in try PgsqlFile(text) }
            return RecipientDatabase(name: "pgsql:\(name)", file: file)
        } catch {
            self.errors += error.list
            return nil
        }
    }

    func table(_ reference: TableReference?) -> TextTable? {
        guard let reference else { return nil }
        let path = self.path(of: reference)
        if let table = self.tables[path] { return table }
        var table: TextTable?
        do {
            let read = try TextTable(file: path)
            self.warnings += read.warnings.map { FileError(file: path, line: $0.line, message: $0.message) }
            table = read
        } catch {
            self.errors += error.list
        }
        self.tables[path] = .some(table)
        return table
    }

    func domains(_ source: DomainSource) -> [String] {
        switch source {
        case .list(let names): names
        case .table(let reference): self.table(reference)?.keys ?? []
        }
    }

    func checkReadable(_ path: String?) {
        guard let path else { return }
        do { _ = try FileText.read(path) } catch { self.errors.append(error) }
    }

    func checkRoutes(_ transport: TransportTable, _ reference: TableReference?) {
        guard let reference, let sample = Domain("example.com") else { return }
        for (_, value, line) in transport.all {
            do {
                _ = try Route(value, recipientDomain: sample)
            } catch {
                self.errors.append(FileError(file: self.path(of: reference), line: line, message: error.message))
            }
        }
    }
}

/// A table of clients with its results read, so that a misspelt one is an error when the table is.
private struct ClientActions: Sendable {
    private let table: CIDRTable

    init(_ table: CIDRTable, file: String) throws(FileErrors) {
        let errors = table.entries.filter { Self.action($0.value) == nil }.map {
            FileError(
                file: file, line: $0.line, message: "'\($0.value)' is not permit, reject or dunno")
        }
        guard errors.isEmpty else { throw FileErrors(errors) }
        self.table = table
    }

    /// OK is what access(5) calls it, and what tables that move here may have.
    private static func action(_ value: String) -> ScreenerPolicy.Access? {
        switch value.lowercased() {
        case "permit", "ok": .permit
        case "reject": .reject
        case "dunno": .dunno
        default: nil
        }
    }

    func action(for address: IPAddress) -> ScreenerPolicy.Access {
        self.table.lookup(address).flatMap { Self.action($0.value) } ?? .dunno
    }
}
