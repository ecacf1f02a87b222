import Authentication
import Crypto
import Mail
import Testing

@Suite struct DKIMSigningTests {
    private let fixture: DKIMFixture
    private let time = Timestamp(seconds: DKIMFixture.now)

    init() throws {
        self.fixture = try DKIMFixture()
    }

    private static let forms: [(Canonicalization, Canonicalization)] = [
        (.simple, .simple), (.simple, .relaxed), (.relaxed, .simple), (.relaxed, .relaxed),
    ]

    private func options(_ header: Canonicalization, _ body: Canonicalization) -> DKIMSigner.Options {
        var options = DKIMSigner.Options()
        options.headerForm = header
        options.bodyForm = body
        options.lifetime = .seconds(86_400)
        return options
    }

    @Test(arguments: Self.forms)
    func `What is signed verifies, with both kinds of keys, wherever it is cut`(
        header: Canonicalization, body: Canonicalization
    ) async throws {
        let signer = DKIMSigner(
            keys: [try self.fixture.signingKey(self.fixture.rsa), try self.fixture.signingKey(self.fixture.ed25519)],
            options: self.options(header, body))
        let fields = try signer.fields(for: DKIMFixture.content, at: self.time)
        let content = Array(fields.utf8) + DKIMFixture.content
        let names = TestNames([
            NameQuery("sel._domainkey.example.test", .txt): .texts([
                Array(try self.fixture.record(self.fixture.rsa).utf8),
                Array(try self.fixture.record(self.fixture.ed25519).utf8),
            ])
        ])
        let results = await DKIMVerifier.results(content, names, now: self.time)
        #expect(results.map(\.outcome) == [.pass, .pass], "\(results)")
        #expect(results.map(\.keyBits) == [1024, 256])
        let whole = MessageDigester.digest(content)
        for place in content.indices {
            let digester = MessageDigester()
            content[..<place].withUnsafeBytes { digester.feed($0) }
            content[place...].withUnsafeBytes { digester.feed($0) }
            let inPieces = digester.finish()
            #expect(inPieces == whole, "at \(place)")
        }
    }

    @Test(arguments: Self.forms)
    func `A change of any octet makes the signature fail`(
        header: Canonicalization, body: Canonicalization
    ) async throws {
        var options = self.options(header, body)
        options.sealed += ["received"]
        let signer = DKIMSigner(keys: [try self.fixture.signingKey(self.fixture.ed25519)], options: options)
        let fields = Array(try signer.fields(for: DKIMFixture.content, at: self.time).utf8)
        let content = fields + DKIMFixture.content
        let names = TestNames(texts: ["sel._domainkey.example.test": try self.fixture.record(self.fixture.ed25519)])
        // The last digit of 64 octets in base64 has bits that mean nothing.
        let spare = fields.count - 5
        #expect(String(decoding: fields.suffix(4), as: UTF8.self) == "==\r\n")
        for place in content.indices where place != spare {
            var changed = content
            changed[place] ^= 1
            let results = await DKIMVerifier.results(changed, names, now: self.time)
            #expect(!results.contains { $0.outcome == .pass }, "at \(place)")
        }
    }

    @Test func `Relaxed signatures survive other white space, and simple ones do not`() async throws {
        let changed = String(decoding: DKIMFixture.content, as: UTF8.self)
            .replacing("Subject: =  x\r\n\ty \r\n", with: "SUBJECT\t:=   x y\r\n")
            .replacing("world \t. \r\n\r\n", with: "world .\r\n")
        for (header, body) in Self.forms {
            let signer = DKIMSigner(
                keys: [try self.fixture.signingKey(self.fixture.ed25519)], options: self.options(header, body))
            let fields = try signer.fields(for: DKIMFixture.content, at: self.time)
            let result = try await self.fixture.result(Array((fields + changed).utf8))
            #expect((result.outcome == .pass) == (header == .relaxed && body == .relaxed))
        }
    }

    @Test(arguments: ["From: x@y\r\n", "Subject: z\r\n", "Cc: c@d\r\n", "Reply-To: x\r\n"])
    func `Nobody can add a field that is shown`(field: String) async throws {
        let signer = DKIMSigner(keys: [try self.fixture.signingKey(self.fixture.ed25519)])
        let fields = try signer.fields(for: DKIMFixture.content, at: self.time)
        let header = String(decoding: DKIMFixture.content, as: UTF8.self)
        let unchanged = try await self.fixture.result(Array((fields + "X-Other: y\r\n" + header).utf8))
        #expect(unchanged.outcome == .pass)
        let above = try await self.fixture.result(Array((field + fields + header).utf8))
        #expect(above.outcome == .fail)
        let below = try await self.fixture.result(
            Array((fields + header.replacing("\r\n\r\nHello", with: "\r\n\(field)\r\nHello")).utf8))
        #expect(below.outcome == .fail)
    }

