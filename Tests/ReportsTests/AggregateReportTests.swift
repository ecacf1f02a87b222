import Harness
import Inflate
import Mail
import Reports
import Testing

/// The document and its message, as somebody else reads them.
struct AggregateReportTests {
    private let day = ReportDay(number: 20_000)

    private func reporter() -> Reporter {
        .init(
            hostname: "mx.example.net", organization: "Example & Sons", email: "reports@example.net",
            extraContact: "https://example.net/?a=1&b=2")
    }

    private func read(
        _ policy: DMARCObservation.PublishedPolicy, _ rows: [AggregateReport.Row]
    ) throws -> ReadReport {
        let report = AggregateReport(reporter: self.reporter(), day: self.day, policy: policy, rows: rows)
        let message = ReportMessage(
            report, packed: try #require(report.packed()), from: try #require(Mailbox("reports@example.net")),
            to: [try #require(Mailbox("a@example.com"))], time: Timestamp(seconds: 20_001 * 86_400))
        return try ReadReport(message: message.content)
    }

    private func policy() -> DMARCObservation.PublishedPolicy {
        .init(domain: "example.com", policy: .quarantine, subdomainPolicy: .reject, destinations: [])
    }

    private func result(_ source: IPAddress = .v4(0xC000_0201)) -> DMARCObservation.Result {
        .init(
            source: source, disposition: .quarantine, isDKIMAligned: false, isSPFAligned: true,
            headerFrom: "sub.example.com", envelopeFrom: "bounce.example.com")
    }

    @Test func `another reader finds every field, and the schema nothing to complain of`() throws {
        var policy = self.policy()
        (policy.dkimAlignment, policy.percent, policy.failureOptions) = (.strict, 30, "1:d")
        var result = self.result()
        result.envelopeTo = "example.test"
        result.overrides = [.init(.mailingList, comment: "arc=pass"), .init(.sampledOut)]
        result.dkim = [
            .init(domain: "a.example", selector: "s1", outcome: .permerror, human: "no key"),
            .init(domain: "b.example", selector: nil, outcome: .pass),
        ]
        result.spf = [
            .init(domain: "bounce.example.com", scope: .mailFrom, outcome: .pass),
            .init(domain: "host.example", scope: .helo, outcome: .temperror),
        ]
        let read = try self.read(
            policy, [.init(result, count: 12), .init(self.result(.v6(high: 1, low: 2)), count: 1)])
        #expect(read.problems == [] && read.defects == [] && read.attachments == 1)
        let feedback = read.feedback
        #expect(feedback.version == "1.0")
        #expect(feedback.report_metadata.org_name == "Example & Sons")
        #expect(feedback.report_metadata.email == "reports@example.net")
        #expect(feedback.report_metadata.extra_contact_info == "https://example.net/?a=1&b=2")
        #expect(feedback.report_metadata.report_id == "1728000000.example.com@mx.example.net")
        #expect(feedback.report_metadata.date_range == ["begin": "1728000000", "end": "1728086399"])
        let published = ["domain": "example.com", "adkim": "s", "aspf": "r", "p": "quarantine", "sp": "reject"]
        #expect(feedback.policy_published == published.merging(["pct": "30", "fo": "1:d"]) { $1 })
        #expect(feedback.record.map(\.row.count) == ["12", "1"])
        #expect(feedback.record.map(\.row.source_ip) == ["192.0.2.1", "::1:0:0:0:2"])
        let first = try #require(feedback.record.first)
        #expect(first.row.policy_evaluated.disposition == "quarantine")
        #expect(first.row.policy_evaluated.dkim == "fail" && first.row.policy_evaluated.spf == "pass")
        let reasons = [["type": "mailing_list", "comment": "arc=pass"], ["type": "sampled_out"]]
        #expect(first.row.policy_evaluated.reason == reasons)
        let identifiers = ["envelope_from": "bounce.example.com", "header_from": "sub.example.com"]
        #expect(first.identifiers == identifiers.merging(["envelope_to": "example.test"]) { $1 })
        let signature = ["domain": "a.example", "selector": "s1", "result": "permerror", "human_result": "no key"]
        #expect(first.auth_results["dkim"] == [signature, ["domain": "b.example", "result": "pass"]])
        #expect(
            first.auth_results["spf"] == [
                ["domain": "bounce.example.com", "scope": "mfrom", "result": "pass"],
                ["domain": "host.example", "scope": "helo", "result": "temperror"],
            ])
        let none = [["domain": "bounce.example.com", "scope": "mfrom", "result": "none"]]
        #expect(feedback.record.last?.auth_results == ["spf": none])
    }

    @Test func `the message is what RFC 7489 describes`() throws {
        let read = try self.read(self.policy(), [.init(self.result(), count: 1)])
        let id = "<1728000000.example.com@mx.example.net>"
        #expect(read.header["Subject"] == "Report Domain: example.com Submitter: mx.example.net Report-ID: \(id)")
        #expect(read.header["From"] == "reports@example.net" || read.header["From"] == "<reports@example.net>")
        #expect(read.header["Auto-Submitted"] == "auto-generated")
        #expect(
            read.header["Date"] == "Sat, 05 Oct 2024 00:00:00 +0000"
                || read.header["Date"] == "Sat, 5 Oct 2024 00:00:00 +0000")
        #expect(read.header["Message-ID"]?.hasSuffix(".example.com@mx.example.net>") == true)
        #expect(read.type == "application/gzip")
        #expect(read.fileName == "mx.example.net!example.com!1728000000!1728086399.xml.gz")
        #expect(read.name == read.fileName)
    }

