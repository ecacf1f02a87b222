import Foundation
import Harness
import Testing

/// `postern tls`, with a Postern as the server, names of nsd, and policies from a web server.
@Suite(.serialized) struct TLSTests {
    private static let host = "127.0.0.5"
    private static let wrong = "3 1 1 " + String(repeating: "AB", count: 32)

    private let folder: TemporaryFolder
    private let authority: CertificateAuthority

    init() throws {
        self.folder = try TemporaryFolder()
        self.authority = try CertificateAuthority()
    }

    private func server(tls: String? = nil) throws -> PosternProcess {
        let certificate = try self.authority.certificate(for: "mail.example.test")
        chmod(certificate.combined, 0o600)
        let server = try PosternProcess(
            more: "tls: \(tls ?? "{certificates: [\(certificate.combined)]}")", starts: false)
        // At an address that is no interface's: mail by MX records does not go to ourselves.
        let text = server.file("postern.yaml").replacing(
            "listen: [\"\(server.address)\"]", with: "listen: [\"\(Self.host):\(server.address.port)\"]")
        try server.rewrite("postern.yaml", text)
        try server.start()
        return server
    }

    private static func zone(_ records: String) -> String {
        """
        $ORIGIN example.test.
        $TTL 300
        @ SOA ns admin 1 3600 600 86400 60
        @ NS ns
        ns A 127.0.0.1
        @ MX 10 mail
        mail A \(Self.host)
        \(records)

        """
    }

    private func configuration(tls: String = "{}", more: String = "") throws -> String {
        try self.folder.write(
            "postern.yaml",
            """
            hostname: client.example.net
            listen: ["127.0.0.1:1"]
            rules: \(self.folder.path)
            forwarder: {loopback_mx: true, tls: \(tls)}
            \(more)

            """)
    }

    /// What the command finds out with a zone, which is signed unless it is said otherwise.
    private func run(
        _ destination: String, _ records: String = "", isSigned: Bool = true, tls: String = "{}", more: String = "",
        _ arguments: String...
    ) throws -> Finished {
        let plain = Self.zone(records)
        let signed = try SignedZone("example.test", plain)
        let names = try NSD(zones: ["example.test": isSigned ? signed.text : plain])
        let anchor = try self.folder.write("anchor", isSigned ? signed.anchor + "\n" : "")
        let file = try self.configuration(tls: tls, more: more)
        return try postern(
            ["tls", destination, "--config", file, "--dns", "\(names.address)", "--timeout", "10"]
                + (isSigned ? ["--trust-anchor", anchor] : []) + arguments)
    }

    private func report(
        _ destination: String, _ records: String = "", isSigned: Bool = true, tls: String = "{}", more: String = "",
        status: Int32
    ) throws -> [String: Any] {
        let run = try self.run(destination, records, isSigned: isSigned, tls: tls, more: more, "--json")
        #expect(run.ending == .exited(status), "\(run.output) \(run.errors)")
        return try jsonObject(run.output)
    }

    /// The only server.
    private func only(_ report: [String: Any]) throws -> [String: Any] {
        let servers = try #require(report["servers"] as? [[String: Any]])
        try #require(servers.count == 1, "\(report)")
        return servers[0]
    }

    private static func part(_ server: [String: Any], _ key: String) throws -> [String: Any] {
        try #require(server[key] as? [String: Any], "\(server)")
    }

    // MARK: DANE

    @Test func `a server that matches its TLSA record would be used`() throws {
        let server = try self.server()
        let port = server.address.port
        let before = try self.only(try self.report("example.test:\(port)", status: 0))
        #expect(before["level"] as? String == "may")
        #expect(try Self.part(before, "certificate")["isVerified"] is NSNull)
        let record = try #require(try Self.part(before, "certificate")["tlsa"] as? String)

        let report = try self.report("example.test:\(port)", "_\(port)._tcp.mail TLSA \(record)", status: 0)
        #expect(report["destination"] as? String == "example.test:\(port)")
        let found = try self.only(report)
        #expect(found["host"] as? String == "mail.example.test" && found["address"] as? String == Self.host)
        #expect(found["port"] as? Int == port && found["level"] as? String == "dane")
        #expect(found["usable"] as? Bool == true && found["reason"] is NSNull)
        #expect(found["requireTLS"] as? Bool == true && found["isAddressSecure"] as? Bool == true)
        let mx = try Self.part(found, "mx")
        #expect(mx["preference"] as? Int == 10 && mx["isSecure"] as? Bool == true)
        let tlsa = try #require((found["tlsa"] as? [[String: Any]])?.first)
        #expect(tlsa["record"] as? String == record && tlsa["usable"] as? Bool == true)
        let tls = try Self.part(found, "tls")
        #expect(tls["version"] as? String == "TLSv1.3" && tls["bits"] as? Int == 256)
        let certificate = try Self.part(found, "certificate")
        #expect(certificate["isVerified"] as? Bool == true && certificate["issuer"] as? String == "Test root")
        #expect(certificate["names"] as? [String] == ["mail.example.test"])
    }

