import MTASTS
import Mail
import NIOCore
import NIOPosix
import Resolver
import SMTP
import TLS
import Testing
import ZoneFiles

@testable import Forwarder

/// Plans for servers of zones that a test writes.
struct PlanFixture {
    static let loop = MultiThreadedEventLoopGroup.singleton.next()

    static let start = "$ORIGIN %.\n@ SOA ns admin 1 1h 1h 1d 60\n"

    /// `$` in an association stands for 32 octets, `$$` for 64.
    static func records(_ text: String) -> String {
        text.replacing("$$", with: String(repeating: "cd", count: 64))
            .replacing("$", with: String(repeating: "ab", count: 32))
    }

    var options = ForwarderOptions()
    var policies: [(String, String)] = []
    var passwords: [(String, String)] = []
    var requirement = TLSRequirement.unspecified
    var finding: @Sendable (String) -> STSFinding = { _ in .none }
    let names: ZoneService

    /// - Parameter zones: name, security and lines of each.
    init(_ zones: (String, DNSSecurity, String)...) throws {
        self.names = try ZoneService()
        for (name, security, text) in zones {
            try self.names.set(
                Self.start.replacing("%", with: name) + Self.records(text), security: security)
        }
    }

    var security: ForwarderSecurity {
        get throws {
            func lines(_ pairs: [(String, String)]) -> [SecurityTableLine] {
                zip(pairs, 1...).map { SecurityTableLine(key: $0.0.0, value: $0.0.1, line: $0.1) }
            }
            return ForwarderSecurity(
                self.options, policies: try TLSPolicyTable(lines(self.policies)),
                passwords: try SASLPasswordTable(lines(self.passwords)))
        }
    }

    func plans(_ text: String) async throws -> [PlannedServer] {
        let hops = try text.split(separator: ",").map { try NextHop(text: String($0)) }
        let identity = OwnIdentity(hostname: "mx2.test", addresses: [], listeners: [], allowsLoopback: true)
        let finder = ServerFinder(names: self.names, identity: identity, loop: Self.loop)
        guard case .servers(let servers) = try await finder.servers(of: hops).get() else {
            Issue.record("no servers of \(text)")
            return []
        }
        let (finding, loop) = (self.finding, Self.loop)
        let planner = ConnectionPlanner(
            security: try self.security, associations: AssociationFinder(names: self.names, loop: loop),
            policies: { loop.makeSucceededFuture(finding($0)) }, loop: loop)
        var plans: [PlannedServer] = []
        for server in servers { plans.append(try await planner.plan(for: server, of: text, self.requirement).get()) }
        return plans
    }

    func plan(_ text: String = "example.test") async throws -> PlannedServer {
        try #require(try await self.plans(text).first)
    }

    /// What it came to, in short: `dane 3 1 1,3 1 2 names=mx.example.test sni=mx.example.test`, `skip 4.7.5`.
    func outcome(_ text: String = "example.test") async throws -> String { try await self.plan(text).short }
}

extension PlannedServer {
    var connection: ConnectionPlan? {
        guard case .connect(let plan) = self.plan else { return nil }
        return plan
    }

    var reply: Reply? {
        guard case .skip(let reply) = self.plan else { return nil }
        return reply
    }

    var short: String {
        guard let plan = self.connection else { return "skip \(self.reply?.status ?? "")" }
        var words = ["\(plan.basis.rawValue)"]
        if plan.mayGoWithout { words.append("or none") }
        switch plan.verification {
        case .none: break
        case .names(let names): words.append("names=\(names.joined(separator: ","))")
        case .anyName: words.append("any name")
        case .dane(let records, let names):
            words.append(records.map { "\($0.usage)\($0.selector)\($0.matching)" }.sorted().joined(separator: ","))
            words.append("names=\(names.joined(separator: ","))")
        case .fingerprints(let list): words.append("fingerprints=\(list.count)")
        }
        if let name = plan.serverName { words.append("sni=\(name)") }
        switch (plan.basis, plan.security) {
        case (.none, .none), (.may, .opportunistic), (.encrypt, .encrypted), (.dane, .authenticated),
            (.fingerprint, .authenticated), (.verify, .authenticated), (.secure, .authenticated),
            (.sts, .authenticated):
            break
        case (_, let security): words.append("at \(security)")
        }
        return words.joined(separator: " ")
    }

    var failures: [TransportObservation.Failure] { self.noticed.map(\.failure) }
}

