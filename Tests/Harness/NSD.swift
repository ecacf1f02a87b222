/// An authoritative name server for zones that the test writes.
package final class NSD: Sendable {
    package let address: Endpoint
    private let folder: TemporaryFolder
    private let process = PeerProcess()

    /// - Parameters:
    ///   - port: a free one if it is nil. For peers that know only port 53, with an address that nobody else has.
    ///   - zones: texts in the format of RFC 1035 §5, by the zone's name. They need SOA and NS.
    package init(host: String = "127.0.0.1", port: Int? = nil, zones: [String: String]) throws {
        self.address = try port.map { Endpoint(host, $0) } ?? .free(host)
        self.folder = try TemporaryFolder()
        try self.serve(zones)
    }

    deinit { self.process.kill() }  // Before its folder goes.

    package var log: String { self.process.output }

    /// Starts over with other zones, on the same port.
    package func serve(_ zones: [String: String]) throws {
        try self.stop()
        var lines = [
            "server:", "ip-address: \(self.address.host)@\(self.address.port)",
            // It keeps the test's account, and no state.
            "username: \"\"", "database: \"\"", "pidfile: \"\"", "zonesdir: \"\(self.folder.path)\"",
            "xfrdfile: \"\(self.folder.path("xfrd"))\"", "zonelistfile: \"\(self.folder.path("zones"))\"",
            "xfrdir: \"\(self.folder.path)\"", "server-count: 1", "remote-control:", "control-enable: no",
        ]
        for (index, zone) in zones.enumerated() {
            let file = try self.folder.write("zone\(index)", zone.value)
            // It would start without a zone that it cannot read.
            try PeerPackage.dns.program("/usr/sbin/nsd-checkzone", [zone.key, file]).runOrThrow()
            lines += ["zone:", "name: \"\(zone.key)\"", "zonefile: \"\(file)\""]
        }
        let configuration = try self.folder.write("nsd.conf", lines.joined(separator: "\n") + "\n")
        try self.process.start(PeerPackage.dns.program("/usr/sbin/nsd", ["-d", "-c", configuration]), self.address)
    }

    package func stop() throws { try self.process.stop() }
}
