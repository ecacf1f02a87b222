import Daemon
import Foundation
import Harness
import PostfixImport
import Testing

/// Set-ups of others. They lie beside a checkout, not in it, because of their licences: `../shared/corpus`.
struct CollectedSetUpTests {
    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/corpus/configs").path

    private static let isThere = FileManager.default.fileExists(atPath: Self.corpus)

    /// What becomes of one.
    enum Expectation: Sendable {
        /// `postern check` accepts what comes of it; at least so many parameters are converted.
        case accepted(converted: Int)
        case template(file: String, line: Int)
        /// Tables, or parts of a set-up: there is no main.cf.
        case noMainFile
    }

    private static let setUps: [(folder: String, Expectation)] = [
        ("debops/postfix/templates/etc/postfix", .template(file: "main.cf.j2", line: 1)),
        ("debops/postscreen", .noMainFile), ("docker-mailserver", .accepted(converted: 15)), ("fqrdns", .noMainFile),
        ("frjo-ansible-roles/mailrelay", .template(file: "main.cf.j2", line: 32)),
        ("frjo-ansible-roles/mailserver", .template(file: "main.cf.j2", line: 32)),
        ("hardware-mailserver", .template(file: "main.cf", line: 13)),
        ("iredmail", .template(file: "main.cf", line: 5)), ("mailcow", .accepted(converted: 25)),
        ("mailu", .template(file: "main.cf", line: 6)), ("mattbrock", .accepted(converted: 17)),
        ("parseword", .accepted(converted: 15)), ("postwhite", .noMainFile),
    ]

    @Test(.enabled(if: Self.isThere, "the corpus is not beside this checkout"), arguments: Self.setUps)
    func `a collected set-up is read`(folder: String, expectation: Expectation) throws {
        let place = try TemporaryFolder()
        let output = place.path("result")
        var program = Program(
            PosternProcess.program, ["import", "postfix", "\(Self.corpus)/\(folder)", "--output", output])
        program.folder = place.path
        program.errors = .unnamed
        let run = try program.run()
        let main = "\(output)/postern.yaml"
        switch expectation {
        case .accepted(let converted):
            #expect(run.ending == .exited(0), "\(run.output) \(run.errors)")
            let report = try String(contentsOfFile: "\(output)/report.txt", encoding: .utf8)
            let count = report.firstMatch(of: /Parameters: (\d+) converted/).flatMap { Int($0.1) }
            #expect(try #require(count) >= converted)
            _ = try Generation(file: main, number: 1)
        case .template(let file, let line):
            #expect(run.ending == .exited(2))
            #expect(run.errors.contains("/\(file):\(line):"), "\(run.errors)")
            #expect(run.errors.contains("this is a template"))
            #expect(!FileManager.default.fileExists(atPath: output))
        case .noMainFile:
            #expect(run.ending == .exited(2))
            #expect(run.errors.contains("main.cf: there is no such file"))
            #expect(!FileManager.default.fileExists(atPath: output))
        }
    }
}
