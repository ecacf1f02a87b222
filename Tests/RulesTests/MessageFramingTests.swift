import Mail
import Rules
import Testing

/// What rules for content are asked of (header_checks(5), SEMANTICS §4).
struct MessageFramingTests {
    @Test func `fields are asked of one by one, and lines behind the empty one`() {
        #expect(
            seen(crlf("From: a@b", "Subject: x", "", "Text", "", "Subject: y"))
                == ["header: From: a@b", "header: Subject: x", "body: Text", "body: Subject: y"])
    }

    @Test func `a folded field is one, its lines joined by LF`() {
        let content = crlf("Subject: one", " two", "\tthree", " ", "To: x", "", " body")
        #expect(seen(content) == ["header: Subject: one? two??three? ", "header: To: x", "body:  body"])
        let rules = ContentRules(header: [table(["Subject: one\n two\n\tthree\n ": "HOLD"])])
        #expect(check(rules, content).outcome.isHeld)
    }

    @Test func `fields that MIME has defined have rules of their own everywhere`() {
        let names = [
            "Content-Description", "content-disposition", "Content-ID", "Content-Transfer-Encoding", "Content-Type",
            "MIME-VERSION",
        ]
        #expect(
            seen(crlf("\(names[0]): 1", "Content-Length: 1") + "\r\n") == [
                "mime_header: \(names[0]): 1", "header: Content-Length: 1",
            ])
        for name in names { #expect(seen(crlf("\(name) : 1", "")) == ["mime_header: \(name): 1"]) }
    }

    @Test func `blanks before the colon are left out for rules`() {
        #expect(seen(crlf("Subject \t: x", "")) == ["header: Subject: x"])
    }

    @Test(arguments: ["no field", "Ünï: x", ": x", "a b: x", "a\u{1}: x", "x"])
    func `a line that is no field ends the header`(line: String) {
        #expect(seen(crlf("A: b", line, "C: d")) == ["header: A: b", "body: \(line)", "body: C: d"].map(Self.shown))
    }

    private static func shown(_ text: String) -> String { text.replacing("\u{1}", with: "?") }

    @Test func `content that begins with a blank has no header`() {
        #expect(seen(crlf(" A: b", "C: d")) == ["body:  A: b", "body: C: d"])
        #expect(seen(crlf("", "C: d")) == ["body: C: d"])
    }

    @Test(arguments: ["From x", ">From x", ">>From x"])
    func `the first line of a mailbox file does not hide the header`(line: String) {
        #expect(
            seen(crlf(line, "A: b", "From y")) == ["header: X-Mailbox-Line: \(line)", "header: A: b", "body: From y"])
    }

    @Test func `a header may end with the content`() {
        #expect(seen("A: b\r\nC: d") == ["header: A: b", "header: C: d"])
        #expect(seen("A: b\r\n\r\nc") == ["header: A: b", "body: c"])
        #expect(seen("").isEmpty)
    }

    // MARK: - Parts

    @Test func `parts have headers`() {
        let content = crlf(
            "Content-Type: multipart/mixed; boundary=b", "", "prolog", "--b", "X: 1", "Y: 2", "", "text", "--b", "",
            "X: 3", "--b--", "epilog", "--b", "X: 4")
        #expect(
            seen(content) == [
                "mime_header: Content-Type: multipart/mixed; boundary=b", "body: prolog", "body: --b",
                "mime_header: X: 1", "mime_header: Y: 2", "body: text", "body: --b", "body: X: 3", "body: --b--",
                "body: epilog", "body: --b", "body: X: 4",
            ])
    }

    @Test(arguments: [
        "boundary=b", "boundary=\"b\"", "BOUNDARY = b", "charset=x; boundary(c)=\"\\b\"", "x=;;boundary=b;",
        "\r\n boundary=\r\n \"b\"", "boundary=\"b\r\n\"",
    ])
    func `a boundary may be given in many ways`(parameter: String) {
        let content = crlf("Content-Type: (x(y\\))) multipart / mixed(z);" + parameter, "", "--b", "X: 1", "")
        #expect(seen(content).last == "mime_header: X: 1")
    }

    @Test(arguments: ["boundary b", "boundary", "boundary=", "\"boundary\"=b", "boundary(=b", "name=b", "boundary=c"])
    func `what is no boundary begins no part`(parameter: String) {
        let content = crlf("Content-Type: multipart/mixed;" + parameter, "", "--b", "X: 1", "")
        #expect(seen(content).last == "body: X: 1")
    }

    @Test func `every boundary that is named counts, with anything behind it`() {
        let content = crlf(
            "Content-Type: multipart/mixed; boundary=b; boundary=d", "Content-Type: multipart/mixed; boundary=f", "",
            "--bxyz", "X: 1", "", "--d", "Y: 1")
        // With the outer one the inner two were over.
        #expect(seen(content).suffix(2) == ["body: --d", "body: Y: 1"])
        #expect(seen(content).contains("mime_header: X: 1"))
        #expect(seen(content.replacing("--bxyz", with: "--f")).last == "mime_header: Y: 1")
    }

    @Test func `attached messages have headers of their own`() {
        for type in ["message/rfc822", "MESSAGE/global; x=y"] {
            let content = crlf("Content-Type: \(type)", "", "Subject: x", "Content-ID: y", "", "text")
            #expect(
                seen(content).dropFirst() == [
                    "nested_header: Subject: x", "mime_header: Content-ID: y", "body: text",
                ])
        }
        for type in ["message/partial", "message/external-body", "message", "text/rfc822"] {
            #expect(seen(crlf("Content-Type: \(type)", "", "Subject: x")).last == "body: Subject: x")
        }
    }

    @Test func `parts of a digest are messages, unless they say that they have text`() {
        func content(_ type: String) -> String {
            crlf("Content-Type: multipart/digest; boundary=b", "", "--b", type, "", "Subject: x")
        }
        #expect(seen(content("X: 1")).last == "nested_header: Subject: x")
        // As in Postfix: a type without a structure takes nothing back.
        #expect(seen(content("Content-Type: image/png")).last == "nested_header: Subject: x")
        #expect(seen(content("Content-Type: text/plain")).last == "body: Subject: x")
        #expect(seen(content("Content-Type: ")).last == "body: Subject: x")
    }

    @Test func `a part's header that ends with text is not that of a message`() {
        let content = crlf(
            "Content-Type: multipart/digest; boundary=b", "", "--b", "X: 1", "junk", "Subject: x", "--b", "Y: 1")
        #expect(
            seen(content).suffix(5) == [
                "mime_header: X: 1", "body: junk", "body: Subject: x", "body: --b", "mime_header: Y: 1",
            ])
    }

    @Test func `an inner boundary ends with its outer one`() {
        let content = crlf(
            "Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: multipart/mixed; boundary=i", "",
            "--i", "A: 1", "", "--o", "B: 1", "", "--i", "C: 1", "--o--", "--o", "D: 1")
        let found = seen(content)
        #expect(found.contains("mime_header: A: 1") && found.contains("mime_header: B: 1"))
        #expect(found.contains("body: C: 1") && found.last == "body: D: 1")
    }

    // MARK: - Limits

    @Test func `a long line is asked of in pieces`() {
        var limits = ContentRules.Limits()
        limits.lineBytes = 4
        #expect(
            seen(crlf("", "abcd", "abcde", "abc", "abcdefghi"), limits: limits)
                == ["abcd", "abcd", "e", "abc", "abcd", "efgh", "i"].map { "body: \($0)" })
        // The pieces of a field are one field; a name must be in the first of them.
        #expect(seen(crlf("a: bcdefgh", " ijklm"), limits: limits) == ["header: a: bcdefgh? ijklm"])
        #expect(seen(crlf("abcd: e"), limits: limits) == ["body: abcd", "body: : e"])
    }

    @Test func `the name of a field must be in the first 2048 octets`() {
        let name = String(repeating: "n", count: 2047)
        #expect(seen(crlf(name + ": x")).count == 1)
        #expect(seen(crlf(name + "n: x")).map { $0.prefix(5) } == ["body:", "body:"])
    }

    @Test func `lines of a field behind the limit share its fate`() {
        var limits = ContentRules.Limits()
        limits.headerBytes = 10
        let content = crlf("A: 12345", " 678", " 9", "B: c", "", "x")
        let kept = ContentRules(header: [table(["A: 12345\n 678": "HOLD"])], limits: limits)
        #expect(check(kept, content).outcome.isHeld)
        #expect(check(kept, content).text == content)
        let dropped = ContentRules(header: [table(["A: 12345\n 678": "IGNORE"])], limits: limits)
        #expect(check(dropped, content).text == crlf("B: c", "", "x"))
        let replaced = ContentRules(header: [table(["A: 12345\n 678": "REPLACE A: 1"])], limits: limits)
        #expect(check(replaced, content).text == crlf("A: 1", "B: c", "", "x"))
    }

    @Test func `a field without end does not fill the memory`() {
        let rules = ContentRules(header: [table(["B: c": "HOLD"])])
        var checks = ContentChecks(rules)
        var output: [UInt8] = []
        var fed = 0
        for line in ["A: b\r\n"] + Array(repeating: " " + String(repeating: "x", count: 998) + "\r\n", count: 2000) {
            Array(line.utf8).withUnsafeBytes { checks.feed($0, into: &output) }
            fed += line.utf8.count
            if fed - output.count > 110_000 { break }
        }
        #expect(fed - output.count < 5000)
        Array("B: c\r\n".utf8).withUnsafeBytes { checks.feed($0, into: &output) }
        checks.finish(into: &output)
        #expect(checks.outcome.isHeld && output.count == fed + 6)
    }

    @Test func `of a body's segments only the beginning is asked of`() {
        var limits = ContentRules.Limits()
        limits.bodyBytes = 10
        let content = crlf(
            "Content-Type: multipart/mixed; boundary=b", "", "12345678", "1", "2", "--b", "X: 1", "", "12345678",
            "3", "--b--", "12", "45", "6")
        #expect(
            seen(content, limits: limits).dropFirst() == [
                "body: 12345678", "mime_header: X: 1", "body: 12345678", "body: --b--", "body: 12", "body: 45",
            ])
        limits.bodyBytes = nil
        #expect(seen(content, limits: limits).count == 12)
    }

    @Test func `a boundary counts as far as the limit`() {
        var limits = ContentRules.Limits()
        limits.boundaryBytes = 3
        let content = crlf(
            "Content-Type: multipart/mixed; boundary=abcdef", "", "--abcxyz", "X: 1", "", "--abc--", "X: 2")
        #expect(seen(content, limits: limits).suffix(3) == ["mime_header: X: 1", "body: --abc--", "body: X: 2"])
    }

    /// As Postfix: two more than the limit says.
    @Test(arguments: [(102, false), (103, true)])
    func `a message with too many levels is refused if there are rules for headers`(levels: Int, isTooDeep: Bool) {
        let content = (1...levels).map { crlf("Content-Type: multipart/mixed; boundary=b\($0)_", "", "--b\($0)_") }
            .joined()
        for rules in [ContentRules(header: [table([:])]), ContentRules(mimeHeader: [table([:])])] {
            let checked = check(rules, content)
            let reply = Reply(550, .init(6, 0), "MIME nesting exceeds safety limit")
            #expect(checked.outcome.verdict == (isTooDeep ? .reject(reply) : .accept))
            #expect(checked.text == content)
        }
        #expect(check(ContentRules(body: [table([:])]), content).outcome.verdict == .accept)
        #expect(check(ContentRules(header: [always("DISCARD")]), content).outcome.verdict == .discard)
    }
}
