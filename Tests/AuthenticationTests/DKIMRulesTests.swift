import Authentication
import Crypto
import Mail
import Testing

/// What makes a signature one to be verified, and a record a key for it.
@Suite struct DKIMRulesTests {
    private let fixture: DKIMFixture

    init() throws {
        self.fixture = try DKIMFixture()
    }

    @Test(arguments: [
        ("", "pass"), ("; i=@example.test", "pass"), ("; i=a@b.example.test", "pass"), ("; i=x@Example.TEST", "pass"),
        ("; q=dns/txt", "pass"), ("; q=new:dns/txt", "pass"), ("; c=relaxed", "pass"), ("; c=simple/relaxed", "pass"),
        ("; t=1699999999; x=1700000000", "pass"), ("; z=From:a|To:b; unknown=x", "pass"), ("; t=1700000300", "pass"),
        ("; i=@example.net", "permerror"), ("; i=@xexample.test", "permerror"), ("; i=example.test", "permerror"),
        ("; q=http", "permerror"), ("; c=nofws", "permerror"), ("; c=simple/", "permerror"),
        ("; c=simple/simple/simple", "permerror"), ("; t=x", "permerror"), ("; x=", "permerror"),
        ("; l=-1", "permerror"),
        ("; d=example.test", "permerror"), ("; x=1699999999", "fail"), ("; t=5; x=5", "permerror"),
        ("; t=1700000301", "neutral"), (";; z=", "permerror"), ("; l=100000", "permerror"),
    ])
    func `Signatures are held to the rules for their tags`(more: String, outcome: String) async throws {
        let content = try self.fixture.signed(DKIMFixture.tags + more)
        let result = try await self.fixture.result(content)
        #expect(result.outcome.rawValue == outcome, "\(result)")
        #expect((outcome == "pass") == result.reason.isEmpty)
    }

    @Test(arguments: [
        "a=ed25519-sha256; d=example.test; s=sel; h=from", "v=2; a=ed25519-sha256; d=example.test; s=sel; h=from",
        "v=1; d=example.test; s=sel; h=from", "v=1; a=ed25519-sha256; s=sel; h=from",
        "v=1; a=ed25519-sha256; d=example.test; h=from", "v=1; a=ed25519-sha256; d=example.test; s=sel",
        "v=1; a=ed25519-sha256; d=example.test; s=sel; h=",
        "v=1; a=ed25519-sha256; d=example.test; s=sel; h=to:subject",
        "v=1; a=ed25519-sha256; d=example.test; s=sel; h=from::to", "v=1; a=rsa-sha1; d=example.test; s=sel; h=from",
        "v=1; a=md5; d=example.test; s=sel; h=from", "v=1; a=ed25519-sha256; d=example..test; s=sel; h=from",
        "v=1; a=ed25519-sha256; d=example.test; s=s l; h=from", "v=1; a=ed25519-sha256; d=example.test(; s=sel; h=from",
    ])
    func `Signatures without what they must have are permanent errors`(tags: String) async throws {
        let result = try await self.fixture.result(try self.fixture.signed(tags))
        #expect(result.outcome == .permerror, "\(result)")
    }