/// RFC 7672 and RFC 6698, case by case.
struct DANEPlanTests {
    private static let signed = "@ MX 10 mx\nmx A 192.0.2.1\n"

    private static let tlsa = "_25._tcp.mx TLSA "

    /// Records of a server in a signed zone, and what they lead to.
    @Test(arguments: [
        // Usages: 2 and 3 count (RFC 7672 §3.1.3).
        ("3 1 1 $", "dane 311 names=mx.example.test,example.test sni=mx.example.test"),
        ("2 0 1 $", "dane 201 names=mx.example.test,example.test sni=mx.example.test"),
        ("0 0 1 $", "encrypt"), ("1 1 1 $", "encrypt"), ("4 1 1 $", "encrypt"), ("255 1 1 $", "encrypt"),
        // Selectors.
        ("3 0 1 $", "dane 301 names=mx.example.test,example.test sni=mx.example.test"),
        ("3 2 1 $", "encrypt"), ("3 255 1 $", "encrypt"),
        // Matching types, and lengths that do not fit them.
        ("3 1 2 $$", "dane 312 names=mx.example.test,example.test sni=mx.example.test"),
        ("3 1 3 $", "encrypt"), ("3 1 255 $", "encrypt"), ("3 1 1 $ab", "encrypt"), ("3 1 1 abcd", "encrypt"),
        ("3 1 2 $", "encrypt"), ("3 1 1 $$", "encrypt"),
        // Not a certificate, not a key.
        ("3 0 0 abcd", "encrypt"), ("2 1 0 abcd", "encrypt"),
        // Mixed: what can be used is used alone.
        ("1 1 1 $\n% 3 1 1 $", "dane 311 names=mx.example.test,example.test sni=mx.example.test"),
        ("3 1 9 $\n% 2 1 1 $\n% 3 0 1 $", "dane 211,301 names=mx.example.test,example.test sni=mx.example.test"),
        ("0 0 1 $\n% 1 0 1 $", "encrypt"),
        // Of digests of the same thing the strongest (RFC 7671 §9).
        ("3 1 1 $\n% 3 1 2 $$", "dane 312 names=mx.example.test,example.test sni=mx.example.test"),
        ("3 1 1 $\n% 3 0 2 $$", "dane 302,311 names=mx.example.test,example.test sni=mx.example.test"),
        ("2 1 2 $$\n% 3 1 1 $", "dane 212,311 names=mx.example.test,example.test sni=mx.example.test"),
        // One that cannot be used does not push out a weaker one that can.
        ("3 1 1 $\n% 3 1 2 abcd", "dane 311 names=mx.example.test,example.test sni=mx.example.test"),
    ])
    func `records that can be checked against bind, and others demand TLS`(
        records: String, expected: String
    ) async throws {
        let text = Self.tlsa + records.replacing("%", with: Self.tlsa)
        let fixture = try PlanFixture(("example.test", .secure, Self.signed + text))
        let plan = try await fixture.plan()
        #expect(plan.short == expected)
        #expect(plan.failures == (expected == "encrypt" ? [.tlsaInvalid] : []))
        #expect(plan.connection?.policy?.type == .tlsa && plan.connection?.policy?.domain == "mx.example.test")
        #expect(plan.connection?.mayGoWithout == false)
    }

    /// What stands in the way of records.
    @Test(arguments: [
        // Zone of the domain, zone of the host, whether there are records, and what insecure_mx says.
        (
            DNSSecurity.secure, DNSSecurity.secure, true, "dane",
            "dane 311 names=mx.host.test,example.test sni=mx.host.test"
        ),
        (.secure, .secure, false, "dane", "may or none"),
        (.secure, .insecure, true, "dane", "may or none"),
        (.insecure, .insecure, true, "dane", "may or none"),
        (.insecure, .secure, true, "dane", "dane 311 names=mx.host.test sni=mx.host.test"),
        (.insecure, .secure, true, "encrypt", "encrypt"),
        (.insecure, .secure, true, "may", "may or none"),
        (.insecure, .secure, false, "encrypt", "may or none"),
        (.secure, .secure, true, "may", "dane 311 names=mx.host.test,example.test sni=mx.host.test"),
    ])
    func `records count where the way to them is proven`(
        domain: DNSSecurity, host: DNSSecurity, hasRecords: Bool, insecureMX: String, expected: String
    ) async throws {
        var fixture = try PlanFixture(
            ("example.test", domain, "@ MX 10 mx.host.test."),
            ("host.test", host, "mx A 192.0.2.1\n" + (hasRecords ? "_25._tcp.mx TLSA 3 1 1 $" : "")))
        fixture.options.tls.insecureMX = try #require(ForwarderTLSOptions.InsecureMX(rawValue: insecureMX))
        #expect(try await fixture.outcome() == expected)
        // Nothing is asked of zones that are not signed, nor in vain (RFC 7672 §2.2.2).
        let asks = host == .secure && (domain == .secure || insecureMX != "may")
        #expect(fixture.names.questions.contains { $0.type == .tlsa } == asks)
    }

