import Authentication
import Crypto
import Foundation
import Mail
import Testing
import Yams

/// ValiMail's suite of ARC tests.
@Suite(.enabled(if: Corpus.isThere, "the corpus is not beside this checkout"))
struct ARCCorpusTests {
    /// One test of a suite, with what its scenario gives it.
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let scenario: [String: String]
        let values: [String: String]
        let names: [String: String]

        var testDescription: String { self.name }
        var content: [UInt8] { crlf(self.values["message"] ?? "") }
    }

    private static func cases(_ path: String) -> [Case] {
        // Without the corpus there are no cases, and the suite is skipped.
        guard let text = try? Corpus.text(path), let documents = try? Self.documents(text) else { return [] }
        return documents.flatMap { document -> [Case] in
            let scenario = Self.texts(document.mapping)
            let names = Self.texts(document["txt-records"]?.mapping)
            return (document["tests"]?.mapping ?? [:]).map { name, values in
                Case(
                    name: name.scalar?.string ?? "", scenario: scenario, values: Self.texts(values.mapping),
                    names: names)
            }
        }
    }

    private static func documents(_ text: String) throws -> [Node] { Array(try Yams.compose_all(yaml: text)) }

    private static func texts(_ mapping: Node.Mapping?) -> [String: String] {
        var texts: [String: String] = [:]
        for (key, value) in mapping ?? [:] {
            if let key = key.scalar?.string, let value = value.scalar?.string { texts[key] = value }
        }
        return texts
    }

    private static func result(_ content: [UInt8], _ names: [String: String]) async -> ARCResult {
        await ARCVerifier(names: TestNames(texts: names).source, now: Timestamp(seconds: 1_795_000_000))
            .result(for: MessageDigester.digest(content))
    }

    /// A chain that says itself that it is broken has no expected result there; for us it is one that failed.
    @Test(arguments: Self.cases("arc/arc-draft-validation-tests.yml"))
    func `Chains are what ValiMail says`(test: Case) async throws {
        let expected = try #require(test.values["cv"]).lowercased()
        let result = await Self.result(test.content, test.names)
        #expect(result.outcome.rawValue == (expected.isEmpty ? "fail" : expected), "\(result)")
        #expect((result.outcome == .fail) != result.reason.isEmpty)
    }

    @Test(arguments: Self.cases("arc/arc-draft-sign-tests.yml"))
    func `Seals are what ValiMail's are, to the signature`(test: Case) async throws {
        let key = SigningKey(
            domain: try #require(test.scenario["domain"].flatMap { DomainName($0) }),
            selector: try #require(test.scenario["sel"].flatMap { DomainName($0) }),
            key: try PrivateKey(pem: Array((test.scenario["privatekey"] ?? "").utf8)))
        let authservID = try #require(test.values["srv-id"])
        var options = ARCSealer.Options()
        options.names = test.values["sig-headers"]?.split(separator: ":").map(String.init)
        let sealer = ARCSealer(key: key, authservID: try #require(DomainName(authservID)), options: options)
        let message = MessageDigester.digest(test.content, needing: [sealer.hashing])
        let chain = await Self.result(test.content, test.names)
        let text = try sealer.fields(
            for: message, chain: chain,
            results: AuthenticationResultsText.results(in: message.header, of: authservID),
            at: Timestamp(seconds: try #require(test.values["t"].flatMap { Int64($0) })))
        let fields = MessageDigester.digest(Array(text.utf8)).header
        for (key, name) in [
            ("AS", "arc-seal"), ("AMS", "arc-message-signature"), ("AAR", "arc-authentication-results"),
        ] {
            let values = fields.fields(named: name).map { Self.squeezed(String(decoding: $0.value, as: UTF8.self)) }
            let expected = Self.squeezed(try #require(test.values[key]))
            #expect(values == (expected.isEmpty ? [] : [expected]))
        }
        guard !text.isEmpty, chain.outcome != .fail else { return }
        let again = await Self.result(Array(text.utf8) + test.content, test.names)
        #expect(again.outcome == .pass, "\(again)")
        #expect(again.sets.count == chain.sets.count + 1)
        #expect(again.oldestPass == 0)
    }

    /// Without white space: it differs in the signature, which is wrapped.
    private static func squeezed(_ text: String) -> String { text.filter { !$0.isWhitespace } }
}
