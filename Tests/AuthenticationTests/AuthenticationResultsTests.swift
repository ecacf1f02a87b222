import Foundation
import Mail
import Testing

@testable import Authentication

struct AuthenticationResultsTests {
    typealias Results = AuthenticationResults
    typealias Method = AuthenticationResults.Method

    private static func spf(_ path: String) throws -> Method {
        let result = SPFResult(.pass, domain: "example.com", identity: .mailFrom)
        return .spf(result, .mailbox(try #require(Mailbox(path))), helo: "client.example")
    }

    private static func text(_ methods: Method..., encoding: Results.Encoding = .ascii) -> String {
        Results("mx.example.test", methods).text(encoding)
    }

    // MARK: Writing

    @Test func `a field is folded and ends its line`() throws {
        var signature = DKIMResult(outcome: .pass)
        signature.domain = "example.com"
        signature.selector = "2026"
        signature.identity = "@example.com"
        signature.algorithm = .rsaSHA256
        signature.signaturePrefix = "ab/d+fghijkl"
        signature.keyBits = 2048
        var dmarc = DMARCResult(.fail, from: DomainName("example.com"))
        var record = try DMARCRecord(Array("v=DMARC1; p=reject; sp=none".utf8))
        dmarc.record = record
        dmarc.disposition = .reject
        let address = try #require(IPAddress("2001:db8::1"))
        let text = Self.text(
            try Self.spf("user@example.com"), .dkim(signature), .dmarc(dmarc),
            .arc("pass", remote: address, oldestPass: 1))
        #expect(
            text == """
                Authentication-Results: mx.example.test;\r
                \tspf=pass smtp.mailfrom=user@example.com;\r
                \tdkim=pass (2048-bit key) header.d=example.com header.i=@example.com\r
                \theader.s=2026 header.a=rsa-sha256 header.b="ab/d+fgh";\r
                \tdmarc=fail (p=REJECT sp=NONE dis=REJECT) header.from=example.com;\r
                \tarc=pass smtp.remote-ip="2001:db8::1" header.oldest-pass=1\r

                """)
        record.subdomainPolicy = .absent
        dmarc.record = record
        #expect(Method.dmarc(dmarc, disposition: DMARCPolicy.none).comment == "p=REJECT dis=NONE")
        #expect(Method.dmarc(DMARCResult(.none)).comment == nil)
    }

    @Test func `no method is none, and ARC names its instance`() {
        #expect(Results("mx.example.test").text(.ascii) == "Authentication-Results: mx.example.test; none\r\n")
        let text = Results("mx.example.test", [Method("arc", "none")])
            .text(.ascii, fieldName: "ARC-Authentication-Results", instance: 2)
        #expect(text == "ARC-Authentication-Results: i=2; mx.example.test;\r\n\tarc=none\r\n")
    }

    @Test func `HELO is the identity, also of the null reverse-path`() throws {
        let path = ReversePath.mailbox(try #require(Mailbox("user@example.com")))
        for (identity, path) in [(SPFCheck.Identity.helo, path), (.mailFrom, .null)] {
            let method = Method.spf(SPFResult(.none, domain: "x", identity: identity), path, helo: "client.example")
            #expect(method.properties == [.init("smtp", "helo", "client.example")])
        }
    }

    @Test func `addresses that are not ASCII go only where they may`() throws {
        for (path, ascii, utf8) in [
            ("ü@bücher.example", "xn--bcher-kva.example", "ü@bücher.example"),
            ("u@bücher.example", "u@xn--bcher-kva.example", "u@bücher.example"),
        ] {
            let method = try Self.spf(path)
            #expect(Self.text(method).hasSuffix("smtp.mailfrom=\(ascii)\r\n"))
            #expect(Self.text(method, encoding: .utf8).hasSuffix("smtp.mailfrom=\(utf8)\r\n"))
        }
        let helo = Method.spf(SPFResult(.none, domain: "é ü", identity: .helo), .null, helo: "é ü")
        #expect(Self.text(helo).hasSuffix("smtp.helo=\"? ?\"\r\n"))
    }

    /// What is left of an address would be somebody else's: `x@bank.example` and then `.evil.example`.
    @Test func `a property that is too long is left out and never cut`() throws {
        let long = String(repeating: "x", count: 320 - 13) + "@bank.example"
        let fits = Method("spf", "pass", [.init("smtp", "helo", String(long.dropFirst()))])
        #expect(Self.text(fits).contains("@bank.example\r\n"))
        let method = Method("dkim", "pass", reason: long + ".", [.init("header", "i", long + ".evil.example")])
        #expect(Self.text(method) == "Authentication-Results: mx.example.test;\r\n\tdkim=pass\r\n")
        var signature = DKIMResult(outcome: .pass)
        signature.identity = long + ".evil.example"
        #expect(Self.text(.dkim(signature)).hasSuffix("dkim=pass header.i=@bank.example.evil.example\r\n"))
        signature.identity = "a@evil.example"
        #expect(Self.text(.dkim(signature)).hasSuffix("dkim=pass header.i=a@evil.example\r\n"))
    }

    private static let hostile = [
        "a\r\nX-Evil: yes", "a\" ; dmarc=pass", "a; dmarc=pass", "a) dmarc=pass (", "\\", "\"", "a\\\"; dmarc=pass",
        "\u{0}\u{7F}\u{1B}[0m", "\u{2028}dmarc=pass", "\u{85}", "=?utf-8?q?x?=", "(", ")", "a b", "", "[192.0.2.1]",
        "x=y", "a,b", "é\u{301}", "\r\n\r\nbody", String(repeating: "x", count: 5000),
        String(repeating: "é ", count: 5000), String(repeating: "\"", count: 400), ";;;;", "a\t;\tb",
    ]

    /// Whatever a client says, the field says the same methods, one line cannot become two, and lines stay short.
    @Test(arguments: Self.hostile) func `hostile text stays where it belongs`(text: String) throws {
        for encoding in [Results.Encoding.ascii, .utf8] {
            let method = Method("spf", "pass", comment: text, reason: text, [.init("smtp", "helo", text)])
            let field = Results("mx.example.test", [method, Method("dkim", "none")]).text(encoding)
            #expect(field.hasSuffix("\r\n"))
            let lines = field.dropLast(1).components(separatedBy: "\r\n")
            #expect(lines.dropFirst().allSatisfy { $0.first == "\t" && !$0.dropFirst().isEmpty })
            #expect(lines.allSatisfy { $0.utf8.count < 998 })
            #expect(encoding == .utf8 || field.isASCII)
            #expect(
                !field.unicodeScalars.contains {
                    $0.properties.generalCategory == .control && !"\r\n\t".unicodeScalars.contains($0)
                })
            let read = try #require(Results(Array(field.drop { $0 != ":" }.dropFirst().utf8)))
            #expect(read.methods.map(\.name) == ["spf", "dkim"])
            let value = read.methods.first?.value("smtp", "helo") ?? ""
            if text.isASCII, text.isPrintable, text.utf8.count < 300 { #expect(value == text) }
        }
    }

    /// Only values of properties may be addresses without quotation marks (RFC 8601 §2.2).
    @Test func `addresses stand as they are in properties alone`() {
        let method = Method("spf", "pass", reason: "a@b.example", [.init("smtp", "mailfrom", "a=b/c@b.example")])
        #expect(Self.text(method).hasSuffix("spf=pass reason=\"a@b.example\" smtp.mailfrom=a=b/c@b.example\r\n"))
        #expect(Results("a@b.example").text(.ascii) == "Authentication-Results: \"a@b.example\"; none\r\n")
        let international = Results("mx.bücher.example")
        #expect(international.text(.ascii) == "Authentication-Results: mx.xn--bcher-kva.example; none\r\n")
        #expect(international.text(.utf8) == "Authentication-Results: \"mx.bücher.example\"; none\r\n")
    }

    @Test func `names are keywords whatever they are given`() {
        let method = Method("s pf;", "pass\r\n", [.init("smtp ", "he=lo", "x")])
        #expect(Self.text(method).hasSuffix("s-pf-=pass-- smtp-.he-lo=x\r\n"))
        #expect(Results("a;b", []).text(.ascii) == "Authentication-Results: \"a;b\"; none\r\n")
    }

    // MARK: Reading

    private static func read(_ text: String, isARC: Bool = false) -> Results? {
        Results(Array(text.utf8), isARC: isARC)
    }

    @Test func `fields of others are read`() throws {
        let gmail = try #require(
            Self.read(
                " mx.google.com;\r\n       dkim=pass header.i=@example.com header.s=sel header.b=aB3/d=+x;\r\n"
                    + "       arc=pass (i=1 spf=pass dkim=fail (a \\) b) dmarc=fail fromdomain=x);\r\n"
                    + "       spf=pass (google.com: domain of a@b.c designates 1.2.3.4 as permitted sender)"
                    + " smtp.mailfrom=\"odd name\"@example.com;\r\n"
                    + "       DMARC=Pass (p=REJECT dis=NONE) header.from=example.com"))
        #expect(gmail.authservID == "mx.google.com")
        #expect(gmail.methods.map(\.name) == ["dkim", "arc", "spf", "dmarc"])
        #expect(gmail.methods.map(\.result) == ["pass", "pass", "pass", "pass"])
        #expect(gmail.methods.first?.value("header", "b") == "aB3/d=+x")
        #expect(gmail.methods(named: "spf").first?.value("smtp", "mailfrom") == "odd name@example.com")
        #expect(gmail.methods(named: "dmarc").first?.comment == "p=REJECT dis=NONE")
        let microsoft = try #require(
            Self.read(
                "x.test 1; spf/1 = fail reason=\"a;b\" smtp . mailfrom = a.b; dmarc=none action=none; compauth=pass reason=100"
            ))
        #expect(microsoft.methods.map(\.name) == ["spf", "dmarc", "compauth"])
        #expect(microsoft.methods.map(\.reason) == ["a;b", nil, "100"])
        #expect(microsoft.methods(named: "spf").first?.value("smtp", "mailfrom") == "a.b")
        #expect(Self.read("(c) \"quoted id\" ; none")?.authservID == "quoted id")
        #expect(Self.read("a; none")?.methods == [])
    }

    @Test(arguments: [
        "a; x=\"; dmarc=pass\"", "a; (; dmarc=pass;)", "a; spf=pass (; dmarc=pass", "a; spf=pass x.y=\"; dmarc=pass",
        "a; dmarc=pass (", "a; dmarc=pass\"", "a; dmarc=pass!", "a; dmarc=", "a; xdmarc=pass", "a; dmarc pass",
        "a; dmarc=pass dmarc", "a dmarc=pass", "\"a; dmarc=pass", "", ";dmarc=pass", "a; spf=x\\\"; dmarc=pass",
        "a; dmarc=\"pass\"",
    ])
    func `nothing that is quoted, commented or broken is a pass`(text: String) {
        #expect(Self.read(text)?.methods(named: "dmarc").isEmpty ?? true)
    }

    @Test func `an ARC field has its instance first`() {
        #expect(Self.read(" i=1; a.example; dmarc=pass", isARC: true)?.authservID == "a.example")
        #expect(Self.read(" a.example; dmarc=pass", isARC: true) == nil)
        #expect(Self.read(" i=; a.example; dmarc=pass", isARC: true) == nil)
    }
}
