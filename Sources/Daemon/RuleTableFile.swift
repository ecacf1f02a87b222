package import Mail
package import Rules

extension RuleTable {
    /// Reads a table by its name: `TYPE:FILE`, or one that stands in the name itself, such as `inline:{key = value}`.
    ///
    /// - Parameter folder: of files whose names do not begin with `/`; empty for the current one.
    /// - Throws: why there is no such table, or every problem of it with its line.
    package static func read(
        _ name: String, folder: String
    ) throws(FileErrors) -> (table: RuleTable, warnings: [FileError]) {
        if let table = try Self.inConfiguration(name) {
            return (table, table.warnings.map { FileError(file: name, message: "rule \($0.line): \($0.message)") })
        }
        guard let colon = name.firstIndex(of: ":"), let type = FileType(rawValue: String(name[..<colon])),
            name.index(after: colon) < name.endIndex
        else { throw FileErrors([FileError(file: name, message: Self.unknownType)]) }
        let path = String(name[name.index(after: colon)...])
        let file = path.hasPrefix("/") || folder.isEmpty ? path : "\(folder)/\(path)"
        let table = try FileText.table(file) { (text) throws(TableProblems) in
            try RuleTable(name: name, file: file, type: type, text: text)
        }
        return (table, table.warnings.map { FileError(file: file, line: $0.line, message: $0.message) })
    }

    private static func inConfiguration(_ name: String) throws(FileErrors) -> RuleTable? {
        do {
            return try RuleTable(inConfiguration: name)
        } catch {
            throw FileErrors([FileError(file: name, message: error.message)])
        }
    }

    private static var unknownType: String {
        let types = FileType.allCases.map(\.rawValue).joined(separator: ", ")
        return "not a table such as texthash:FILE; there are \(types), inline and static"
    }
}
