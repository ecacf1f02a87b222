import Authentication
import Mail
import Testing

/// Records made to cost as much as they can (RFC 7208 §4.6.4, §11.1).
struct SPFLimitTests {
    private static let client = NameReply.addresses([.v4(0xC000_0201)])
    private static let other = NameReply.addresses([.v4(1)])

    @Test func `A record that includes itself ends after ten look-ups`() async {
        let names = TestNames(texts: ["example.test": "v=spf1 include:example.test -all"])
        let result = await spf(names)
        #expect(result.result == .permerror)
        #expect(result.lookups == 10)
        #expect(names.questions.count == 11)
        #expect(result.questions == 11)
    }

    @Test func `Redirects in a circle end after ten look-ups`() async {
        let names = TestNames(texts: [
            "example.test": "v=spf1 redirect=b.test.test", "b.test.test": "v=spf1 redirect=example.test",
        ])
        #expect(await spf(names).result == .permerror)
        #expect(names.questions.count == 11)
    }

    @Test(arguments: [(10, SPFResult.Kind.pass), (11, .permerror)])
    func `Ten includes may be evaluated, not eleven`(_ count: Int, _ expected: SPFResult.Kind) async {
        var record = "v=spf1"
        var texts: [String: String] = [:]
        for number in 0..<count {
            record += " include:i\(number).test"
            texts["i\(number).test"] = "v=spf1 ip4:198.51.100.1"
        }
        texts["example.test"] = record + " all"
        let names = TestNames(texts: texts)
        #expect(await spf(names).result == expected)
        #expect(names.questions.count == 11)
    }

    @Test func `Look-ups of included records count for the whole check`() async {
        var replies = [
            NameQuery("example.test", .txt): text("v=spf1 include:i.test include:i.test include:i.test all"),
            NameQuery("i.test", .txt): text("v=spf1 a:w.test a:w.test a:w.test a:w.test"),
            NameQuery("w.test", .a): Self.other,
        ]
        let names = TestNames(replies)
        #expect(await spf(names).result == .permerror)
        #expect(names.questions.count == 11)
        replies[NameQuery("w.test", .a)] = .noRecords
        let void = TestNames(replies)
        let result = await spf(void)
        #expect(result.result == .permerror)
        #expect(result.voidLookups == 3)
        #expect(void.questions.count == 5)
    }

    @Test func `Two void look-ups are allowed, the third is one too many`() async {
        let two = await spf(TestNames(texts: ["example.test": "v=spf1 a:x.test exists:y.test -all"]))
        #expect(two.result == .fail)
        #expect(two.voidLookups == 2)
        let mechanisms = (0..<9).map { "a:x\($0).test" }.joined(separator: " ")
        let nine = TestNames(texts: ["example.test": "v=spf1 \(mechanisms) -all"])
        #expect(await spf(nine).result == .permerror)
        #expect(nine.questions.count == 4)
    }

    @Test func `A name that cannot be is neither asked for nor void`() async {
        let long = String(repeating: "x", count: 64)
        let names = TestNames(texts: ["example.test": "v=spf1 a:\(long).test a:a..test a:.test mx:\(long).test ?all"])
        let result = await spf(names)
        #expect(result.result == .neutral)
        #expect(result.lookups == 4)
        #expect(result.voidLookups == 0)
        #expect(names.questions.count == 1)
    }

    @Test(arguments: [(10, SPFResult.Kind.fail, 12), (11, .permerror, 2), (100, .permerror, 2)])
    func `An mx has ten exchanges at most`(_ count: Int, _ expected: SPFResult.Kind, _ questions: Int) async {
        var replies = [
            NameQuery("example.test", .txt): text("v=spf1 mx -all"),
            NameQuery("example.test", .mx): .hosts((0..<count).map { "m\($0).test" }),
        ]
        for number in 0..<count { replies[NameQuery("m\(number).test", .a)] = Self.other }
        let names = TestNames(replies)
        #expect(await spf(names).result == expected)
        #expect(names.questions.count == questions)
    }

    /// Exchanges may well have addresses of the other family only.
    @Test func `An mx of many hosts without addresses is void once`() async {
        let result = await spf(
            TestNames([
                NameQuery("example.test", .txt): text("v=spf1 mx -all"),
                NameQuery("example.test", .mx): .hosts((0..<5).map { "m\($0).test" }),
            ]))
        #expect(result.result == .fail)
        #expect(result.voidLookups == 1)
    }

    @Test func `Of a flood of PTR records ten are looked at, once, however often the record asks`() async {
        var replies = [
            NameQuery("example.test", .txt): text("v=spf1 ptr ptr ptr ptr a:%{p}.x.test -all"),
            NameQuery("1.2.0.192.in-addr.arpa", .ptr): .hosts((1...200).map { "p\($0).example.test" }),
        ]
        for number in 1...200 { replies[NameQuery("p\(number).example.test", .a)] = Self.other }
        replies[NameQuery("p11.example.test", .a)] = Self.client
        let names = TestNames(replies)
        #expect(await spf(names).result == .fail)
        #expect(names.questions.count == 1 + 11 + 1)
        replies[NameQuery("p10.example.test", .a)] = Self.client
        #expect(await spf(TestNames(replies)).result == .pass)
    }

    @Test func `A record of fifty thousand octets is read to its end, a longer one than DNS carries is an error`() async
    {
        let record = "v=spf1 " + String(repeating: "ip4:198.51.100.1 ", count: 3000) + "-all"
        #expect(await spf(TestNames(texts: ["example.test": record])).result == .fail)
        let tooLong = record + String(repeating: " ", count: 20_000)
        #expect(await spf(TestNames(texts: ["example.test": tooLong])).result == .permerror)
    }

    @Test func `A thousand macros make one name`() async {
        let macros = String(repeating: "%{S}%{h}%{i}.", count: 1000)
        let names = TestNames(texts: ["example.test": "v=spf1 exists:\(macros)example.test -all"])
        #expect(await spf(names).result == .fail)
        #expect(names.questions.count == 2)
        #expect(names.questions.last?.name.utf8.count ?? 0 <= 253)
        #expect(names.questions.last?.name.hasSuffix(".example.test") ?? false)
    }

    @Test func `An explanation of many macros is cut`() async throws {
        let names = TestNames(texts: [
            "example.test": "v=spf1 -all exp=e.example.test",
            "e.example.test": String(repeating: "%{S} %{h} ", count: 400),
        ])
        let explanation = try #require(await spf(names).explanation)
        #expect(explanation.utf8.count == 400)
        #expect(names.questions.count == 2)
    }
}

func text(_ text: String) -> NameReply { .texts([Array(text.utf8)]) }

/// A check of `user@example.test`, from 192.0.2.1 unless it is said otherwise.
func spf(
    _ names: TestNames, client: String = "192.0.2.1", helo: String = "mail.example.test",
    from reversePath: String = "user@example.test", identity: SPFCheck.Identity = .mailFrom
) async -> SPFResult {
    let address = IPAddress(client)
    #expect(address != nil, "\(client)")
    let check = SPFCheck(
        client: address ?? .v4(0), helo: helo, reversePath: reversePath, receiver: "mx.test",
        time: Timestamp(seconds: 1))
    return await check.check(identity: identity, names: names.source)
}
