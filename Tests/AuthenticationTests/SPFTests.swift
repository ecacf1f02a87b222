import Authentication
import Mail
import Testing

struct SPFTests {
    private static func result(
        _ record: String, client: String = "192.0.2.1", _ more: [NameQuery: NameReply] = [:]
    ) async -> SPFResult {
        var replies = more
        replies[NameQuery("example.test", .txt)] = text(record)
        return await spf(TestNames(replies), client: client)
    }

    // MARK: Whose policy

    @Test(arguments: [
        "", "x", "user@[192.0.2.1]", "user@localhost", "user@a..test", "user@.example.test",
        "user@\(String(repeating: "x", count: 64)).test", "user@",
    ])
    func `What has no domain of two labels has no policy`(_ reversePath: String) async {
        let names = TestNames(texts: ["example.test": "v=spf1 -all"])
        let result = await spf(names, helo: "[192.0.2.1]", from: reversePath)
        #expect(result.result == .none)
        #expect(names.questions.isEmpty)
    }

    @Test func `The null reverse-path is postmaster at the HELO name, and so is a missing local part`() async {
        let names = TestNames(texts: [
            "example.test": "v=spf1 -all exp=e.example.test", "e.example.test": "%{s} %{l} %{o}",
        ])
        let null = await spf(names, helo: "example.test", from: "")
        #expect(null.explanation == "postmaster@example.test postmaster example.test")
        #expect(await spf(names, helo: "other.test", from: "@example.test").explanation == null.explanation)
        let helo = await spf(names, helo: "example.test", from: "user@other.test", identity: .helo)
        #expect(helo.explanation == null.explanation)
        #expect(helo.identity == .helo)
    }

    @Test func `The last at sign divides, and a trailing dot is no label`() async {
        let names = TestNames(texts: ["example.test": "v=spf1 -all exp=e.example.test", "e.example.test": "%{l} %{d}"])
        let result = await spf(names, from: "\"a@b\"@Example.test.")
        #expect(result.explanation == "\"a@b\" Example.test")
    }

    @Test func `A U-label is asked for as an A-label, and no name holds a local part in another alphabet`() async {
        let names = TestNames(texts: ["xn--bcher-kva.test": "v=spf1 exists:%{l}.%{d} exists:%{o}.x.test ?all"])
        let result = await spf(names, from: "büro@bücher.test")
        #expect(result.result == .neutral)
        #expect(result.domain == "xn--bcher-kva.test")
        #expect(names.questions.map(\.name) == ["xn--bcher-kva.test", "xn--bcher-kva.test.x.test"])
    }

    @Test func `No name, no record and no policy are none; failing is temperror`() async {
        let query = NameQuery("example.test", .txt)
        #expect(await spf(TestNames([:])).result == .none)
        #expect(await spf(TestNames([query: .noRecords])).result == .none)
        #expect(await spf(TestNames([query: text("v=spf10 -all")])).result == .none)
        let failed = await spf(TestNames([query: .failed("timeout")]))
        #expect(failed.result == .temperror)
        #expect(failed.why == "example.test TXT: timeout")
    }

    @Test func `Two policies are an error, other texts beside one are not`() async {
        let query = NameQuery("example.test", .txt)
        let texts = { (list: [String]) in TestNames([query: .texts(list.map { Array($0.utf8) })]) }
        #expect(await spf(texts(["V=SPF1 +ALL", "\u{80}", "v=spf2.0/pra -all"])).result == .pass)
        #expect(await spf(texts(["v=spf1 +all", "v=SPF1 -all"])).result == .permerror)
    }

    // MARK: Addresses

