import ArgumentParser
import Daemon
import Foundation
import Mail

/// The reference page of the configuration, and pages of the manual.
struct Reference: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the reference page of the configuration, in Markdown.")

    @Option(
        help: ArgumentHelp(
            "Write the pages of the manual into this folder instead, as the package does when it is built.",
            valueName: "folder"))
    var man: String?

    @Flag(help: "Print the page on restrictions, tables and actions instead.")
    var rules = false

    @Flag(help: ArgumentHelp("Print the page on figures for Prometheus instead.", visibility: .hidden))
    var metrics = false

    func run() throws {
        guard let folder = self.man else {
            return try Output.write(Array(self.text.utf8))
        }
        try FolderMaker.make(folder)
        let day = Self.releaseDay
        for page in try CommandPages(day: day).pages() + [
            ConfigurationManual(day: day).page(), RulesManual(day: day).page(),
        ] {
            // Not OutputFile: these are for everybody to read.
            try Data(page.text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(page.file)"))
        }
    }

    private var text: String {
        if self.rules { return RulesReferencePage.text }
        return self.metrics ? MetricsReferencePage.text : ReferencePage.text
    }

    /// The same build twice is to be the same (reproducible-builds.org/specs/source-date-epoch).
    private static var releaseDay: String {
        guard let seconds = ProcessInfo.processInfo.environment["SOURCE_DATE_EPOCH"].flatMap({ Int64($0) }) else {
            return ""
        }
        return String(Timestamp(seconds: seconds).rfc3339.prefix(10))
    }
}
