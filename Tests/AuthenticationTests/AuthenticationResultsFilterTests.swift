import Authentication
import Testing

struct ForgedResultsFilterTests {
    private static func filter(
        _ pieces: [ArraySlice<UInt8>], id: String = "mx.example.test"
    ) -> (text: String, removed: Int) {
        var filter = ForgedResultsFilter(authservID: id)
        var output: [UInt8] = []
        for piece in pieces { piece.withUnsafeBytes { filter.filter($0, into: &output) } }
        filter.finish(into: &output)
        return (String(decoding: output, as: UTF8.self), filter.removed)
    }

    private static func filter(_ text: String, id: String = "mx.example.test") -> (text: String, removed: Int) {
        Self.filter([Array(text.utf8)[...]], id: id)
    }

    private static let ours = "Authentication-Results: mx.example.test; dmarc=pass\r\n"

    @Test(arguments: [
        "Authentication-Results: mx.example.test; spf=pass", "authentication-RESULTS:MX.Example.Test;spf=pass",
        "Authentication-Results \t: mx.example.test; x=y", "Authentication-Results: mx.example.test 1; none",
        "Authentication-Results: \"mx.example.test\"; none", "Authentication-Results: \"mx\\.example.test\" ; none",
        "Authentication-Results: (a (b) \\) c) mx.example.test; none",
        "Authentication-Results:\r\n mx.example.test\r\n\t; none",
        "Authentication-Results\r\n : mx.example.test; none", "Authentication-Results: mx(c).example(d).test; none",
        "Authentication-Results: (mx.example.test; none", "Authentication-Results: \"mx.example.test; none",
        "Authentication-Results: mx.example.test", "Authentication-Results: mx.example.test., x",
        "Authentication-Results: ;mx.example.test; none", "Authentication-Results: mx.example.test/1; none",
        "Authentication-Results: mx.example.test:none",
        // Some readers take comments out by a pattern, or take no notice of them.
        "Authentication-Results: (((x) mx.example.test; dmarc=pass",
        "Authentication-Results: (((x) mx(c).example.test(d); dmarc=pass",
        "Authentication-Results: (((a=b) mx.example.test; dmarc=pass",
        "Authentication-Results: (a \\( b) c=d) mx.example.test; dmarc=pass",
        "Authentication-Results: (a \\) b=c) mx.example.test; dmarc=pass",
        "Authentication-Results: \"(\" a=b \") mx.example.test; dmarc=pass",
        "Authentication-Results: \"a=b\" mx.example.test; dmarc=pass",
        "Authentication-Results: (a \" ) b=c \" ) mx.example.test; dmarc=pass",
        "Authentication-Results: (mx.example.test) other; none", "Authentication-Results: other; mx.example.test=pass",
        "Authentication-Results: other 1; MX.EXAMPLE.TEST; dmarc=pass",
    ])
    func `a field in our name is taken out`(field: String) {
        let message = "A: 1\r\n\(field)\r\n more\r\nB: 2\r\n\r\nbody\r\n"
        let (text, removed) = Self.filter(message)
        #expect(text == "A: 1\r\nB: 2\r\n\r\nbody\r\n")
        #expect(removed == 1)
    }

    @Test(arguments: [
        "Authentication-Results: other.example.test; spf=pass", "Authentication-Results: mx.example.test.org; none",
        "Authentication-Results: xmx.example.test; none", "X-Authentication-Results: mx.example.test; none",
        "Authentication-Results-X: mx.example.test; none", "Authentication-Result: mx.example.test; none",
        "Authentication-Results: mx.other; spf=pass (mx.example.test) smtp.helo=mx.example.test; dmarc=pass",
        "Authentication-Results: mx.other (a (b) \\) c); spf=pass smtp.helo=mx.example.test",
        "Authentication-Results: \"mx.other\" 1; spf=pass smtp.helo=mx.example.test",
        "Authentication-Results: mx.other; none", "ARC-Authentication-Results: i=1; mx.example.test; none",
        "Authentication-Results: other; x=mx.example.test",
        "Authentication-Results mx.example.test: x", "Authentication-Results:", "Authentication-Results",
        "Subject: Authentication-Results: mx.example.test",
        " Authentication-Results: mx.example.test; none", "\rAuthentication-Results: mx.example.test; none",
    ])
    func `everything else stays as it is`(field: String) {
        for message in ["\(field)\r\n more\r\nB: 2\r\n\r\n\(Self.ours)", "\(field)\r\n", field] {
            let (text, removed) = Self.filter(message)
            #expect(text == message && removed == 0)
        }
    }

