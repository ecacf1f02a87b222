import Daemon
import Foundation
import Harness
import Mail
import Rules
import Testing

/// The files in `rules/` as somebody installs them.
struct ShippedRulesTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("rules")

    /// A copy of them, with its configuration's file.
    private func install(_ folder: TemporaryFolder) throws -> String {
        try FileManager.default.copyItem(atPath: Self.folder.path, toPath: folder.path("rules"))
        let text = try String(contentsOf: Self.folder.appendingPathComponent("postern.yaml"), encoding: .utf8)
        // A machine that runs tests need not have a full name.
        return try folder.write(
            "postern.yaml",
            "hostname: mx2.example.com\n" + text.replacing("/etc/postern/rules", with: folder.path("rules")))
    }

    @Test func `they are read without a warning, and do what their cases say`() throws {
        let folder = try TemporaryFolder()
        let generation = try Generation(file: try self.install(folder), number: 1)
        #expect(generation.warnings.map(\.description) == [])
        let text = try String(contentsOfFile: folder.path("rules/default.case"), encoding: .utf8)
        #expect(try RuleCases(text).cases.count > 15)
    }

    @Test(arguments: ["postern.yaml", "helo.pcre", "mime_header_checks"])
    func `the cases notice when a file is not what it was`(file: String) throws {
        let folder = try TemporaryFolder()
        let configuration = try self.install(folder)
        let path = file == "postern.yaml" ? configuration : folder.path("rules/\(file)")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let changed = text.split(separator: "\n", omittingEmptySubsequences: false).filter {
            !$0.contains("reject_non_fqdn_helo_hostname") && !$0.contains("localhost(")
                && !$0.contains("message\\/partial")
        }
        #expect(changed.count < text.split(separator: "\n", omittingEmptySubsequences: false).count)
        try changed.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        #expect(throws: FileErrors.self) { () throws in try Generation(file: configuration, number: 1) }
    }

    @Test func `every file says what it is in its first line`() throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder.path) {
            let text = try String(contentsOf: Self.folder.appendingPathComponent(name), encoding: .utf8)
            #expect(text.hasPrefix("# "), "\(name)")
        }
    }

    // MARK: Cases

    private func problems(_ text: String) -> [String] {
        do throws(TableProblems) {
            _ = try RuleCases(text)
            return []
        } catch { return error.list.map { "\($0.line): \($0.message)" } }
    }

    @Test func `what is wrong in a file of cases is told by line, all of it`() {
        #expect(
            self.problems("helo x\ncase a\nto nobody\nclient x\ndns a A b\nexpect maybe\nhilo x\n") == [
                "1: 'helo' before the first 'case'", "2: case 'a' expects nothing", "3: 'nobody' is no address",
                "4: 'client' takes an address, and its name if it has one",
                "5: 'b' is no address",
                "6: 'expect' takes accept, defer, reject, discard or hold, then a code and a text",
                "7: 'hilo' is none of case, client, helo, tls, from, to, ours, dns, policy, recipient, spf, greylist, expect "
                    + "and |",
            ])
        #expect(
            self.problems("case a\nspf maybe\ngreylist no\nexpect accept\n") == [
                "2: 'spf' takes pass, fail, softfail, neutral, none, temperror or permerror",
                "3: 'greylist' takes passed or refused",
            ])
    }

    @Test func `line ends may be those of other systems`() throws {
        let cases = try RuleCases("case a\r\nto postmaster\r\nexpect accept\r\ncase b\r\nexpect accept\r\n").cases
        #expect(cases.map(\.title) == ["a", "b"] && cases.map(\.line) == [1, 4])
    }
}
