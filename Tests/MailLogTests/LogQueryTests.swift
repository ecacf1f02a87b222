import Mail
import MailLog
import Testing

/// What is found, and what belongs to it.
struct LogQueryTests {
    private static let first = "1K0QR5MX687"
    private static let second = "1K0QR76JTSG"

    private func line(_ text: String) throws -> LogLine {
        try #require(LogLine("2026-11-21T04:50:00.000Z \(text)".utf8), "\(text)")
    }

    @Test(arguments: [
        ("s@example.org", true), ("S@EXAMPLE.org", true), ("u@example.com", true), ("v@sub.example.com", true),
        ("*@example.com", true), ("<s@example.org>", true), ("x@example.org", false), ("@example.org", true),
        ("example.com", true), ("sub.example.com", true), (".example.com", true), ("example.net", false),
        ("192.0.2.7", true), ("192.0.2.0/24", true), ("192.0.2.8", false), ("2001:db8::1", false), (first, true),
        ("1k0qr5mx687", true), (second, true), ("1K0QR76JTSH", false), ("4K7Q2M", true), ("4k7q2m", true),
        ("4K7Q2N", false), ("RL8GQA", false), ("<>", false), ("mail.example.net", false),
    ]) func `a term is recognised by its form`(text: String, isFound: Bool) throws {
        let line = try self.line(
            "event=queued id=\(Self.second) session=\(Self.first) client=192.0.2.7:25 helo=mail.example.net "
                + "from=s@example.org to=u@example.com,v@sub.example.com ref=4K7Q2M")
        #expect(try LogTerm(recognising: text).matches(line) == isFound)
    }

    @Test(arguments: ["", "x", "nonsense", "1K0QR5MX68U", "ÄÖÜ"]) func `what has no form is refused`(text: String) {
        #expect(throws: LogTerm.SyntaxError.notATerm(text)) { try LogTerm(recognising: text) }
    }

