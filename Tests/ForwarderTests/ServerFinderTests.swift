import Forwarder
import Mail
import NIOCore
import NIOPosix
import Resolver
import SMTP
import Testing
import ZoneFiles

/// Which servers a next hop has, by the records of a zone (RFC 5321 §5.1, RFC 7505).
struct ServerFinderTests {
    private static let loop = MultiThreadedEventLoopGroup.singleton.next()

    private func zone(_ records: String) throws -> ZoneService {
        try ZoneService("$ORIGIN example.test.\n$TTL 300\n@ SOA ns admin 1 1h 1h 1d 60\n\(records)\n")
    }

    /// - Parameter own: addresses of ours besides 192.0.2.100, where `mx2.example.test` is.
    private func find(
        _ hop: String, _ names: ZoneService, own: [String] = [], listeners: [Endpoint] = []
    ) async throws -> MXPlan.Result {
        let identity = OwnIdentity(
            hostname: "mx2.example.test", addresses: (["192.0.2.100"] + own).compactMap { IPAddress($0) },
            listeners: listeners, allowsLoopback: false)
        let finder = ServerFinder(names: names, identity: identity, loop: Self.loop)
        let hops = try hop.split(separator: ",").map { try NextHop(text: String($0)) }
        return try await finder.servers(of: hops).get()
    }

    /// `name[address]:port` of each, in order.
    private func servers(
        _ hop: String, _ names: ZoneService, own: [String] = [], listeners: [Endpoint] = []
    ) async throws -> [String] {
        let result = try await self.find(hop, names, own: own, listeners: listeners)
        guard case .servers(let servers) = result else {
            Issue.record("\(hop): \(result)")
            return []
        }
        return servers.map(\.description)
    }

    private enum Failure { case temporary, permanent }

