import Authentication
import Testing

struct DMARCRecordTests {
    private static func read(_ text: String) throws -> DMARCRecord { try DMARCRecord(Array(text.utf8)) }

    @Test func `all tags`() throws {
        let record = try Self.read(
            "v=DMARC1; p=reject; sp=quarantine; np=none; psd=n; t=y; adkim=s; aspf=s; pct=50; fo=1:d; rf=afrf; ri=3600;"
                + " rua=mailto:a@example.com!10m, mailto:b@example.com ; ruf=https://example.com/r; x=unknown;")
        #expect(record.policy == .policy(.reject))
        #expect(record.subdomainPolicy == .policy(.quarantine))
        #expect(record.nonexistentPolicy == .policy(.none))
        #expect(record.publicSuffix == .no)
        #expect(record.isTest)
        #expect(record.dkimMode == .strict && record.spfMode == .strict)
        #expect(record.percentage == 50)
        #expect(record.failureOptions == ["1", "d"])
        #expect(record.reportInterval == .seconds(3600))
        #expect(record.aggregateReports.map(\.uri) == ["mailto:a@example.com", "mailto:b@example.com"])
        #expect(record.aggregateReports.map(\.limitBytes) == [10 << 20, nil])
        #expect(record.failureReports.map(\.uri) == ["https://example.com/r"])
    }

    @Test(arguments: ["v=DMARC1;p=NONE", "v=DMARC1 ; P=none", "V = DMARC1\t;\tp = none ;", "v=DMARC1;;p=none"])
    func `blanks and case do not matter`(text: String) throws {
        #expect(try Self.read(text).policy == .policy(.none))
    }

    @Test(arguments: [
        "", "v=DMARC", "v=DMARC12; p=none", "v=dmarc1; p=none", "p=none; v=DMARC1", " v=DMARC1; p=none",
        "v=spf1 -all", "v=DMARC1 p=none", "x", "v==DMARC1",
    ])
    func `other TXT records are not DMARC records`(text: String) {
        #expect(!DMARCRecord.claims(Array(text.utf8)))
        #expect(throws: DMARCRecord.SyntaxError.otherRecord) { try Self.read(text) }
    }

    @Test func `a list that is no list of tags is an error`() {
        #expect(throws: DMARCRecord.SyntaxError.noTag("reject")) { try Self.read("v=DMARC1; p=none; reject") }
        #expect(throws: DMARCRecord.SyntaxError.noTag("=x")) { try Self.read("v=DMARC1; p=none; =x") }
        #expect(throws: DMARCRecord.SyntaxError.noTag("a b=x")) { try Self.read("v=DMARC1; a b=x") }
        #expect(throws: DMARCRecord.SyntaxError.repeatedTag("p")) { try Self.read("v=DMARC1; p=none; P=reject") }
        #expect(throws: DMARCRecord.SyntaxError.repeatedTag("v")) { try Self.read("v=DMARC1; v=DMARC1") }
    }

    @Test func `wrong values give way to defaults, but not those of policies`() throws {
        let record = try Self.read(
            "v=DMARC1; p=nothing; sp=; np=x; psd=x; t=x; adkim=strict; aspf=x; pct=101; fo=9; ri=-1; rua=nobody")
        #expect(record.policy == .invalid && record.subdomainPolicy == .invalid && record.nonexistentPolicy == .invalid)
        #expect(record.publicSuffix == .unknown && !record.isTest)
        #expect(record.dkimMode == .relaxed && record.spfMode == .relaxed)
        #expect(record.percentage == 100 && record.failureOptions == ["0"])
        #expect(record.reportInterval == .seconds(86_400) && record.aggregateReports.isEmpty)
        #expect(try Self.read("v=DMARC1").policy == .absent)
    }

    @Test(arguments: [
        ("mailto:a@b.example", true), ("mailto:a", false), ("mailto:@b", false), ("mailto:a@", false), ("a@b", false),
        (":x", false), ("http:x y", false), ("mailto:a@b!5", true), ("mailto:a@b!5k", true), ("mailto:a@b!k", false),
        ("mailto:a@b!5x", false), ("mailto:a@b!99999999999999999999g", false), ("mailto:ü@b", false),
    ])
    func `report addresses are URIs`(uri: String, isOne: Bool) throws {
        #expect(try Self.read("v=DMARC1; rua=\(uri)").aggregateReports.count == (isOne ? 1 : 0))
    }
}