    @Test func `the body is not looked at, and lines may end without a CR`() {
        for message in ["A: 1\r\n\r\n\(Self.ours)", "\r\n\(Self.ours)", "A: 1\n\n\(Self.ours)", "\n\(Self.ours)"] {
            #expect(Self.filter(message).text == message)
        }
        #expect(Self.filter("Authentication-Results: mx.example.test\n x\nA: 1\n").text == "A: 1\n")
        #expect(Self.filter("\(Self.ours)\(Self.ours) x\r\n\r\n").text == "\r\n")
        #expect(Self.filter("\(Self.ours)\(Self.ours)").removed == 2)
    }

    @Test func `names of either kind of label are the same`() {
        let field = "Authentication-Results: mx.bücher.test; none\r\n"
        let other = "Authentication-Results: mx.xn--bcher-kva.test; none\r\n"
        for id in ["mx.bücher.test", "mx.xn--bcher-kva.test", "MX.xn--bcher-kva.TEST."] {
            #expect(Self.filter(field + other, id: id).removed == 2)
        }
        #expect(Self.filter("Authentication-Results: \"our id\"; none\r\n", id: "Our ID").removed == 1)
    }

    /// A reader may find our name behind whatever is not looked at.
    @Test func `a field that is too long is taken out whoever it is of`() {
        let long = String(repeating: " x=y;\r\n", count: 30_000)
        let limit = ForgedResultsFilter.maximumFieldBytes
        let comment = String(repeating: "x ", count: limit / 2)
        for field in [
            "\(Self.ours)\(long)", "Authentication-Results: other;\r\n\(long)",
            "Authentication-Results: (\(comment))\r\n mx.example.test; dmarc=pass\r\n",
            "Authentication-Results:\r\n (\(comment))\r\n mx.example.test; dmarc=pass\r\n",
        ] {
            let (text, removed) = Self.filter("\(field)A: 1\r\n\r\nx")
            #expect(text == "A: 1\r\n\r\nx" && removed == 1)
            #expect(Self.filter("X-\(field)\r\nx").removed == 0)
        }
        let start = "Authentication-Results: other; x="
        for bytes in [limit, limit + 1] {
            let field = start + String(repeating: "y", count: bytes - start.utf8.count - 2) + "\r\n"
            #expect(Self.filter(field + "A: 1\r\n").removed == bytes - limit)
        }
    }

    /// However the content is cut, the same comes out.
    @Test func `content may come in pieces of any size`() {
        let message = Array(
            ("A: 1\r\n" + Self.ours + " folded\r\nAuthentication-Results: other\r\n\tx\r\nauthentication-results :\r\n"
                + " \"mx.example.test\"\r\nAuth: 2\r\nAuthentication-Results (c): mx.example.test\r\n\r\n" + Self.ours)
                .utf8)
        let whole = Self.filter([message[...]])
        #expect(whole.removed == 2)
        for place in message.indices {
            #expect(Self.filter([message[..<place], message[place...]]) == whole, "cut at \(place)")
            let short = Self.filter([message[..<place]])
            #expect(Self.filter(message[..<place].map { [$0][...] }) == short, "ends at \(place)")
        }
        for size in 1...9 {
            let pieces = stride(from: 0, to: message.count, by: size).map {
                message[$0..<min($0 + size, message.count)]
            }
            #expect(Self.filter(pieces) == whole, "pieces of \(size)")
        }
    }
}
