import Resolver
import Testing
import ZoneFiles

struct ZoneServiceTests {
    private static let zone = """
        ; A zone with everything.
        $ORIGIN example.com.
        $TTL 1h
        @   IN SOA ns admin ( 1   ; serial
                1d 2h 4w          ; timers
                5m )              ; minimum
            MX 10 mx
        IN  A 192.0.2.3
        mx  300 IN A 192.0.2.1
            IN 300 AAAA 2001:db8::1
        MX2.example.COM. A 192.0.2.2
        txt TXT "one; \\"two\\"" three \\050
        www CNAME mx
        far CNAME host.other.test.
        a.b.deep A 192.0.2.5
        *.wild A 192.0.2.9
        name.wild TXT x
        1.2.0.192.in-addr.arpa. PTR mx
        sub NS ns.sub
        _25._tcp.mx TLSA 3 1 1 ( abcd
            EF01 )
        null MX 0 .

        """

    private static let other = "$ORIGIN other.test.\n@ 60 SOA ns admin 1 2 3 4 5\nhost 30 A 192.0.2.99\n"

    private let service: ZoneService

    init() throws { self.service = try ZoneService(Self.zone, Self.other) }

    @Test func `Every type is read`() async throws {
        #expect(
            await self.service.outcome("example.com", .mx).records == [
                .mx(preference: 10, exchange: .of("mx.example.com"))
            ])
        #expect(await self.service.outcome("in.example.com", .a).records == [.a(0xC000_0203)], "IN may be a name")
        let answer = DNSAnswer(
            records: [.a(0xC000_0201)], ttl: .seconds(300), canonicalName: .of("mx.example.com"), security: .insecure)
        #expect(await self.service.outcome("mx.example.com", .a) == .success(answer))
        let v6 = DNSRecord.aaaa(high: 0x2001_0DB8_0000_0000, low: 1)
        #expect(await self.service.outcome("mx.example.com", .aaaa).records == [v6])
        #expect(await self.service.outcome("mx2.example.com", .a).records == [.a(0xC000_0202)])
        let text = DNSRecord.txt(["one; \"two\"", "three", "2"].map { Array($0.utf8) })
        #expect(await self.service.outcome("txt.example.com", .txt).records == [text])
        #expect(await self.service.outcome("sub.example.com", .ns).records == [.ns(.of("ns.sub.example.com"))])
        let tlsa = DNSCertificateAssociation(usage: 3, selector: 1, matching: 1, data: [0xAB, 0xCD, 0xEF, 0x01])
        #expect(await self.service.outcome("_25._tcp.mx.example.com", .tlsa).records == [.tlsa(tlsa)])
        #expect(await self.service.outcome("null.example.com", .mx).records == [.mx(preference: 0, exchange: .root)])
        guard case .soa(let authority) = await self.service.outcome("example.com", .soa).records?.first else {
            Issue.record("no SOA record")
            return
        }
        #expect(authority.expire == .seconds(4 * 604_800) && authority.minimum == .seconds(300))
    }

    @Test func `No such name, no such record and what lies between are told apart`() async throws {
        func negative(_ name: String) -> DNSNegative {
            DNSNegative(ttl: .seconds(300), canonicalName: .of(name), security: .insecure)
        }
        #expect(await self.service.outcome("no.example.com", .a) == .failure(.noSuchName(negative("no.example.com"))))
        #expect(await self.service.outcome("mx.example.com", .mx) == .failure(.noData(negative("mx.example.com"))))
        #expect(await self.service.outcome("deep.example.com", .a) == .failure(.noData(negative("deep.example.com"))))
        #expect(await self.service.outcome("unknown.test", .a).failure?.negative?.ttl == .zero)
    }

    @Test func `Aliases and wildcards work as in a server`() async throws {
        #expect(await self.service.outcome("www.example.com", .a).records == [.a(0xC000_0201)])
        #expect(await self.service.outcome("www.example.com", .cname).records == [.cname(.of("mx.example.com"))])
        let far = DNSAnswer(
            records: [.a(0xC000_0263)], ttl: .seconds(30), canonicalName: .of("host.other.test"), security: .insecure)
        #expect(await self.service.outcome("far.example.com", .a) == .success(far))
        #expect(await self.service.outcome("x.y.wild.example.com", .a).records == [.a(0xC000_0209)])
        #expect(await self.service.outcome("name.wild.example.com", .a).failure?.negative != nil)
        #expect(await self.service.outcome("x.name.wild.example.com", .a).failure?.negative != nil, "RFC 4592 §2.2.1")
    }

    @Test func `Names can be made to fail, also behind an alias, and to work again`() async throws {
        try self.service.fail("mx.example.com", .a, with: .timeout)
        #expect(await self.service.outcome("www.example.com", .a) == .failure(.timeout))
        #expect(await self.service.outcome("mx.example.com", .aaaa).records != nil)
        try self.service.fail("mx.example.com", with: .serverFailure)
        #expect(await self.service.outcome("mx.example.com", .aaaa) == .failure(.serverFailure("SERVFAIL")))
        try self.service.fail("mx.example.com", with: nil)
        try self.service.fail("mx.example.com", .a, with: .bogus)
        #expect(await self.service.outcome("mx.example.com", .a).failure?.security == .bogus)
        try self.service.fail("mx.example.com", .a, with: nil)
        #expect(await self.service.outcome("mx.example.com", .a).records != nil)
    }

    @Test func `Zones can be changed, removed and signed while it runs`() async throws {
        try self.service.set("$ORIGIN other.test.\n@ 60 SOA ns admin 1 2 3 4 5\nhost A 192.0.2.98\n", security: .secure)
        guard case .success(let answer) = await self.service.outcome("host.other.test", .a) else {
            Issue.record("no answer")
            return
        }
        #expect(answer.records == [.a(0xC000_0262)] && answer.security == .secure)
        guard case .success(let chain) = await self.service.outcome("far.example.com", .a) else {
            Issue.record("no answer")
            return
        }
        #expect(chain.security == .insecure, "the alias is not signed")
        self.service.removeZone("other.test")
        #expect(await self.service.outcome("host.other.test", .a).records == nil)
        #expect(self.service.questions.map(\.name.text) == ["host.other.test", "far.example.com", "host.other.test"])
    }

    @Test(arguments: [
        ("@ SOA a b 1 2 3 4", 1), ("$ORIGIN x.\n\n@ A 1.2.3", 3), ("a A 1.2.3.4", 1), ("@ TXT \"open", 1),
        ("@ SOA (", 1),
        ("@ SOA a b 1 2 3 4 5\n@ HINFO x y", 2), ("@ SOA a b 1 2 3 4 5\nx A 1.2.3.4 5", 2), ("  A 1.2.3.4", 1),
        ("$INCLUDE file", 1), ("@ MX ten x", 1), ("@ TLSA 3 1 1 abc", 1), ("$TTL 5x", 1),
    ])
    func `What is wrong in a zone file is said with its line`(text: String, line: Int) {
        let error = #expect(throws: ZoneFileError.self) { try ZoneService(text) }
        #expect(error?.line == line)
    }
}