    @Test(arguments: [
        ("ip4:192.0.2.0/24", "192.0.2.255", true), ("ip4:192.0.2.77/24", "192.0.2.1", true),
        ("ip4:192.0.2.0/31", "192.0.2.2", false), ("ip4:192.0.2.1", "::ffff:192.0.2.1", true),
        ("ip6:::ffff:192.0.2.1", "192.0.2.1", false), ("ip6:::ffff:192.0.2.1", "::ffff:192.0.2.1", false),
        ("ip6:::/0", "192.0.2.1", false), ("ip6:::ffff:1.2.3.4/0", "2001:db8::1", true),
        ("ip4:0.0.0.0/0", "::1", false), ("ip6:2001:DB8::/33", "2001:db8:7fff::1", true),
        ("ip6:2001:DB8::/33", "2001:db8:8000::1", false),
    ])
    func `Networks are of one family, and a mapped address is one of IPv4`(
        _ mechanism: String, _ client: String, _ matches: Bool
    ) async {
        #expect(await Self.result("v=spf1 \(mechanism) -all", client: client).result == (matches ? .pass : .fail))
    }

    @Test func `A client of IPv6 is compared with AAAA records, and exists asks for A`() async {
        let more: [NameQuery: NameReply] = [
            NameQuery("a.test", .aaaa): .addresses([.v6(high: 0x2001_0DB8_0000_0000, low: 1)]),
            NameQuery("e.test", .a): .addresses([.v4(0x7F00_0002)]),
        ]
        let result = { (mechanism: String, client: String) in
            await Self.result("v=spf1 \(mechanism) -all", client: client, more).result
        }
        #expect(await result("a:a.test", "2001:db8::1") == .pass)
        #expect(await result("a:a.test//64", "2001:db8::2") == .pass)
        #expect(await result("a:a.test/0", "2001:db8::2") == .fail)
        #expect(await result("exists:e.test", "2001:db8::2") == .pass)
        #expect(await result("exists:a.test", "2001:db8::1") == .fail)
    }

    // MARK: Include, redirect, errors

