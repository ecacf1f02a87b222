import Foundation
import Mail
import Rules
import Testing

/// Tables of others and Postfix's own, with what Postfix answers.
///
/// They lie beside a checkout, not in it, because of their licences: `../shared/corpus`.
struct CollectedCIDRTests {
    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/corpus")

    private static let names: [String] = {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: Self.corpus.path + "/oracle/tables")) ?? []
        return all.filter { $0.contains("cidr") }.sorted()
    }()

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: Self.corpus.appendingPathComponent(path), encoding: .utf8)
    }

    @Test(.enabled(if: !Self.names.isEmpty, "the corpus is not beside this checkout"), arguments: Self.names)
    func `a collected table gives Postfix's answers`(name: String) throws {
        let table = try CIDRTable(text: try Self.text("oracle/tables/\(name)"))
        let answers = try Self.text("oracle/\(name).expected.tsv").split(separator: "\n")
        #expect(!answers.isEmpty)
        for answer in answers {
            let columns = answer.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
            let value = IPAddress(columns[0]).flatMap(table.lookup)?.value
            #expect(value ?? "" == columns[1], "\(columns[0])")
        }
    }

    /// Postfix warns of lines and skips them; the same lines are problems here, and without them the answers agree.
    @Test(.enabled(if: !Self.names.isEmpty, "the corpus is not beside this checkout"))
    func `Postfix's own test table has the same wrong lines and answers`() throws {
        let lines = try Self.text("postfix/src/util/dict_cidr.map").components(separatedBy: "\n")
        let reference = try Self.text("postfix/src/util/dict_cidr.ref").split(separator: "\n")
        let wrong = Set(reference.compactMap { $0.firstMatch(of: /warning: .*, line (\d+):/).flatMap { Int($0.1) } })
        let error = try #require(throws: TableProblems.self) {
            try CIDRTable(text: lines.joined(separator: "\n"))
        }
        #expect(Set(error.list.map(\.line)) == wrong)
        let right = lines.enumerated().map { wrong.contains($0 + 1) ? "" : $1 }.joined(separator: "\n")
        let table = try CIDRTable(text: right)
        var count = 0
        for line in reference {
            guard let match = line.wholeMatch(of: /([0-9a-f:.]+)=(.*)/) else { continue }
            let value = IPAddress(match.1).flatMap(table.lookup)?.value
            #expect(value == String(match.2), "\(match.1)")
            count += 1
        }
        #expect(count > 20)
    }
}