    @Test func `a server that does not match its TLSA record would not be used, and is shown`() throws {
        let server = try self.server()
        let port = server.address.port
        // A digest of an unknown kind does not count.
        let records = "_\(port)._tcp.mail TLSA \(Self.wrong)\n_\(port)._tcp.mail TLSA 3 1 9 ABCD\n"
        let found = try self.only(try self.report("example.test:\(port)", records, status: 1))
        #expect(found["level"] as? String == "dane" && found["usable"] as? Bool == false)
        #expect((found["reason"] as? String)?.contains("no TLSA record matches") == true)
        let certificate = try Self.part(found, "certificate")
        #expect(certificate["isVerified"] as? Bool == false && certificate["subject"] as? String == "mail.example.test")
        #expect(found["requireTLS"] is NSNull)
        let usable = try #require(found["tlsa"] as? [[String: Any]]).filter { $0["usable"] as? Bool == true }
        #expect(usable.map { $0["record"] as? String } == [Self.wrong])
    }

    @Test func `what is not proven is said to be so, and does not bind`() throws {
        let server = try self.server()
        let port = server.address.port
        let records = "_\(port)._tcp.mail TLSA \(Self.wrong)"
        let found = try self.only(try self.report("example.test:\(port)", records, isSigned: false, status: 0))
        #expect(found["level"] as? String == "may" && found["isAddressSecure"] as? Bool == false)
        #expect(try Self.part(found, "mx")["isSecure"] as? Bool == false)
        #expect((found["tlsa"] as? [Any])?.isEmpty == true)
    }

    // MARK: Levels

    @Test func `a server without TLS would be used if the level lets it`() throws {
        let server = try self.server(tls: "{enabled: false}")
        let hop = "[\(Self.host)]:\(server.address.port)"
        let may = try self.only(try self.report(hop, status: 0))
        #expect(may["usable"] as? Bool == true && may["tls"] is NSNull && may["certificate"] is NSNull)
        #expect((may["reason"] as? String)?.contains("plain text") == true)
        #expect(may["mx"] is NSNull && may["sts"] is NSNull)
        let encrypt = try self.only(try self.report(hop, tls: "{level: encrypt}", status: 1))
        #expect(encrypt["level"] as? String == "encrypt")
        #expect((encrypt["reason"] as? String)?.contains("does not offer it") == true)
    }

    @Test func `the table of levels and the authorities are those of the configuration`() throws {
        let server = try self.server()
        let hop = "[mail.example.test]:\(server.address.port)"
        _ = try self.folder.write("levels", "\(hop) verify\n")
        let tls = "{policy: 'texthash:levels', authorities: \(self.authority.root)}"
        let found = try self.only(try self.report(hop, tls: tls, status: 0))
        #expect(found["level"] as? String == "verify")
        #expect(try Self.part(found, "certificate")["isVerified"] as? Bool == true)
        let other = try CertificateAuthority("Other root")
        let untrusted = "{policy: 'texthash:levels', authorities: \(other.root)}"
        let refused = try self.only(try self.report(hop, tls: untrusted, status: 1))
        #expect((refused["reason"] as? String)?.contains("not verified") == true)
        _ = try self.folder.write("levels", "\(hop) sometimes\n")
        let run = try self.run(hop, tls: tls)
        #expect(run.ending == .exited(2) && run.errors.contains("levels:1"), "\(run.errors)")
    }

    // MARK: MTA-STS

