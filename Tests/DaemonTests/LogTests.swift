import Daemon
import Foundation
import Glibc
import Harness
import Logging
import Mail
import Queue
import Testing

/// One line for an event, whatever a peer says.
struct LogTests {
    private static let clock = WallClock { Timestamp(microseconds: 1_800_000_000_123_456) }

    private func line(_ event: MailEvent, _ format: LogOptions.Format) -> String {
        String(decoding: LogFormat(format, clock: Self.clock).line(event), as: UTF8.self)
    }

    private func refusal(helo: String? = nil, to: String? = nil, command: String = "RCPT", text: String = "no")
        -> MailEvent
    {
        var refusal = MailEvent.Refusal(
            session: "S1", client: Endpoint(.v4(0xC000_0201), port: 4711), command: command,
            reply: Reply(550, .init(1, 1), text))
        refusal.helo = helo
        refusal.forwardPath = to
        return .refused(refusal)
    }

    private func fields(_ json: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    }

    @Test func `a line of text has its time, its event and pairs`() {
        #expect(
            self.line(self.refusal(helo: "client.example", to: "u@example.test"), .text)
                == "2027-01-15T08:00:00.123Z event=refused session=S1 client=192.0.2.1:4711 helo=client.example "
                + "to=u@example.test command=RCPT reply=\"550 5.1.1 no\"\n")
    }

    @Test func `a line of JSON has the same`() throws {
        let fields = try self.fields(self.line(self.refusal(helo: "client.example"), .json))
        #expect(fields["time"] as? String == "2027-01-15T08:00:00.123Z")
        #expect(fields["event"] as? String == "refused")
        #expect(fields["reply"] as? String == "550 5.1.1 no")
        #expect(fields.count == 7)
    }

    /// What peers say, and what of it is shown.
    static let texts: [(said: String, shown: String)] = [
        ("plain", "plain"), ("two words", "two words"), ("", ""), ("a=b", "a=b"), ("say \"x\" \\", "say \"x\" \\"),
        ("line\r\nevent=delivered", "line??event=delivered"), ("\u{1B}[31mred", "?[31mred"),
        ("tab\tnul\0del\u{7F}", "tab?nul?del?"),
        ("next\u{85}line\u{2028}and\u{2029}", "next?line?and?"), ("ünïcode ✓", "ünïcode ✓"),
        (String(decoding: [0x61, 0xFF, 0xC3, 0x62], as: UTF8.self), "a\u{FFFD}\u{FFFD}b"),
    ]

    @Test(arguments: texts) func `text from peers stays one value of one line`(said: String, shown: String) throws {
        let json = self.line(self.refusal(helo: said), .json)
        #expect(json.filter(\.isNewline).count == 1)
        #expect(try self.fields(json)["helo"] as? String == shown)

        let text = self.line(self.refusal(helo: said), .text)
        #expect(text.filter(\.isNewline).count == 1)
        let escaped = shown.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        let isQuoted = shown.isEmpty || escaped != shown || shown.contains(" ")
        #expect(text.contains(" helo=\(isQuoted ? "\"\(escaped)\"" : shown) command=RCPT "), "\(text)")
    }

    @Test func `text is cut to its stated length, at a character's border`() throws {
        let limit = MailEvent.Fields.maximumBytes
        for (text, length) in [
            (String(repeating: "x", count: limit), limit), (String(repeating: "x", count: 10_000), limit),
            ("x" + String(repeating: "ü", count: limit), limit - 1), (String(repeating: "😀", count: limit), limit),
        ] {
            let shown = try #require(try self.fields(self.line(self.refusal(helo: text), .json))["helo"] as? String)
            #expect(shown.utf8.count == length)
            #expect(text.hasPrefix(shown))
        }
    }

    @Test(arguments: [(1500, "1.500"), (0, "0.000"), (61_001, "61.001"), (-500, "-0.500"), (-61_001, "-61.001")])
    func `durations are seconds with three places`(milliseconds: Int, text: String) {
        let outcome = MailEvent.Outcome(
            reversePath: .null, recipients: [], destination: "d", remote: nil, reply: Reply(250, nil, "ok"),
            age: .milliseconds(milliseconds))
        let event = MailEvent.delivered(QueueID(value: 1), outcome)
        #expect(self.line(event, .text).contains(" age=\(text)\n"))
        #expect(self.line(event, .json).contains("\"age\":\(text)}"))
    }

    @Test(arguments: [LogOptions.Format.text, .json])
    func `what else is said is one line too, and cut`(format: LogOptions.Format) throws {
        let folder = try TemporaryFolder()
        let descriptor = open(folder.path("log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let writer = try LogWriter(descriptor: descriptor)
        var logger = Logger(label: "t") { _ in LogBackend(writer, LogFormat(format, clock: Self.clock), level: .info) }
        logger[metadataKey: "b"] = "1"
        logger.info("first\nevent=delivered \u{1B}[1m\u{9B}x", metadata: ["a": "x\r\ny", "c": "\"q\""])
        logger.debug("not said")
        logger.error(
            "\(String(repeating: "m", count: 5000))", metadata: ["a": "\(String(repeating: "a", count: 5000))"])
        writer.close()
        close(descriptor)
        let lines = folder.text("log").split(separator: "\n", omittingEmptySubsequences: false)
        try #require(lines.count == 3 && lines[2].isEmpty)
        #expect(lines[1].utf8.count < 2200)
        switch format {
        case .text:
            #expect(
                lines[0]
                    == "2027-01-15T08:00:00.123Z level=info message=\"first?event=delivered ?[1m?x\" a=x??y b=1 c=\"\\\"q\\\"\""
            )
        case .json:
            #expect(try self.fields(String(lines[0]))["message"] as? String == "first?event=delivered ?[1m?x")
            #expect(try self.fields(String(lines[0]))["c"] as? String == "\"q\"")
        }
    }

    @Test func `a line stays one, whatever it is given`() throws {
        let said = "a\r\nb\0\u{1B}\t\""
        let json = LogFormat(.json, clock: Self.clock).line(level: "info", message: said, [("key", said)])
        #expect(try self.fields(String(decoding: json, as: UTF8.self))["key"] as? String == said)
        let text = LogFormat(.text, clock: Self.clock).line(level: "info", message: said, [("key", said)])
        let escaped = #""a\u000d\u000ab\u0000\u001b\u0009\"""#
        #expect(
            String(decoding: text, as: UTF8.self)
                == "2027-01-15T08:00:00.123Z level=info message=\(escaped) key=\(escaped)\n")
    }

    @Test func `lines are written in order, and all of them`() throws {
        let folder = try TemporaryFolder()
        let descriptor = open(folder.path("log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let writer = try LogWriter(descriptor: descriptor)
        for number in 0..<10_000 { writer.write(Array("\(number)\n".utf8)) }
        writer.close()
        close(descriptor)
        #expect(folder.text("log").split(separator: "\n").compactMap { Int($0) } == Array(0..<10_000))
    }
}
