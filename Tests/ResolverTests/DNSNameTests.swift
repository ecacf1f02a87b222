import Resolver
import Testing

struct DNSNameTests {
    @Test(arguments: [
        ("example.com", "example.com"), ("Example.COM.", "example.com"), (".", "."),
        ("_dmarc.example", "_dmarc.example"),
        ("*.example", "*.example"), ("a\\.b.example", "a\\.b.example"), ("a\\\\b", "a\\\\b"), ("a\\065b", "aab"),
        ("a\\032b", "a\\032b"), ("a\\ b", "a\\032b"), ("\\255", "\\255"), ("a\\046b", "a\\.b"), ("a/b@c", "a/b@c"),
    ])
    func `Names are read in presentation form and compared in lower case`(text: String, expected: String) {
        #expect(DNSName(text)?.text == expected)
    }

    @Test(arguments: [
        "", "..", ".a", "a..b", "a b", "a\tb", "é.example", "a\\", "a\\25", "a\\256", "a\\2x6", "a\u{7F}b", "\\é",
    ])
    func `What is no name is refused`(text: String) {
        #expect(DNSName(text) == nil)
        #expect(throws: DNSFailure.invalidName) { try DNSQuestion(text, .a) }
    }

    @Test func `A label has at most 63 octets and a name 255`() {
        let label = String(repeating: "x", count: 63)
        #expect(DNSName(label) != nil)
        #expect(DNSName(label + "x") == nil)
        let three = "\(label).\(label).\(label)"
        #expect(DNSName("\(three).\(String(repeating: "x", count: 61))") != nil)
        #expect(DNSName("\(three).\(String(repeating: "x", count: 62))") == nil)
        #expect(DNSName(String(repeating: "\\000", count: 63)) != nil, "escapes count as one octet")
    }

    @Test func `Questions with the same name in other case are equal`() throws {
        #expect(try DNSQuestion("EXAMPLE.com.", .mx) == DNSQuestion("example.COM", .mx))
        #expect(try DNSQuestion("example.com", .mx) != DNSQuestion("example.com", .a))
    }

    @Test func `Types have their names`() {
        #expect("\(DNSType.tlsa) \(DNSType(rawValue: 65))" == "TLSA TYPE65")
    }
}
