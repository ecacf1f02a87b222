import Authentication
import Mail
import Testing

struct SPFReceivedFieldTests {
    private static func field(
        _ record: String, helo: String = "mail.example.test", from reversePath: String = "user@example.test",
        client: IPAddress = .v4(0xC000_0201)
    ) async -> String {
        let check = SPFCheck(
            client: client, helo: helo, reversePath: reversePath, receiver: "mx.test", time: Timestamp(seconds: 1))
        let names = TestNames(texts: ["example.test": record])
        return ReceivedSPFField(await check.check(identity: .mailFrom, names: names.source), of: check).text
    }

    @Test func `The field has what RFC 7208 names, on lines of 78 octets`() async {
        #expect(
            await Self.field("v=spf1 ip4:192.0.2.0/24 -all").split(separator: "\r\n") == [
                "Received-SPF: pass (mx.test: the domain example.test designates 192.0.2.1 as",
                "\tpermitted sender) receiver=mx.test; client-ip=192.0.2.1;",
                "\tenvelope-from=\"user@example.test\"; helo=mail.example.test; identity=mailfrom;",
                "\tmechanism=\"ip4:192.0.2.0/24\";",
            ])
    }

    @Test func `An error names its problem, and IPv6 is quoted`() async {
        let field = await Self.field("v=spf1 oops", client: .v6(high: 0x2001_0DB8_0000_0000, low: 1))
        #expect(field.hasPrefix("Received-SPF: permerror ("))
        #expect(field.contains("problem=\"the record of example.test is wrong: 'oops' is no mechanism\";"))
        #expect(field.contains("client-ip=\"2001:db8::1\";"))
        #expect(!field.contains("mechanism="))
    }

    @Test(arguments: [
        "a\r\nX-Spam: no", "a\"; result=pass; x=\"", "a) (b", "a\\", "\0\u{7F}\u{E9}", "(", "",
        String(repeating: "x y", count: 500),
    ])
    func `What a client says stays in its place`(_ hostile: String) async throws {
        for field in [
            await Self.field("v=spf1 -all", helo: hostile), await Self.field("v=spf1 -all", from: "\(hostile)@x.test"),
            await Self.field("v=spf1 -all", from: "x@\(hostile)"),
        ] {
            let isClean = field.utf8.allSatisfy { 0x20...0x7E ~= $0 || $0 == 9 || $0 == 13 || $0 == 10 }
            #expect(isClean)
            let lines = field.split(separator: "\r\n", omittingEmptySubsequences: false)
            #expect(lines.last == "")
            #expect(lines.dropFirst().dropLast().allSatisfy { $0.hasPrefix("\t") && $0.utf8.count <= 998 })
            // Without quoted strings and the comment, only our own keys are left.
            let rest = field.replacing(/"(\\.|[^"\\])*"/, with: "q").replacing(/\([^()]*\)/, with: "")
            #expect(!rest.contains("\""))
            let keys = rest.split(separator: ";").compactMap { $0.split(separator: "=").first }.map {
                $0.split(whereSeparator: \.isWhitespace).last.map(String.init) ?? ""
            }
            let known = ["receiver", "client-ip", "envelope-from", "helo", "identity", "mechanism", ""]
            #expect(keys.allSatisfy(known.contains), "\(keys)")
        }
    }
}
