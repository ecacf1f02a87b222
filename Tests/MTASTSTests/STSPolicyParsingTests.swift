import MTASTS
import Mail
import Testing

struct STSPolicyParsingTests {
    private func parse(_ text: String) throws -> STSPolicy { try STSPolicy(published: Array(text.utf8)) }

    private func fault(_ bytes: [UInt8]) -> STSFault? {
        do throws(STSFault) {
            _ = try STSPolicy(published: bytes)
            return nil
        } catch { return error }
    }

    @Test(arguments: ["\n", "\r\n"])
    func `A policy is read with either line end`(end: String) throws {
        let lines = [
            "version: STSv1", "mode: enforce", "mx: mail.example.com", "mx: *.example.net", "max_age: 604800",
        ]
        let expected = STSPolicy(
            mode: .enforce, mxPatterns: ["mail.example.com", "*.example.net"], maximumAge: .seconds(604_800),
            lines: lines)
        #expect(try self.parse(lines.joined(separator: end)) == expected)
        #expect(try self.parse(lines.joined(separator: end) + end) == expected)
        let backwards = try self.parse(lines.reversed().joined(separator: end))
        #expect(backwards.mode == .enforce && backwards.mxPatterns == ["*.example.net", "mail.example.com"])
    }

    @Test func `Blanks, empty lines and unknown fields do no harm`() throws {
        let policy = try self.parse(
            "version:STSv1  \n\nmode:\ttesting\nx-y: ü: :\nmx: MX.Test\t\n \nmax_age: 31557600 \n")
        #expect(
            policy.mode == .testing && policy.mxPatterns == ["mx.test"] && policy.maximumAge == STSPolicy.longestAge)
    }

    @Test func `Of a repeated field the first counts, but for mx`() throws {
        let policy = try self.parse(
            "version: STSv1\nversion: STSv2\nmode: none\nmode: enforce\nmax_age: 1\nmax_age: 2\nmx: a\nmx: b\nmx: A\n")
        #expect(policy.mode == .none && policy.maximumAge == .seconds(1) && policy.mxPatterns == ["a", "b"])
    }

    @Test func `Names in Unicode become A-labels`() throws {
        let policy = try self.parse("version: STSv1\nmode: enforce\nmx: *.Bücher.example\nmax_age: 1\n")
        #expect(policy.mxPatterns == ["*.xn--bcher-kva.example"])
        #expect(policy.allows("mx.xn--bcher-kva.example"))
    }

    @Test(arguments: [
        ("", "no version"), ("<html></html>\n", "a line is no field"), ("mode: none\nmax_age: 1\n", "no version"),
        ("version: STSv1\nmax_age: 1\nmx: a\n", "no mode"), ("version: STSv1\nmode: none\n", "no max_age"),
        ("version: STSv1\nmode: enforce\nmax_age: 1\n", "no mx"),
        ("version: STSv1\nmode: testing\nmax_age: 1\n", "no mx"), ("version: STSv2\n", "unknown version"),
        ("version: STSv1\nmode: Enforce\n", "unknown mode"), (" version: STSv1\n", "a line is no field"),
        ("version: STSv1\rmode: none\rmax_age: 1\r", "a line is not text"),
        ("version: STSv1\0\n", "a line is not text"),
    ])
    func `What is no policy is refused`(text: String, reason: String) {
        #expect(self.fault(Array(text.utf8)) == STSFault(.stsPolicyInvalid, reason))
    }

    @Test(arguments: ["*", "*.", "a.*.b", "*a.b", "**.a", "a..b", "a b", "-a", "a.", "*.*.a", "", "192.0.2.1:25"])
    func `Patterns that are no names make the policy invalid`(pattern: String) {
        let text = "version: STSv1\nmode: enforce\nmx: \(pattern)\nmax_age: 1\n"
        #expect(self.fault(Array(text.utf8)) == STSFault(.stsPolicyInvalid, "an mx is no name"))
    }

    @Test(arguments: ["", "-1", "x", "1s", "31557601", "99999999999", "٣"])
    func `An age is a number of seconds up to a year`(age: String) {
        let text = "version: STSv1\nmode: none\nmax_age: \(age)\n"
        #expect(self.fault(Array(text.utf8))?.reason == "max_age is no number of seconds up to a year")
    }

    @Test func `A policy is no larger than it needs to be`() throws {
        let head = "version: STSv1\nmode: enforce\nmax_age: 1\n"
        let most = head + (0..<64).map { "mx: a\($0).test\n" }.joined()
        #expect(try self.parse(most).mxPatterns.count == 64)
        #expect(self.fault(Array((most + "mx: b.test\n").utf8))?.reason == "too many mx")
        let long = head + "mx: a\n" + String(repeating: "x: \(String(repeating: "y", count: 96))\n", count: 600)
        #expect(try self.parse(long).lines.joined().utf8.count <= STSPolicy.longestReport)
        #expect(self.fault(Array((long + long).utf8))?.reason == "longer than 65536 octets")
        #expect(
            self.fault(Array("version: STSv1\nmode: none\nmax_age: 1\nx: ".utf8) + [0xFF])?.reason
                == "a line is not text")
    }
}
