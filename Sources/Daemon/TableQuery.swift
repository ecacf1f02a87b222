import Foundation
import Mail
import Rules

/// A table as `postern table query` reads it.
package struct TableQuery {
    private let table: TextTable

    /// - Parameter name: `TYPE:FILE`. The text of the file itself is read, whatever the type.
    package init(_ name: String) throws {
        let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, ["hash", "texthash", "lmdb"].contains(parts[0]) else {
            throw FileErrors([
                FileError(file: name, message: "not a table such as texthash:FILE; there are hash, texthash and lmdb")
            ])
        }
        do {
            self.table = try TextTable(try String(contentsOfFile: parts[1], encoding: .utf8))
        } catch let problems as TableProblems {
            throw FileErrors(problems.list.map { FileError(file: parts[1], line: $0.line, message: $0.message) })
        } catch {
            throw FileErrors([FileError(file: parts[1], message: "cannot be read: \(FileText.reason(of: error))")])
        }
    }

    /// Keys are folded to lower case, as with every indexed table.
    package func value(of key: String) -> String? { self.table[key.asciiLowercased]?.value }
}
