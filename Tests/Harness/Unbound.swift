/// A validating resolver. It asks the servers that the test gives it; for it, no other names exist.
package final class Unbound: Sendable {
    package let address: Endpoint
    private let folder: TemporaryFolder
    private let process = PeerProcess()

    /// - Parameters:
    ///   - port: a free one if it is nil. For peers that know only port 53, with an address that nobody else has.
    ///   - stubs: authoritative servers such as ``NSD``, by the zone's name.
    ///   - forwards: resolvers, by the zone's name.
    ///   - anchors: DS or DNSKEY records that are trusted; see ``SignedZone``.
    ///   - settings: more lines of the `server:` section.
    package init(
        host: String = "127.0.0.1", port: Int? = nil, stubs: [String: Endpoint] = [:],
        forwards: [String: Endpoint] = [:],
        anchors: [String] = [], settings: [String] = []
    ) throws {
        self.address = try port.map { Endpoint(host, $0) } ?? .free(host)
        self.folder = try TemporaryFolder()
        let root = try self.folder.write(
            "root.zone",
            ". 3600 SOA root.invalid. hostmaster.invalid. 1 3600 900 604800 3600\n. 3600 NS root.invalid.\n")
        var lines =
            [
                "server:", "interface: \(self.address.host)", "port: \(self.address.port)", "num-threads: 1",
                "directory: \"\(self.folder.path)\"", "username: \"\"", "chroot: \"\"", "pidfile: \"\"",
                "use-syslog: no", "do-daemonize: no", "module-config: \"validator iterator\"",
                "access-control: 127.0.0.0/8 allow", "access-control: ::1 allow", "do-not-query-localhost: no",
                // No query leaves this machine, for the root of the tree is empty.
                "root-hints: \"\"",
            ] + anchors.map { "trust-anchor: \"\($0)\"" } + settings
        // Reserved names such as those under `test` are answered by itself, if nothing else is said.
        lines += (Array(stubs.keys) + Array(forwards.keys)).map { "local-zone: \"\($0)\" transparent" }
        lines += ["remote-control:", "control-enable: no"]
        lines += ["auth-zone:", "name: \".\"", "zonefile: \"\(root)\"", "for-upstream: yes", "for-downstream: no"]
        for (zone, server) in stubs {
            lines += ["stub-zone:", "name: \"\(zone)\"", "stub-addr: \(server.host)@\(server.port)"]
        }
        for (zone, server) in forwards {
            lines += ["forward-zone:", "name: \"\(zone)\"", "forward-addr: \(server.host)@\(server.port)"]
        }
        try self.folder.write("unbound.conf", lines.joined(separator: "\n") + "\n")
        try self.start()
    }

    deinit { self.process.kill() }  // Before its folder goes.

    package var log: String { self.process.output }

    /// Starts it again, on the same port and with an empty cache.
    package func start() throws {
        let program = try PeerPackage.dns.program("/usr/sbin/unbound", ["-d", "-c", self.folder.path("unbound.conf")])
        try self.process.start(program, self.address)
    }

    package func stop() throws { try self.process.stop() }
}
