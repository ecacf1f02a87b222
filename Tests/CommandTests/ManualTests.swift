import Foundation
import Harness
import Testing

/// What the package says of the commands is what they say of themselves.
struct ManualTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test func `the program and the package are of one version`() throws {
        let text = try String(contentsOf: Self.root.appending(path: "debian/changelog"), encoding: .utf8)
        let version = try #require(text.split(separator: "\n").first?.firstMatch(of: #/^postern \(([^)]+)\) /#)?.1)
        #expect(try postern("--version").output == "\(version)\n")
    }

    @Test func `each command has its page, and each page is roff`() throws {
        let folder = try TemporaryFolder()
        let run = try postern("reference", "--man", folder.path("man"))
        #expect(run.ending == .exited(0) && run.output.isEmpty, "\(run.errors)")
        let help = try postern("--help").output
        let commands = help.split(separator: "SUBCOMMANDS:")[1].split(separator: "\n")
            .compactMap { $0.firstMatch(of: #/^  ([a-z]+) /#)?.1 }
        #expect(commands.count > 14)
        let pages = try FileManager.default.contentsOfDirectory(atPath: folder.path("man"))
        #expect(
            Set(pages) == Set(commands.map { "postern-\($0).1" } + ["postern.1", "postern.yaml.5", "postern-rules.5"]))
        for page in pages {
            for line in folder.text("man/\(page)").split(separator: "\n") where line.hasPrefix(".") {
                #expect(line.contains(#/^\.(\\"|TH|SH|SS|PP|TP|IP|RS|RE|br|ad|nh|nf|fi)( |$)/#), "\(page): \(line)")
            }
        }
    }

    @Test func `a page has what the help has`() throws {
        let folder = try TemporaryFolder()
        try #require(try postern("reference", "--man", folder.path).ending == .exited(0))
        let queue = folder.text("postern-queue.1")
        for text in [
            ".SH NAME\npostern\\-queue \\- look at the queue and work on it\n",
            #".SS "postern queue list""#, #"\fB\-\-older\fR\fI OLDER\fR"#, "Older than this: 4h, 10d.",
            #"By default \fB/etc/postern/postern.yaml\fR."#,
        ] {
            #expect(queue.contains(text), "\(text)")
        }
        let file = folder.text("postern.yaml.5")
        for text in [#".SH "KEYS""#, #"\fBshutdown_grace\fR"#, #"\fBqueue.lifetime\fR"#] {
            #expect(file.contains(text), "\(text)")
        }
        let rules = folder.text("postern-rules.5")
        for text in [
            #".SS "About the client""#, "\n\\fBreject_rbl_client\\fR\\fI LIST\\fR\\fI, \\fR\\fBreject_rbl\\fR",
            ".nf\nrestriction_classes:\n  strict: [", "\\e.example\\e.com$/",
        ] {
            #expect(rules.contains(text), "\(text)")
        }
    }
}
