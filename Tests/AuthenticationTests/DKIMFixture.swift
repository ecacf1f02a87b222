import Crypto
import Mail
import Testing

@testable import Authentication

/// Keys that are made once, and a signer that signs whatever it is told to say.
struct DKIMFixture {
    static let content = Array(
        "From: A <a@example.test>\r\nTo: b@example.net\r\nSubject: =  x\r\n\ty \r\nReceived: r1\r\nReceived: r2\r\n\r\nHello,\r\n\r\n world \t. \r\n\r\n"
            .utf8)
    static let now: Int64 = 1_700_000_000

    let ed25519: PrivateKey
    let rsa: PrivateKey

    init() throws {
        self.ed25519 = try PrivateKey(ed25519: [UInt8](1...32))
        self.rsa = try Self.madeRSA.get()
    }

    private static let madeRSA = Result { try PrivateKey.generateRSA(bits: 1024) }

    func signingKey(_ key: PrivateKey, domain: String = "example.test") throws -> SigningKey {
        SigningKey(
            domain: try #require(DomainName(domain)), selector: try #require(DomainName("sel")), key: key)
    }

    func record(_ key: PrivateKey, _ tags: String = "") throws -> String {
        "v=DKIM1; \(tags)\(try self.signingKey(key).record().text.dropFirst(9))"
    }

    /// A message with a signature of these tags, to which `bh=` and `b=` are added.
    func signed(
        _ tags: String, _ content: [UInt8] = Self.content, key: PrivateKey? = nil, name: String = "DKIM-Signature"
    ) throws -> [UInt8] {
        let hashing = HeaderField(Array("\(name): \(tags)".utf8)).bodyHashing ?? BodyHashing(.simple)
        let message = MessageDigester.digest(content, needing: [hashing])
        let bh = Base64.encode(try #require(message.bodyHashes[hashing]).digest)
        let unsigned = "\(name): \(tags); bh=\(bh); b="
        // A list that is malformed is signed somehow.
        let list = try? TagList(Array(tags.utf8)[...])
        let form = list?["c"].flatMap { Canonicalization(rawValue: String($0.prefix { $0 != "/" })) } ?? .simple
        let fields = message.header.selected(by: (list?.list("h") ?? []).map(\.asciiLowercased))
        let digest = try headerHash(of: fields, last: HeaderField(Array(unsigned.utf8)), form: form)
        let signature = Base64.encode(try (key ?? self.ed25519).sign(digest: digest))
        return Array("\(unsigned)\(signature)\r\n".utf8) + content
    }

    /// The only result of a message whose key has this record.
    func result(_ content: [UInt8], _ record: String? = nil, now: Int64 = Self.now) async throws -> DKIMResult {
        let names = TestNames(texts: ["sel._domainkey.example.test": try record ?? self.record(self.ed25519)])
        let results = await DKIMVerifier.results(content, names, now: Timestamp(seconds: now))
        #expect(results.count == 1)
        return try #require(results.first)
    }

    /// A common beginning of signatures.
    static let tags = "v=1; a=ed25519-sha256; d=example.test; s=sel; h=from:to:subject"
}
