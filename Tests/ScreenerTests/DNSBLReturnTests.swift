import Mail
import Resolver
import Screener
import Testing

struct DNSBLReturnTests {
    private func result(_ address: String, _ zone: String = "bl.test") throws -> DNSBLReturn {
        guard case .v4(let value)? = IPAddress(address) else { throw NotAnAddress() }
        return DNSBLReturn(value, from: try #require(DNSName(zone)))
    }

    private struct NotAnAddress: Error {}

    @Test(arguments: ["127.0.0.2", "127.0.0.255", "127.0.0.0", "127.0.1.255", "127.255.254.255", "127.1.0.1"])
    func `most addresses below 127 mean that a client is listed`(address: String) throws {
        #expect(try self.result(address) == .listed)
    }

    @Test(arguments: [
        ("127.255.255.252", "the list's name is mistyped (127.255.255.252)"),
        ("127.255.255.254", "asked through a public resolver (127.255.255.254)"),
        ("127.255.255.255", "too many queries (127.255.255.255)"),
        ("127.255.255.0", "error code 127.255.255.0"),
        ("127.255.255.253", "error code 127.255.255.253"),
        ("127.0.0.1", "query refused (127.0.0.1)"),
        ("126.255.255.255", "the answer 126.255.255.255 is none of a list: the domain may be parked or hijacked"),
        ("128.0.0.0", "the answer 128.0.0.0 is none of a list: the domain may be parked or hijacked"),
        ("192.0.2.1", "the answer 192.0.2.1 is none of a list: the domain may be parked or hijacked"),
        ("0.0.0.0", "the answer 0.0.0.0 is none of a list: the domain may be parked or hijacked"),
    ])
    func `a list that does not answer has listed nobody`(address: String, reason: String) throws {
        #expect(try self.result(address) == .unavailable(reason))
    }

    @Test func `127 0 0 255 is an error of dnswl alone`() throws {
        let error = DNSBLReturn.unavailable("over the limit of dnswl.org (127.0.0.255)")
        #expect(try self.result("127.0.0.255", "list.dnswl.org") == error)
        #expect(try self.result("127.0.0.255", "DNSWL.org") == error)
        #expect(try self.result("127.0.0.255", "mydnswl.org") == .listed)
        #expect(try self.result("127.0.0.254", "list.dnswl.org") == .listed)
    }

    @Test(arguments: [
        ("192.0.2.1", "1.2.0.192.bl.test"), ("0.10.100.255", "255.100.10.0.bl.test"), ("0.0.0.0", "0.0.0.0.bl.test"),
        (
            "2001:db8:1:2:3:4:567:89ab",
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.test"
        ),
        ("::ffff:192.0.2.1", "1.2.0.192.bl.test"),
    ])
    func `a list is asked for the address backwards`(address: String, name: String) throws {
        let address = try #require(IPAddress(address))
        let zone = try #require(DNSName("bl.test"))
        #expect(DNSName(reversing: address, in: zone)?.text == name)
    }

    @Test func `a name that becomes too long is none`() throws {
        let label = String(repeating: "a", count: 63)
        let zone = try #require(DNSName("\(label).\(label).\(label).aaaa"))
        #expect(DNSName(reversing: .v6(high: 0, low: 1), in: zone) == nil)
        #expect(DNSName(reversing: .v4(0), in: zone)?.text == "0.0.0.0.\(zone)")
        #expect(DNSName(reversing: .v4(1), in: .root)?.text == "1.0.0.0")
    }
}
