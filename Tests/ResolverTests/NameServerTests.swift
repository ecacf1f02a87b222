import Harness
import Resolver
import Testing

/// Against nsd, by UDP and TCP.
@Suite(.timeLimit(.minutes(1)))
struct NameServerTests {
    private static let zone = """
        $ORIGIN example.test.
        $TTL 300
        @       IN SOA ns admin 1 3600 600 86400 60
                IN NS  ns
                IN MX  10 mx1
                IN MX  20 mx2
        null    IN MX  0 .
        ns      IN A   192.0.2.53
        mx1     IN A   192.0.2.1
                IN AAAA 2001:db8::1
        mx2 120 IN A   192.0.2.2
        text    IN TXT "one" "two; three"
        big     IN TXT \((0..<40).map { "\"\($0) " + String(repeating: "x", count: 200) + "\"" }.joined(separator: " "))
        alias   IN CNAME second
        second 30 IN CNAME mx1
        outside IN CNAME host.other.test.
        nowhere IN CNAME nobody
        round   IN CNAME about
        about   IN CNAME round
        *.wild  IN A   192.0.2.9
        _25._tcp.mx1 IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
        odd\\.name IN A 192.0.2.7

        """

    private static let other = """
        $ORIGIN other.test.
        $TTL 300
        @    IN SOA ns admin 1 3600 600 86400 60
             IN NS  ns
        ns   IN A   192.0.2.54
        host IN A   192.0.2.99

        """

    private static func reverse(_ zone: String, _ name: String) -> String {
        """
        $ORIGIN \(zone).
        $TTL 300
        @ IN SOA ns.example.test. admin.example.test. 1 3600 600 86400 60
          IN NS  ns.example.test.
        \(name) IN PTR host.example.test.

        """
    }

    private static func resolving(
        _ zones: [String: String] = ["example.test": zone, "other.test": other],
        _ body: (UnboundResolver) async throws -> Void
    ) async throws {
        let server = try await onOwnThread { try NSD(zones: zones) }
        let resolver = try UnboundResolver(ports: server.address.port)
        try await body(resolver)
        await resolver.shutdown()
    }

    private static func negative(_ name: String) -> DNSNegative {
        DNSNegative(ttl: .seconds(60), canonicalName: .of(name), security: .insecure)
    }

