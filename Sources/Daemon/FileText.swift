import Glibc
package import Mail
package import Rules

/// Reads the text of files that administrators write.
enum FileText {
    /// The whole text, without a byte order mark.
    ///
    /// - Throws: the system's own words, or where the text is not UTF-8.
    static func read(_ path: String) throws(FileError) -> String {
        try Self.text(try Self.bytes(of: path), of: path)
    }

    /// The same of a file that has been read.
    static func text(_ bytes: [UInt8], of path: String) throws(FileError) -> String {
        let start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        if let text = String(validating: bytes[start...], as: UTF8.self) { return text }
        let (line, column) = Self.firstDamage(in: bytes[start...])
        throw FileError(file: path, line: line, column: column, message: "not UTF-8")
    }

    static func bytes(of path: String) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.error(path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.error(path) }
            guard count > 0 else { return bytes }
            bytes += piece[..<count]
        }
    }

    private static func error(_ path: String) -> FileError {
        FileError(file: path, message: "cannot be read: \(String(cString: strerror(errno)))")
    }

    private static func firstDamage(in bytes: ArraySlice<UInt8>) -> (line: Int, column: Int) {
        let lines = bytes.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where String(validating: line, as: UTF8.self) == nil {
            // The replacement character stands where decoding failed first; one that was written does not count.
            let column = zip(String(decoding: line, as: UTF8.self), 1...).first { $0.0 == "\u{FFFD}" }?.1 ?? 1
            return (index + 1, column)
        }
        return (1, 1)
    }
}

extension FileText {
    /// Reads a table from its file.
    ///
    /// - Throws: why the file cannot be read, or every problem of the table with its line.
    static func table<Table>(
        _ file: String, _ read: (String) throws(TableProblems) -> Table
    ) throws(FileErrors) -> Table {
        let text: String
        do { text = try Self.read(file) } catch { throw FileErrors([error]) }
        do {
            return try read(text)
        } catch {
            throw FileErrors(error.list.map { FileError(file: file, line: $0.line, message: $0.message) })
        }
    }
}

extension TextTable {
    /// Reads a table from its file.
    init(file: String) throws(FileErrors) {
        self = try FileText.table(file) { (text) throws(TableProblems) in try TextTable(text) }
    }
}

extension CIDRTable {
    /// Reads a table from its file.
    package init(file: String) throws(FileErrors) {
        self = try FileText.table(file) { (text) throws(TableProblems) in try CIDRTable(text: text) }
    }
}

extension PgsqlFile {
    /// Reads a file of pgsql_table(5).
    package init(file: String) throws(FileErrors) {
        self = try FileText.table(file) { (text) throws(TableProblems) in try PgsqlFile(text) }
    }
}
