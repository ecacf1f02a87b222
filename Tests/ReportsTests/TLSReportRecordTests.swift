import Mail
import Reports
import Testing

/// Who wants reports on TLS, and where they can go.
struct TLSReportRecordTests {
    @Test(
        arguments: [
            ("v=TLSRPTv1;rua=mailto:a@b.example", ["mailto:a@b.example"]),
            ("v=TLSRPTv1; rua=mailto:a@b.example;", ["mailto:a@b.example"]),
            ("v=TLSRPTv1 ;\trua=mailto:a@b.example ; ", ["mailto:a@b.example"]),
            ("v=TLSRPTv1; rua=https://b.example/x?y=z", ["https://b.example/x?y=z"]),
            ("v=TLSRPTv1;rua=mailto:a@b.example , https://c.example", ["mailto:a@b.example", "https://c.example"]),
            ("v=TLSRPTv1;new=1;rua=mailto:a@b.example;n.e_w-2=x y", ["mailto:a@b.example"]),
            ("v=TLSRPTv1;rua=mailto:a@b.example;rua=mailto:c@d.example", ["mailto:a@b.example", "mailto:c@d.example"]),
            ("v=TLSRPTv1;rua=ftp://b.example", ["ftp://b.example"]),
            ("v=TLSRPTv1", nil), ("v=TLSRPTv1;", nil), ("v=TLSRPTv1;rua=", nil), ("v=TLSRPTv1;rua", nil),
            ("v=TLSRPTv1;x=y", nil), ("v=TLSRPTv2;rua=mailto:a@b.example", nil),
            ("v=TLSRPTv11;rua=mailto:a@b.example", nil), ("v=tlsrptv1;rua=mailto:a@b.example", nil),
            ("V=TLSRPTv1;rua=mailto:a@b.example", nil), (" v=TLSRPTv1;rua=mailto:a@b.example", nil),
            ("v=TLSRPTv1;RUA=mailto:a@b.example", nil), ("rua=mailto:a@b.example;v=TLSRPTv1", nil),
            ("v=TLSRPTv1 rua=mailto:a@b.example", nil), ("v=TLSRPTv1;;rua=mailto:a@b.example", nil),
            ("v=TLSRPTv1;=x;rua=mailto:a@b.example", nil), ("v=TLSRPTv1;-x=y;rua=mailto:a@b.example", nil),
            ("v=TLSRPTv1;rua=a@b.example", nil), ("v=TLSRPTv1;rua=mailto:a@b.example!10m", nil),
            ("v=TLSRPTv1;rua=mailto:a b@c.example", nil), ("v=TLSRPTv1;rua=mailto:a@b.example,", nil),
            ("v=TLSRPTv1;rua=mailto:ä@b.example", nil), ("", nil),
        ] as [(String, [String]?)])
    func `a record is read by the grammar of RFC 8460, fields that are not known aside`(
        text: String, uris: [String]?
    ) {
        #expect(TLSReportRecord(text)?.uris.map(\.text) == uris)
    }

    @Test func `only one record counts, and others at the name do not matter`() {
        let (one, other) = ("v=TLSRPTv1;rua=mailto:a@b.example", "v=TLSRPTv1;rua=mailto:c@d.example")
        #expect(TLSReportRecord(among: ["v=spf1 -all", one, "v=TLSRPTv1", "v=TLSRPTv2;rua=x"])?.uris.count == 1)
        #expect(TLSReportRecord(among: [one, other]) == nil)
        #expect(TLSReportRecord(among: [one, one]) == nil)
        // That the second one is of no use does not make the first one right.
        #expect(TLSReportRecord(among: [one, "v=TLSRPTv1;rua="]) == nil)
        #expect(TLSReportRecord(among: []) == nil)
    }

    @Test func `a record that nobody would publish is none`() {
        let many = Array(repeating: "mailto:a@b.example", count: 500).joined(separator: ",")
        #expect(TLSReportRecord("v=TLSRPTv1;rua=\(many)") == nil)
    }

    @Test(
        arguments: [
            ("https://b.example", "b.example:443/"), ("HTTPS://B.Example/", "b.example:443/"),
            ("https://b.example:8443/a/b?c=d%2Ce", "b.example:8443/a/b?c=d%2Ce"),
            ("https://b.example:/", "b.example:443/"), ("https://b.example?x", "b.example:443/?x"),
            ("https://b.example/a#b", "b.example:443/a"), ("https://b.example#b", "b.example:443/"),
            ("https://a-1.b.example//x", "a-1.b.example:443//x"), ("https://xn--4ca.example/", "xn--4ca.example:443/"),
            ("http://b.example/", nil), ("https:b.example", nil), ("https:/b.example", nil), ("https://", nil),
            ("https:///x", nil), ("https://localhost/", nil), ("https://b.example./", nil),
            ("https://192.0.2.1/", nil), ("https://192.0.2/", nil), ("https://a.0x7f/", nil),
            ("https://[2001:db8::1]/", nil), ("https://user@b.example/", nil), ("https://u:p@b.example/", nil),
            ("https://b.example@c.example/", nil), ("https://b.example:80@c.example/", nil),
            ("https://b.example:0/", nil), ("https://b.example:65536/", nil),
            ("https://b.example:99999999999999999999/", nil), ("https://b.example:x/", nil),
            ("https://b.example:-1/", nil), ("https://b.example/a b", nil), ("https://b.example/\r\nHost: c", nil),
            ("https://b.example/\"", nil), ("https://b.example\\c.example/", nil), ("https://b_c.example/", nil),
            ("https://%62.example/", nil), ("https://ä.example/", nil), ("https://b.example/ä", nil),
            ("https://-b.example/", nil), ("https://b..example/", nil), (" https://b.example/", nil),
        ] as [(String, String?)])
    func `an HTTPS URI names a server and what to ask it for, or nothing`(text: String, expected: String?) {
        let destination = HTTPSDestination(text)
        #expect(destination.map { "\($0.server)\($0.target)" } == expected)
        #expect(destination.map { HTTPSDestination("\($0)") == destination } != false)
    }

    @Test func `an HTTPS URI has a length`() {
        let rest = HTTPSDestination.maximumBytes - "https://b.example/".utf8.count
        #expect(HTTPSDestination("https://b.example/" + String(repeating: "a", count: rest)) != nil)
        #expect(HTTPSDestination("https://b.example/" + String(repeating: "a", count: rest + 1)) == nil)
    }

    @Test func `reports go to mailboxes and servers, and nowhere else`() throws {
        let mailbox = try #require(ReportDestination(ReportURI("mailto:a@b.example")))
        let server = try #require(HTTPSDestination("https://b.example/x"))
        #expect(TLSReportDestination(ReportURI("mailto:a@b.example")) == .mailbox(mailbox))
        #expect(TLSReportDestination(ReportURI("https://b.example/x")) == .server(server))
        #expect(TLSReportDestination(ReportURI("ftp://b.example/x")) == nil)
        #expect(TLSReportDestination(ReportURI("mailto:a@[192.0.2.1]")) == nil)
    }
}
