import Rules

/// A table as `postern table query` reads it.
package struct TableQuery {
    private let table: TextTable

    /// - Parameter name: `TYPE:FILE`. The text of the file itself is read, whatever the type.
    package init(_ name: String) throws(FileErrors) {
        let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, ["hash", "texthash", "lmdb"].contains(parts[0]) else {
            throw FileErrors([
                FileError(file: name, message: "not a table such as texthash:FILE; there are hash, texthash and lmdb")
            ])
        }
        self.table = try TextTable(file: parts[1])
    }

    /// Keys are folded to lower case, as with every indexed table.
    package func value(of key: String) -> String? { self.table[TextTable.fold(key)]?.value }
}
