import Authentication
import Foundation
import Mail
import Testing

struct PublicSuffixTests {
    private static let path = "/usr/share/publicsuffix/public_suffix_list.dat"

    private static let small = """
        // comment
        com
        uk
        co.uk   behind a blank nothing is read

        *.ck
        !www.ck
        // ===BEGIN PRIVATE DOMAINS===
        blogspot.com
        公司.cn
        cn
        *.compute.example.com
        """

    private static func organizational(_ list: PublicSuffixList, _ name: String) throws -> String {
        list.organizationalDomain(of: try #require(DomainName(name))).ascii
    }

    @Test(arguments: [
        ("com", "com"), ("example.com", "example.com"), ("a.b.example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"), ("co.uk", "co.uk"), ("example.co.uk", "example.co.uk"),
        ("a.b.example.co.uk", "example.co.uk"), ("example.uk", "example.uk"), ("xco.uk", "xco.uk"),
        // The longest rule counts, of either section.
        ("blogspot.com", "blogspot.com"), ("a.blogspot.com", "a.blogspot.com"), ("b.a.blogspot.com", "a.blogspot.com"),
        // Wildcards and exceptions.
        ("ck", "ck"), ("test.ck", "test.ck"), ("b.test.ck", "b.test.ck"), ("a.b.test.ck", "b.test.ck"),
        ("www.ck", "www.ck"), ("www.www.ck", "www.ck"), ("a.b.www.ck", "www.ck"),
        ("a.compute.example.com", "a.compute.example.com"), ("b.a.compute.example.com", "b.a.compute.example.com"),
        ("c.b.a.compute.example.com", "b.a.compute.example.com"),
        // In no list: the last label is the suffix.
        ("unlisted", "unlisted"), ("example.unlisted", "example.unlisted"), ("a.b.unlisted", "b.unlisted"),
        // U-labels and A-labels are the same.
        ("公司.cn", "xn--55qx5d.cn"), ("食狮.公司.cn", "xn--85x722f.xn--55qx5d.cn"),
        ("www.食狮.公司.cn", "xn--85x722f.xn--55qx5d.cn"),
        ("www.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"), ("shishi.cn", "shishi.cn"),
    ])
    func `the organizational domain is one label more than the longest rule`(name: String, expected: String) throws {
        #expect(try Self.organizational(PublicSuffixList(Self.small.utf8), name) == expected)
    }

    @Test func `a public suffix knows itself`() throws {
        let list = try PublicSuffixList(Self.small.utf8)
        for (name, isSuffix) in [
            ("com", true), ("co.uk", true), ("x.ck", true), ("www.ck", false), ("example.com", false), ("other", true),
        ] {
            #expect(list.isPublicSuffix(try #require(DomainName(name))) == isSuffix, "\(name)")
        }
    }

    @Test(arguments: [
        ("com\n<html>\n<body>\n", 2), ("a.*.example\n", 1), ("!com\n", 1), ("// only comments\n", 2),
        ("", 1), ("\u{0}\n", 1), ("!*.ck", 1),
    ])
    func `a file that is no such list is an error with its line`(text: String, line: Int) throws {
        let error = #expect(throws: PublicSuffixList.SyntaxError.self) { try PublicSuffixList(text.utf8) }
        #expect(error?.line == line)
    }

    @Test(arguments: [
        ("com\n<html>\nuk\n", [2]), ("com\n\nnet\n..\n", [4]), ("// a\ncom\n!uk\na.*.b\nck\n", [3, 4]),
        ("com\nuk\n", []),
    ])
    func `a line that is no name to us is skipped and told`(text: String, lines: [Int]) throws {
        let list = try PublicSuffixList(text.utf8)
        #expect(list.skipped == lines && list.ruleCount == 2)
    }

    @Test func `line ends of either kind and octets that are no text`() throws {
        #expect(try PublicSuffixList("com\r\nco.uk\r\n".utf8).ruleCount == 2)
        #expect(throws: PublicSuffixList.SyntaxError.self) { try PublicSuffixList([0x63, 0xFF, 0x0A]) }
        #expect(try PublicSuffixList([0x63, 0xFF, 0x0A, 0x63]).skipped == [1])
    }

    /// The list as Debian has it.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: Self.path), "publicsuffix is not installed"))
    func `the real list is read whole`() throws {
        let list = try PublicSuffixList(try Data(contentsOf: URL(filePath: Self.path)))
        #expect(list.ruleCount > 9000 && list.skipped.isEmpty)
        for (name, expected) in [
            ("mail.example.co.uk", "example.co.uk"), ("a.www.ck", "www.ck"), ("b.c.kobe.jp", "b.c.kobe.jp"),
            ("a.b.c.kobe.jp", "b.c.kobe.jp"), ("city.kobe.jp", "city.kobe.jp"), ("x.city.kobe.jp", "city.kobe.jp"),
            ("a.b.ide.kyoto.jp", "b.ide.kyoto.jp"), ("test.k12.ak.us", "test.k12.ak.us"),
            ("www.test.k12.ak.us", "test.k12.ak.us"), ("a.github.io", "a.github.io"), ("b.a.github.io", "a.github.io"),
            ("www.食狮.公司.cn", "xn--85x722f.xn--55qx5d.cn"), ("食狮.中国", "xn--85x722f.xn--fiqs8s"),
            ("a.b.example.museum", "example.museum"), ("mail.google.com", "google.com"),
        ] {
            #expect(try Self.organizational(list, name) == expected, "\(name)")
        }
    }
}
