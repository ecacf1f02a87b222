import Mail
import MailLog
import Testing

/// Lines are read back as they were meant.
struct LogLineTests {
    private static let time = "2026-11-21T04:50:00.123Z"

    @Test func `a line of text has its time, its event and its fields`() throws {
        let text =
            #"\#(Self.time) event=refused session=1 helo="two words" from="" reply="say \"x\" \\ \u000a" score=-3"#
        let line = try #require(LogLine(text.utf8))
        #expect(line.time.rfc3339 == Self.time)
        #expect(line.event == "refused")
        #expect(line.fields.map(\.key) == ["session", "helo", "from", "reply", "score"])
        #expect(line.fields.map(\.value) == ["1", "two words", "", "say \"x\" \\ \n", "-3"])
        #expect(line.integer("score") == -3)
    }

    @Test func `a line of JSON is the same, and is written again as it was`() throws {
        let text = #"{"time":"\#(Self.time)","event":"queued","id":"1","from":"","bytes":20,"helo":"a \"b\" ü"}"#
        let line = try #require(LogLine(text.utf8))
        #expect(line.event == "queued")
        #expect(line["helo"] == "a \"b\" ü")
        #expect(line.integer("bytes") == 20)
        #expect(String(decoding: line.json, as: UTF8.self) == text)
    }

