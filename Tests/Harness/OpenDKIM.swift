/// OpenDKIM in its test mode: without milter and DNS.
package enum OpenDKIM {
    /// What its library says of a message.
    package struct Verdict: Sendable {
        /// `pass`, `fail`, `neutral`, `permerror` and so on of each signature, as Authentication-Results says it; empty
        /// if there is none.
        package let results: [String]
        /// The whole value of that field.
        package let field: String
    }

    /// - Parameters:
    ///   - keys: key records by `selector._domainkey.domain`.
    ///   - settings: further lines of its configuration, such as `MinimumKeyBits 512`.
    package static func verify(_ message: [UInt8], keys: [String: String], settings: [String] = []) throws -> Verdict {
        let folder = try TemporaryFolder()
        let list = try folder.write("keys", keys.map { "\($0.key) \($0.value)\n" }.joined())
        let lines = ["Mode v", "Syslog no", "TestPublicKeys \(list)", "AlwaysAddARHeader yes", "AuthservID test"]
        let output = try Self.run(message, lines + settings, folder)
        guard let field = Self.inserted("Authentication-Results", output) else {
            throw HarnessError("no Authentication-Results from opendkim: \(output)")
        }
        let results = field.matches(of: /dkim=([a-z]+)/).map { String($0.1) }
        return Verdict(results: results == ["none"] ? [] : results, field: field)
    }

    /// - Parameters:
    ///   - key: PEM.
    ///   - settings: such as `SignatureAlgorithm rsa-sha1` or `BodyLengths yes`.
    /// - Returns: the DKIM-Signature field with CRLF between and behind its lines.
    package static func sign(
        _ message: [UInt8], selector: String, domain: String, key: String, canonicalization: String = "relaxed/relaxed",
        settings: [String] = []
    ) throws -> String {
        let folder = try TemporaryFolder()
        let file = try folder.write("key", key)
        let lines = [
            "Mode s", "Syslog no", "Domain \(domain)", "Selector \(selector)", "KeyFile \(file)",
            "Canonicalization \(canonicalization)", "RequireSafeKeys no",
        ]
        let output = try Self.run(message, lines + settings, folder)
        guard let value = Self.inserted("DKIM-Signature", output) else {
            throw HarnessError("no signature from opendkim: \(output)")
        }
        return "DKIM-Signature: \(value)".replacing("\n", with: "\r\n") + "\r\n"
    }

    package static func version() throws -> String {
        try PeerPackage.authentication.program("/usr/sbin/opendkim", ["-V"]).run().output
    }

    private static func run(_ message: [UInt8], _ settings: [String], _ folder: TemporaryFolder) throws -> String {
        let configuration = try folder.write("opendkim.conf", settings.joined(separator: "\n") + "\n")
        let file = try folder.write("message", bytes: message)
        var program = try PeerPackage.authentication.program(
            "/usr/sbin/opendkim", ["-x", configuration, "-t", file, "-vv"])
        program.errors = .unnamed
        return try program.runOrThrow().output
    }

    /// `### INSHEADER: idx=0 hname='NAME' hvalue='VALUE'`, which may go over several lines.
    private static func inserted(_ name: String, _ output: String) -> String? {
        guard let start = output.firstRange(of: "hname='\(name)' hvalue='") else { return nil }
        let rest = output[start.upperBound...]
        let end = rest.firstRange(of: "'\n###")?.lowerBound ?? rest.lastIndex(of: "'")
        return end.map { String(rest[..<$0]) }
    }
}
