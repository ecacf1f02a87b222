import Authentication
import Testing

/// The grammar of RFC 7208 §12.
struct SPFSyntaxTests {
    @Test(arguments: [
        "a:", "mx:", "a:/24", "a/", "a//", "a/33", "a//129", "a/024", "a/24/64", "a///64", "a:example.test/24/64",
        "a:museum", "a:museum.", "a:example.123", "a:example.-x", "a:example.x-", "a:example.x_y", "ptr:", "ptr/24",
        "include", "include:", "exists", "exists:", "exists:a.test/24", "include:a.test/24", "all:", "all.", "all/0",
        "ip4", "ip4:", "ip4:1.2.3", "ip4:1.2.3.4.5", "ip4:1.2.3.04", "ip4:1.2.3.4/33", "ip4:1.2.3.4/024",
        "ip4:1.2.3.4/", "ip4:1.2.3.4//32", "ip4:::1", "ip6", "ip6:", "ip6:1.2.3.4", "ip6:::1/129", "ip6:::1//64",
        "ip6::1", "ip6:1:2:3:4:5:6:7", "ip6:[::1]", "1up=x", "=x", "moo", "-exp=a.test", "exp=", "redirect=",
        "redirect=museum", "redirect:a.test", "exp=a.test exp=a.test", "redirect=a.test redirect=a.test", "x=%", "x=%a",
        "a:%{d0}.test", "a:%{x}.test", "a:%{d", "a:%{d}x", "a:%{d}.", "a:%{}", "a:%{d-r}", "a:%{c}.test",
        "exp=%{r}.test", "a:%(d).test", "++all", "a\tmx", "a:\u{E9}.test", "a:x.test\0", "x=a\u{7F}", "x=%{t}",
    ])
    func `A wrong term anywhere makes the record wrong, before anything is asked`(_ term: String) async {
        let names = TestNames(texts: ["example.test": "v=spf1 +all \(term)"])
        let result = await spf(names)
        #expect(result.result == .permerror)
        #expect(result.why?.hasPrefix("the record of example.test is wrong") ?? false)
        #expect(names.questions.count == 1)
    }

    @Test(arguments: [
        "A", "a/24", "a//64", "a/24//64", "A/0//0", "a:foo:bar/baz.example.test", "a:a.test.", "a:%{d}",
        "a:%{d}/24//64", "a:a.1-2", "a:.test", "a:%{d}%{D2R.-+,/_=}", "a:%%%_%-.test", "mx:_x.a.test", "ptr:%{p2}",
        "INCLUDE:a.test", "exists:%{ir}.%{v}.x.test", "IP4:1.2.3.4", "ip6:::ffff:1.2.3.4/96", "ip6:::/0",
        "moo.cow-far_out=man:dog/cat", "include=x", "x=", "x=%{d}", "default=pass", "a:%{d999999999999999999999}",
        "~all", "?all", "-all ", "EXP=a.test", "Redirect=a.test",
    ])
    func `What the grammar allows is read, and written so that it is read as the same`(_ term: String) throws {
        let record = try SPFRecord(Array("v=spf1 \(term)".utf8))
        #expect(record.terms.count == 1)
        let again = try SPFRecord(Array("\(record)".utf8))
        #expect(again == record)
    }
}