    @Test(arguments: [
        ("mode: enforce\r\nmx: *.example.test", Int32(0), "sts", Bool?.some(true)),
        ("mode: enforce\r\nmx: other.example.test", 1, "dane", false),
        ("mode: testing\r\nmx: other.example.test", 0, "may", false),
        ("mode: none", 0, "may", nil),
    ])
    func `the domain's policy counts`(text: String, status: Int32, level: String, isAllowed: Bool?) throws {
        let server = try self.server()
        let web = try HTTPSServer([
            "mta-sts.example.test": .policy(
                try self.authority.certificate(for: "mta-sts.example.test"),
                "version: STSv1\r\n\(text)\r\nmax_age: 86400\r\n")
        ])
        let found = try self.only(
            try self.report(
                "example.test:\(server.address.port)", Self.policyRecords, isSigned: false,
                more: self.policyServer(at: web.port), status: status))
        #expect(found["level"] as? String == level)
        let policy = try Self.part(found, "sts")
        #expect(policy["isAllowed"] as? Bool == isAllowed && policy["maximumAge"] as? Int == 86_400)
        #expect(text.hasPrefix("mode: \(policy["mode"] as? String ?? "nothing")"))
    }

    private static let policyRecords = "mta-sts A 127.0.0.1\n_mta-sts TXT \"v=STSv1; id=1;\""

    private func policyServer(at port: Int) -> String {
        "mta_sts: {port: \(port), allow_loopback: true, authorities: \(self.authority.root)}"
    }

    @Test func `a policy that cannot be had is said to be so`() throws {
        let server = try self.server()
        let web = try HTTPSServer([
            "mta-sts.example.test": .init(
                try self.authority.certificate(for: "mta-sts.example.test"),
                HTTPSServer.response("no", status: "404 Not Found"))
        ])
        let more = self.policyServer(at: web.port)
        let found = try self.only(
            try self.report(
                "example.test:\(server.address.port)", Self.policyRecords, isSigned: false,
                more: more, status: 0))
        let policy = try Self.part(found, "sts")
        #expect(policy["mode"] is NSNull && (policy["problem"] as? String)?.contains("404") == true)
        let twice = try self.only(
            try self.report(
                "example.test:\(server.address.port)", "_mta-sts TXT \"v=STSv1; id=1\"\n_mta-sts TXT \"v=STSv1; id=2\"",
                isSigned: false, status: 0))
        #expect((try Self.part(twice, "sts")["problem"] as? String)?.contains("_mta-sts.example.test") == true)
    }

    // MARK: What is not there

    @Test func `a server that cannot be reached would not be used`() throws {
        let found = try self.only(try self.report("[127.0.0.1]:\(try freePort())", status: 1))
        #expect(found["usable"] as? Bool == false)
        #expect((found["reason"] as? String)?.contains("Connection refused") == true)
    }

    @Test func `a domain that does not exist has no servers`() throws {
        let report = try self.report("nobody.example.test", status: 1)
        #expect((report["servers"] as? [Any])?.isEmpty == true)
        #expect((report["failure"] as? String)?.contains("5.1.2") == true)
    }

    @Test func `every key is there`() throws {
        let report = try self.report("[127.0.0.1]:\(try freePort())", status: 1)
        #expect(Set(report.keys) == ["destination", "servers", "failure"])
        #expect(
            Set(try self.only(report).keys) == [
                "host", "address", "port", "level", "mx", "isAddressSecure", "canonicalName", "tlsa", "tlsaFailure",
                "sts", "tls", "certificate", "requireTLS", "usable", "reason",
            ])
    }

    @Test func `for people it is lines`() throws {
        let server = try self.server()
        let run = try self.run("example.test:\(server.address.port)")
        #expect(run.ending == .exited(0))
        let lines = run.output.split(separator: "\n")
        #expect(
            lines.first == "mail.example.test[\(Self.host)]:\(server.address.port): would be used, level may")
        #expect(lines.contains("  MX: preference 10, proven by DNSSEC"))
        #expect(lines.contains { $0.hasPrefix("    TLSA 3 1 1 ") })
        #expect(lines.last == "  REQUIRETLS: offered")
    }

    @Test(arguments: [
        [], ["not a hop:"], ["[example.test"], ["example.test", "--timeout", "0"], ["example.test", "--timeout", "x"],
        ["example.test", "--dns", "not an address"], ["example.test", "--config", "/nowhere/postern.yaml"],
    ])
    func `wrong usage of tls is 2`(arguments: [String]) throws {
        let run = try postern(["tls"] + arguments)
        #expect(run.ending == .exited(2))
        #expect(!run.errors.isEmpty && run.output.isEmpty)
    }
}
