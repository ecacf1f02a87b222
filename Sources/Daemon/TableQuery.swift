package import Mail
import Rules

/// A table as `postern table query` reads it.
package struct TableQuery {
    private let table: RuleTable

    /// - Parameter name: `TYPE:FILE`, or a table that stands in the name. The text of the file itself is read, whatever
    ///   the type.
    package init(_ name: String) throws(FileErrors) {
        self.table = try RuleTable.read(name, folder: "").table
    }

    package struct Answer: Sendable {
        /// nil if nothing matches.
        package let value: String?
        /// Rules that could not be tried to their end.
        package let faults: [FileError]
    }

    /// Tables that hold keys fold them; others take them as they are.
    package func answer(to key: [UInt8]) -> Answer {
        var faults: [TableFault] = []
        let match = key.withUnsafeBytes { self.table.lookup(octets: $0, faults: &faults) }
        let file = self.table.file ?? self.table.name
        return Answer(
            value: match?.value, faults: faults.map { FileError(file: file, line: $0.line, message: $0.message) })
    }
}