    @Test func `The next server may add Date and Message-ID where they are missing, and nobody a second one`()
        async throws
    {
        let signer = DKIMSigner(keys: [try self.fixture.signingKey(self.fixture.ed25519)])
        let added = "Message-ID: <1@example.test>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
        let without = String(decoding: DKIMFixture.content, as: UTF8.self)
        let with = added + without
        let missing = try signer.fields(for: Array(without.utf8), at: self.time)
        #expect(try await self.fixture.result(Array((added + missing + without).utf8)).outcome == .pass)
        let there = try signer.fields(for: Array(with.utf8), at: self.time)
        #expect(try await self.fixture.result(Array((there + with).utf8)).outcome == .pass)
        for line in ["Message-ID: <2@example.test>\r\n", "Date: Wed, 15 Nov 2023 22:13:20 +0000\r\n"] {
            #expect(try await self.fixture.result(Array((line + there + with).utf8)).outcome == .fail)
        }
        let names = try TagList(Array(there.utf8)[15...]).list("h") ?? []
        #expect(names.filter { $0 == "date" || $0 == "message-id" } == ["date", "date", "message-id", "message-id"])
    }

    @Test func `Of repeated fields the last ones are signed first`() async throws {
        let tags = "v=1; a=ed25519-sha256; d=example.test; s=sel; h=from:received"
        let content = String(decoding: try self.fixture.signed(tags), as: UTF8.self)
        let first = try await self.fixture.result(Array(content.replacing("r1", with: "rx").utf8))
        #expect(first.outcome == .pass)
        let last = try await self.fixture.result(Array(content.replacing("r2", with: "rx").utf8))
        #expect(last.outcome == .fail)
    }

    @Test func `A signature may cover others, and never means itself`() async throws {
        let inner = try self.fixture.signed(DKIMFixture.tags)
        let outer = try self.fixture.signed(DKIMFixture.tags + ":dkim-signature:dkim-signature", inner)
        let names = TestNames(texts: ["sel._domainkey.example.test": try self.fixture.record(self.fixture.ed25519)])
        let results = await DKIMVerifier.results(outer, names, now: self.time)
        #expect(results.map(\.outcome) == [.pass, .pass], "\(results)")
        let changed = String(decoding: outer, as: UTF8.self).replacing("h=from:to:subject;", with: "h=from:to; ")
        let others = await DKIMVerifier.results(Array(changed.utf8), names, now: self.time)
        #expect(others.map(\.outcome) == [.fail, .fail])
    }

    @Test func `Signatures are folded at 78 columns, and say what was asked for`() throws {
        var options = DKIMSigner.Options()
        options.lifetime = .seconds(5)
        let signer = DKIMSigner(keys: [try self.fixture.signingKey(self.fixture.rsa)], options: options)
        let text = try signer.fields(for: DKIMFixture.content, at: self.time)
        #expect(text.hasPrefix("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.test; s=sel;\r\n\tt="))
        #expect(text.hasSuffix("\r\n"))
        let lines = text.dropLast().split(separator: "\r\n")
        #expect(lines.allSatisfy { $0.utf8.count <= 78 && !$0.isEmpty })
        #expect(lines.dropFirst().allSatisfy { $0.hasPrefix("\t") })
        let tags = try TagList(Array(text.utf8)[15...])
        #expect(tags["t"] == "1700000000")
        #expect(tags["x"] == "1700000005")
        #expect(tags.list("h")?.filter { $0 == "from" }.count == 2)
        #expect(tags.list("h")?.filter { $0 == "cc" }.count == 1)
    }

    @Test func `Fields can be named, and From is always among them`() throws {
        var options = DKIMSigner.Options()
        options.names = ["To", "Subject"]
        let signer = DKIMSigner(keys: [try self.fixture.signingKey(self.fixture.ed25519)], options: options)
        let text = try signer.fields(for: DKIMFixture.content, at: self.time)
        #expect(try TagList(Array(text.utf8)[15...]).list("h") == ["from", "to", "subject"])
    }

    @Test func `A message that was digested for something else is not signed`() throws {
        let signer = DKIMSigner(keys: [try self.fixture.signingKey(self.fixture.ed25519)])
        let message = MessageDigester.digest(DKIMFixture.content)
        #expect(throws: CryptoError.self) { try signer.fields(for: message, at: self.time) }
    }
}
