import Authentication
import Foundation
import Testing

struct FromFieldTests {
    private static func read(_ value: String) -> FromField { FromField(fields: [Array(value.utf8)]) }

    private static func domains(_ field: FromField) -> [String] { field.domains.map(\.ascii) }

    @Test(arguments: [
        ("a@example.com", ["example.com"]),
        (" <a@example.com>", ["example.com"]),
        ("Test User <test@Example.COM>", ["example.com"]),
        (#""Test, User" <test@example.com>"#, ["example.com"]),
        ("John Q. Public <j@example.com>", ["example.com"]),
        ("paypal.com <x@evil.example>", ["evil.example"]),
        (#""ceo@bank.example" <x@evil.example>"#, ["evil.example"]),
        (#""<ceo@bank.example>" <x@evil.example>"#, ["evil.example"]),
        (#""a\" <ceo@bank.example>" <x@evil.example>"#, ["evil.example"]),
        ("(ceo@bank.example) x@evil.example (a \\) (b@c.example) d)", ["evil.example"]),
        ("x(a@b.example)@(c@d.example)evil.example", ["evil.example"]),
        ("=?UTF-8?Q?ceo=40bank.example?= <x@evil.example>", ["evil.example"]),
        ("=?UTF-8?B?QmVkIEJhdGggJiBCZXlvbmQ=?=<BdBth&Byond@example.com>", ["example.com"]),
        (#""quoted@local part"@example.com"#, ["example.com"]),
        (#"A <"b@c>"@example.com>"#, ["example.com"]),
        ("a@example.com, b@example.org", ["example.com", "example.org"]),
        ("a@example.com, B <b@EXAMPLE.com>", ["example.com"]),
        ("Group: a@example.com, B <b@example.org>;", ["example.com", "example.org"]),
        ("a@example.com, Group: b@example.org;, c@example.net", ["example.com", "example.org", "example.net"]),
        ("<@relay.example,@other.example:a@example.com>", ["example.com"]),
        ("a@bücher.example", ["xn--bcher-kva.example"]),
        ("ü <ü@xn--bcher-kva.example>", ["xn--bcher-kva.example"]),
        ("a@例え。テスト", ["xn--r8jz45g.xn--zckzah"]),
        ("\r\n\tA\r\n <a@example.com>\r\n", ["example.com"]),
    ])
    func `the domains of mailboxes that the grammar allows`(value: String, expected: [String]) {
        let field = Self.read(value)
        #expect(Self.domains(field) == expected)
        #expect(!field.isMalformed && !field.hasUnusableMailbox)
    }

    /// Readers disagree on these, so that every domain counts that any of them may show.
    @Test(arguments: [
        ("a@good.example <b@evil.example>", ["good.example", "evil.example"]),
        ("<b@evil.example> a@good.example", ["evil.example", "good.example"]),
        ("<a@good.example> <b@evil.example>", ["good.example", "evil.example"]),
        ("a@good.example@evil.example", ["good.example", "evil.example"]),
        ("<a@good.example@evil.example>", ["good.example", "evil.example"]),
        ("a@good.example .evil.example", ["good.example", "good.example.evil.example"]),
        ("a@good.example(c).evil.example", ["good.example", "good.example.evil.example"]),
        ("a@good.example\u{0}.evil.example", ["good.example", "good.example.evil.example"]),
        ("a@good.example b@evil.example", ["good.example", "evil.example"]),
        (#""unclosed <b@evil.example>"#, ["evil.example"]),
        ("(unclosed <b@evil.example>", ["evil.example"]),
        ("a@good.example (unclosed <b@evil.example>", ["good.example", "evil.example"]),
        ("[unclosed <b@evil.example>", ["evil.example"]),
        ("<b@evil.example", ["evil.example"]),
        ("b@evil.example>", ["evil.example"]),
        ("<a@good.example, b@evil.example>", ["good.example", "evil.example"]),
        ("<@good.example b@evil.example>", ["good.example", "evil.example"]),
        ("a@good.example: b@evil.example;", ["good.example", "evil.example"]),
        ("Doe, John <j@example.com>", ["example.com"]),
        ("a@example.com.", ["example.com"]),
        ("joe@bank_example?= <x@evil.example>", ["evil.example"]),
    ])
    func `where the grammar is broken no domain is missed`(value: String, expected: [String]) {
        let field = Self.read(value)
        #expect(Self.domains(field) == expected)
        #expect(field.isMalformed)
    }

    @Test(arguments: [
        "", "\"Test User\"", "Undisclosed:;", "a", "<>", ",,;", "a@", "a@[192.0.2.1]", "a@b..example", "@",
    ])
    func `no domain, nothing to evaluate`(value: String) {
        let field = Self.read(value)
        #expect(field.use == .unusable(.noDomain))
    }

    @Test(arguments: [
        "a@example.com, b@[192.0.2.1]", "a@example.com, <b>", "a@example.com, b@-x.example", "<@:>,a@b.c",
    ])
    func `a mailbox without a domain name is told`(value: String) {
        let field = Self.read(value)
        #expect(field.hasUnusableMailbox)
        #expect(field.domains.count == 1)
    }

    @Test func `several fields, none, and too many domains are not evaluated`() {
        #expect(FromField(fields: []).use == .unusable(.noField))
        let two = FromField(fields: [Array("a@example.com".utf8), Array("a@example.com".utf8)])
        #expect(two.use == .unusable(.severalFields))
        #expect(two.domains.count == 1)
        let fields = (1...1000).map { Array("a@\($0).example".utf8) }
        let thousand = FromField(fields: fields)
        #expect(thousand.use == .unusable(.severalFields) && thousand.fieldCount == 1000)
        #expect(Self.domains(thousand) == ["1.example", "2.example"], "what nobody evaluates is not read")
        let many = (1...5).map { "a@\($0).example" }.joined(separator: ",")
        #expect(Self.read(many).use == .unusable(.tooManyDomains))
        #expect(Self.read("a@b.example").use == .evaluate(Self.read("a@b.example").domains))
    }

    @Test func `From fields are found in a header, whatever their name looks like`() {
        let header = "Subject: x\r\nfROM \t: A\r\n\t<a@example.com>\r\nX-From: b@x.example\r\n\r\nFrom: c@y.example\r\n"
        let field = FromField(header: Array(header.utf8))
        #expect(field.fieldCount == 1)
        #expect(Self.domains(field) == ["example.com"])
        let two = FromField(header: Array("From: a@a.example\nFrom:b@b.example\n".utf8))
        #expect(two.fieldCount == 2)
        #expect(FromField(header: Array("From\r\n a@a.example: x\r\nFromage: a@b.example".utf8)).fieldCount == 0)
    }

    @Test func `long nonsense is read in no time`() {
        for piece in ["(", "\"", "[", "<", "@", "<@", "a@b", "\\", ":", "(\"["] {
            let value = String(repeating: piece, count: 50_000)
            let clock = ContinuousClock()
            let time = clock.measure { _ = Self.read(value) }
            #expect(time < .seconds(20), "\(piece)")
        }
    }

    // MARK: Messages of others

    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("shared/corpus/dmarc/authheaders")

    private static let isThere = FileManager.default.fileExists(atPath: Self.folder.path)

    @Test(
        .enabled(if: Self.isThere, "the corpus is not beside this checkout"),
        arguments: [
            ("test.bad.message", ["bad.example.com"]), ("test.gov.message", ["example.gov"]),
            ("test.message", ["example.com"]), ("test.message_multi", ["example.org", "example.com"]),
            ("test.message_multi2", ["example.com", "example.org"]), ("test.message_np1", ["sub.example.biz"]),
            ("test.message_signed", ["example.com"]), ("test.message_sub", ["sub.example.net"]),
            ("test.nofrom.message", []), ("test_nop.message", ["nop.example.org"]),
            ("testcomma.message", ["example.com"]),
        ] as [(String, [String])])
    func `messages with odd From fields`(name: String, expected: [String]) throws {
        let field = FromField(header: Array(try Data(contentsOf: Self.folder.appendingPathComponent(name))))
        #expect(Self.domains(field) == expected)
        #expect(field.fieldCount == 1)
    }
}
