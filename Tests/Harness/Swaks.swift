/// Swaks, an SMTP client whose every step can be set from the command line.
package enum Swaks {
    /// Runs one session.
    ///
    /// - Parameters:
    ///   - options: as on the command line, such as `--from`, `--to`, `--ehlo`, `--quit-after RCPT`, `--tls`.
    ///   - content: sent octet for octet; its lines end with CRLF. Without it, Swaks makes up a message.
    /// - Returns: the transcript as output, and how it ended: 0 if all steps succeeded, 24 if all recipients were
    ///   refused, 26 if the content was, others in its manual under EXIT CODES.
    package static func run(
        to server: Endpoint, _ options: [String], content: [UInt8]? = nil, within limit: Duration = .seconds(60)
    ) throws -> Finished {
        let script = try PeerPackage.swaks.find("/usr/bin/swaks")
        var program = Program(
            "/usr/bin/perl", [script, "--server", server.host, "--port", String(server.port)] + options)
        program.environment["PERL5LIB"] = PeerPackage.swaks.perlFolders.joined(separator: ":")
        if let content {
            program.arguments += ["--data", "-", "--no-data-fixup"]
            // It puts a CRLF behind what it sends.
            program.input = dotStuffed(content) + [UInt8(ascii: ".")]
        }
        return try program.run(within: limit)
    }
}
