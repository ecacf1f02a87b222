/// A report for people.
package struct ImportText {
    private let report: ImportReport

    package init(_ report: ImportReport) {
        self.report = report
    }

    /// Everything.
    package var whole: String {
        var lines = self.head
        for status in [ImportReport.Status.converted, .ignored, .default] { lines += self.parameters(status) }
        if !self.report.tables.isEmpty {
            lines += ["", "Tables (\(self.report.tables.count))"]
            lines += self.report.tables.map { table in
                "  \(table.file):\(table.line): \(table.name): \(table.status.rawValue)"
                    + (table.becomes.map { " -> \($0)" } ?? "") + (table.why.map { " (\($0))" } ?? "")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func parameters(_ status: ImportReport.Status) -> [String] {
        let parameters = self.report.parameters.filter { $0.status == status }
        guard !parameters.isEmpty else { return [] }
        return ["", "\(Self.title(status)) (\(parameters.count))"]
            + parameters.map { parameter in
                "  \(parameter.file):\(parameter.line): \(parameter.name) = \(Self.short(parameter.value))"
                    + (parameter.key.map { " -> \($0)" } ?? "") + (parameter.why.map { " (\($0))" } ?? "")
            }
    }

    /// What has to be read before the result is used.
    package var summary: String {
        var lines = self.head
        if let output = self.report.output {
            lines += ["", "\(output)/postern.yaml, and all of this in \(output)/report.txt"]
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private var head: [String] {
        let counts = ImportReport.Status.allCases.map { "\(self.report.count($0)) \($0.rawValue)" }
        var lines = ["Parameters: \(counts.joined(separator: ", ")). Tables: \(self.report.tables.count)."]
        if !self.report.warnings.isEmpty {
            lines += ["", "Warnings (\(self.report.warnings.count))"]
            lines += self.report.warnings.map { "  \($0.file):\($0.line): \($0.text)" }
        }
        lines += self.parameters(.unsupported)
        if let check = self.report.check {
            let outcome = check.errors.isEmpty ? "accepted, \(check.warnings.count) warnings" : "REFUSED"
            lines += ["", "postern check: \(outcome)"]
            lines += check.errors.map { "  error: \($0)" } + check.warnings.map { "  warning: \($0)" }
        }
        return lines
    }

    private static func title(_ status: ImportReport.Status) -> String {
        switch status {
        case .converted: "Converted"
        case .default: "As by default, nothing to do"
        case .ignored: "Ignored, without loss"
        case .unsupported: "Unsupported: what the original does and the result does not"
        }
    }

    private static func short(_ value: String) -> String {
        value.count <= 100 ? value : value.prefix(97) + "..."
    }
}
