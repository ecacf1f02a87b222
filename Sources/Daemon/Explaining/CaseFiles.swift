import Glibc
import Mail
import Rules

extension Generation {
    /// Runs the cases in the files `*.case` of the folder of rules.
    ///
    /// - Returns: what came out otherwise than expected, and what could not be read.
    func failedCases() -> [FileError] {
        let folder = self.configuration.rules
        return Self.caseFiles(in: folder).flatMap { name -> [FileError] in
            let path = "\(folder)/\(name)"
            do throws(FileErrors) {
                let cases = try FileText.table(path) { (text) throws(TableProblems) in try RuleCases(text) }
                return cases.failures(self).map { FileError(file: path, line: $0.line, message: $0.message) }
            } catch {
                return error.list
            }
        }
    }

    /// Sorted, so that the same files give the same list of errors.
    private static func caseFiles(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".case"), !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}
