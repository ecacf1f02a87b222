import Daemon
import Foundation
import Harness
import Mail
import Testing

struct TableQueryTests {
    private func value(_ key: String, _ table: TableQuery) -> String? { table.answer(to: Array(key.utf8)).value }

    @Test func `a key is looked up as the daemon does`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("t", "Example.test a b\nBücher.example c\n")
        let table = try TableQuery("texthash:\(file)")
        #expect(self.value("EXAMPLE.test", table) == "a b")
        #expect(self.value("BÜCHER.example", table) == "c")
        #expect(self.value("xn--bcher-kva.example", table) == "c")
        #expect(self.value("example", table) == nil)
    }

    @Test func `patterns and networks get the key as it is`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("t", "/^A$/i one\n/(.)/ two $1\n")
        for type in ["pcre", "regexp"] {
            let table = try TableQuery("\(type):\(file)")
            #expect(self.value("A", table) == "one")
            #expect(self.value("a", table) == "two a")
            #expect(self.value("", table) == nil)
        }
        #expect(self.value("10.0.0.1", try TableQuery("cidr:{{10.0.0.0/8 x}}")) == "x")
        #expect(self.value("K", try TableQuery("inline:{k=v}")) == "v")
        #expect(self.value("anything", try TableQuery("static:v")) == "v")
    }

    @Test func `a pattern that reaches a limit is told with file and line`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("t", "# x\n/^(a+)+$/ one\n")
        let answer = try TableQuery("pcre:\(file)").answer(to: [UInt8](repeating: 0x61, count: 300) + [0x62])
        #expect(answer.value == nil)
        #expect(answer.faults.map(\.description) == ["\(file):2: match limit exceeded"])
    }

    @Test(arguments: [
        "t", "pcre:t", "texthash", ":t", "texthash:/nowhere/t", "texthash:", "inline:t", "cidr:{x}", "ldap:t",
    ])
    func `what is no table is an error`(name: String) {
        #expect(throws: FileErrors.self) { try TableQuery(name) }
    }

    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/corpus/oracle")

    private static let names: [String] = {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: Self.corpus.path + "/tables")) ?? []
        return all.sorted()
    }()

    /// Header tables are read as `pcre:`, for which all give the answers that were collected: see the tests of rules.
    @Test(.enabled(if: !Self.names.isEmpty, "the corpus is not beside this checkout"), arguments: Self.names)
    func `a collected table answers as Postfix does`(name: String) throws {
        let type = name.contains("cidr") ? "cidr" : "pcre"
        let table = try TableQuery("\(type):\(Self.corpus.path)/tables/\(name)")
        let answers = try Data(contentsOf: Self.corpus.appendingPathComponent("\(name).expected.tsv"))
        for answer in answers.split(separator: 10) {
            let columns = answer.split(separator: 9, maxSplits: 1, omittingEmptySubsequences: false)
            let value = table.answer(to: Array(columns[0])).value ?? ""
            #expect(Array(value.utf8) == Array(columns[1]), "\(String(decoding: columns[0], as: UTF8.self))")
        }
    }
}