    @Test(arguments: [#"\ud83d\ude00"#, #"\uD83D\uDE00"#]) func `JSON may write characters as pairs`(escape: String)
        throws
    {
        let line = try #require(LogLine(#"{"time":"\#(Self.time)","event":"x","k":"\#(escape)"}"#.utf8))
        #expect(line["k"] == "😀")
        let broken = try #require(LogLine(#"{"time":"\#(Self.time)","event":"x","k":"\ud83dx"}"#.utf8))
        #expect(broken["k"] == "\u{FFFD}x")
    }

    @Test func `what else is said has a level`() throws {
        let line = try #require(LogLine("\(Self.time) level=info message=ready generation=1".utf8))
        #expect(line.event == nil)
        #expect(line["level"] == "info")
        #expect(line["message"] == "ready")
    }

    @Test(arguments: [
        "", " ", "x", "2026-11-21 event=x", "\(time)", "\(time) ", "\(time) event", "\(time) event=", "\(time) =x",
        "\(time) event=x  a=b", "\(time) event=x a=\"b", "\(time) event=x a=\"b\"c", "\(time) event=x a=b\"c",
        "\(time) a=b", "\(time) event=x a=b ", "{}", "[]", "{\"time\":\"\(time)\"}", "{\"time\":\"x\",\"event\":\"y\"}",
        "{\"time\":\"\(time)\",\"event\":\"y\"} x", "{\"time\":\"\(time)\",\"event\":\"y\",\"k\":[1]",
        "{\"time\":\"\(time)\",\"event\":\"y\",\"k\":nul}",
    ]) func `what nobody wrote is no line`(text: String) {
        #expect(LogLine(text.utf8) == nil)
    }

    @Test func `every event is read back, also from the journal`() throws {
        for event in EventSamples.all {
            let pairs = event.fields.list.map { pair -> String in
                switch pair.value {
                case .text(let text):
                    "\(pair.key)=\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
                case .integer(let number): "\(pair.key)=\(number)"
                case .seconds(let number): "\(pair.key)=\(number)"
                }
            }
            let message = (["event=\(event.fields.event)"] + pairs).joined(separator: " ")
            let line = try #require(LogLine("\(Self.time) \(message)".utf8), "\(message)")
            #expect(line.fields.map(\.key) == event.fields.list.map(\.key))
            let quoted = message.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            let record =
                #"{"__REALTIME_TIMESTAMP":"1795236600123999","POSTERN_TIME":"\#(Self.time)","MESSAGE":"\#(quoted)"}"#
            #expect(LogLine(record.utf8) == line, "\(record)")
        }
    }

    @Test func `a record of the journal without a message of ours is taken by its fields`() throws {
        let own =
            #"{"__REALTIME_TIMESTAMP":"1795236600123000","MESSAGE":null,"POSTERN_EVENT":"queued","POSTERN_ID":"7"}"#
        let line = try #require(LogLine(own.utf8))
        #expect(line.event == "queued")
        #expect(line["id"] == "7")
        #expect(line.time.rfc3339 == Self.time)
        let foreign = #"{"__REALTIME_TIMESTAMP":"1795236600123000","MESSAGE":[83,116,97,114,116,255]}"#
        let other = try #require(LogLine(foreign.utf8))
        #expect(other["message"] == "Start\u{FFFD}")
        // Of standard error: it has its own time.
        let line3 = try #require(
            LogLine(#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":"\#(Self.time) event=ended"}"#.utf8))
        #expect(line3.time.rfc3339 == Self.time && line3.event == "ended")
    }

    @Test func `a list of recipients is taken apart at its own commas`() throws {
        let text = #"\#(Self.time) event=queued to="\"a,b\\\"\"@x.example,u@y.example" recipients=2"#
        let line = try #require(LogLine(text.utf8))
        #expect(line.recipients == [#""a,b\""@x.example"#, "u@y.example"])
    }
}

struct LogTimeTests {
    /// An hour east of Greenwich, from April on two.
    private static let zone = LogZone { $0.seconds < 1_806_541_200 ? 3600 : 7200 }
    private let now = Timestamp(seconds: 1_795_237_400)  // 2026-11-21T05:03:20Z

    @Test(
        arguments: [
            ("2026-11-21T04:50:00.123Z", 1_795_236_600_123_000),
            ("2026-11-21T05:50:00.123+01:00", 1_795_236_600_123_000),
            ("2026-11-20T23:50:00-05:00", 1_795_236_600_000_000), ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.9999999Z", -1), ("2024-02-29T00:00:00z", 1_709_164_800_000_000),
        ] as [(String, Int64)]) func `times of RFC 3339 are read`(text: String, microseconds: Int64)
    {
        #expect(Timestamp(rfc3339: text) == Timestamp(microseconds: microseconds))
    }

    @Test(arguments: [
        "", "2026-11-21", "2026-11-21T04:50:00", "2026-13-21T04:50:00Z", "2026-02-29T04:50:00Z", "2026-11-21T24:00:00Z",
        "2026-11-21T04:50:00.Z", "2026-11-21T04:50:00Zx", "2026-11-21T04:50:00+1:00",
    ]) func `nothing else is`(text: String) { #expect(Timestamp(rfc3339: text) == nil) }

    @Test(arguments: [
        ("now", "2026-11-21T05:03:20.000Z"), ("today", "2026-11-20T23:00:00.000Z"),
        ("yesterday", "2026-11-19T23:00:00.000Z"), ("2h", "2026-11-21T03:03:20.000Z"),
        ("2026-11-20", "2026-11-19T23:00:00.000Z"), ("2026-11-20 10:30", "2026-11-20T09:30:00.000Z"),
        ("2026-11-20T10:30:07", "2026-11-20T09:30:07.000Z"), ("2026-11-20T10:30:07Z", "2026-11-20T10:30:07.000Z"),
    ]) func `people give times as they like`(text: String, time: String) {
        #expect(LogTime.read(text, now: self.now, zone: Self.zone)?.rfc3339 == time)
    }

    @Test(arguments: ["", "tomorrow", "2x", "20", "2026-11-20 25:00", "2026-11-20 10:00 x"])
    func `what is no time is refused`(text: String) {
        #expect(LogTime.read(text, now: self.now, zone: Self.zone) == nil)
    }

    @Test func `a day has its own length`() throws {
        // The clocks go forward at this zone's change.
        let day = try #require(LogTime.day("2027-04-01", now: self.now, zone: Self.zone))
        #expect((day.upperBound - day.lowerBound).inSeconds == 23 * 3600)
        let usual = try #require(LogTime.day("yesterday", now: self.now, zone: Self.zone))
        #expect((usual.upperBound - usual.lowerBound).inSeconds == 24 * 3600)
        #expect(LogTime.day("2h", now: self.now, zone: Self.zone) == nil)
    }
}
