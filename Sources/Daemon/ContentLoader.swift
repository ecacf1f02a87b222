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
        let decode: @Sendable ([UInt8]) -> [UInt8]? = { DecodedField.decode($0) }
        let checks = ContentRules(
            header: header,
            mimeHeader: options.mimeHeaderChecks.map { self.tables($0, "mime_header_checks", .mimeHeader) },
            nestedHeader: options.nestedHeaderChecks.map { self.tables($0, "nested_header_checks", .nestedHeader) },
            body: self.tables(options.bodyChecks, "body_checks", .body), limits: limits,
            decode: options.decoded ? decode : nil)
        return ContentPolicy(
            checks: checks, attachments: self.attachments(), limits: self.configuration.attachments.limits,
            makeInflater: ArchiveInflater.make, file: self.file)
    }

    private static func filterProblem(_ value: String) -> String? {
        let words = value.split(maxSplits: 1) { $0 == " " || $0 == "\t" }
        guard words.count == 2, words[0].equalsIgnoringCase("FILTER"), !words[1].contains("$") else { return nil }
        return TableLoader.problem(inDestination: String(words[1]))
    }

    private func attachments() -> AttachmentRules {
        var tables: [String: RuleTable] = [:]
        for rule in self.configuration.attachments.rules {
            guard let name = rule.settings.table else { continue }
            do throws(OptionProblem) { tables[name] = try self.tables.ruleTable(name) } catch {
                self.tables.add(
                    FileError(
                        file: self.file, line: rule.place.line, column: rule.place.column, message: error.message))
            }
        }
        return AttachmentRules(self.configuration.attachments, tables: tables)
    }

    private func tables(_ names: [String], _ key: String, _ contentClass: ContentClass) -> [RuleTable] {
        names.compactMap { name in
            do throws(OptionProblem) {
                let table = try self.tables.ruleTable(name)
                for (value, line) in table.values {
                    guard
                        let problem = ContentRules.problem(inValue: value, for: contentClass)
                            ?? Self.filterProblem(value)
                    else { continue }
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