    @Test func `Records of every kind arrive`() async throws {
        try await Self.resolving { resolver in
            let mx = await resolver.outcome("Example.Test.", .mx).records
            #expect(
                mx.map(Set.init) == [
                    .mx(preference: 10, exchange: .of("mx1.example.test")),
                    .mx(preference: 20, exchange: .of("mx2.example.test")),
                ])
            #expect(await resolver.outcome("null.example.test", .mx).records == [.mx(preference: 0, exchange: .root)])
            #expect(await resolver.outcome("mx1.example.test", .a).records == [.a(0xC000_0201)])
            let v6 = DNSRecord.aaaa(high: 0x2001_0DB8_0000_0000, low: 1)
            #expect(await resolver.outcome("mx1.example.test", .aaaa).records == [v6])
            let text = DNSRecord.txt(["one", "two; three"].map { Array($0.utf8) })
            #expect(await resolver.outcome("text.example.test", .txt).records == [text])
            #expect(await resolver.outcome("example.test", .ns).records == [.ns(.of("ns.example.test"))])
            #expect(await resolver.outcome("example.test", .soa).records?.map(\.type) == [.soa])
            #expect(await resolver.outcome("_25._tcp.mx1.example.test", .tlsa).records?.map(\.type) == [.tlsa])
            #expect(await resolver.outcome("any.wild.example.test", .a).records == [.a(0xC000_0209)])
            #expect(await resolver.outcome("odd\\.name.example.test", .a).records == [.a(0xC000_0207)])
        }
    }

    @Test func `An answer carries its TTL, its owner and that nothing is proven`() async throws {
        try await Self.resolving { resolver in
            let answer = DNSAnswer(
                records: [.a(0xC000_0202)], ttl: .seconds(120), canonicalName: .of("mx2.example.test"),
                security: .insecure)
            #expect(await resolver.outcome("mx2.example.test", .a) == .success(answer))
        }
    }

    @Test func `No such name and no such record are told apart`() async throws {
        try await Self.resolving { resolver in
            let missing = await resolver.outcome("nobody.example.test", .a)
            #expect(missing == .failure(.noSuchName(Self.negative("nobody.example.test"))))
            let empty = await resolver.outcome("mx2.example.test", .aaaa)
            #expect(empty == .failure(.noData(Self.negative("mx2.example.test"))))
        }
    }

    @Test func `Aliases are followed, also into another zone and to nothing`() async throws {
        try await Self.resolving { resolver in
            let answer = DNSAnswer(
                records: [.a(0xC000_0201)], ttl: .seconds(30), canonicalName: .of("mx1.example.test"),
                security: .insecure)
            #expect(await resolver.outcome("alias.example.test", .a) == .success(answer))
            #expect(await resolver.outcome("outside.example.test", .a).records == [.a(0xC000_0263)])
            let nowhere = await resolver.outcome("nowhere.example.test", .a)
            #expect(nowhere == .failure(.noSuchName(Self.negative("nobody.example.test"))))
            let empty = await resolver.outcome("alias.example.test", .mx).failure
            #expect(empty?.negative?.canonicalName == .of("mx1.example.test"))
            guard case .serverFailure = await resolver.outcome("round.example.test", .a).failure else {
                Issue.record("aliases that go round must fail")
                return
            }
        }
    }

    @Test func `What is too large for UDP comes by TCP`() async throws {
        try await Self.resolving { resolver in
            guard case .txt(let strings) = await resolver.outcome("big.example.test", .txt).records?.first else {
                Issue.record("no TXT record")
                return
            }
            #expect(strings.count == 40 && strings.joined().count > 8000)
        }
    }

    @Test func `A forwarder is asked for reverse zones of private and loopback addresses and for home arpa`()
        async throws
    {
        let loopback = String(repeating: "0.", count: 31) + "ip6.arpa"
        let unique = "d.f.ip6.arpa"
        let zones = [
            "10.in-addr.arpa": Self.reverse("10.in-addr.arpa", "1.2.3"),
            "168.192.in-addr.arpa": Self.reverse("168.192.in-addr.arpa", "1.2"),
            "127.in-addr.arpa": Self.reverse("127.in-addr.arpa", "5.0.0"),
            "2.0.192.in-addr.arpa": Self.reverse("2.0.192.in-addr.arpa", "1"),
            "home.arpa": Self.reverse("home.arpa", "printer"), loopback: Self.reverse(loopback, "1"),
            unique: Self.reverse(unique, "1"),
        ]
        try await Self.resolving(zones) { resolver in
            for name in [
                "1.2.3.10.in-addr.arpa", "1.2.168.192.in-addr.arpa", "5.0.0.127.in-addr.arpa", "1.2.0.192.in-addr.arpa",
                "printer.home.arpa", "1.\(loopback)", "1.\(unique)",
            ] {
                #expect(await resolver.outcome(name, .ptr).records == [.ptr(.of("host.example.test"))], "\(name)")
            }
        }
    }

    @Test func `Names that must not leave the machine do not`() async throws {
        let server = try await FakeServer { _ in .record(ttl: 300, [192, 0, 2, 66]) }
        let resolver = try UnboundResolver(ports: server.port)
        #expect(await resolver.outcome("localhost", .a).records == [.a(0x7F00_0001)])
        for name in ["something.invalid", "hidden.onion"] {
            #expect(await resolver.outcome(name, .a).failure?.negative != nil)
        }
        #expect(server.questions.isEmpty)
        await resolver.shutdown()
        try await server.end()
    }
}
