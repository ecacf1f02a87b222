import Harness
import Testing

@Suite struct NameServerTests {
    static let zone = """
        $ORIGIN example.test.
        $TTL 300
        @ SOA ns hostmaster 1 3600 900 604800 300
        @ NS ns
        ns A 127.0.0.1
        @ MX 10 primary
        primary A 127.0.0.1

        """

    @Test(arguments: [[], ["-t"]]) func `NSD answers over UDP and TCP`(_ options: [String]) throws {
        let server = try NSD(zones: ["example.test": Self.zone, "2.0.192.in-addr.arpa": Self.reverse])
        let answer = try drill("example.test", "MX", at: server.address, options)
        #expect(answer.contains("example.test.\t300\tIN\tMX\t10 primary.example.test."))
        #expect(answer.contains("flags: qr aa"))
        #expect(
            try drill("1.2.0.192.in-addr.arpa", "PTR", at: server.address, options).contains("client.example.test."))
        #expect(try drill("none.example.test", "A", at: server.address, options).contains("rcode: NXDOMAIN"))
        #expect(try drill("example.org", "A", at: server.address, options).contains("rcode: REFUSED"))
    }

    private static let reverse = """
        $TTL 300
        @ SOA ns.example.test. hostmaster.example.test. 1 3600 900 604800 300
        @ NS ns.example.test.
        1 PTR client.example.test.

        """

    @Test func `NSD serves other zones on the same port`() throws {
        let server = try NSD(zones: ["example.test": Self.zone])
        try server.serve(["example.test": Self.zone + "new A 127.0.0.2\n"])
        #expect(try drill("new.example.test", "A", at: server.address).contains("127.0.0.2"))
        #expect(throws: HarnessError.self) { try server.serve(["example.test": "no zone"]) }
    }

    @Test func `Unbound validates what is signed and refuses what is not signed right`() throws {
        let signed = try SignedZone("example.test", Self.zone)
        let expired = try SignedZone(
            "expired.test", Self.zone.replacing("example.test", with: "expired.test"),
            options: ["-i", "20200101", "-e", "20200201"])
        let server = try NSD(
            zones: [
                "example.test": signed.text, "expired.test": expired.text,
                "plain.test": Self.zone.replacing("example.test", with: "plain.test"),
            ])
        let zones = ["example.test", "expired.test", "plain.test"]
        let stubs = Dictionary(uniqueKeysWithValues: zones.map { ($0, server.address) })
        let resolver = try Unbound(stubs: stubs, anchors: [signed.anchor, expired.anchor])
        let secure = try drill("example.test", "MX", at: resolver.address, ["-D"])
        #expect(secure.contains("rcode: NOERROR") && secure.contains("flags: qr rd ra ad"))
        let insecure = try drill("plain.test", "MX", at: resolver.address, ["-D"])
        #expect(insecure.contains("rcode: NOERROR") && insecure.contains("flags: qr rd ra ;"))
        #expect(try drill("expired.test", "MX", at: resolver.address).contains("rcode: SERVFAIL"))

        let other = try SignedZone("example.test", Self.zone)
        let misled = try Unbound(host: "::1", forwards: ["example.test": resolver.address], anchors: [other.anchor])
        #expect(try drill("example.test", "MX", at: misled.address).contains("rcode: SERVFAIL"))
    }

    @Test func `names outside the test's zones do not exist`() throws {
        let server = try NSD(zones: ["example.test": Self.zone])
        let resolver = try Unbound(stubs: ["example.test": server.address])
        #expect(try drill("example.test", "MX", at: resolver.address).contains("primary.example.test"))
        #expect(try drill("example.org", "MX", at: resolver.address).contains("rcode: NXDOMAIN"))
        #expect(try drill("other.test", "MX", at: resolver.address).contains("rcode: NXDOMAIN"))
        try server.stop()
        #expect(try drill("example.test", "MX", at: resolver.address).contains("primary.example.test"))
        try resolver.stop()
        try resolver.start()
        #expect(throws: Never.self) { try drill("example.org", "MX", at: resolver.address) }
    }
}
