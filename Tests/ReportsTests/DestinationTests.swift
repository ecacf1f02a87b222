import Harness
import Mail
import Reports
import Testing

/// Where reports may go.
struct DestinationTests {
    @Test(
        arguments: [
            ("mailto:a@example.com", "a@example.com"), ("MAILTO:A.b%2Bc@Example.com?subject=x", "A.b+c@Example.com"),
            ("mailto:%22a b%22@example.com", "\"a b\"@example.com"), ("mailto:a@example.com%2Cb@example.com", nil),
            ("https://example.com/report", nil), ("mailto:", nil), ("mailto:a", nil), ("mailto:a@[192.0.2.1]", nil),
            ("mailto:a@example.com%0D%0ABcc:b", nil), ("mailto:a%4", nil), ("mailto:ä@example.com", nil),
            ("mailto:%C3%A4@example.com", nil), ("mailto:%FF@example.com", nil), ("a@example.com", nil), ("", nil),
        ] as [(String, String?)])
    func `only one ASCII mailbox of a mailto URI is a destination`(text: String, mailbox: String?) {
        #expect(ReportDestination(ReportURI(text))?.mailbox.description == mailbox)
    }

    @Test func `a list of URIs is read with its limits, and what is no URI is left out`() {
        let list = ReportURIList(
            " mailto:a@b.c!10m ,mailto:d@e.f!1,x,mailto:g@h.i!5x,mailto:j@k.l!,m:n!2k!3,mailto:o@p!1T")
        #expect(
            list.uris == [
                ReportURI("mailto:a@b.c", limitBytes: 10 << 20), ReportURI("mailto:d@e.f", limitBytes: 1),
                ReportURI("mailto:o@p", limitBytes: 1 << 40),
            ])
        #expect(ReportURIList("mailto:a@b!99999999999t").uris == [ReportURI("mailto:a@b", limitBytes: .max)])
        #expect(ReportURIList("").uris == [])
    }

    private struct Case: CustomTestStringConvertible {
        let uri: String
        /// Nil for a name server that does not answer.
        let records: [String]?
        let expected: DestinationCheck.Verdict
        var isAsked = true

        init(_ uri: String, _ records: [String]?, _ expected: DestinationCheck.Verdict, isAsked: Bool = true) {
            (self.uri, self.records, self.expected, self.isAsked) = (uri, records, expected, isAsked)
        }

        var testDescription: String { "\(self.uri) \(self.records ?? ["fails"])" }
    }

    private static func allowed(_ uris: ReportURI...) -> DestinationCheck.Verdict {
        .allowed(uris.compactMap { ReportDestination($0) })
    }

    private static let refusal = DestinationCheck.Verdict.refused("reports.test does not want reports on example.com")
    private static let out = "mailto:a@reports.test"

    private static let cases = [
        Case("mailto:a@example.com", nil, allowed(ReportURI("mailto:a@example.com")), isAsked: false),
        Case("mailto:a@mail.EXAMPLE.com", nil, allowed(ReportURI("mailto:a@mail.EXAMPLE.com")), isAsked: false),
        Case(out, ["v=DMARC1"], allowed(ReportURI(out))), Case(out, ["v=DMARC1;"], allowed(ReportURI(out))),
        Case(out, ["other", " v = DMARC1 ; p=none"], allowed(ReportURI(out))),
        Case(out, [], refusal), Case(out, ["v=DMARC2"], refusal), Case(out, ["p=none; v=DMARC1"], refusal),
        Case(out, ["v=dmarc1"], refusal), Case(out, [""], refusal), Case(out, nil, .unknown),
        Case(
            out, ["v=DMARC1; rua=mailto:b@reports.test!1k,mailto:c@reports.test"],
            allowed(ReportURI("mailto:b@reports.test", limitBytes: 1024), ReportURI("mailto:c@reports.test"))),
        // Elsewhere they may not be sent.
        Case(out, ["v=DMARC1; rua=mailto:b@else.test"], allowed(ReportURI(out))),
        Case(
            out, ["v=DMARC1; rua=mailto:b@sub.reports.test, mailto:d@Reports.Test"],
            allowed(ReportURI("mailto:d@Reports.Test"))),
    ]

    @Test(arguments: cases) private func `another organization is asked whether it wants reports`(_ test: Case)
        async throws
    {
        let asked = Heard<String>()
        let check = DestinationCheck(
            organizationalDomain: { $0.split(separator: ".").suffix(2).joined(separator: ".") },
            texts: { name in
                asked.add(name)
                return test.records
            })
        let destination = try #require(ReportDestination(ReportURI(test.uri)))
        #expect(await check.verdict(on: destination, for: "example.com") == test.expected)
        #expect(asked.all == (test.isAsked ? ["example.com._report._dmarc.reports.test"] : []))
    }

    @Test func `a name that is too long is not asked`() async throws {
        let check = DestinationCheck(organizationalDomain: { $0 }, texts: { _ in ["v=DMARC1"] })
        let long = Array(repeating: String(repeating: "a", count: 60), count: 4).joined(separator: ".")
        let destination = try #require(ReportDestination(ReportURI(Self.out)))
        let verdict = await check.verdict(on: destination, for: long)
        #expect(verdict == .refused("the name to ask is too long"))
    }
}