    @Test(arguments: [
        ("v=spf1 +all", SPFResult.Kind.pass), ("v=spf1 -all", .softfail), ("v=spf1 ~all", .softfail),
        ("v=spf1 ?all", .softfail), ("v=spf1", .softfail), ("v=spf1 oops", .permerror), ("nothing", .permerror),
        ("v=spf1 a:timeout.test", .temperror),
    ])
    func `What an included record says becomes a match or an error`(
        _ included: String, _ expected: SPFResult.Kind
    ) async {
        let more: [NameQuery: NameReply] = [
            NameQuery("i.test", .txt): text(included), NameQuery("timeout.test", .a): .failed("timeout"),
        ]
        let result = await Self.result("v=spf1 include:i.test ~all", more)
        #expect(result.result == expected)
        if expected == .pass { #expect(result.mechanism == "include:i.test") }
    }

    @Test func `Failing look-ups are temperror, but those of ptr do not match`() async {
        let down = NameReply.failed("SERVFAIL")
        for (mechanism, kind) in [("a:x.test", NameQuery.Kind.a), ("mx:x.test", .mx), ("exists:x.test", .a)] {
            let result = await Self.result("v=spf1 \(mechanism) -all", [NameQuery("x.test", kind): down])
            #expect(result.result == .temperror)
            #expect(result.why == "x.test \(kind.rawValue): SERVFAIL")
        }
        let reverse = NameQuery("1.2.0.192.in-addr.arpa", .ptr)
        #expect(await Self.result("v=spf1 ptr -all", [reverse: down]).result == .fail)
        let more: [NameQuery: NameReply] = [
            reverse: .hosts(["a.example.test", "b.example.test"]), NameQuery("a.example.test", .a): down,
            NameQuery("b.example.test", .a): .addresses([.v4(0xC000_0201)]),
        ]
        let result = await Self.result("v=spf1 ptr -all", more)
        #expect(result.result == .pass)
        #expect(result.mechanism == "ptr")
        #expect(await Self.result("v=spf1 ptr:xample.test -all", more).result == .fail)
    }

    @Test func `What nothing matches is neutral by default, unless a redirect leads on`() async {
        let result = await Self.result("v=spf1 ip4:198.51.100.1")
        #expect(result.result == .neutral)
        #expect(result.mechanism == "default")
        let more = [NameQuery("r.test", .txt): text("v=spf1 -ip4:192.0.2.1/24")]
        let redirected = await Self.result("v=spf1 redirect=r.test", more)
        #expect(redirected.result == .fail)
        #expect(redirected.mechanism == "ip4:192.0.2.1/24")
        #expect(redirected.lookups == 1)
        #expect(await Self.result("v=spf1 redirect=none.test").result == .permerror)
        #expect(await Self.result("v=spf1 redirect=none.test ?all").result == .neutral)
    }

    // MARK: Macros and explanations

    /// The examples of RFC 7208 §7.4 and others, in an explanation.
    @Test(arguments: [
        ("%{s}", "strong-bad@email.example.com"), ("%{o}", "email.example.com"), ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"), ("%{d3}", "email.example.com"), ("%{d2}", "example.com"), ("%{d1}", "com"),
        ("%{dr}", "com.example.email"), ("%{d2r}", "example.email"), ("%{l}", "strong-bad"), ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"), ("%{lr-}", "bad.strong"), ("%{l1r-}", "strong"), ("%{ir}.%{v}", "3.2.0.192.in-addr"),
        ("%{S}", "strong-bad%40email.example.com"), ("%{c} %{r} %{t}", "192.0.2.3 mx.test 1"), ("%%%_%-", "% %20"),
        ("%{h} %{p}", "mail.example.test unknown"), ("%{R}%{LR-}%{I}", "mx.testbad.strong192.0.2.3"),
    ])
    func `Macros stand for what the RFC says`(_ explanation: String, _ expected: String) async {
        let names = TestNames(texts: ["email.example.com": "v=spf1 -all exp=e.test.com", "e.test.com": explanation])
        let result = await spf(names, client: "192.0.2.3", from: "strong-bad@email.example.com")
        #expect(result.explanation == expected)
    }

    @Test func `An address of IPv6 is its nibbles`() async {
        let names = TestNames(texts: ["example.test": "v=spf1 -all exp=e.test.test", "e.test.test": "%{ir}.%{v} %{c}"])
        let result = await spf(names, client: "2001:DB8::CB01")
        let nibbles = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
        #expect(result.explanation == "\(nibbles).ip6 2001:db8::cb01")
    }

    @Test(arguments: ["caf\u{E9}", "a\r\n250 ok", "a\tb", "%{q}", "100%", ""])
    func `An explanation that is wrong is none`(_ explanation: String) async {
        let names = TestNames(texts: ["example.test": "v=spf1 -all exp=e.test.test", "e.test.test": explanation])
        let result = await spf(names)
        #expect(result.result == .fail)
        #expect(result.explanation == nil)
        #expect(names.questions.count == 2)
    }

    @Test func `What a client says cannot put other characters into an explanation`() async {
        let names = TestNames(texts: ["example.test": "v=spf1 -all exp=e.test.test", "e.test.test": "%{h}|%{l}"])
        let result = await spf(names, helo: "a\r\nb\0\u{E9}", from: "x\u{7F}y@example.test")
        #expect(result.explanation == "a??b???|x?y")
    }

    @Test func `Blanks and backslashes of a name are escaped for DNS`() async {
        let names = TestNames(texts: ["example.test": #"v=spf1 a:a%_b\.example.test -all"#])
        #expect(await spf(names).result == .fail)
        #expect(names.questions.last?.name == #"a\032b\\.example.test"#)
    }

    @Test func `The validated name is one of the domain if there is one`() async {
        let client = NameReply.addresses([.v4(0xC000_0201)])
        let more: [NameQuery: NameReply] = [
            NameQuery("1.2.0.192.in-addr.arpa", .ptr): .hosts(["x.test", "mx.example.test", "example.test"]),
            NameQuery("x.test", .a): client, NameQuery("mx.example.test", .a): client,
            NameQuery("example.test", .a): .addresses([.v4(1)]), NameQuery("mx.example.test.ok.test", .a): client,
        ]
        #expect(await Self.result("v=spf1 exists:%{p}.ok.test -all", more).result == .pass)
    }
}