    @Test(arguments: [
        ("", "", "pass"), ("t=y; ", "", "pass"), ("s=*; ", "", "pass"), ("s=email:x; ", "", "pass"),
        ("h=sha1:sha256; ", "", "pass"), ("n=a note; g=*; ", "", "pass"), ("t=s; ", "; i=@example.test", "pass"),
        ("t=y:s; ", "; i=@a.example.test", "permerror"), ("s=tlsrpt; ", "", "permerror"),
        ("h=sha1; ", "", "permerror"), ("n=; n=; ", "", "permerror"),
    ])
    func `Key records are held to the rules for theirs`(
        tags: String, signatureTags: String, outcome: String
    ) async throws {
        let content = try self.fixture.signed(DKIMFixture.tags + signatureTags)
        let result = try await self.fixture.result(content, try self.fixture.record(self.fixture.ed25519, tags))
        #expect(result.outcome.rawValue == outcome, "\(result)")
        if outcome == "pass" { #expect(result.isTesting == tags.contains("y")) }
    }

    @Test(arguments: [
        ("v=DKIM1; k=ed25519; p=", "the key is revoked"), ("v=spf1 -all", "the record is not one of DKIM1"),
        ("some text", "the key record is no list of tags"), ("v=DKIM1; k=ed25519", "the key record has no p= tag"),
        ("v=DKIM1; k=ed25519; p=AAAA", "p= is no key"), ("v=DKIM1; k=ed25519; p=!", "p= is not base64"),
        ("p=AAAA; v=DKIM1", "the record is not one of DKIM1"), ("v=DKIM1; p=AAAA", "the key is not one of ed25519"),
    ])
    func `Records that hold no key are permanent errors that say so`(record: String, reason: String) async throws {
        let result = try await self.fixture.result(try self.fixture.signed(DKIMFixture.tags), record)
        #expect(result.outcome == .permerror)
        #expect(result.reason == reason)
    }

    @Test(arguments: [
        (NameReply.noSuchName, DKIMResult.Outcome.permerror), (.noRecords, .permerror), (.texts([]), .permerror),
        (.failed("SERVFAIL"), .temperror),
    ])
    func `A name without a key is permanent, one that nobody knows is not`(
        reply: NameReply, outcome: DKIMResult.Outcome
    ) async throws {
        let names = TestNames([NameQuery("sel._domainkey.example.test", .txt): reply])
        let results = await DKIMVerifier.results(
            try self.fixture.signed(DKIMFixture.tags), names, now: Timestamp(seconds: DKIMFixture.now))
        #expect(results.map(\.outcome) == [outcome])
        #expect(results.first?.domain == "example.test")
    }

    @Test func `One of several records is enough, wherever it stands`() async throws {
        let right = try self.fixture.record(self.fixture.ed25519)
        let others = ["v=spf1 -all", try self.fixture.record(try PrivateKey(ed25519: [UInt8](2...33)))]
        let content = try self.fixture.signed(DKIMFixture.tags)
        for records in [[right] + others, others + [right]] {
            let names = TestNames([
                NameQuery("sel._domainkey.example.test", .txt): .texts(records.map { Array($0.utf8) })
            ])
            let results = await DKIMVerifier.results(content, names, now: Timestamp(seconds: DKIMFixture.now))
            #expect(results.map(\.outcome) == [.pass])
        }
    }

    @Test(arguments: [(512, "permerror"), (1024, "pass")])
    func `RSA keys of less than 1024 bits are refused`(bits: Int, outcome: String) async throws {
        let key = try PrivateKey.generateRSA(bits: bits)
        let tags = DKIMFixture.tags.replacing("ed25519", with: "rsa")
        let result = try await self.fixture.result(
            try self.fixture.signed(tags, key: key), try self.fixture.record(key))
        #expect(result.outcome.rawValue == outcome, "\(result)")
        #expect(result.keyBits == (bits == 1024 ? 1024 : nil))
    }

    /// An RSAPublicKey (RFC 8017 §A.1.1) of 1,024 bits that nobody has a private half of.
    private static func record(exponent: [UInt8]) -> String {
        let modulus = [UInt8](repeating: 0xDB, count: 128)
        let integers = [0x02, 0x81, 0x81, 0x00] + modulus + [0x02, UInt8(exponent.count)] + exponent
        return "v=DKIM1; p=\(Base64.encode([0x30, 0x81, UInt8(integers.count)] + integers))"
    }

    @Test(
        arguments: [
            ([1, 0, 1], "the signature does not match"), ([0, 0xFF, 0xFF, 0xFF, 0xFF], "the signature does not match"),
            ([1, 0, 0, 0, 1], "the key's exponent is too large"),
            ([1] + [UInt8](repeating: 0, count: 98) + [1], "the key's exponent is too large"),
        ] as [([UInt8], String)])
    func `RSA keys that take long to verify with are refused`(exponent: [UInt8], reason: String) async throws {
        let tags = DKIMFixture.tags.replacing("ed25519", with: "rsa")
        let result = try await self.fixture.result(
            try self.fixture.signed(tags, key: self.fixture.rsa), Self.record(exponent: exponent))
        #expect(result.reason == reason)
        #expect(result.outcome == (exponent[0] == 1 && exponent.count > 3 ? .permerror : .fail))
    }

    private func results(
        _ count: Int, _ records: [String], _ configure: (inout MessageLimits) -> Void = { _ in }
    ) async throws -> [DKIMResult] {
        let one = try self.fixture.signed(DKIMFixture.tags)
        let field = one.prefix(one.count - DKIMFixture.content.count)
        var limits = MessageLimits()
        configure(&limits)
        let message = MessageDigester.digest((0..<count).flatMap { _ in field } + DKIMFixture.content, limits: limits)
        let names = TestNames([
            NameQuery("sel._domainkey.example.test", .txt): .texts(records.map { Array($0.utf8) })
        ])
        return await DKIMVerifier(names: names.source, now: Timestamp(seconds: DKIMFixture.now)).results(for: message)
    }

    @Test func `Of a name three records are tried, and of a message 64 keys`() async throws {
        let right = try self.fixture.record(self.fixture.ed25519)
        let wrong = try self.fixture.record(try PrivateKey(ed25519: [UInt8](2...33)))
        #expect(try await self.results(1, [wrong, wrong, right]).map(\.outcome) == [.pass])
        #expect(try await self.results(1, [wrong, wrong, wrong, right]).map(\.outcome) == [.fail])
        let many = try await self.results(24, [wrong, wrong, right]) { $0.signatures = 24 }
        #expect(many.prefix(21).allSatisfy { $0.outcome == .pass })
        #expect(many.dropFirst(21).map(\.outcome) == [.neutral, .neutral, .neutral])
        #expect(many.last?.reason == "too many keys were tried")
        let single = try await self.results(100, [right]) { $0.signatures = 100 }
        #expect(single.allSatisfy { $0.outcome == .pass })
    }

    @Test func `What nobody signed at the end of a body makes a pass that is not to be trusted`() async throws {
        let whole = try await self.fixture.result(try self.fixture.signed(DKIMFixture.tags + "; l=22"))
        #expect(whole.outcome == .pass)
        #expect(whole.unsignedBodyBytes == 0)
        #expect(whole.isTrustworthy)
        let part = try await self.fixture.result(try self.fixture.signed(DKIMFixture.tags + "; l=6"))
        #expect(part.outcome == .pass)
        #expect(part.unsignedBodyBytes == 16)
        #expect(!part.isTrustworthy)
    }

    @Test func `A pass for a part of the body is told to others as policy, with the reason`() async throws {
        let part = AuthenticationResults.Method.dkim(
            try await self.fixture.result(try self.fixture.signed(DKIMFixture.tags + "; l=6")))
        #expect(part.result == "policy")
        #expect(part.comment == "256-bit key, 16 octets of the body are not signed")
        #expect(part.value("header", "d") == "example.test")
        let whole = try await self.fixture.result(try self.fixture.signed(DKIMFixture.tags + "; l=22"))
        #expect(AuthenticationResults.Method.dkim(whole).result == "pass")
        var failed = whole
        (failed.outcome, failed.unsignedBodyBytes) = (.fail, 16)
        #expect(AuthenticationResults.Method.dkim(failed).result == "fail")
    }

    @Test func `Signatures beyond the limit are not looked at, and each name is asked for once`() async throws {
        let one = try self.fixture.signed(DKIMFixture.tags)
        let field = one.prefix(one.count - DKIMFixture.content.count)
        let content = (0..<10).flatMap { _ in field } + DKIMFixture.content
        let names = TestNames(texts: ["sel._domainkey.example.test": try self.fixture.record(self.fixture.ed25519)])
        let results = await DKIMVerifier.results(content, names, now: Timestamp(seconds: DKIMFixture.now))
        #expect(results.prefix(8).allSatisfy { $0.outcome == .pass })
        #expect(results.dropFirst(8).map(\.outcome) == [.neutral, .neutral])
        #expect(names.questions.count == 1)
    }

    @Test func `Each signature that is looked at may have a body hash of its own`() async throws {
        var content = DKIMFixture.content
        for length in 1...20 {
            content =
                try self.fixture.signed(DKIMFixture.tags + "; l=\(length)").dropLast(DKIMFixture.content.count)
                + content
        }
        var limits = MessageLimits()
        limits.signatures = 20
        let names = TestNames(texts: ["sel._domainkey.example.test": try self.fixture.record(self.fixture.ed25519)])
        let verifier = DKIMVerifier(names: names.source, now: Timestamp(seconds: DKIMFixture.now))
        let results = await verifier.results(for: MessageDigester.digest(content, limits: limits))
        #expect(results.map(\.unsignedBodyBytes) == (1...20).reversed().map { 22 - $0 })
        #expect(results.allSatisfy { $0.outcome == .pass }, "\(results)")
    }

    @Test func `A body that we did not hash makes no temporary error`() async throws {
        let digester = MessageDigester(isVerifying: false)
        try self.fixture.signed(DKIMFixture.tags).withUnsafeBytes { digester.feed($0) }
        let results = await DKIMVerifier(names: TestNames([:]).source, now: Timestamp(seconds: DKIMFixture.now))
            .results(for: digester.finish())
        #expect(results.map(\.outcome) == [.neutral])
        #expect(results.map(\.reason) == ["too many body hashes are asked for"])
    }

    @Test func `Of many names eight are asked for at a time`() async throws {
        var content = DKIMFixture.content
        for number in 0..<40 {
            let tags = DKIMFixture.tags.replacing("s=sel", with: "s=s\(number)")
            content = try self.fixture.signed(tags, DKIMFixture.content).dropLast(DKIMFixture.content.count) + content
        }
        var limits = MessageLimits()
        limits.signatures = 40
        let names = TestNames([:])
        let results = await DKIMVerifier(names: names.slowSource, now: Timestamp(seconds: DKIMFixture.now))
            .results(for: MessageDigester.digest(content, limits: limits))
        #expect(results.map(\.reason) == [String](repeating: "no key", count: 40))
        #expect(names.questions.count == 40)
        #expect((1...8).contains(names.mostAtOnce))
    }

    @Test func `Nobody is asked about a signature that cannot pass`() async throws {
        let names = TestNames([:])
        var content = try self.fixture.signed(DKIMFixture.tags)
        content += "more\r\n".utf8
        let results = await DKIMVerifier.results(content, names, now: Timestamp(seconds: DKIMFixture.now))
        #expect(results.map(\.outcome) == [.fail])
        #expect(names.questions.isEmpty)
    }

    @Test func `A result says what the signature said of itself`() async throws {
        let result = try await self.fixture.result(
            try self.fixture.signed("v=1; a=ed25519-sha256; d=Example.Test; s=SEL; i=a@x.example.test; h=From : To"))
        #expect(result.outcome == .pass)
        #expect(result.domain == "example.test")
        #expect(result.selector == "sel")
        #expect(result.identity == "a@x.example.test")
        #expect(result.algorithm == .ed25519SHA256)
        #expect(result.keyBits == 256)
        #expect(result.signedFields == ["from", "to"])
        #expect(result.signaturePrefix?.count == 8)
    }
}
