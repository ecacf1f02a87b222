import Authentication
import Foundation
import Mail
import Testing

/// Evaluations that others have written down: `../shared/corpus`, beside a checkout.
struct DMARCVectorTests {
    private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("shared/corpus/dmarc/vectors.json")
    private static let suffixes = "/usr/share/publicsuffix/public_suffix_list.dat"
    private static let isThere = [Self.file.path, Self.suffixes].allSatisfy(FileManager.default.fileExists)

    struct Vector: Decodable, Sendable, CustomTestStringConvertible {
        struct Expectation: Decodable, Sendable {
            let dmarc: String
            let policy: String?
        }

        let id: String
        let bis: Bool?
        let dns: [String: String]
        let exists: [String]?
        let from: String
        let spf: [String]
        let dkim: [[String]]
        let expect: Expectation

        var testDescription: String { self.id }

        var names: TestNames {
            var replies: [NameQuery: NameReply] = [:]
            for (key, value) in self.dns {
                if key.hasSuffix("/A") {
                    replies[NameQuery(key.dropLast(2), .a)] = .addresses([IPAddress(value)].compactMap { $0 })
                } else {
                    replies[NameQuery(key, .txt)] = .texts([Array(value.utf8)])
                }
            }
            for name in self.exists ?? [] { replies[NameQuery(name, .a)] = .noRecords }
            return TestNames(replies)
        }
    }

    private static let vectors: [Vector] = {
        struct File: Decodable { let vectors: [Vector] }
        guard let data = try? Data(contentsOf: Self.file) else { return [] }
        return (try? JSONDecoder().decode(File.self, from: data))?.vectors ?? []
    }()

    private static func identifier(_ pair: [String]) -> DMARCEvaluation.Identifier {
        let outcome: DMARCEvaluation.Identifier.Outcome =
            pair[0] == "pass" ? .pass : pair[0] == "temperror" ? .temporaryError : .other
        return .init(outcome, DomainName(pair[1]))
    }

    @Test(.enabled(if: Self.isThere, "the corpus is not beside this checkout, or publicsuffix not installed"))
    func `the vectors are read`() {
        #expect(Self.vectors.count >= 16)
    }

    @Test(
        .enabled(if: Self.isThere, "the corpus is not beside this checkout, or publicsuffix not installed"),
        arguments: Self.vectors)
    func `a vector gives its result`(vector: Vector) async throws {
        let list = try PublicSuffixList(try Data(contentsOf: URL(filePath: Self.suffixes)))
        let walk = vector.bis ?? false
        for discovery in walk ? [DMARCEvaluation.Discovery.treeWalk] : [.publicSuffixes(list)] {
            let result = await DMARCEvaluation(discovery, names: vector.names.source).evaluate(
                FromField(fields: [Array("x@\(vector.from)".utf8)]), spf: Self.identifier(vector.spf),
                dkim: vector.dkim.map(Self.identifier), sample: 0)
            #expect(result.outcome.rawValue == vector.expect.dmarc)
            if let policy = vector.expect.policy { #expect(result.policy.rawValue == policy) }
        }
    }
}
