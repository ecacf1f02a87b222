/// libspf2 by its `spfquery`, and OpenDMARC's reader of records. They ask DNS at port 53 of the server they are given.
package enum LibSPF2 {
    /// - Parameter server: `NSD(host:port:zones:)` or ``Unbound`` at port 53.
    /// - Returns: `pass`, `fail` and so on, and all that it wrote.
    package static func check(
        address: String, sender: String, helo: String, server: Endpoint
    ) throws -> (result: String, output: String) {
        var arguments = ["-ip", address, "-helo", helo]
        if !sender.isEmpty { arguments += ["-sender", sender] }
        let finished = try runPeer("/usr/bin/spfquery.libspf2", arguments, server)
        // Its exit code is the number of the result.
        guard case .exited = finished.ending, let line = finished.output.split(separator: "\n").first else {
            throw HarnessError("spfquery \(finished.ending): \(finished.output)\(finished.errors)")
        }
        return (String(line), finished.output)
    }

    package static func version() throws -> String {
        try PeerPackage.authentication.program("/usr/bin/spfquery.libspf2", ["-version"]).run().output
    }
}

package enum OpenDMARC {
    /// What OpenDMARC reads in the record of a domain.
    package static func check(_ domain: String, server: Endpoint) throws -> String {
        try runPeer("/usr/sbin/opendmarc-check", [domain], server).output
    }

    package static func version() throws -> String {
        try PeerPackage.authentication.program("/usr/sbin/opendmarc", ["-V"]).run().output
    }
}

private func runPeer(_ path: String, _ arguments: [String], _ server: Endpoint) throws -> Finished {
    guard server.port == 53 else { throw HarnessError("\(path) asks no other port than 53") }
    let root = try PrivateRoot(.authentication, accounts: [])
    try root.folder.write("etc/resolv.conf", "nameserver \(server.host)\noptions attempts:1 timeout:5\n")
    // Its folder must last until the program has ended.
    return try withExtendedLifetime(root) { try root.program(path, arguments).run() }
}