    private func expect(
        _ failure: Failure, _ status: String, _ hop: String, _ names: ZoneService, own: [String] = [],
        listeners: [Endpoint] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let result = try await self.find(hop, names, own: own, listeners: listeners)
        switch (result, failure) {
        case (.temporary(let reply), .temporary), (.permanent(let reply), .permanent):
            #expect(reply.status == status, "\(reply.oneLine)", sourceLocation: sourceLocation)
            #expect(
                (reply.outcome == .temporary) == (failure == .temporary), "\(reply.oneLine)",
                sourceLocation: sourceLocation)
        default: Issue.record("\(hop): \(result)", sourceLocation: sourceLocation)
        }
    }

    // MARK: Order

    @Test func `the preference decides, not the order of the records`() async throws {
        let names = try self.zone(
            "@ MX 30 c\n@ MX 10 a\n@ MX 20 b\na A 192.0.2.1\nb A 192.0.2.2\nc A 192.0.2.3")
        #expect(
            try await self.servers("example.test", names) == [
                "a.example.test[192.0.2.1]:25", "b.example.test[192.0.2.2]:25", "c.example.test[192.0.2.3]:25",
            ])
        #expect(try await self.servers("example.test:2525", names).allSatisfy { $0.hasSuffix(":2525") })
    }

    @Test func `servers of the same preference take turns`() async throws {
        let names = try self.zone(
            "@ MX 10 a\n@ MX 10 b\n@ MX 5 first\nfirst A 192.0.2.9\na A 192.0.2.1\nb A 192.0.2.2")
        var orders: Set<[String]> = []
        for _ in 0..<60 {
            let found = try await self.servers("example.test", names)
            #expect(found.first == "first.example.test[192.0.2.9]:25")
            orders.insert(found)
        }
        #expect(orders.count == 2)
    }

    @Test func `both kinds of addresses are found`() async throws {
        let names = try self.zone(
            "@ MX 10 a\n@ MX 20 b\na A 192.0.2.1\na AAAA 2001:db8::1\nb AAAA 2001:db8::2")
        #expect(
            try await self.servers("example.test", names) == [
                "a.example.test[192.0.2.1]:25", "a.example.test[2001:db8::1]:25", "b.example.test[2001:db8::2]:25",
            ])
    }

    @Test func `a name has only so many servers`() async throws {
        let addresses = (1...200).map { "a A 203.0.113.\($0)\n" }.joined()
        let hosts = (1...300).map { "@ MX \($0) m\($0)\nm\($0) A 198.51.100.\($0 % 250)\n" }.joined()
        #expect(try await self.servers("example.test", self.zone("@ MX 10 a\n\(addresses)")).count == 20)
        let names = try self.zone(hosts)
        let found = try await self.servers("example.test", names)
        #expect(found.count == 20 && found[0].hasPrefix("m1.") && found[19].hasPrefix("m20."))
        // Nor is everything looked up that somebody writes into a zone.
        #expect(names.questions.count < 150)
    }

    // MARK: Our own place

    @Test func `a backup sends only to servers that are preferred to it`() async throws {
        let records = "mx1 A 192.0.2.1\nmx2 A 192.0.2.100\nmx3 A 192.0.2.3\nmx4 A 192.0.2.4"
        let names = try self.zone("@ MX 10 mx1\n@ MX 20 mx2\n@ MX 20 mx3\n@ MX 30 mx4\n\(records)")
        #expect(try await self.servers("example.test", names) == ["mx1.example.test[192.0.2.1]:25"])
        // Known by an address alone, such as that of a NAT; then by a name alone.
        let other = try self.zone("@ MX 10 mx1\n@ MX 20 edge\nedge A 192.0.2.77\n\(records)")
        #expect(
            try await self.servers("example.test", other, own: ["192.0.2.77"]) == ["mx1.example.test[192.0.2.1]:25"])
        let named = try self.zone("@ MX 10 mx1\n@ MX 20 MX2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.78\n")
        #expect(try await self.servers("example.test", named) == ["mx1.example.test[192.0.2.1]:25"])
        // Our own host need not resolve for that.
        try names.fail("mx2.example.test", with: .serverFailure)
        #expect(try await self.servers("example.test", names) == ["mx1.example.test[192.0.2.1]:25"])
    }

    @Test func `mail for which we are the best server goes in a circle`() async throws {
        let best = try self.zone("@ MX 10 mx2\n@ MX 20 mx3\nmx2 A 192.0.2.100\nmx3 A 192.0.2.3")
        try await self.expect(.permanent, "5.4.6", "example.test", best)
        let only = try self.zone("@ A 192.0.2.100")
        try await self.expect(.permanent, "5.4.6", "example.test", only)
        // While the primary's DNS is broken it is no circle; toy servers return the mail here.
        let broken = try self.zone("@ MX 10 mx1\n@ MX 20 mx2\nmx2 A 192.0.2.100")
        try await self.expect(.temporary, "4.4.4", "example.test", broken)
        try broken.fail("mx1.example.test", with: .timeout)
        try await self.expect(.temporary, "4.4.4", "example.test", broken)
    }

    @Test func `records do not lead to the loopback`() async throws {
        let names = try self.zone("@ MX 10 a\n@ MX 20 b\na A 127.0.0.1\nb A 192.0.2.2\nonly A 127.0.0.1\nonly AAAA ::1")
        #expect(try await self.servers("example.test", names) == ["b.example.test[192.0.2.2]:25"])
        guard case .permanent = try await self.find("only.example.test", names) else {
            Issue.record("the loopback was not refused")
            return
        }
    }

    // MARK: What is missing

    @Test func `a domain without MX records is its own server`() async throws {
        let names = try self.zone("@ A 192.0.2.5\n@ AAAA 2001:db8::5\nempty TXT x")
        #expect(
            try await self.servers("example.test", names) == [
                "example.test[192.0.2.5]:25", "example.test[2001:db8::5]:25",
            ])
        try await self.expect(.permanent, "5.4.4", "empty.example.test", names)
    }

    @Test func `a null MX takes no mail`() async throws {
        let names = try self.zone("@ MX 0 .\n@ A 192.0.2.5")
        try await self.expect(.permanent, "5.1.10", "example.test", names)
        guard case .permanent(let reply) = try await self.find("example.test", names) else { return }
        #expect(reply.code == 556)
        // Among others it means nothing (RFC 7505 §3).
        let mixed = try self.zone("@ MX 0 .\n@ MX 10 a\na A 192.0.2.1")
        #expect(try await self.servers("example.test", mixed) == ["a.example.test[192.0.2.1]:25"])
        #expect(!mixed.questions.contains { $0.name == .root })
    }

    @Test func `a domain that does not exist fails, one that cannot be looked up waits`() async throws {
        let names = try self.zone("@ MX 10 a\na A 192.0.2.1\nbad MX 10 a\nslow MX 10 a\nforged MX 10 a")
        try await self.expect(.permanent, "5.1.2", "none.example.test", names)
        try await self.expect(.permanent, "5.1.2", "elsewhere.invalid", names)
        try names.fail("bad.example.test", with: .serverFailure)
        try names.fail("slow.example.test", with: .timeout)
        try names.fail("forged.example.test", with: .bogus)
        for name in ["bad", "slow", "forged"] {
            try await self.expect(.temporary, "4.4.3", "\(name).example.test", names)
        }
        // Without an answer about MX records nobody knows that there are none.
        try names.fail("example.test", .mx, with: .serverFailure)
        try await self.expect(.temporary, "4.4.3", "example.test", names)
    }

    @Test func `a server without an address leaves it to the next`() async throws {
        let names = try self.zone("@ MX 10 gone\n@ MX 20 empty\n@ MX 30 b\nempty TXT x\nb A 192.0.2.2")
        #expect(try await self.servers("example.test", names) == ["b.example.test[192.0.2.2]:25"])
        try names.fail("gone.example.test", with: .serverFailure)
        #expect(try await self.servers("example.test", names) == ["b.example.test[192.0.2.2]:25"])
        try await self.expect(
            .permanent, "5.4.4", "example.test", self.zone("@ MX 10 gone\n@ MX 20 empty\nempty TXT x"))
        // One that may come back is waited for.
        try names.fail("b.example.test", with: .timeout)
        try await self.expect(.temporary, "4.4.3", "example.test", names)
    }

    @Test func `an address of one kind is enough when the other cannot be looked up`() async throws {
        let names = try self.zone("@ MX 10 a\na A 192.0.2.1\na AAAA 2001:db8::1")
        try names.fail("a.example.test", .aaaa, with: .timeout)
        #expect(try await self.servers("example.test", names) == ["a.example.test[192.0.2.1]:25"])
        try names.fail("a.example.test", .a, with: .timeout)
        try await self.expect(.temporary, "4.4.3", "example.test", names)
    }

    @Test func `an alias behind an MX record is followed`() async throws {
        let names = try self.zone("@ MX 10 alias\nalias CNAME real\nreal A 192.0.2.1\nwhole CNAME example.test.")
        #expect(try await self.servers("example.test", names) == ["alias.example.test[192.0.2.1]:25"])
        #expect(try await self.servers("whole.example.test", names) == ["alias.example.test[192.0.2.1]:25"])
        let loop = try self.zone("@ MX 10 a\n@ MX 20 b\na CNAME a\nb A 192.0.2.2")
        #expect(try await self.servers("example.test", loop) == ["b.example.test[192.0.2.2]:25"])
    }

    // MARK: Next hops that are written out

    @Test func `an address needs no look-up`() async throws {
        let names = try self.zone("")
        #expect(try await self.servers("[192.0.2.1]", names) == ["192.0.2.1[192.0.2.1]:25"])
        #expect(try await self.servers("[2001:db8::1]:2525", names) == ["2001:db8::1[2001:db8::1]:2525"])
        #expect(try await self.servers("[IPv6:2001:db8::1]", names) == ["2001:db8::1[2001:db8::1]:25"])
        #expect(names.questions.isEmpty)
    }

    @Test func `a host in brackets has no MX records, and its mail waits whatever is wrong with it`() async throws {
        let names = try self.zone("@ MX 10 a\n@ A 192.0.2.5\na A 192.0.2.1\nempty TXT x")
        #expect(try await self.servers("[example.test]", names) == ["example.test[192.0.2.5]:25"])
        try await self.expect(.temporary, "4.4.4", "[none.example.test]", names)
        try await self.expect(.temporary, "4.4.4", "[empty.example.test]", names)
        try names.fail("example.test", with: .serverFailure)
        try await self.expect(.temporary, "4.4.3", "[example.test]", names)
    }

    @Test func `a next hop that is our own listener is left out`() async throws {
        let names = try self.zone("@ A 192.0.2.100\nother A 192.0.2.1")
        let own = [Endpoint(.v4(0), port: 25)]
        try await self.expect(.temporary, "4.4.6", "[192.0.2.100]", names, listeners: own)
        try await self.expect(.temporary, "4.4.6", "[example.test]", names, listeners: own)
        try await self.expect(.temporary, "4.4.6", "[127.0.0.1]", names, listeners: own)
        #expect(try await self.servers("[192.0.2.100]:26", names, listeners: own).count == 1)
        #expect(
            try await self.servers("[192.0.2.100],[other.example.test]", names, listeners: own) == [
                "other.example.test[192.0.2.1]:25"
            ])
    }

    @Test func `of several next hops those that can be found are used, in order`() async throws {
        let names = try self.zone("@ MX 10 a\na A 192.0.2.1\nb A 192.0.2.2")
        #expect(
            try await self.servers("[none.example.test],[b.example.test],example.test", names) == [
                "b.example.test[192.0.2.2]:25", "a.example.test[192.0.2.1]:25",
            ])
        try names.fail("b.example.test", with: .timeout)
        // As long as one of them may come back.
        try await self.expect(.temporary, "4.4.3", "none.example.test,[b.example.test]", names)
    }
}
