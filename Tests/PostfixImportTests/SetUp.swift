import Daemon
import Foundation
import Harness
import PostfixImport

/// A set-up of Postfix in memory, and what is made of it.
struct SetUp {
    static let hosts = "myhostname = mx.example.test\nmynetworks = 127.0.0.0/8\n"
    /// smtpd on port 25.
    static let master = "smtp inet n - y - - smtpd\ncleanup unix n - y - 0 cleanup\nsmtp unix - - y - - smtp\n"
    /// postscreen on port 25.
    static let screened =
        "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\ncleanup unix n - y - 0 cleanup\n"

    let result: ImportResult

    /// - Parameters:
    ///   - main: what stands in main.cf behind `hosts`, or all of it.
    ///   - files: by their names in /etc/postfix, or by whole paths.
    ///   - times: when files were changed.
    init(
        _ main: String, hosts: String = Self.hosts, master: String? = Self.master, files: [String: String] = [:],
        times: [String: Int] = [:]
    ) throws {
        var all = files
        all["main.cf"] = hosts + main
        all["master.cf"] = master
        let texts = Dictionary(uniqueKeysWithValues: all.map { (Self.path($0.key), $0.value) })
        let changed = Dictionary(uniqueKeysWithValues: times.map { (Self.path($0.key), $0.value) })
        self.result = try PostfixImport.run(
            folder: "/etc/postfix",
            files: PostfixFiles(
                read: { texts[$0].map { .text($0, isDecoded: false) } ?? .missing }, modified: { changed[$0] }),
            machineName: "machine.example.test", rules: "/rules")
    }

    private static func path(_ name: String) -> String { name.hasPrefix("/") ? name : "/etc/postfix/\(name)" }

    var report: ImportReport { self.result.report }

    var yaml: String { self.result.files.first { $0.path == "postern.yaml" }?.text ?? "" }

    func table(_ name: String) -> String? { self.result.files.first { $0.path == "rules/\(name)" }?.text }

    /// What `postern check` would load.
    func configuration() throws -> Configuration { try Configuration(yaml: self.yaml, file: "postern.yaml") }

    /// Everything that `postern check` would find.
    func checked() throws -> Generation {
        let folder = try TemporaryFolder()
        try folder.make(folder: "rules")
        for file in self.result.files {
            let text = file.text.replacingOccurrences(of: "rules: /rules\n", with: "rules: \(folder.path("rules"))\n")
            try folder.write(file.path, text)
        }
        return try Generation(file: folder.path("postern.yaml"), number: 1)
    }

    func parameter(_ name: String) -> ImportReport.Parameter? { self.report.parameters.last { $0.name == name } }

    /// Texts of the warnings about a line of a file.
    func warnings(_ file: String = "main.cf", line: Int) -> [String] {
        self.report.warnings.filter { $0.file == Self.path(file) && $0.line == line }.map(\.text)
    }

    func warns(_ text: String) -> Bool { self.report.warnings.contains { $0.text.contains(text) } }
}
