import ArgumentParser
import Daemon
import Mail
import Resolver

struct TLSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tls", abstract: "Find out how mail to a domain or next hop would be secured; none is sent.")

    @Argument(help: "A domain, or a next hop as in the transport table, such as [mail.example.com]:587.")
    var destination: String
    @OptionGroup var source: ConfigurationOption
    @OptionGroup var resolver: ResolverArguments
    @Option(help: "How many seconds a server is waited for at each step.") var timeout = 30
    @Flag(help: "Print one JSON document.") var json = false

    func validate() throws {
        guard (1...3600).contains(self.timeout) else { throw ValidationError("--timeout is 1 to 3600 seconds") }
    }

    func run() async throws {
        let configuration = try self.source.loadIfSetUp()
        var options = try configuration?.resolver.options() ?? ResolverOptions()
        try self.resolver.apply(to: &options)
        let report = try await self.lookup(configuration, options).report()
        if self.json {
            try Output.write(try ControlJSON.encode(report) + [ASCII.lineFeed])
        } else {
            if let failure = report.failure { try Self.line("\(report.destination): \(failure)") }
            for server in report.servers { try Self.show(server) }
        }
        guard report.isUsable else { throw CommandFailure(1) }
    }

    private func lookup(_ configuration: Configuration?, _ options: ResolverOptions) throws -> TransportLookup {
        do {
            return try TransportLookup(
                destination: self.destination, configuration, file: self.source.file, resolver: options,
                limit: .seconds(self.timeout))
        } catch let error as TransportLookup.BadDestination {
            throw CommandFailure(2, "\(error)")
        }
    }

    // MARK: For people

    /// Names in certificates may be anything.
    private static func line(_ text: String) throws { try Output.line(text.printable(maximumBytes: 4000)) }

    private static func show(_ server: TransportReport.Server) throws {
        let use = server.usable ? "would be used" : "would not be used"
        try self.line("\(server.host)[\(server.address)]:\(server.port): \(use), level \(server.level)")
        if let reason = server.reason { try self.line("  \(reason)") }
        if let mx = server.mx { try self.line("  MX: preference \(mx.preference), \(self.security(mx.isSecure))") }
        let alias = server.canonicalName.map { ", an alias of \($0)" } ?? ""
        try self.line("  address: \(self.security(server.isAddressSecure))\(alias)")
        for record in server.tlsa {
            try self.line("  TLSA of \(record.name): \(record.record)\(record.usable ? "" : ", does not count")")
        }
        if let failure = server.tlsaFailure { try self.line("  TLSA: \(failure)") }
        if let policy = server.sts { try self.line("  MTA-STS: \(self.text(of: policy))") }
        if let tls = server.tls { try self.line("  TLS: \(tls.version) \(tls.cipher), \(tls.bits) bits") }
        if let certificate = server.certificate { try self.show(certificate) }
        if let isOffered = server.requireTLS { try self.line("  REQUIRETLS: \(isOffered ? "offered" : "not offered")") }
    }

    private static func security(_ isSecure: Bool) -> String {
        isSecure ? "proven by DNSSEC" : "not proven by DNSSEC"
    }

    private static func text(of policy: TransportReport.Policy) -> String {
        var parts: [String] = []
        if let mode = policy.mode { parts.append(mode) }
        if let isAllowed = policy.isAllowed { parts.append(isAllowed ? "names the host" : "does not name the host") }
        if let problem = policy.problem { parts.append(problem) }
        return parts.joined(separator: ", ")
    }

    private static func show(_ certificate: TransportReport.Certificate) throws {
        let verdict = certificate.isVerified.map { $0 ? "verified" : "not verified: \(certificate.problem ?? "")" }
        try self.line("  certificate: \(verdict ?? "anyone's will do")")
        try self.line("    subject \(certificate.subject), issuer \(certificate.issuer), until \(certificate.expires)")
        try self.line("    names \(certificate.names.joined(separator: ", "))")
        try self.line("    SHA-256 \(certificate.fingerprint)")
        try self.line("    SHA-256 of the key \(certificate.publicKeyFingerprint)")
        try self.line("    TLSA \(certificate.tlsa)")
    }
}
