import Crypto
import Mail
import Testing

@testable import Authentication

@Suite struct ARCTests {
    private let fixture: DKIMFixture
    private let key: SigningKey
    private let names: TestNames
    private let time = Timestamp(seconds: DKIMFixture.now)

    init() throws {
        self.fixture = try DKIMFixture()
        self.key = try self.fixture.signingKey(self.fixture.ed25519)
        self.names = TestNames(texts: ["sel._domainkey.example.test": try self.fixture.record(self.fixture.ed25519)])
    }

    private func sealer() throws -> ARCSealer {
        ARCSealer(key: self.key, authservID: try #require(DomainName("mx.example.test")))
    }

    private func result(_ content: [UInt8], _ names: TestNames? = nil) async -> ARCResult {
        await ARCVerifier(names: (names ?? self.names).source, now: self.time)
            .result(for: MessageDigester.digest(content))
    }

    /// The message with one set more.
    private func sealed(_ content: [UInt8], results: [String] = ["spf=pass", "dkim=none"]) async throws -> [UInt8] {
        let sealer = try self.sealer()
        let fields = try sealer.fields(
            for: MessageDigester.digest(content, needing: [sealer.hashing]), chain: await self.result(content),
            results: results, at: self.time)
        return Array(fields.utf8) + content
    }

    private func sealed(_ content: [UInt8], times: Int) async throws -> [UInt8] {
        var content = content
        for _ in 0..<times { content = try await self.sealed(content) }
        return content
    }

    @Test func `Chains grow set by set, each of which verifies`() async throws {
        var content = DKIMFixture.content
        #expect(await self.result(content) == ARCResult(.none))
        for instance in 1...3 {
            content = try await self.sealed(content)
            let result = await self.result(content)
            #expect(result.outcome == .pass, "\(result)")
            #expect(result.sets.map(\.instance) == Array(1...instance))
            #expect(result.sets.map(\.chainValidation) == Array([.none, .pass, .pass][..<instance]))
            #expect(result.sets.last?.results == "mx.example.test; spf=pass; dkim=none")
            #expect(result.sets.last?.domain == "example.test")
            #expect(result.oldestPass == 0)
        }
        #expect(self.names.questions.count == 5)
    }

    @Test func `A chain ends at fifty sets`() async throws {
        let full = try await self.sealed(DKIMFixture.content, times: 50)
        let result = await self.result(full)
        #expect(result.outcome == .pass)
        #expect(result.sets.count == 50)
        let more = try await self.sealed(full)
        #expect(more == full)
    }

    /// Fifty sets, each with a key of its own, and one answer to the questions for that of set `failing`.
    private func questions(_ failing: Int?, _ reply: NameReply) async throws -> (ARCResult, Int) {
        let record = try self.fixture.record(self.fixture.ed25519)
        var replies: [NameQuery: NameReply] = [:]
        var content = DKIMFixture.content
        for number in 1...50 {
            let key = SigningKey(
                domain: try #require(DomainName("example.test")), selector: try #require(DomainName("s\(number)")),
                key: self.fixture.ed25519)
            let sealer = ARCSealer(key: key, authservID: try #require(DomainName("mx.example.test")))
            content =
                Array(
                    try sealer.fields(
                        for: MessageDigester.digest(content, needing: [sealer.hashing]),
                        chain: ARCResult(number == 1 ? .none : .pass), results: [], at: self.time
                    ).utf8) + content
            replies[NameQuery("s\(number)._domainkey.example.test", .txt)] =
                number == failing ? reply : .texts([Array(record.utf8)])
        }
        let names = TestNames(replies)
        return (await self.result(content, names), names.questions.count)
    }

    @Test func `Keys of a long chain are asked for from the newest, a few at a time, while seals hold`() async throws {
        let (whole, all) = try await self.questions(nil, .noSuchName)
        #expect(whole.outcome == .pass, "\(whole)")
        #expect(all == 50)
        let (last, one) = try await self.questions(50, .noSuchName)
        #expect(last.outcome == .fail)
        #expect(one == 1)
        let (older, some) = try await self.questions(40, .noSuchName)
        #expect(older == self.failed(older, "seal 40: no key", isTemporary: false))
        #expect(some == 17)
        let (unknown, few) = try await self.questions(45, .failed("SERVFAIL"))
        #expect(unknown == self.failed(unknown, "seal 45: the key could not be looked up", isTemporary: true))
        #expect(few == 9)
    }

    private func failed(_ result: ARCResult, _ reason: String, isTemporary: Bool) -> ARCResult {
        var failed = ARCResult(.fail, reason: reason)
        failed.isTemporary = isTemporary
        failed.sets = result.sets
        return failed
    }

    @Test func `Body hashes for the chain are made besides those for DKIM, and want of one is not temporary`()
        async throws
    {
        let sealed = try await self.sealed(DKIMFixture.content)
        var fields = ""
        for length in 0..<20 { fields += "DKIM-Signature: v=1; l=\(length)\r\n" }
        #expect(await self.result(Array(fields.utf8) + sealed).outcome == .pass)
        let digester = MessageDigester(isVerifying: false)
        sealed.withUnsafeBytes { digester.feed($0) }
        let result = await ARCVerifier(names: self.names.source, now: self.time).result(for: digester.finish())
        #expect(result.outcome == .fail)
        #expect(!result.isTemporary)
    }

    @Test func `Whoever changes a message must have sealed it, and is found`() async throws {
        var content = try await self.sealed(DKIMFixture.content, times: 2)
        content += "-- \r\nThe list\r\n".utf8
        let broken = await self.result(content)
        #expect(broken.outcome == .fail)
        #expect(!broken.isTemporary)
        // A list that verified before it changed the message says so.
        let sealer = try self.sealer()
        let fields = try sealer.fields(
            for: MessageDigester.digest(content, needing: [sealer.hashing]), chain: ARCResult(.pass), results: [],
            at: self.time)
        let result = await self.result(Array(fields.utf8) + content)
        #expect(result.outcome == .pass)
        #expect(result.oldestPass == 3)
        #expect(result.sets.last?.results == "mx.example.test; none")
    }

    @Test func `A broken chain is sealed once more, alone, and never again`() async throws {
        let content = try await self.sealed(DKIMFixture.content, times: 2) + Array("more\r\n".utf8)
        let sealed = try await self.sealed(content)
        #expect(String(decoding: sealed, as: UTF8.self).contains("cv=fail; d=example.test; i=3;"))
        #expect(await self.result(sealed).outcome == .fail)
        // The last set would be a chain by itself.
        let header = MessageDigester.digest(sealed).header
        let added = try MessageHeader(Array(header.fields.prefix(3))).sealedSelf()
        #expect(self.verifies(added))
        let again = try await self.sealed(sealed)
        #expect(again == sealed)
    }

    private func verifies(_ hash: (digest: [UInt8], signature: [UInt8])) -> Bool {
        let key = try? PublicKey(ed25519: self.key.key.publicBytes())
        return key?.verifies(hash.signature, digest: hash.digest) ?? false
    }

    @Test func `A change of any octet of any set or of what it signs breaks the chain`() async throws {
        let content = try await self.sealed(DKIMFixture.content, times: 2)
        #expect(await self.result(content).outcome == .pass)
        let unsigned = try #require(String(decoding: content, as: UTF8.self).firstRange(of: "Received: r1"))
        let text = String(decoding: content, as: UTF8.self)
        let start = text.utf8.distance(from: text.startIndex, to: unsigned.lowerBound)
        let signatureEnds = content.indices.dropLast(2).filter { place in content[place...].starts(with: "==".utf8) }
        // Spare bits of base64, and an old body hash, which nobody needs to check once the message was sealed anew.
        let spare = Set(signatureEnds.map { $0 - 1 })
        for place in content.indices where !(start..<start + 28).contains(place) && !spare.contains(place) {
            var changed = content
            changed[place] ^= 1
            let result = await self.result(changed)
            #expect(result.outcome != .pass, "at \(place): \(text.utf8.dropFirst(place).prefix(10))")
        }
    }

    @Test func `Each set must be complete, once, and say what it may`() async throws {
        let text = String(decoding: try await self.sealed(DKIMFixture.content, times: 2), as: UTF8.self)
        let changes = [
            ("cv=none", "cv=pass"), ("cv=pass", "cv=none"), ("cv=pass", "cv=fail"), ("cv=pass", "cv=odd"),
            ("ARC-Seal:", "X-Seal:"), ("ARC-Message-Signature:", "X:"), ("ARC-Authentication-Results:", "X:"),
            ("i=2;", "i=3;"), ("i=2;", "i=1;"), ("i=2;", "i=0;"), ("i=2;", "i=51;"), ("i=2;", "i=;"),
            ("cv=pass;", "cv=pass; h=from;"), ("; i=2;", ";"), (" d=example.test;", ""),
        ]
        for (old, new) in changes {
            var changed = text
            let range = try #require(changed.firstRange(of: old))
            changed.replaceSubrange(range, with: new)
            let result = await self.result(Array(changed.utf8))
            #expect(result.outcome == .fail, "\(old) to \(new)")
            #expect(!result.reason.isEmpty)
        }
    }

    @Test func `A key that nobody knows just now breaks no chain for good`() async throws {
        let content = try await self.sealed(DKIMFixture.content)
        let names = TestNames([NameQuery("sel._domainkey.example.test", .txt): .failed("SERVFAIL")])
        let result = await self.result(content, names)
        #expect(result.outcome == .fail)
        #expect(result.isTemporary)
        #expect(await self.result(content, TestNames([:])).isTemporary == false)
    }

    @Test func `Lines of a set end where they should, whatever results say`() async throws {
        let long = "dkim=pass (\(String(repeating: "word ", count: 40))) header.d=example.net"
        let content = try await self.sealed(
            DKIMFixture.content, results: [long, "spf=pass\r\nBcc: x\r\n", "dmarc=pass"])
        let header = MessageDigester.digest(content).header
        #expect(header.fields.prefix(3).map(\.name) == ARCField.allCases.reversed().map(\.rawValue))
        #expect(header.fields(named: "bcc").isEmpty)
        let lines = String(decoding: content, as: UTF8.self).split(separator: "\r\n")
        #expect(lines.allSatisfy { $0.utf8.count <= 78 || $0.hasPrefix("\tb=") })
        #expect(await self.result(content).outcome == .pass)
    }

    @Test func `Results of a server are gathered from all of its fields`() {
        let header = MessageDigester.digest(
            Array(
                """
                Authentication-Results: mx.example.test 1; spf=pass smtp.mailfrom="a;b"@c;\r
                 dkim=pass (a ; comment \\) here) header.d=x\r
                Authentication-Results: other.example; dmarc=pass\r
                Authentication-Results: (me) "MX.example.test"; dmarc=fail;\r
                Authentication-Results: mx.example.test; none\r
                \r

                """.utf8)
        ).header
        #expect(
            AuthenticationResultsText.results(in: header, of: "mx.example.test") == [
                "spf=pass smtp.mailfrom=\"a;b\"@c", "dkim=pass (a ; comment \\) here) header.d=x", "dmarc=fail",
            ])
    }
}

extension MessageHeader {
    /// The hash and the signature of a seal that covers its own set alone.
    fileprivate func sealedSelf() throws -> (digest: [UInt8], signature: [UInt8]) {
        let seal = self.fields[0]
        let parameters = try SignatureParameters(try seal.tags())
        let digest = try headerHash(
            of: [self.fields[2], self.fields[1]], last: seal.removing(parameters.signatureRange), form: .relaxed)
        return (digest, parameters.signature)
    }
}
