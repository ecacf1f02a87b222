import Foundation
import Rules
import Testing

/// Tables of others and Postfix's own, with what Postfix answers.
///
/// They lie beside a checkout, not in it, because of their licences: `../shared/corpus`.
struct CollectedPatternTests {
    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/corpus")

    private static let names: [String] = {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: Self.corpus.path + "/oracle/tables")) ?? []
        return all.filter { !$0.contains("cidr") }.sorted()
    }()

    private static func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: Self.corpus.appendingPathComponent(path)), as: UTF8.self)
    }

    /// The octets are looked up, not the text: some keys are damaged.
    private static func value(_ key: [UInt8], _ table: PatternTable) -> String? {
        var faults: [TableFault] = []
        let value = key.withUnsafeBytes { table.lookup($0, faults: &faults) }?.value
        return faults.isEmpty ? value : "\(faults)"
    }

    private func differences(_ name: String, _ kind: PatternTable.Kind) throws -> [String] {
        let table = try PatternTable(text: try Self.text("oracle/tables/\(name)"), kind: kind)
        let answers = try Data(contentsOf: Self.corpus.appendingPathComponent("oracle/\(name).expected.tsv"))
            .split(separator: 10)
        #expect(!answers.isEmpty)
        return answers.compactMap { answer in
            let columns = answer.split(separator: 9, maxSplits: 1, omittingEmptySubsequences: false)
            let expected = String(decoding: columns[1], as: UTF8.self)
            let value = Self.value(Array(columns[0]), table) ?? ""
            return value == expected
                ? nil : "\(String(decoding: columns[0], as: UTF8.self)): '\(value)' and not '\(expected)'"
        }
    }

    /// By their names some are for `regexp:`, yet two of those hold what only PCRE knows, and all give the answers that
    /// were collected when they are read as `pcre:`.
    @Test(.enabled(if: !Self.names.isEmpty, "the corpus is not beside this checkout"), arguments: Self.names)
    func `a collected table gives Postfix's answers`(name: String) throws {
        #expect(try self.differences(name, .pcre) == [])
    }

    @Test(
        .enabled(if: !Self.names.isEmpty, "the corpus is not beside this checkout"),
        arguments: ["hardware-header_checks", "mattbrock-header_checks", "parseword-header_checks", "fqrdns-max.pcre"])
    func `a collected table that both engines understand gives Postfix's answers with either`(name: String) throws {
        #expect(try self.differences(name, .regexp) == [])
    }

    /// Postfix warns of lines and skips them, or skips what stands behind `if` and `endif`; the same lines are problems
    /// here, and without them the answers agree.
    @Test(
        .enabled(if: !Self.names.isEmpty, "the corpus is not beside this checkout"),
        arguments: [PatternTable.Kind.pcre, .regexp])
    func `Postfix's own test table has the same wrong lines and answers`(kind: PatternTable.Kind) throws {
        var lines = try Self.text("postfix/src/util/dict_\(kind).map").components(separatedBy: "\n")
        let reference = try Self.text("postfix/src/util/dict_\(kind).ref").components(separatedBy: "\n")
        let error = try #require(throws: TableProblems.self) {
            try PatternTable(text: lines.joined(separator: "\n"), kind: kind)
        }
        var wrong: Set<Int> = []
        for warning in reference where !warning.hasSuffix("using empty string") {
            guard let line = warning.firstMatch(of: /warning: .*, line (\d+):/).flatMap({ Int($0.1) }) else { continue }
            wrong.insert(line)
            lines[line - 1] =
                warning.contains("extra text") ? lines[line - 1].replacing(/\s+fodder$/, with: "") : lines[line - 1]
            if !warning.contains("extra text"), !warning.contains("prepend") { lines[line - 1] = "" }
        }
        #expect(Set(error.list.map(\.line)) == wrong)
        let table = try PatternTable(text: lines.joined(separator: "\n"), kind: kind)
        var count = 0
        for (question, answer) in zip(reference, reference.dropFirst()) where question.hasPrefix("> get ") {
            let key = question.dropFirst(6)
            let value = Self.value(Array(key.utf8), table)
            #expect(value.map { "\(key)=\($0)" } ?? "\(key): not found" == answer)
            count += 1
        }
        #expect(count >= 15)
    }

    /// Postfix warns of the `if` that has no `endif`, and reads on.
    @Test(.enabled(if: !Self.names.isEmpty, "the corpus is not beside this checkout"))
    func `a table whose if has no end is refused, for which Postfix finds nothing`() throws {
        for kind in [PatternTable.Kind.pcre, .regexp] {
            let text = try Self.text("postfix/src/util/miss_endif_re.map")
            let error = try #require(throws: TableProblems.self) { try PatternTable(text: text, kind: kind) }
            #expect(error.list.map(\.line) == [1])
            #expect(Self.value(Array("1.2.3.5".utf8), try PatternTable(text: text + "endif\n", kind: kind)) == nil)
        }
        let text = try Self.text("postfix/src/util/miss_endif_cidr.map")
        #expect(throws: TableProblems.self) { try CIDRTable(text: text) }
    }
}