    @Test func `a policy for domains that do not exist is told where it was published`() throws {
        var policy = self.policy()
        policy.nonexistentPolicy = .reject
        let read = try self.read(policy, [.init(self.result(), count: 1)])
        #expect(read.problems == [])
        #expect(read.feedback.policy_published["np"] == "reject")
    }

    private static let hostile = [
        "</domain><domain>evil", "a&b", "]]>", "\u{0}\u{1}\u{8}\u{B}\u{1F}\u{7F}\u{85}", "\u{FFFE}\u{FFFF}",
        "é\u{1F600}",
        "\r\n<record/>", "\"'", "<!DOCTYPE x [<!ENTITY y \"z\">]>&y;", "",
    ]

    @Test(arguments: hostile) func `text of a peer cannot leave its element`(text: String) throws {
        var result = self.result()
        result.envelopeFrom = text
        result.headerFrom = text
        result.spf = [.init(domain: text, scope: .helo, outcome: .fail)]
        result.dkim = [.init(domain: text, selector: text, outcome: .fail, human: text)]
        result.overrides = [.init(.other, comment: text)]
        let read = try self.read(self.policy(), [.init(result, count: 1)])
        let expected = String(
            String.UnicodeScalarView(
                text.unicodeScalars.map {
                    $0.value < 32 || 0x7F...0x9F ~= $0.value || $0.value & 0xFFFE == 0xFFFE ? "?" : $0
                }))
        let record = try #require(read.feedback.record.first)
        #expect(read.problems == [] && read.feedback.record.count == 1)
        #expect(record.identifiers["envelope_from"] == expected && record.identifiers["header_from"] == expected)
        #expect(record.auth_results["dkim"]?.first?["human_result"] == expected)
        #expect(record.row.policy_evaluated.reason?.first?["comment"] == expected)
    }

    @Test func `what is packed is the document, however long it is`() throws {
        for count in [0, 1, 3000] {
            let rows = (0..<count).map { AggregateReport.Row(self.result(.v4(UInt32($0) &* 2_654_435_761)), count: 1) }
            let report = AggregateReport(reporter: self.reporter(), day: self.day, policy: self.policy(), rows: rows)
            let packed = try #require(report.packed())
            #expect(try ReadReport.unpacked(packed) == String(decoding: report.text, as: UTF8.self))
            #expect(packed == report.packed(), "the same becomes the same")
        }
    }
}

struct GzipWriterTests {
    @Test(arguments: [[0], [1], [16384], [1, 16383, 1], [(1 << 20) + 5], [3, 0, 100_000, 2]])
    func `what was written in pieces is unpacked whole`(pieces: [Int]) throws {
        var seed: UInt64 = 7
        let text = (0..<pieces.reduce(0, +)).map { _ -> UInt8 in
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            return UInt8(ascii: "a") + UInt8(seed >> 60)
        }
        let writer = try #require(GzipWriter())
        var output: [UInt8] = []
        var rest = text[...]
        for piece in pieces {
            writer.write(Array(rest.prefix(piece)), to: &output)
            rest = rest.dropFirst(piece)
        }
        writer.finish(&output)
        #expect(output.starts(with: [0x1F, 0x8B]))
        #expect(try ReadReport.unpacked(output).utf8.elementsEqual(text))
    }
}
