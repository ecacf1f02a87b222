import Foundation
import Harness

/// Domains whose mail goes to servers with TLS: names at a real name server, an authority that Postern trusts, and
/// Postern in front of all.
final class TLSForwardingWorld {
    struct Settings {
        /// The right side of the transport table, by domain.
        var routes: [String: String] = [:]
        /// The policy table.
        var levels: [String: String] = [:]
        /// Of everybody else.
        var level = "dane"
        /// `user:password` by next hop.
        var passwords: [String: String] = [:]
        var mechanisms = "[SCRAM-SHA-256, PLAIN, LOGIN]"
        /// DS records of zones; without any nothing is validated.
        var anchors: [String] = []
        /// More lines of the configuration.
        var more = ""
        var networks = "[]"
        var hostname = "mx2.example.test"
    }

    let authority: CertificateAuthority
    let names: NSD
    let postern: PosternProcess
    private let folder: TemporaryFolder

    /// - Parameter zones: by name, as ``NSD`` wants them.
    init(_ settings: Settings, zones: [String: String], authority: CertificateAuthority) throws {
        self.authority = authority
        self.names = try NSD(zones: zones)
        self.folder = try TemporaryFolder()
        let anchor = try self.folder.write("anchors", settings.anchors.map { "\($0)\n" }.joined())
        let validation = settings.anchors.isEmpty ? "" : ", trust_anchor: \(anchor)"
        let domains = settings.routes.keys.sorted()
        self.postern = try PosternProcess(
            transport: settings.routes.map { "\($0.key) \($0.value)\n" }.joined(),
            domains: "[\(domains.joined(separator: ", "))]", recipients: domains.map { "@\($0) ok\n" }.joined(),
            networks: settings.networks,
            more: """
                forwarder:
                  loopback_mx: true
                  probe_minimum: 1s
                  probe_maximum: 1s
                  tls: {level: \(settings.level), policy: "texthash:tls_policy", authorities: \(authority.root)}
                  sasl: {passwords: "texthash:sasl_passwd", mechanisms: \(settings.mechanisms)}
                \(settings.more)
                """,
            resolver: "{forwarders: [\"\(self.names.address)\"], timeout: 5s\(validation)}",
            hostname: settings.hostname,
            starts: false)
        try self.set("tls_policy", settings.levels)
        try self.set("sasl_passwd", settings.passwords)
        try self.postern.start()
    }

    /// Writes a table.
    func set(_ name: String, _ entries: [String: String]) throws {
        let text = entries.map { "\($0.key) \($0.value)\n" }.sorted().joined()
        let path = try self.postern.folder.write("rules/\(name)", text)
        chmod(path, 0o600)
    }

    /// A zone with records behind its own.
    static func zone(_ name: String, _ records: String) -> String {
        """
        $ORIGIN \(name == "." ? "." : "\(name).")
        $TTL 1
        @ SOA ns hostmaster 1 3600 900 604800 1
        @ NS ns
        ns A 127.0.0.1
        \(records)

        """
    }

    // MARK: Mail

    /// A message for somebody in the domain, with its name as the subject.
    func send(to domain: String, header: String = "") throws {
        let reply = try self.postern.send(
            to: ["user@\(domain)"], "\(header)Subject: \(domain)\r\n\r\nthe body\r\n")
        guard reply.code == 250 else { throw HarnessError("not taken for \(domain): \(reply)") }
    }

    /// Waits until mail for a domain has been handed over.
    ///
    /// - Returns: how that was secured, as the log has it: `may TLSv1.3`, without the cipher.
    func delivered(_ domain: String) throws -> String {
        let line = try self.postern.event("delivered", "for \(domain)") { $0["to"] == "user@\(domain)" }
        return (line["tls"] ?? "nothing").split(separator: "/").first.map(String.init) ?? ""
    }

    /// Waits until there is an attempt in vain.
    ///
    /// - Returns: what is said of it.
    func deferred(_ domain: String) throws -> String {
        let line = try self.postern.event("destination_down", "for \(domain)") {
            $0["destination"]?.contains(domain) == true
        }
        return line["reply"] ?? ""
    }

    func isDelivered(_ domain: String) -> Bool {
        self.postern.events("delivered").contains { $0["to"] == "user@\(domain)" }
    }
}

extension PostfixPrimary {
    /// Settings by which it shows a certificate.
    static func tls(_ certificate: CertificateAuthority.Certificate) -> [String: String] {
        [
            "smtpd_tls_security_level": "may", "smtpd_tls_cert_file": certificate.chain,
            "smtpd_tls_key_file": certificate.key, "smtpd_tls_received_header": "yes", "smtpd_tls_loglevel": "1",
        ]
    }

    /// The message with this subject, once it is there.
    func message(_ subject: String) throws -> DeliveredMessage {
        try eventually("a message about \(subject)") {
            try self.maildir.messages().first { $0.field("Subject") == subject }
        }
    }
}

extension DeliveredMessage {
    /// Whether the primary's Received field says that the message came in TLS.
    var cameInTLS: Bool { self.text.contains("using TLSv1.3 with cipher") || self.text.contains("(TLS1.3)") }
}

/// Digests by the `openssl` command, in hexadecimal digits.
enum CertificateDigest {
    /// Of a certificate.
    static func certificate(_ file: String) throws -> String {
        try self.digest("openssl x509 -in \"$0\" -outform DER", file)
    }

    /// Of its public key, as TLSA records with selector 1 have it.
    static func key(_ file: String) throws -> String {
        try self.digest("openssl x509 -in \"$0\" -noout -pubkey | openssl pkey -pubin -outform DER", file)
    }

    private static func digest(_ command: String, _ file: String) throws -> String {
        let run = try Program("/bin/sh", ["-c", "\(command) | openssl dgst -sha256 -r", file]).runOrThrow()
        return String(run.output.prefix(64))
    }
}