    @Test(arguments: [ZoneService.Fault.serverFailure, .timeout, .bogus])
    func `a look-up that fails defers the server, and never makes it less secure`(fault: ZoneService.Fault) async throws
    {
        var fixture = try PlanFixture(("example.test", .secure, Self.signed + Self.tlsa + "3 1 1 $"))
        try fixture.names.fail("_25._tcp.mx.example.test", .tlsa, with: fault)
        for level in [TLSLevel.dane, .daneOnly] {
            fixture.options.tls.level = level
            #expect(try await fixture.outcome() == "skip 4.7.5")
        }
        fixture.finding = { _ in .policy(Self.enforcing("mx.example.test"), fault: nil) }
        let plan = try await fixture.plan()
        #expect(plan.short == "skip 4.7.5", "a policy does not stand in for it (RFC 8461 §2)")
        #expect(plan.failures == (fault == .bogus ? [.dnssecInvalid] : []))
        // It is this server that is deferred, not those beside it.
        let two = try PlanFixture(
            ("example.test", .secure, "@ MX 10 a\n@ MX 20 b\na A 192.0.2.1\nb A 192.0.2.2\n_25._tcp.b TLSA 3 1 1 $"))
        try two.names.fail("_25._tcp.a.example.test", .tlsa, with: fault)
        #expect(
            try await two.plans("example.test").map(\.short) == [
                "skip 4.7.5", "dane 311 names=b.example.test,example.test sni=b.example.test",
            ])
    }

    private static func enforcing(_ patterns: String...) -> STSPolicy {
        STSPolicy(mode: .enforce, mxPatterns: patterns, maximumAge: .seconds(1))
    }

    @Test func `the address that is connected to must be proven`() async throws {
        // Both kinds of address are asked for, and each is judged by its own answer.
        let fixture = try PlanFixture(
            ("example.test", .secure, "@ MX 10 mx\nmx A 192.0.2.1\nmx AAAA 2001:db8::1\n_25._tcp.mx TLSA 3 1 1 $"))
        #expect(try await fixture.plans("example.test").map { $0.connection?.basis } == [.dane, .dane])
        var planner = HostSecurity(isIPv4Secure: true, isIPv6Secure: false)
        #expect(planner.isSecure(.v4(1)) && !planner.isSecure(.v6(high: 1, low: 1)))
        planner.isIPv4Secure = false
        #expect(!planner.isSecure(.v4(1)))
    }

    // MARK: Aliases (RFC 7672 §2.2.2)

    @Test func `what an alias stands for is asked before the alias`() async throws {
        let zone = "@ MX 10 mx\nmx CNAME real.host.test.\n"
        let both = try PlanFixture(
            ("example.test", .secure, zone + "_25._tcp.mx TLSA 3 0 1 $"),
            ("host.test", .secure, "real A 192.0.2.1\n_25._tcp.real TLSA 3 1 1 $"))
        #expect(
            try await both.outcome() == "dane 311 names=real.host.test,example.test sni=real.host.test")
        let alias = try PlanFixture(
            ("example.test", .secure, zone + "_25._tcp.mx TLSA 3 0 1 $"),
            ("host.test", .secure, "real A 192.0.2.1"))
        #expect(
            try await alias.outcome() == "dane 301 names=mx.example.test,example.test sni=mx.example.test")
        // Records that cannot be used are records: the alias is not asked any more.
        let unusable = try PlanFixture(
            ("example.test", .secure, zone + "_25._tcp.mx TLSA 3 0 1 $"),
            ("host.test", .secure, "real A 192.0.2.1\n_25._tcp.real TLSA 1 1 1 $"))
        #expect(try await unusable.outcome() == "encrypt")
        // Nor is it when the first look-up fails.
        try alias.names.fail("_25._tcp.real.host.test", .tlsa, with: .serverFailure)
        #expect(try await alias.outcome() == "skip 4.7.5")
    }

    @Test func `an alias that is proven speaks for a host that is not`() async throws {
        let zone = "@ MX 10 mx\nmx CNAME real.host.test.\n"
        let fixture = try PlanFixture(
            ("example.test", .secure, zone + "_25._tcp.mx TLSA 3 1 1 $"),
            ("host.test", .insecure, "real A 192.0.2.1\n_25._tcp.real TLSA 3 0 1 $"))
        #expect(
            try await fixture.outcome() == "dane 311 names=mx.example.test,example.test sni=mx.example.test")
        try fixture.names.fail("mx.example.test", .cname, with: .timeout)
        #expect(try await fixture.outcome() == "skip 4.7.5")
        let insecure = try PlanFixture(
            ("example.test", .insecure, zone + "_25._tcp.mx TLSA 3 1 1 $"),
            ("host.test", .secure, "real A 192.0.2.1\n_25._tcp.real TLSA 3 0 1 $"))
        #expect(try await insecure.outcome() == "may or none")
    }

    @Test func `a domain that is an alias gives both its names to usage 2`() async throws {
        let fixture = try PlanFixture(
            ("example.test", .secure, "@ CNAME other.test."),
            ("other.test", .secure, "@ MX 10 mx\nmx A 192.0.2.1\n_25._tcp.mx TLSA 2 0 1 $"))
        #expect(
            try await fixture.outcome()
                == "dane 201 names=mx.other.test,example.test,other.test sni=mx.other.test")
    }

    @Test func `records that are an alias themselves are followed as far as they are proven`() async throws {
        let zone = Self.signed + "_25._tcp.mx CNAME _dane.certs.test."
        let secure = try PlanFixture(
            ("example.test", .secure, zone), ("certs.test", .secure, "_dane TLSA 3 1 1 $"))
        #expect(
            try await secure.outcome() == "dane 311 names=mx.example.test,example.test sni=mx.example.test")
        let insecure = try PlanFixture(
            ("example.test", .secure, zone), ("certs.test", .insecure, "_dane TLSA 3 1 1 $"))
        #expect(try await insecure.outcome() == "may or none")
    }

    // MARK: Other ways to a server

    @Test func `a domain that is its own server has records of its own`() async throws {
        let fixture = try PlanFixture(("example.test", .secure, "@ A 192.0.2.1\n_25._tcp TLSA 2 1 1 $"))
        #expect(try await fixture.outcome() == "dane 211 names=example.test sni=example.test")
    }

    @Test func `a host in brackets is asked about at its port, and an address is not`() async throws {
        let fixture = try PlanFixture(
            ("example.test", .secure, "mx A 192.0.2.1\n_587._tcp.mx TLSA 3 1 1 $\n_25._tcp.mx TLSA 3 0 1 $"))
        #expect(
            try await fixture.outcome("[mx.example.test]:587") == "dane 311 names=mx.example.test sni=mx.example.test")
        #expect(try await fixture.outcome("[mx.example.test]") == "dane 301 names=mx.example.test sni=mx.example.test")
        #expect(try await fixture.outcome("[192.0.2.1]:587") == "may or none")
        #expect(fixture.names.questions.count { $0.type == .tlsa } == 2)
    }

    @Test func `dane-only needs records that can be used and MX records that are proven`() async throws {
        for (zone, security, failure) in [
            ("@ MX 10 mx\nmx A 192.0.2.1", DNSSecurity.secure, TransportObservation.Failure.daneRequired),
            ("@ MX 10 mx\nmx A 192.0.2.1\n_25._tcp.mx TLSA 1 1 1 $", .secure, .tlsaInvalid),
            ("@ MX 10 mx\nmx A 192.0.2.1\n_25._tcp.mx TLSA 3 1 1 $", .insecure, .daneRequired),
        ] {
            var fixture = try PlanFixture(("example.test", security, zone))
            fixture.options.tls.level = .daneOnly
            let plan = try await fixture.plan()
            #expect(plan.short == "skip 4.7.5" && plan.failures.first == failure, "\(zone)")
        }
        var good = try PlanFixture(("example.test", .secure, Self.signed + Self.tlsa + "3 1 1 $"))
        good.options.tls.level = .daneOnly
        #expect(try await good.outcome() == "dane 311 names=mx.example.test,example.test sni=mx.example.test")
    }
}