    @Test func `a network with bits behind its prefix is refused`() throws {
        let meant = try IPNetwork("192.0.2.0/24")
        #expect(throws: LogTerm.SyntaxError.hostBitsSet("192.0.2.7/24", meant: meant)) {
            try LogTerm(recognising: "192.0.2.7/24")
        }
        #expect(throws: LogTerm.SyntaxError.notAClient("a/b")) { try LogTerm(recognising: "a/b") }
    }

    @Test func `sides are told apart, and the null reverse-path is found`() throws {
        let line = try self.line("event=queued id=\(Self.first) from=\"\" to=u@example.com")
        #expect(LogTerm.address(named: "<>", .from).matches(line))
        #expect(try LogTerm(recognising: "<>").matches(line))
        #expect(LogTerm.address(named: "u@example.com", .to).matches(line))
        #expect(!LogTerm.address(named: "u@example.com", .from).matches(line))
        #expect(!LogTerm.address(named: "*", .from).matches(try self.line("event=alarm state=raised")))
    }

    @Test func `all terms, the time and the event have to fit`() throws {
        let line = try self.line("event=refused session=\(Self.first) client=192.0.2.7:25 from=s@example.org")
        var query = LogQuery()
        query.terms = [try LogTerm(recognising: "192.0.2.7"), try LogTerm(recognising: "s@example.org")]
        #expect(query.matches(line))
        query.terms.append(try LogTerm(recognising: "u@example.org"))
        #expect(!query.matches(line))
        query.terms = []
        query.events = ["queued"]
        #expect(!query.matches(line))
        query.events = ["queued", "refused"]
        #expect(query.matches(line))
        query.until = line.time
        #expect(!query.matches(line))
        query.until = line.time + .milliseconds(1)
        query.since = line.time
        #expect(query.matches(line))
    }

    @Test(arguments: [
        "s@example.org", "S@EXAMPLE.org", "*@sub.example.com", "example.com", ".example.com", "192.0.2.7",
        "192.0.2.0/24", "192.0.0.0/15", "1k0qr5mx687", "4k7q2m",
    ]) func `a line is found before it is taken apart, in whatever format`(text: String) throws {
        let found =
            "2026-11-21T04:50:00.000Z event=queued id=\(Self.second) session=\(Self.first) client=192.0.2.7:25 "
            + "from=s@example.org to=\"\\\"a b\\\"@sub.example.com,u@example.com\" ref=4K7Q2M"
        let other = "2026-11-21T04:50:00.000Z event=queued id=1K0QR76JTSH client=193.1.2.7:25 from=x@example.net"
        var query = LogQuery()
        query.terms = [try LogTerm(recognising: text)]
        let sieve = LogSieve(query)
        let line = try #require(LogLine(found.utf8))
        #expect(query.matches(line))
        var story = LogStory()
        story.take(line)
        for (raw, isWanted) in [(found, true), (other, false)] {
            let record = #"{"MESSAGE":"\#(raw.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))"}"#
            for written in [Array(raw.utf8), try #require(LogLine(raw.utf8)).json, Array(record.utf8)] {
                #expect(sieve.passes(written[...]) == isWanted)
                #expect(story.mayFollow(written[...]) == isWanted)
            }
            #expect(!LogSieve.isEncoded(Array(raw.utf8)[...]))
        }
        for encoded in [#"{"MESSAGE":[83,116]}"#, #"x event=queued from="\u0073@example.org""#] {
            #expect(LogSieve.isEncoded(Array(encoded.utf8)[...]))
        }
        #expect(!LogStory().mayFollow(Array(found.utf8)[...]))
    }

    @Test func `a story goes from a notice to its message, and to the session that brought it`() throws {
        let texts = [
            "event=screened session=\(Self.first) client=192.0.2.7:25 result=passed",
            "event=queued id=\(Self.second) session=\(Self.first) from=s@example.org to=u@example.com",
            "event=failed id=\(Self.second) to=u@example.com notice=1K0QR76KAAA",
            "event=queued id=1K0QR76KAAA about=\(Self.second) to=s@example.org",
            "event=delivered id=1K0QR76KAAA to=s@example.org",
            "event=delivered id=1K0QR76KBBB to=s@example.org",
            "event=screened session=1K0QR5MX688 client=192.0.2.7:25 result=passed",
        ]
        let lines = try texts.map { try self.line($0) }
        var story = LogStory()
        // Found at the end only.
        story.take(lines[4])
        var readings = 0
        repeat {
            story.beginReading()
            for line in lines { _ = story.follow(line) }
            readings += 1
        } while story.hasGrown
        var belongs: [Bool] = []
        for line in lines { belongs.append(story.follow(line)) }
        #expect(belongs == [true, true, true, true, true, false, false])
        #expect(readings <= 4)
    }

    @Test func `a story has a bound, and says so`() throws {
        var story = LogStory(limit: 2)
        for number in 0..<3 { story.take(try self.line("event=delivered id=ID\(number)")) }
        #expect(story.isCut)
        let (kept, left) = (try self.line("event=delivered id=ID1"), try self.line("event=delivered id=ID2"))
        let followed = (story.follow(kept), story.follow(left))
        #expect(followed == (true, false))
    }

    @Test func `a line for people begins with time, event and message, and keeps every field`() throws {
        let line = try self.line(
            "event=refused session=\(Self.first) client=192.0.2.7:25 helo=h from=s@example.org to=u@example.com "
                + "command=RCPT reply=\"550 5.1.1 no\" ref=4K7Q2M restriction=\"a b\"")
        #expect(
            line.display(.utc) == "2026-11-21 04:50:00 refused    \(Self.first) 192.0.2.7:25 (h) "
                + "<s@example.org> -> <u@example.com> RCPT: 550 5.1.1 no ref=4K7Q2M restriction=\"a b\"")
    }
}
