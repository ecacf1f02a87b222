import Daemon
import Foundation
import Mail
import Testing

/// Messages of others: odd ones, broken ones, and such as were made to hide attachments from filters.
///
/// They lie beside a checkout, not in it, because of their licences: `../shared/corpus`.
struct CollectedMIMETests {
    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("shared/corpus/mime")

    private static let isThere = FileManager.default.fileExists(atPath: Self.corpus.path + "/noxxi")

    private static func files(_ folder: String) throws -> [(name: String, bytes: [UInt8])] {
        let url = Self.corpus.appendingPathComponent(folder)
        let all = FileManager.default.enumerator(at: url, includingPropertiesForKeys: [.isRegularFileKey])
        return try (all?.compactMap { $0 as? URL } ?? []).filter {
            try $0.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile ?? false
        }.map { ($0.lastPathComponent, Array(try Data(contentsOf: $0))) }
    }

    @Test(
        .enabled(if: Self.isThere, "the corpus is not beside this checkout"),
        arguments: ["cpython", "enmime", "haraka", "mox", "noxxi"])
    func `collected messages are read in linear time, in any pieces`(folder: String) throws {
        let files = try Self.files(folder)
        #expect(!files.isEmpty)
        for (name, bytes) in files {
            var examiner = MIMEExaminer(makeInflater: ArchiveInflater.make)
            bytes.withUnsafeBytes { examiner.feed($0) }
            let structure = examiner.finish()
            #expect(examiner.examinedBytes <= 16 * bytes.count + 4096, "\(name)")
            var single = MIMEExaminer(makeInflater: ArchiveInflater.make)
            for byte in bytes { withUnsafeBytes(of: byte) { single.feed($0) } }
            let other = single.finish()
            #expect(other == structure, "\(name)")
        }
    }

    /// Messages of one folder of noxxi's by validity: 3 is plain, 2 legal, 1 unusual, 0 off-standard.
    private static func cases(_ folder: String) throws -> [(id: String, validity: Int, MIMEStructure)] {
        try Self.files("noxxi/\(folder)").map { name, bytes in
            let text = String(decoding: bytes.prefix(8192), as: UTF8.self)
            let match = try #require(text.firstMatch(of: /X-Payload-Id: (.*?) +valid\((\d)\)/), "\(name)")
            let validity = try #require(Int(match.2))
            return (String(match.1), validity, MIMEStructure(of: bytes, makeInflater: ArchiveInflater.make))
        }
    }

    private static func rate(_ results: [(validity: Int, isFound: Bool)], _ validity: Int) -> Double {
        let all = results.filter { $0.validity == validity }
        return all.isEmpty ? 1 : Double(all.count { $0.isFound }) / Double(all.count)
    }

    @Test(
        .enabled(if: Self.isThere, "the corpus is not beside this checkout"),
        arguments: ["hide-filename.d", "hide-content.d"])
    func `names that are hidden are found, and no others`(folder: String) throws {
        let cases = try Self.cases(folder)
        #expect(cases.count > 50)
        var results: [(validity: Int, isFound: Bool)] = []
        for (id, validity, structure) in cases {
            let isFound = structure.parts.contains { $0.names.contains { $0.hasSuffix(".zip") } }
            if id.hasSuffix(".png") {
                #expect(!isFound, "\(id)")
            } else {
                results.append((validity, isFound))
            }
        }
        for validity in 1...3 { #expect(Self.rate(results, validity) == 1, "validity \(validity)") }
        #expect(Self.rate(results, 0) >= 0.95)
    }

    /// Those in BinHex hold nothing.
    @Test(.enabled(if: Self.isThere, "the corpus is not beside this checkout"))
    func `content that is hidden is found`() throws {
        let results = try Self.cases("hide-content.d").filter { !$0.id.contains("binhex") }.map {
            _, validity, structure in
            let entries = structure.parts.flatMap { $0.archive?.entries ?? [] }
            return (validity: validity, isFound: entries.contains { $0.name == "eicar.com" })
        }
        for validity in 1...3 { #expect(Self.rate(results, validity) == 1, "validity \(validity)") }
        #expect(Self.rate(results, 0) >= 0.95)
    }
}
