import Mail
import Receiver
import Rules

/// Makes the rules for content of what the configuration says; what is wrong is gathered with the tables.
struct ContentLoader {
    private let configuration: Configuration
    private let file: String
    private let tables: TableLoader

    init(_ configuration: Configuration, file: String, tables: TableLoader) {
        self.configuration = configuration
        self.file = file
        self.tables = tables
    }

    func policy() -> ContentPolicy {
        let options = self.configuration.content
        let header = self.tables(options.headerChecks, "header_checks", .header)
        var limits = ContentRules.Limits()
        limits.bodyBytes = options.bodyChecksSizeLimit.bytes
        return ContentPolicy(
            checks: ContentRules(
                header: header,
                mimeHeader: options.mimeHeaderChecks.map { self.tables($0, "mime_header_checks", .mimeHeader) },
                nestedHeader: options.nestedHeaderChecks.map { self.tables($0, "nested_header_checks", .nestedHeader) },
                body: self.tables(options.bodyChecks, "body_checks", .body), limits: limits))
    }

    private func tables(_ names: [String], _ key: String, _ contentClass: ContentClass) -> [RuleTable] {
        names.compactMap { name in
            do throws(OptionProblem) {
                let table = try self.tables.ruleTable(name)
                for (value, line) in table.values {
                    guard let problem = ContentRules.problem(inValue: value, for: contentClass) else { continue }
                    self.tables.add(FileError(file: table.file ?? self.file, line: line, message: problem))
                }
                return table
            } catch {
                self.tables.add(FileError(file: self.file, message: "content.\(key): \(error.message)"))
                return nil
            }
        }
    }
}
