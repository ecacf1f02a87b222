/// A zone signed with a key of its own, by ldns.
package struct SignedZone: Sendable {
    /// For ``NSD``.
    package let text: String
    /// The DS record of its key, for ``Unbound`` or the zone above.
    package let anchor: String
    private let folder: TemporaryFolder
    private let key: String

    /// - Parameters:
    ///   - options: of `ldns-signzone`, such as `-e 20200101` for signatures that have expired, or `-n`.
    ///   - other: the zone as it was before, whose key it keeps.
    package init(_ name: String, _ text: String, options: [String] = [], like other: SignedZone? = nil) throws {
        let folder = try other?.folder ?? TemporaryFolder()
        let zone = try folder.write("zone", text)
        let run = { (tool: String, arguments: [String]) in
            var program = try PeerPackage.dns.program("/usr/bin/\(tool)", arguments)
            program.folder = folder.path
            return try program.runOrThrow().output
        }
        let key =
            try other?.key
            ?? run("ldns-keygen", ["-a", "ECDSAP256SHA256", "-k", name]).split(separator: "\n").joined()
        _ = try run("ldns-signzone", options + ["-o", name, "-f", "signed", zone, key])
        self.text = folder.text("signed")
        self.anchor = folder.text("\(key).ds").split(separator: "\n").joined()
        self.folder = folder
        self.key = key
    }
}

/// Asks a name server.
///
/// - Parameter options: such as `-t` (over TCP) or `-D` (with signatures).
/// - Returns: the answer in `drill`'s words, `rcode` and flags in its first lines.
package func drill(_ name: String, _ type: String, at server: Endpoint, _ options: [String] = []) throws -> String {
    try PeerPackage.dns.program(
        "/usr/bin/drill", options + ["-p", String(server.port), "@\(server.host)", name, type]
    ).runOrThrow().output
}
