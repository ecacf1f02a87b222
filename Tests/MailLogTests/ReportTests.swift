import Mail
import Testing

@testable import MailLog

/// Sums, and what becomes of them.
struct ReportTests {
    private func tally(_ lines: [String], capacity: Int = 100) throws -> ReportTally {
        var tally = ReportTally(zone: .utc, capacity: capacity)
        for line in lines { tally.add(try #require(LogLine(line.utf8), "\(line)")) }
        return tally
    }

    private func report(_ tally: ReportTally, top: Int = 20) -> MailReport {
        let start = Timestamp(seconds: 1_795_219_200)
        return MailReport(
            hostname: "mx.example.com", period: start..<start + .seconds(86_400), zone: .utc,
            sections: tally.sections(top: top))
    }

    /// A day with one of everything.
    private static let day = [
        "2026-11-21T01:00:00.000Z event=queued id=1 session=a client=192.0.2.7:25 from=S@Example.org "
            + "to=u@example.com,v@example.net recipients=2 bytes=1000 authentication=\"spf=pass dkim=fail\" tls=TLSv1.3/X/256",
        "2026-11-21T01:00:00.500Z event=queued id=2 session=b client=192.0.2.8:25 from=\"\" to=u@example.com recipients=1 "
            + "bytes=500 authentication=\"spf=none dkim=fail\" held=yes",
        "2026-11-21T01:00:01.000Z event=delivered id=1 from=s@example.org to=u@example.com recipients=1 bytes=1000 "
            + "destination=d remote=r tls=\"dane TLSv1.3/X/256\" reply=\"250 ok\" age=1.000",
        "2026-11-21T02:00:00.000Z event=attempted id=1 from=s@example.org to=v@example.net recipients=1 bytes=1000 "
            + "destination=d tls=none reply=\"450 4.2.2 <v@example.net>: full\" age=3600.000 due=2026-11-21T03:00:00.000Z",
        "2026-11-21T03:00:00.000Z event=failed id=1 from=s@example.org to=v@example.net recipients=1 bytes=1000 "
            + "destination=d reply=\"550 5.1.1 no\" age=7200.000 notice=3",
        "2026-11-21T03:00:00.100Z event=queued id=3 from=\"\" to=s@example.org recipients=1 bytes=300 about=1",
        "2026-11-21T04:00:00.000Z event=refused session=c client=192.0.2.9:25 from=x@bad.example to=u@example.com command=RCPT "
            + "reply=\"554 5.7.1 listed [ref 4K7Q2M]\" ref=4K7Q2M list=recipient restriction=\"reject_rbl_client zen.example=127.0.0.2\" "
            + "rule=/etc/postern/postern.yaml:31 generation=1",
        "2026-11-21T04:00:01.000Z event=refused session=c client=192.0.2.9:25 command=RCPT reply=\"450 4.2.0 later\" "
            + "list=recipient restriction=greylist",
        "2026-11-21T04:00:02.000Z event=refused session=c client=192.0.2.9:25 helo=bad.example command=MAIL "
            + "reply=\"503 5.5.1 bad.example out of order\"",
        "2026-11-21T04:00:02.000Z event=screened session=c client=192.0.2.9:25 result=failed tests=dnsbl:enforce score=2 "
            + "lists=zen.example:3,good.example:-1",
        "2026-11-21T04:00:02.000Z event=screened session=d client=192.0.2.7:25 result=passed lists=zen.example:3",
        "2026-11-21T05:00:00.000Z event=noted session=c client=192.0.2.9:25 kind=effect text=\"DISCARD x\" list=body",
        "2026-11-21T05:00:00.000Z event=noted session=c client=192.0.2.9:25 kind=reject_warning text=t rule=f:1",
        "2026-11-21T05:00:00.000Z event=operated id=2 action=delete",
        "2026-11-21T05:00:00.000Z event=tls_failed session=c client=192.0.2.9:25 detail=x",
        "2026-11-21T06:00:00.000Z event=alarm state=raised text=\"the queue is full\"",
        "2026-11-21T06:30:00.000Z event=alarm state=cleared text=\"the queue is full\"",
        "2026-11-21T07:00:00.000Z level=info message=x",
    ]

    private func rows(_ report: MailReport, _ key: String) throws -> [[String]] {
        try #require(report.section(key), "\(key)").rows.map { $0.map(\.shown) }
    }

    @Test func `each line is counted where it belongs`() throws {
        let report = self.report(try self.tally(Self.day))
        let totals = try #require(report.section("totals"))
        let values = Dictionary(uniqueKeysWithValues: zip(totals.names, totals.rows.map { $0[1] }))
        #expect(
            values == [
                "received": .count(2), "received_bytes": .bytes(1500), "received_recipients": .count(3),
                "own": .count(1),
                "delivered": .count(1), "delivered_bytes": .bytes(1000), "deferred": .count(1), "failed": .count(1),
                "rejected": .count(2), "deferred_clients": .count(1), "greylisted": .count(1),
                "reject_warnings": .count(1), "held": .count(1), "discarded": .count(1), "deleted": .count(1),
                "tls_failed": .count(1), "senders": .count(2), "recipients": .count(2), "clients": .count(2),
            ])
        #expect(try self.rows(report, "senders") == [["1", "500 B", "<>"], ["1", "1.0 KB", "s@example.org"]])
        #expect(
            try self.rows(report, "recipient_domains") == [
                ["2", "1.5 KB", "1", "0", "0", "1.0 s", "1.0 s", "example.com"],
                ["1", "1.0 KB", "0", "1", "1", "0.0 s", "0.0 s", "example.net"],
            ])
        #expect(try self.rows(report, "deferrals") == [["1", "450 4.2.2 <…>: full"]])
        #expect(try self.rows(report, "failures") == [["1", "550 5.1.1 no"]])
        #expect(
            try self.rows(report, "rules") == [["1", "/etc/postern/postern.yaml:31", "554 5.7.1 listed [ref 4K7Q2M]"]])
        #expect(try self.rows(report, "lists") == [["2", "zen.example"]])
        #expect(try self.rows(report, "protocol_refusals") == [["1", "MAIL: 503 5.5.1 … out of order"]])
        #expect(try self.rows(report, "refused_clients") == [["3", "192.0.2.9"]])
        #expect(try self.rows(report, "screener") == [["1", "failed"], ["1", "passed"]])
        #expect(try self.rows(report, "tls_in") == [["1", "50.0 %", "TLSv1.3"], ["1", "50.0 %", "none"]])
        #expect(try self.rows(report, "tls_out") == [["1", "100.0 %", "TLSv1.3"]])
        #expect(
            try self.rows(report, "authentication") == [
                ["2", "dkim", "fail"], ["1", "spf", "none"], ["1", "spf", "pass"],
            ])
        #expect(try self.rows(report, "alarms") == [["2026-11-21 06:00:00", "the queue is full"]])
        let hours = try self.rows(report, "hours")
        #expect(hours[1] == ["01-02", "2", "1", "0", "0", "0"])
        #expect(hours[4] == ["04-05", "0", "0", "0", "0", "3"])
        #expect(hours.count == 24)
    }

    @Test func `memory is bounded, who comes most is kept, and the text says so`() throws {
        var lines: [String] = []
        for number in 0..<500 {
            for sender in ["often", "once\(number)"] {
                lines.append(
                    "2026-11-21T01:00:00.000Z event=queued id=1 session=a from=\(sender)@example.org to=u@example.com "
                        + "recipients=1 bytes=1")
            }
        }
        let tally = try self.tally(lines, capacity: 10)
        #expect(tally.senders.values.count < 20)
        let report = self.report(tally)
        #expect(try self.rows(report, "senders").first == ["500", "500 B", "often@example.org"])
        #expect(report.text.contains("(There were too many to count each; numbers of rare ones may be too low.)"))
        #expect(!self.report(try self.tally(Self.day)).text.contains("too many"))
    }

    @Test func `the text has no line beyond 80 columns`() throws {
        let long = String(repeating: "long words and more ", count: 20)
        let report = self.report(
            try self.tally(
                Self.day + [
                    "2026-11-21T04:00:00.000Z event=refused session=c client=192.0.2.9:25 command=RCPT reply=\"554 \(long)\" "
                        + "list=recipient restriction=\"check_x texthash:/a/very/long/path/that/goes/on/and/on/and/on/and/on/x\" "
                        + "rule=/a/very/long/path/that/goes/on/and/on/and/on/and/on/and/on/and/on/and/on/x:1",
                    "2026-11-21T04:00:00.000Z event=failed id=1 to=\(String(repeating: "x", count: 200))@example.com "
                        + "recipients=1 reply=\"\(String(repeating: "y", count: 300))\" age=1",
                ]))
        for line in report.text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
        #expect(report.text.hasPrefix("Postern report for mx.example.com, 2026-11-21\n"))
    }

    @Test func `nothing that others wrote is HTML, or ends a line`() throws {
        let report = self.report(
            try self.tally([
                "2026-11-21T04:00:00.000Z event=failed id=1 to=\"<script>alert('1')</script>&@example.com\" recipients=1 "
                    + #"reply="550 <img src=\"http://evil.example/\"> \u000a x" age=1"#
            ]))
        for part in ["<script", "<img", "'1'", "http://evil.example/\""] { #expect(!report.html.contains(part)) }
        #expect(report.html.contains("&lt;img src=&quot;http://evil.example/&quot;&gt; ? x"))
        #expect(!report.html.contains("<img") && !report.html.contains("url("))
    }

    @Test func `JSON is one document, whatever was written`() throws {
        let report = self.report(try self.tally(Self.day))
        let text = String(decoding: report.json, as: UTF8.self)
        let members = try #require(FlatJSON.object(report.json), "\(text)")
        #expect(members.map(\.key) == ["hostname", "start", "end"] + report.sections.map(\.key))
        #expect(text.contains(#""totals":{"received":2,"received_bytes":1500,"#))
        #expect(text.contains(#""failures":[{"count":1,"reply":"550 5.1.1 no"}]"#))
        #expect(text.contains(#""mean_delay":1.000"#))
    }

    @Test func `the mail has both, and only lines that mail may have`() throws {
        let report = self.report(
            try self.tally(
                Self.day + [
                    "2026-11-21T04:00:00.000Z event=failed id=1 to=ü@exämple.com recipients=1 reply=\"550 = ü\" age=1"
                ]))
        let (from, to) = (try #require(Mailbox("postmaster@mx.example.com")), try #require(Mailbox("a@example.com")))
        let bytes = report.message(from: from, to: [to, to], time: Timestamp(seconds: 1_795_305_600), mark: "m1")
        #expect(bytes.allSatisfy { $0 < 0x80 })
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.components(separatedBy: "\r\n")
        #expect(lines.allSatisfy { $0.utf8.count <= 78 && !$0.contains("\n") && !$0.contains("\r") })
        #expect(lines.allSatisfy { $0.last != " " })
        for field in [
            "Date: Sun, 22 Nov 2026 00:00:00 +0000", "From: Postern <postmaster@mx.example.com>",
            "To: <a@example.com>,",
            "Message-ID: <m1.report@mx.example.com>", "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
        ] {
            #expect(lines.prefix { !$0.isEmpty }.contains(field), "\(field)")
        }
        #expect(lines.count { $0 == "--=_m1_report" } == 2)
        #expect(lines.count { $0 == "--=_m1_report--" } == 1)
        let parts = text.components(separatedBy: "--=_m1_report").dropFirst().prefix(2).map { part -> String in
            let body = part.components(separatedBy: "\r\n\r\n").dropFirst().joined(separator: "\r\n\r\n")
            return Self.decoded(body)
        }
        #expect(parts == [report.text, report.html])
    }

    /// What quoted-printable stands for, without the border's line end.
    private static func decoded(_ text: String) -> String {
        var (output, rest): ([UInt8], ArraySlice<UInt8>) = ([], Array(text.replacing("=\r\n", with: "").utf8)[...])
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "=") else {
                if byte != 13 { output.append(byte) }
                continue
            }
            output.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0)
            rest = rest.dropFirst(2)
        }
        return String(decoding: output, as: UTF8.self)
    }
}
