/// An error in a file that an administrator wrote.
package struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    package let file: String
    package let line: Int?
    package let column: Int?
    package let message: String

    package init(file: String, line: Int? = nil, column: Int? = nil, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    /// `FILE:LINE:COLUMN: MESSAGE`
    package var description: String {
        [self.file, self.line.map(String.init), self.column.map(String.init)].compactMap { $0 }.joined(separator: ":")
            + ": \(self.message)"
    }
}

package struct FileErrors: Error, Hashable, Sendable {
    package let list: [FileError]

    package init(_ list: [FileError]) {
        self.list = list
    }
}
