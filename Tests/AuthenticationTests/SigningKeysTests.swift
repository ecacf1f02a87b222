import Crypto
import Mail
import Testing

@testable import Authentication

/// Which keys sign a message of ours.
struct SigningKeysTests {
    private let fixture: DKIMFixture
    private let time = Timestamp(seconds: DKIMFixture.now)

    init() throws {
        self.fixture = try DKIMFixture()
    }

    private func signer(
        _ domain: String, _ selector: String, names: [String]? = nil, body: Canonicalization = .relaxed
    ) throws -> (domain: DomainName, signer: DKIMSigner) {
        let name = try #require(DomainName(domain))
        let key = SigningKey(
            domain: name, selector: try #require(DomainName(selector)), key: self.fixture.ed25519)
        var options = DKIMSigner.Options()
        options.names = names
        options.bodyForm = body
        return (name, DKIMSigner(keys: [key], options: options))
    }

    private func signatures(_ keys: SigningKeys) throws -> [TagList] {
        let header = MessageDigester.digest(try keys.sign(DKIMFixture.content, at: self.time)).header
        return try header.fields(named: "dkim-signature").map { try $0.tags() }
    }

    @Test func `each key of a domain signs with options of its own`() throws {
        let keys = SigningKeys([
            try self.signer("example.test", "one", names: ["from"]),
            try self.signer("example.net", "other"),
            try self.signer("example.test", "two", names: ["from", "to"], body: .simple),
        ])
        let signatures = try self.signatures(keys)
        #expect(signatures.map { $0["s"] } == ["one", "two"])
        #expect(signatures.map { $0["h"] } == ["from", "from:to"])
        #expect(signatures.map { $0["c"] } == ["relaxed/relaxed", "relaxed/simple"])
    }

    @Test func `the keys of the nearest domain sign, and nobody's for others`() throws {
        #expect(try self.signatures(SigningKeys([try self.signer("test", "above")])).map { $0["d"] } == ["test"])
        let both = SigningKeys([try self.signer("test", "above"), try self.signer("example.test", "near")])
        #expect(try self.signatures(both).map { $0["s"] } == ["near"])
        #expect(try self.signatures(SigningKeys([try self.signer("a.example.test", "below")])).isEmpty)
    }

    @Test(arguments: [("Subject", true), ("X-1_!", true), ("", false), ("To ", false), ("a:b", false), ("a;b", false)])
    func `headers must be names of fields`(name: String, isRight: Bool) throws {
        var options = SigningKeyOptions()
        options.domain = DomainName("example.test")
        options.selector = "s"
        options.key = "key.pem"
        options.headers = ["From", name]
        var problem: OptionProblem?
        do throws(OptionProblem) { try options.validate() } catch { problem = error }
        #expect((problem == nil) == isRight)
    }
}
