import Harness
import Mail
import Reports
import Testing

/// The document and its message, as somebody else reads them.
struct TLSReportTests {
    private static let reporter = Reporter(
        hostname: "mx.example.net", organization: "Example & \"Sons\"", email: "tls@example.net")

    private func report(_ rows: [TLSReport.Row]) -> TLSReport {
        TLSReport(reporter: Self.reporter, day: ReportDay(number: 20_000), domain: "example.com", rows: rows)
    }

    private static let policy = TransportObservation.Policy(
        type: .sts, strings: ["version: STSv1", "mode: testing", "mx: *.example.com", "max_age: 86400"],
        domain: "example.com", mxPatterns: ["*.example.com"])

    private func observation(
        _ result: TransportObservation.Result, _ policy: TransportObservation.Policy = policy,
        host: String? = "mx1.example.com"
    ) -> TransportObservation {
        TransportObservation(
            domain: "example.com", policy: policy, result: result, receivingHost: host,
            receivingAddress: IPAddress("2001:db8::25"), sendingAddress: IPAddress("192.0.2.1"))
    }

    private func row(_ observation: TransportObservation, _ count: UInt64) -> TLSReport.Row {
        .init(TransportRow(observation), count: count)
    }

    @Test func `another reader finds every field, by its policy`() throws {
        let tlsa = TransportObservation.Policy(type: .tlsa, strings: ["3 1 1 00FF"], domain: "mx1.example.com")
        let unnamed = TransportObservation(
            domain: "example.com", policy: .init(type: .none, domain: "example.com"),
            result: .failure(.stsPolicyFetchError, reason: nil))
        let report = self.report([
            self.row(self.observation(.success), 5),
            self.row(self.observation(.failure(.certificateExpired, reason: "since yesterday")), 3),
            self.row(self.observation(.success, tlsa), 7),
            self.row(self.observation(.failure(.startTLSNotSupported, reason: nil)), 2),
            self.row(unnamed, 1),
        ])
        let read = try ReadTLSReport(document: report.text)
        #expect(read.problems == [])
        #expect(read.report.organization_name == "Example & \"Sons\"")
        #expect(read.report.contact_info == "tls@example.net")
        #expect(read.report.report_id == "1728000000.tls.example.com@mx.example.net")
        #expect(
            read.report.date_range
                == ["start-datetime": "2024-10-04T00:00:00Z", "end-datetime": "2024-10-04T23:59:59Z"])
        let policies = read.report.policies
        #expect(policies.map(\.policy.policy_type) == ["sts", "tlsa", "no-policy-found"])
        #expect(policies.map(\.policy.policy_domain) == ["example.com", "mx1.example.com", "example.com"])
        #expect(policies.map(\.policy.policy_string) == [Self.policy.strings, ["3 1 1 00FF"], nil])
        #expect(policies.map(\.policy.mx_host) == [["*.example.com"], nil, nil])
        #expect(policies.map { $0.summary["total-successful-session-count"] } == [5, 7, 0])
        #expect(policies.map { $0.summary["total-failure-session-count"] } == [5, 0, 1])
        #expect(policies.map(\.failure_details.count) == [2, 0, 1])
        let first = try #require(policies.first?.failure_details.first)
        #expect(first.result_type == "certificate-expired" && first.failed_session_count == 3)
        #expect(first.sending_mta_ip == "192.0.2.1" && first.receiving_ip == "2001:db8::25")
        #expect(first.receiving_mx_hostname == "mx1.example.com" && first.failure_reason_code == "since yesterday")
        let last = try #require(policies.last?.failure_details.first)
        #expect(last.receiving_ip == nil && last.receiving_mx_hostname == nil && last.failure_reason_code == nil)
    }

    @Test(arguments: TransportObservation.Failure.allCases)
    func `each failure has its name in the RFC`(failure: TransportObservation.Failure) throws {
        let read = try ReadTLSReport(
            document: self.report([self.row(self.observation(.failure(failure, reason: nil)), 1)]).text)
        #expect(read.problems == [])
    }

    private static let hostile = [
        "\",\"policies\":[{\"x\":\"", "\\", "\\\"", "}]}", "\u{0}\u{1}\u{8}\t\u{1F}\u{7F}\u{85}\u{9F}", "\r\n",
        "é\u{1F600}\u{2028}\u{2029}", "\u{FFFD}", "</script>", "",
    ]

    @Test(arguments: hostile) func `text of a peer stays within its quotes`(text: String) throws {
        let policy = TransportObservation.Policy(type: .sts, strings: [text, text], domain: text, mxPatterns: [text])
        let report = self.report([
            self.row(self.observation(.failure(.validationFailure, reason: text), policy, host: text), 4)
        ])
        let read = try ReadTLSReport(document: report.text)
        #expect(read.problems == [])
        let entry = try #require(read.report.policies.first)
        #expect(read.report.policies.count == 1 && entry.failure_details.count == 1)
        #expect(entry.policy.policy_string == [text, text] && entry.policy.mx_host == [text])
        #expect(entry.policy.policy_domain == text)
        #expect(entry.failure_details.first?.receiving_mx_hostname == text)
        #expect(entry.failure_details.first?.failure_reason_code == text)
    }

    @Test func `what I-JSON has no place for is not in it`() throws {
        let scalars = [0x61, 0xFFFE, 0xFFFF, 0xFDD0, 0x1FFFF, 0x62].compactMap { Unicode.Scalar($0 as UInt32) }
        let text = String(String.UnicodeScalarView(scalars))
        let report = self.report([self.row(self.observation(.failure(.tlsaInvalid, reason: text)), .max)])
        let read = try ReadTLSReport(document: report.text)
        let failure = try #require(read.report.policies.first?.failure_details.first)
        #expect(failure.failure_reason_code == "a????b" && failure.failed_session_count == 1 << 53 - 1)
    }

    @Test func `the message is what RFC 8460 describes, and goes without demands`() throws {
        let report = self.report([self.row(self.observation(.success), 1)])
        let packed = try #require(report.packed())
        let message = ReportMessage(
            report, packed: packed, from: try #require(Mailbox("tls@example.net")),
            to: [try #require(Mailbox("a@example.com"))], time: Timestamp(seconds: 20_001 * 86_400))
        let (outside, read) = try ReadTLSReport.message(message.content)
        #expect(read.problems == [] && outside.defects == [] && outside.attachments == 1)
        #expect(outside.kinds == ["multipart/report", "tlsrpt", "text/plain", "application/tlsrpt+gzip"])
        let id = "<1728000000.tls.example.com@mx.example.net>"
        #expect(outside.header["Subject"] == "Report Domain: example.com Submitter: mx.example.net Report-ID: \(id)")
        #expect(outside.header["TLS-Report-Domain"] == "example.com")
        #expect(outside.header["TLS-Report-Submitter"] == "mx.example.net")
        #expect(outside.header["TLS-Required"] == "No")
        #expect(outside.header["Auto-Submitted"] == "auto-generated")
        #expect(outside.header["Message-ID"]?.hasSuffix(".tls.example.com@mx.example.net>") == true)
        let start = "mx.example.net!example.com!1728000000!1728086399!"
        #expect(outside.fileName.hasPrefix(start) && outside.fileName.hasSuffix(".json.gz"))
        let unique = outside.fileName.dropFirst(start.count).dropLast(".json.gz".count)
        #expect(!unique.isEmpty && unique.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) })
        #expect(read.report.report_id == String(id.dropFirst().dropLast()))
        #expect(message.envelope(from: .null).parameters.tls == .optional)
        #expect(try ReadReport.unpacked(packed) == String(decoding: report.text, as: UTF8.self))
    }

    @Test func `a report on DMARC makes no such demand, and is another message`() throws {
        let mailbox = try #require(Mailbox("a@example.com"))
        let dmarc = AggregateReport(
            reporter: Self.reporter, day: ReportDay(number: 20_000),
            policy: .init(domain: "example.com", policy: .none, destinations: []), rows: [])
        let (one, other) = (
            ReportMessage(dmarc, packed: [], from: mailbox, to: [mailbox], time: Timestamp(seconds: 0)),
            ReportMessage(self.report([]), packed: [], from: mailbox, to: [mailbox], time: Timestamp(seconds: 0))
        )
        #expect(one.envelope(from: .null).parameters.tls == .unspecified)
        #expect(one.messageID != other.messageID && dmarc.reportID != self.report([]).reportID)
    }

    @Test func `a row is read as it was written, and nothing that is cut short or longer is`() {
        for result in [.success, .failure(.daneRequired, reason: "é"), .failure(.dnssecInvalid, reason: nil)]
            as [TransportObservation.Result]
        {
            let row = TransportRow(self.observation(result))
            let bytes = row.encoded()
            #expect(TransportRow(record: bytes) == row)
            for count in bytes.indices { #expect(TransportRow(record: Array(bytes[..<count])) == nil) }
            #expect(TransportRow(record: bytes + [0]) == nil)
        }
    }

    @Test func `what a peer made long is cut`() throws {
        let long = String(repeating: "é", count: 500)
        let policy = TransportObservation.Policy(
            type: .sts, strings: Array(repeating: "0123456789", count: 5000), domain: long,
            mxPatterns: [long, long, long])
        let row = TransportRow(self.observation(.failure(.stsPolicyInvalid, reason: long), policy, host: long))
        let bytes = row.encoded()
        let read = try #require(TransportRow(record: bytes))
        #expect(bytes.count < 5000 && read.policy.strings.count == 170 && read.policy.mxPatterns == [long, long])
        #expect(read.failure?.reason == String(repeating: "é", count: 100))
        #expect(read.encoded() == bytes)
    }

    @Test func `the order of TLSA records makes no other policy, that of lines does`() {
        for (type, isSame) in [(TransportObservation.PolicyType.tlsa, true), (.sts, false)] {
            let rows = [["3 1 1 AA", "2 0 1 BB"], ["2 0 1 BB", "3 1 1 AA"]].map { strings in
                TransportRow(self.observation(.success, .init(type: type, strings: strings, domain: "mx.example.com")))
            }
            #expect((rows[0] == rows[1]) == isSame)
        }
    }

    @Test func `of sessions that came about only the policy is told apart`() {
        let rows = ["mx1.example.com", "mx2.example.com"].map {
            TransportRow(self.observation(.success, host: $0))
        }
        #expect(rows[0] == rows[1])
    }
}
