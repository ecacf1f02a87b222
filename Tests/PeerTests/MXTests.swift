import Harness
import Testing

/// Delivery by MX records, with real name servers.
@Suite(.serialized) struct MXTests {
    private static func zone(_ records: String) -> String {
        """
        $ORIGIN example.test.
        $TTL 300
        @ SOA ns hostmaster 1 3600 900 604800 300
        @ NS ns
        ns A 127.0.0.1
        \(records)

        """
    }

    private static let options = "forwarder: {loopback_mx: true, probe_minimum: 1s, probe_maximum: 1s}"

    @Test func `mail finds its way by MX records, and only to servers preferred to us`() throws {
        // Port 25 is not free in a test; all else is as it would be.
        let port = try freePort()
        let names = try NSD(
            zones: [
                "example.test": Self.zone(
                    """
                    @ MX 10 dead
                    @ MX 20 primary
                    @ MX 30 mx2
                    @ MX 40 mx3
                    dead A 127.0.0.4
                    primary A 127.0.0.5
                    mx2 A 127.0.0.1
                    mx3 A 127.0.0.6
                    null MX 0 .
                    """)
            ])
        let resolver = try Unbound(stubs: ["example.test": names.address])
        // Would take it, and must not be asked.
        let other = try SMTPSink(host: "127.0.0.6", port: port)
        let postern = try PosternProcess(
            transport: "example.test smtp:example.test:\(port)\nnull.example.test smtp:null.example.test:\(port)\n",
            recipients: "@example.test ok\n@null.example.test ok\n", networks: "[127.0.0.0/8]", more: Self.options,
            resolver: "{forwarders: [\"\(resolver.address)\"], timeout: 5s}")
        #expect(try postern.send().code == 250)
        try eventually("an attempt in vain") { postern.log.contains("connect to primary.example.test[127.0.0.5]") }
        #expect(try postern.queued() == 1)
        #expect(other.count == 0)
        let primary = try SMTPSink(host: "127.0.0.5", port: port)
        try primary.wait(for: 1)
        #expect(try postern.send(from: "", to: ["user@null.example.test"]).code == 250)
        try eventually("the null MX") { postern.log.contains("556 5.1.10") }
        try postern.waitUntilEmpty()
        #expect(other.count == 0)
        #expect(try postern.stop() == .exited(0))
    }

    @Test func `while names cannot be looked up mail waits`() throws {
        let primary = try SMTPSink(host: "127.0.0.5")
        let names = try NSD(zones: ["example.test": Self.zone("@ MX 10 primary\nprimary A 127.0.0.5")])
        try names.stop()
        let postern = try PosternProcess(
            transport: "example.test smtp:example.test:\(primary.address.port)\n", more: Self.options,
            resolver: "{forwarders: [\"\(names.address)\"], timeout: 1s}")
        #expect(try postern.send().code == 250)
        try eventually("a look-up that fails") { postern.log.contains("451 4.4.3") }
        #expect(try postern.queued() == 1)
        try names.serve(["example.test": Self.zone("@ MX 10 primary\nprimary A 127.0.0.5")])
        try primary.wait(for: 1)
        try postern.waitUntilEmpty()
        #expect(try postern.stop() == .exited(0))
    }
}
