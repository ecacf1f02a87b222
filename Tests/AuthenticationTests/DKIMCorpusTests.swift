import Authentication
import Crypto
import Foundation
import Mail
import Testing

/// chasquid's messages with their answers, and those of dkimpy.
@Suite(.enabled(if: Corpus.isThere, "the corpus is not beside this checkout"))
struct DKIMCorpusTests {
    private struct Expected: Decodable {
        struct Signature: Decodable {
            let Domain: String
            let State: String
        }

        let Valid: Int
        let Results: [Signature]
    }

    /// chasquid looks at five signatures; we look at more.
    @Test(arguments: Corpus.names("dkim/chasquid-testdata", ".result"))
    func `chasquid's messages have its results`(name: String) async throws {
        let folder = "dkim/chasquid-testdata/"
        let expected = try JSONDecoder().decode(
            Expected.self, from: Data(try Corpus.bytes(folder + name + ".result")))
        let names = try Self.names(folder + name + ".dns")
        let results = await DKIMVerifier.results(crlf(try Corpus.bytes(folder + name + ".msg")), names)
        #expect(results.count >= expected.Results.count)
        for (result, expected) in zip(results, expected.Results) {
            let outcomes: Set<DKIMResult.Outcome> =
                switch expected.State {
                case "SUCCESS": [.pass]
                case "TEMPFAIL": [.temperror]
                default: [.fail, .permerror]
                }
            #expect(outcomes.contains(result.outcome), "\(result)")
            if !expected.Domain.isEmpty { #expect(result.domain == expected.Domain) }
        }
    }

    @Test func `What is no message has no signatures`() async throws {
        let content = crlf(try Corpus.bytes("dkim/chasquid-testdata/03-bad_message.msg"))
        #expect(await DKIMVerifier.results(content, TestNames([:])).isEmpty)
    }

    /// Lines `name: text`, continued behind backslashes; a name may have several.
    private static func names(_ path: String) throws -> TestNames {
        guard let text = try? Corpus.text(path) else { return TestNames([:]) }
        var replies: [NameQuery: NameReply] = [:]
        for line in text.replacingOccurrences(of: "\\\n", with: " ").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let query = NameQuery(parts[0], .txt)
            let value = parts[1].trimmingCharacters(in: .whitespaces)
            switch (value, replies[query]) {
            case ("TEMPERROR", _): replies[query] = .failed("for the test")
            case ("PERMERROR", _): replies[query] = .noSuchName
            case (_, .texts(let texts)): replies[query] = .texts(texts + [Array(value.utf8)])
            default: replies[query] = .texts([Array(value.utf8)])
            }
        }
        return TestNames(replies)
    }

    @Test(arguments: [
        ("rfc6376.signed.msg", ["pass", "pass"]), ("rfc6376.signed.no_t.msg", ["fail"]),
        ("rfc6376.signed.rsa.msg", ["pass"]), ("rfc6376.msg", []), ("ed25519test2.msg", ["pass"]),
        ("test.message.baddomain", ["permerror"]),
    ])
    func `dkimpy's messages verify`(file: String, outcomes: [String]) async throws {
        let results = await DKIMVerifier.results(crlf(try Corpus.bytes("dkim/dkimpy/\(file)")), try Self.dkimpyNames())
        #expect(results.map(\.outcome.rawValue) == outcomes, "\(results)")
    }

    /// With the names of dkimpy's own tests.
    private static func dkimpyNames() throws -> TestNames {
        TestNames(texts: [
            "test._domainkey.football.example.com": try Corpus.text("dkim/dkimpy/test.txt"),
            "brisbane._domainkey.football.example.com":
                "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            "sed._domainkey.test.ex": try Corpus.text("dkim/dkimpy/eximtest.dns"),
        ])
    }

    @Test(arguments: [
        ("test.private", "test.txt", "pass"), ("test2.private", "test2.txt", "pass"),
        ("1024_testkey.key", "1024_testkey_wo_markers.pub.txt", "pass"),
        ("1024_testkey.key", "1024_testkey_wo_markers.pub.rsa.txt", "pass"),
        ("2048_testkey.key", "2048_testkey_wo_markers.pub.txt", "pass"),
        ("2048_testkey.key", "2048_testkey_wo_markers.pub.rsa.txt", "pass"),
        ("2048_testkey_PKCS8.key", "2048_testkey_PKCS8.key.pub.txt", "pass"),
        ("ed25519test.key", "ed25519test.dns", "pass"),
        ("2048_testkey.key", "2048_testkey_PKCS8.key.pub.txt", "fail"),
        ("test.private", "test_bad.txt", "permerror"), ("test.private", "badk.txt", "permerror"),
        ("test.private", "badversion.txt", "permerror"), ("test.private", "test_tlsrpt.txt", "permerror"),
    ])
    func `What dkimpy's keys sign, dkimpy's records verify`(
        key: String, record: String, outcome: String
    ) async throws {
        let key = SigningKey(
            domain: try #require(DomainName("example.com")), selector: try #require(DomainName("test")),
            key: try PrivateKey(keyFile: try Corpus.bytes("dkim/dkimpy/\(key)")))
        let names = TestNames(texts: ["test._domainkey.example.com": try Corpus.text("dkim/dkimpy/\(record)")])
        for file in ["test.message", "test_extra.message", "rfc6376.w1258.msg", "message.mbox"] {
            let content = crlf(try Corpus.bytes("dkim/dkimpy/\(file)"))
            let fields = try DKIMSigner(keys: [key]).fields(for: content, at: Timestamp(seconds: 1_700_000_000))
            let results = await DKIMVerifier.results(Array(fields.utf8) + content, names)
            #expect(results.first?.outcome.rawValue == outcome, "\(file): \(results)")
        }
    }
}
