import Forwarder
import Mail
import Rules
import TLS

/// The tables by next hop that the forwarder's options name.
struct ForwarderTables {
    private(set) var policies = TLSPolicyTable.empty
    private(set) var passwords = SASLPasswordTable.empty

    /// Errors and warnings are gathered in the loader.
    ///
    /// - Parameter file: that of the configuration, for errors in names of tables.
    init(_ options: ForwarderOptions, file: String, _ loader: TableLoader) {
        if let reference = Self.reference(options.tls.policy, "forwarder.tls.policy", file, loader),
            let table = loader.table(reference)
        {
            let path = loader.path(of: reference)
            do throws(SecurityTableProblems) {
                self.policies = try TLSPolicyTable(Self.lines(of: table))
                Self.warn(self.policies.warnings, path, loader)
            } catch {
                Self.fail(error, path, loader)
            }
        }
        if let reference = Self.reference(options.sasl.passwords, "forwarder.sasl.passwords", file, loader) {
            self.loadPasswords(loader.path(of: reference), loader)
        }
        Self.checkAuthorities(options.tls.authorities, loader)
    }

    private mutating func loadPasswords(_ path: String, _ loader: TableLoader) {
        do throws(FileError) {
            let bytes = try PrivateFile.read(path) { (problem) throws(FileError) in loader.warnings.append(problem) }
            let text = try FileText.text(bytes, of: path)
            do throws(TableProblems) { self.readPasswords(try TextTable(text), path, loader) } catch {
                for problem in error.list {
                    // The text of a line may hold a password, and so may what is said of it.
                    let message = "not a next hop of its own, blanks, and user:password"
                    loader.add(FileError(file: path, line: problem.line, message: message))
                }
            }
        } catch {
            loader.add(error)
        }
    }

    private mutating func readPasswords(_ table: TextTable, _ path: String, _ loader: TableLoader) {
        do throws(SecurityTableProblems) {
            self.passwords = try SASLPasswordTable(Self.lines(of: table))
            Self.warn(self.passwords.warnings, path, loader)
        } catch {
            Self.fail(error, path, loader)
        }
    }

    private static func reference(
        _ text: String?, _ key: String, _ file: String, _ loader: TableLoader
    ) -> TableReference? {
        guard let text else { return nil }
        do {
            return try TableReference(option: OptionNode(.scalar(text), at: OptionPlace(line: 1, column: 1)))
        } catch {
            // Where it stands is not known any more; its key says it.
            loader.add(FileError(file: file, message: "\(key): \(error.message)"))
            return nil
        }
    }

    private static func lines(of table: TextTable) -> [SecurityTableLine] {
        table.keys.compactMap { key in
            table[key].map { SecurityTableLine(key: key, value: $0.value, line: $0.line) }
        }
    }

    private static func warn(_ problems: [SecurityTableProblem], _ path: String, _ loader: TableLoader) {
        loader.warnings += problems.map { FileError(file: path, line: $0.line, message: $0.message) }
    }

    private static func fail(_ problems: SecurityTableProblems, _ path: String, _ loader: TableLoader) {
        for problem in problems.list {
            loader.add(FileError(file: path, line: problem.line, message: problem.message))
        }
    }

    /// What would fail at the first connection fails here.
    static func checkAuthorities(_ path: String?, _ loader: TableLoader) {
        guard let path else { return }
        do throws(TLSError) { _ = try TLSClientContext(TLSClientOptions(authorities: path)) } catch {
            loader.add(FileError(file: path, message: "no authorities: \(error)"))
        }
    }
}
