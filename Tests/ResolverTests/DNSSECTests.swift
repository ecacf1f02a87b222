import Harness
import Resolver
import Testing

/// Against nsd with a signed zone, and with unbound between.
@Suite(.timeLimit(.minutes(1)))
struct DNSSECTests {
    private static func text(_ zone: String) -> String {
        """
        $ORIGIN \(zone).
        $TTL 300
        @     IN SOA ns admin 1 3600 600 86400 60
              IN NS  ns
              IN MX  10 mx
        ns    IN A   192.0.2.53
        mx    IN A   192.0.2.1
        alias IN CNAME mx
        leaves IN CNAME mx.plain.test.
        false IN A   192.0.2.77
        *.wild IN A  192.0.2.9
        _25._tcp.mx IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef

        """
    }

    /// nsd with a signed zone, in which one record was changed after signing, and one that is not signed.
    private struct World {
        let nsd: NSD
        let anchor: String

        init() async throws {
            (self.nsd, self.anchor) = try await onOwnThread {
                let signed = try SignedZone("signed.test", DNSSECTests.text("signed.test"))
                let tampered = signed.text.replacing("192.0.2.77", with: "192.0.2.78")
                let zones = ["signed.test": tampered, "plain.test": DNSSECTests.text("plain.test")]
                return (try NSD(zones: zones), signed.anchor)
            }
        }

        func resolver(port: Int? = nil) throws -> UnboundResolver {
            let folder = try TemporaryFolder()
            let path = try folder.write("anchor", "\(self.anchor)\n")
            return try UnboundResolver(ports: port ?? self.nsd.address.port) { $0.trustAnchorFile = path }
        }
    }

    private static func isSecure(_ result: DNSResult) -> Bool {
        switch result {
        case .success(let answer): answer.security == .secure
        case .failure(let failure): failure.security == .secure
        }
    }

    @Test func `Answers of a signed zone are secure, and so is that there is none`() async throws {
        let world = try await World()
        let resolver = try world.resolver()
        for (name, type) in [
            ("signed.test", DNSType.mx), ("mx.signed.test", .a), ("alias.signed.test", .a),
            ("any.wild.signed.test", .a),
            ("_25._tcp.mx.signed.test", .tlsa),
        ] {
            let result = await resolver.outcome(name, type)
            #expect(result.records != nil && Self.isSecure(result), "\(name) \(type): \(result)")
        }
        let missing = await resolver.outcome("nobody.signed.test", .a)
        guard case .failure(.noSuchName(let negative)) = missing else {
            Issue.record("not NXDOMAIN but \(missing)")
            return
        }
        // A second may end on the way.
        #expect(negative.security == .secure && negative.ttl <= .seconds(60) && negative.ttl >= .seconds(30))
        let empty = await resolver.outcome("mx.signed.test", .tlsa)
        guard case .failure(.noData) = empty else {
            Issue.record("not no data but \(empty)")
            return
        }
        #expect(Self.isSecure(empty))
        await resolver.shutdown()
    }

    @Test func `A record that was changed is bogus, and its data is not given`() async throws {
        let world = try await World()
        let resolver = try world.resolver()
        for _ in 1...2 {
            guard case .failure(.bogus(let reason)) = await resolver.outcome("false.signed.test", .a) else {
                Issue.record("must be bogus")
                return
            }
            #expect(reason.contains("false.signed.test"))
        }
        await resolver.shutdown()
    }

    @Test func `An unsigned zone and a chain that leaves the signed one are insecure`() async throws {
        let world = try await World()
        let resolver = try world.resolver()
        for (name, type) in [("plain.test", DNSType.mx), ("leaves.signed.test", .a)] {
            let result = await resolver.outcome(name, type)
            #expect(result.records != nil && !Self.isSecure(result), "\(name) \(type): \(result)")
        }
        await resolver.shutdown()
    }

    @Test func `Without a trust anchor nothing is secure or bogus`() async throws {
        let world = try await World()
        let resolver = try UnboundResolver(ports: world.nsd.address.port)
        for name in ["mx.signed.test", "false.signed.test"] {
            guard case .success(let answer) = await resolver.outcome(name, .a) else {
                Issue.record("no answer for \(name)")
                return
            }
            #expect(answer.security == .insecure)
        }
        await resolver.shutdown()
    }

    @Test func `Behind a validating resolver we still validate ourselves`() async throws {
        let world = try await World()
        let (stubs, anchors) = (["signed.test": world.nsd.address], [world.anchor])
        let unbound = try await onOwnThread {
            try Unbound(stubs: stubs, anchors: anchors, settings: ["outgoing-port-avoid: 1024-32767"])
        }
        let resolver = try world.resolver(port: unbound.address.port)
        #expect(Self.isSecure(await resolver.outcome("mx.signed.test", .a)))
        guard case .failure(.bogus) = await resolver.outcome("false.signed.test", .a) else {
            Issue.record("must be bogus")
            return
        }
        await resolver.shutdown()

        let trusting = try UnboundResolver(ports: unbound.address.port)
        #expect(!Self.isSecure(await trusting.outcome("mx.signed.test", .a)), "the word of a server proves nothing")
        await trusting.shutdown()
    }
}
