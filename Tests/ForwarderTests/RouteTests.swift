import Forwarder
import Mail
import Testing

struct RouteTests {
    private let domain = Domain("example.com")

    private func route(_ text: String) throws -> Route? { try Route(text, recipientDomain: try #require(self.domain)) }

    @Test(arguments: [
        ("smtp:[192.0.2.1]:2525", "[192.0.2.1]:2525"), ("relay:[mail.example.net]", "[mail.example.net]"),
        (":[2001:db8::1]:25", "[2001:db8::1]"),
        ("[192.0.2.1]", "[192.0.2.1]"), ("smtp:[IPv6:2001:db8::1]:2525", "[2001:db8::1]:2525"),
        ("smtp:example.net", "example.net"),
        ("smtp:example.net:submission", "example.net:587"), ("example.net:2525", "example.net:2525"),
        ("example.net", "example.net"),
        ("smtp:", "example.com"), ("smtp", "example.com"), ("relay:", "example.com"),
        ("smtp:[a.example], [b.example]:26 ,c.example", "[a.example], [b.example]:26, c.example"),
        ("smtp:[192.0.2.1]:smtp", "[192.0.2.1]"),
    ])
    func `next hops are read in Postfix's notation`(text: String, key: String) throws {
        #expect(try self.route(text)?.key == key)
    }

    @Test func `answers are read with their status`() throws {
        #expect(try self.route("error:5.1.2 no such place") == .fail(Reply(550, .init(1, 2), "no such place")))
        #expect(try self.route("error:go away") == .fail(Reply(550, .init(0, 0), "go away")))
        #expect(try self.route("error:") == .fail(Reply(550, .init(0, 0), "mail for this address is refused")))
        #expect(try self.route("retry:4.2.1 later") == .retry(Reply(450, .init(2, 1), "later")))
        #expect(try self.route("discard:") == .discard)
        #expect(try self.route("discard:whatever") == .discard)
        #expect(try self.route(":") == nil)
        #expect(try self.route("") == nil)
    }

    @Test(arguments: [
        "local:", "lmtp:unix:/x", "virtual:x", "smtp:[192.0.2.1", "smtp:[]", "smtp:[192.0.2.1]2525",
        "smtp:[192.0.2.1]:0", "smtp:[192.0.2.1]:99999",
        "smtp:exa mple", "smtp:-a.example", "smtp:,", "smtp:[192.0.2.1]:x",
    ])
    func `what is no route is an error`(text: String) {
        #expect(throws: RouteError.self) { try self.route(text) }
    }

    @Test func `brackets mean the host itself and none mean its MX records`() throws {
        guard case .nextHops(let hops)? = try self.route("smtp:[a.example], b.example, [192.0.2.1]:26") else {
            Issue.record("no next hops")
            return
        }
        #expect(hops.map(\.usesMX) == [false, true, false])
        #expect(hops.map(\.port) == [25, 25, 26])
    }
}

/// SEMANTICS §7, case by case.
struct MXPlanTests {
    private func address(_ last: UInt32) -> IPAddress { .v4(0xC000_0200 + last) }

    private func plan(_ allowsLoopback: Bool = false) -> MXPlan {
        let identity = OwnIdentity(
            hostname: "mx2.example.com", addresses: [self.address(2)], listeners: [], allowsLoopback: allowsLoopback)
        return MXPlan(domain: "example.com", port: 25, identity: identity)
    }

    private func host(_ preference: Int, _ name: String, _ addresses: MXPlan.Addresses) -> MXPlan.Host {
        MXPlan.Host(preference: preference, name: name, addresses: addresses)
    }

    private func names(_ result: MXPlan.Result) -> [String] {
        if case .servers(let servers) = result { servers.map(\.name) } else { [] }
    }

    @Test func `servers come by preference`() {
        let result = self.plan().servers([
            self.host(20, "c", .found([self.address(12)])),
            self.host(5, "a", .found([self.address(10), self.address(13)])),
            self.host(10, "b", .found([self.address(11)])),
        ])
        #expect(self.names(result) == ["a", "a", "b", "c"])
    }

    @Test func `we and whoever is no better are left out`() {
        for own in [
            self.host(20, "other-name", .found([self.address(2)])),
            self.host(20, "mx2.example.com", .found([self.address(99)])),
        ] {
            let result = self.plan().servers([
                self.host(10, "mx1", .found([self.address(1)])), own, self.host(20, "mx2b", .found([self.address(3)])),
                self.host(30, "mx3", .found([self.address(4)])),
            ])
            #expect(self.names(result) == ["mx1"])
        }
    }

    @Test func `the best host that is ourselves means a loop`() {
        let result = self.plan().servers([
            self.host(10, "mx2.example.com", .found([self.address(2)])),
            self.host(20, "mx3", .found([self.address(3)])),
        ])
        #expect(result == .permanent(Reply(554, .init(4, 6), "mail for example.com loops back to myself")))
    }

    /// The case in which toy servers lose mail: the primary's DNS is broken.
    @Test(arguments: [MXPlan.Addresses.unknown("SERVFAIL"), .none, .found([])])
    func `a primary that does not resolve is waited for`(addresses: MXPlan.Addresses) {
        let result = self.plan().servers([
            self.host(10, "mx1", addresses), self.host(20, "mx2.example.com", .found([self.address(2)])),
        ])
        #expect(result == .temporary(Reply(451, .init(4, 4), "unable to find primary relay for example.com")))
    }

    @Test func `servers without addresses fail for good only if all is known`() {
        let unknown = self.plan().servers([self.host(10, "a", .none), self.host(20, "b", .unknown("timeout"))])
        #expect(unknown == .temporary(Reply(451, .init(4, 3), "Host lookup error for b: timeout")))
        let known = self.plan().servers([self.host(10, "a", .none), self.host(20, "b", .none)])
        #expect(known == .permanent(Reply(550, .init(4, 4), "Host not found for example.com")))
    }

    @Test func `DNS cannot send us to the loopback`() {
        let hosts = [self.host(10, "a", .found([.v4(0x7F00_0001), .v6(high: 0, low: 1), .v4(0)]))]
        #expect(self.names(self.plan().servers(hosts)).isEmpty)
        #expect(self.names(self.plan(true).servers(hosts)).count == 3)
    }

    @Test func `a next hop at our own listener is ourselves`() {
        let identity = OwnIdentity(
            hostname: "x", addresses: [self.address(2)],
            listeners: [Endpoint(.v4(0), port: 25), Endpoint(.v4(0x7F00_0001), port: 2525)], allowsLoopback: false)
        #expect(identity.listens(at: self.address(2), port: 25))
        #expect(identity.listens(at: .v4(0x7F00_0005), port: 25))
        #expect(identity.listens(at: .v4(0x7F00_0001), port: 2525))
        #expect(!identity.listens(at: .v4(0x7F00_0002), port: 2525))
        #expect(!identity.listens(at: self.address(3), port: 25))
    }
}
