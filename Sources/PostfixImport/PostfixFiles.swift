/// What the importer may see of a file system. The importer itself does no I/O.
package struct PostfixFiles: Sendable {
    package enum Answer: Sendable {
        /// - Parameter isDecoded: it is not UTF-8, and was read as ISO 8859-1, which any octets are.
        case text(String, isDecoded: Bool)
        case missing
        case unreadable(String)
    }

    /// The file with a path, which is absolute or begins with that of the folder.
    package let read: @Sendable (_ path: String) -> Answer
    /// Seconds since 1970 of its last change; nil if there is no such file.
    package let modified: @Sendable (_ path: String) -> Int?

    package init(
        read: @escaping @Sendable (_ path: String) -> Answer,
        modified: @escaping @Sendable (_ path: String) -> Int? = { _ in nil }
    ) {
        self.read = read
        self.modified = modified
    }
}

/// A place in a file, for reports.
package struct SourcePlace: Hashable, Sendable, CustomStringConvertible {
    package let file: String
    package let line: Int

    package init(file: String, line: Int) {
        self.file = file
        self.line = line
    }

    package var description: String { "\(self.file):\(self.line)" }
}
