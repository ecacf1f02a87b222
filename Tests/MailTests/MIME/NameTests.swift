import Mail
import Testing

/// Names as they are written in parameters, and hidden there.
struct NameTests {
    @Test(arguments: [
        // Plain, in either field, with either key.
        ("Content-Type: a/b; name=x.exe", "x.exe"),
        ("Content-Disposition: attachment; filename=\"x y.exe\"", "x y.exe"),
        ("Content-Type: a/b; filename=x.exe", "x.exe"),
        ("content-DISPOSITION : attachment;\r\n\tFileName = \"x.exe\"", "x.exe"),
        // Folded, between and inside of tokens.
        ("Content-Type: a/b;\r\n name=\r\n x.exe", "x.exe"),
        ("Content-Type: a/b; name\r\n =x.exe", "x.exe"),
        ("Content-Type:\r\n \r\n a/b; name=x.exe", "x.exe"),
        // Quotes and escapes.
        (#"Content-Type: a/b; name="x\".exe""#, "x\".exe"),
        (#"Content-Type: a/b; name="x".exe"#, "x.exe"),
        (#"Content-Type: a/b; name="x".exe""#, "x.exe"),
        (#"Content-Type: a/b; name="x.exe"#, "x.exe"),
        ("Content-Type: a/b; name='x.exe'", "x.exe"),
        (#"Content-Type: a/b; name=x\;.exe"#, "x;.exe"),
        ("Content-Type: a/b; name=x;.exe", "x;.exe"),
        ("Content-Type: a/b; name=\"a;b.exe\"", "a;b.exe"),
        (#"Content-Type: a/b; foo="bar; name=x.exe"#, "x.exe"),
        ("Content-Type: a/b; foo=bar name=x.exe", "x.exe"),
        // Comments.
        ("Content-Type: a/b; name=x.exe(comment)", "x.exe"),
        ("Content-Type: a/b; name=x.e(.gif)xe", "x.exe"),
        ("Content-Type: a/b; na()me=x.exe", "x.exe"),
        ("Content-Type: a/b; (;) name (=) = (\") x.exe", "x.exe"),
        // RFC 2231.
        ("Content-Type: a/b; name*=utf-8'en'x%2Eexe", "x.exe"),
        ("Content-Type: a/b; name*=x%2Eexe", "x.exe"),
        ("Content-Type: a/b; name*=\"utf-8''x%2eexe\"", "x.exe"),
        ("Content-Type: a/b; name*0=x.; name*1=exe", "x.exe"),
        ("Content-Type: a/b; name*1=exe; name*0=x.", "x.exe"),
        ("Content-Type: a/b; name*2=exe; name*0=x.", "x.exe"),
        ("Content-Type: a/b; name*1=x.; name*0=exe", "x.exe"),
        ("Content-Type: a/b; name*0*=''x%2E; name*1=exe", "x.exe"),
        ("Content-Type: a/b; name*1*=%65xe; name*0*=iso-8859-1''x.", "x.exe"),
        ("Content-Type: a/b; name*10=e; name*9=ex; name*0=x.", "x.exe"),
        ("Content-Type: a/b; name*0=y; name*0=x.; name*1=exe", "x.exe"),
        ("Content-Type: a/b; name*0=x.; name*0=y; name*1=exe", "x.exe"),
        ("Content-Type: a/b; name*1=exe\r\nContent-Disposition: attachment; name*0=x.", "x.exe"),
        ("Content-Type: a/b; name=y.png; name*=''x.exe", "x.exe"),
        // RFC 2047.
        ("Content-Type: a/b; name=\"=?utf-8?B?eC5leGU=?=\"", "x.exe"),
        ("Content-Type: a/b; name==?utf-8?Q?x=2Eexe?=", "x.exe"),
        ("Content-Type: a/b; name=\"=?utf-8?Q?x.?=\r\n =?utf-8?Q?exe?=\"", "x.exe"),
        ("Content-Type: a/b; name=\"=?utf-8*en?q?x.ex?=e\"", "x.exe"),
        ("Content-Type: a/b; name=\"=?us-ascii?Q?x.exe\"", "x.exe"),
        ("Content-Type: a/b; name*0=\"=?utf-8?Q?x.\"; name*1=\"exe?=\"", "x.exe"),
        // More than one.
        ("Content-Type: a/b; name=x.exe\r\nContent-Type: a/b; name=y.png", "x.exe"),
        ("Content-Type: a/b; name=y.png\r\nContent-Type: a/b; name=x.exe", "x.exe"),
        ("Content-Type: a/b; name=y.png; name=x.exe", "x.exe"),
        // Fields that are hidden.
        ("Subject: x\r\n Content-Type: a/b; name=x.exe", "x.exe"),
        ("Subject: x\rContent-Type: a/b; name=x.exe", "x.exe"),
        ("Content-Type\0:: a/b; name=x.exe", "x.exe"),
        // What is not shown.
        ("Content-Type: a/b; name=\"x.exe\0.png\"", "x.exe"),
        ("Content-Type: a/b; name=\"x.\u{1}e\u{7F}xe\"", "x.exe"),
    ])
    func `a name is found`(header: String, name: String) {
        let names = MIMEFixture.names(header)
        #expect(names.contains(name), "\(names)")
    }

    @Test(arguments: [
        ("utf-8", "%C3%A9.exe", "é.exe"), ("iso-8859-1", "%E9.exe", "é.exe"), ("windows-1252", "%80.exe", "€.exe"),
        ("us-ascii", "e.exe", "e.exe"), ("utf-16", "%FE%FF%00e%00.%00x", "e.x"), ("utf-16", "e%00.%00x%00", "e.x"),
        ("utf-16le", "%E9%00.%00x%00", "é.x"), ("UTF-16BE", "%00%E9%00.%00x", "é.x"), ("utf-7", "+AOk-.exe", "é.exe"),
        ("utf-7", "e+AC4-exe", "e.exe"), ("x-unknown", "e%2Eexe", "e.exe"), ("utf-8", "%E9.exe", "é.exe"),
        ("utf-32", "%00%00%00e%00%00%00.%00%00%00x", "e.x"),
    ])
    func `a charset is read`(charset: String, value: String, name: String) {
        let names = MIMEFixture.names("Content-Type: a/b; name*=\(charset)''\(value)")
        #expect(names.contains(name), "\(names)")
    }

    @Test func `a name by the standard is the only one and stands first`() {
        #expect(MIMEFixture.names("Content-Type: a/b; name=\"a b.png\"; x=y") == ["a b.png"])
        #expect(MIMEFixture.names("Content-Type: a/b; name*=utf-8''a%20b.png").first == "a b.png")
        let both = MIMEFixture.names("Content-Type: a/b; name=b.txt\r\nContent-Disposition: inline; filename=a.txt")
        #expect(both == ["a.txt", "b.txt"])
    }

    @Test(arguments: [
        "Content-Type: a/b; xname=x.exe", "Content-Type: a/b; name-x=x.exe", "Subject: name=x.exe",
        "Content-Description: x.exe", "Content-Type: a/b; x=\"hostname=x.exe\"",
    ])
    func `what is no name is none`(header: String) {
        #expect(MIMEFixture.names(header).isEmpty)
    }

    @Test func `of a long name the end is kept`() {
        let structure = MIMEFixture.examine(
            "Content-Type: a/b; name=\(String(repeating: "x", count: 9000)).exe\r\n\r\n")
        #expect(structure.parts[0].names.allSatisfy { $0.utf8.count <= 1000 && $0.hasSuffix("x.exe") })
        #expect(structure.defects.map(\.kind).contains(.nameTooLong))
    }

    @Test func `more names than the limit are a defect`() {
        let parameters = (0..<100).map { "; name=\($0).png" }.joined()
        let structure = MIMEFixture.examine("Content-Type: a/b\(parameters)\r\n\r\n")
        #expect(structure.parts[0].names.count == MIMELimits().names)
        #expect(structure.defects.map(\.kind).contains(.tooManyNames))
    }
}
