import Forwarder
import Foundation
import Harness
import MTASTS
import Mail
import NIOPosix
import Queue
import Resolver
import TLS
import Testing
import ZoneFiles

/// What connections have, with servers that have certificates or do not, and names that are signed or are not.
@Suite(.serialized) struct SecureForwardingTests {
    private let certificate: TLSCertificate

    init() throws {
        self.certificate = try TLSCertificate(selfSigned: "in1.example.test", key: TLSCertificate.generateKey())
    }

    private static func options(_ change: (inout ForwarderOptions) -> Void = { _ in }) -> ForwarderOptions {
        var options = ForwarderOptions()
        options.loopbackMX = true
        change(&options)
        return options
    }

    private func association(_ certificate: TLSCertificate) -> String {
        "3 1 1 " + certificate.publicKeyFingerprint.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static let wrong = "3 1 1 " + String(repeating: "ab", count: 32)

    /// The domain `example.test`, with servers in1 and in2 at 127.0.0.1 and 127.0.0.2, and records of theirs.
    private func zone(
        _ port: Int, _ records: String..., security: DNSSecurity = .secure
    ) throws -> ZoneService {
        let names = try ZoneService()
        let tlsa = zip(records, 1...).map { record, number in
            "@ MX \(number) in\(number)\nin\(number) A 127.0.0.\(number)\n"
                + (record.isEmpty ? "" : "_\(port)._tcp.in\(number) TLSA \(record)\n")
        }
        try names.set("$ORIGIN example.test.\n@ SOA ns admin 1 1h 1h 1d 60\n" + tlsa.joined(), security: security)
        return names
    }

    /// A message goes to the domain; then `check`.
    private func forward(
        port: Int, _ names: ZoneService, options: ForwarderOptions = Self.options(),
        requirement: TLSRequirement = .unspecified, finding: STSFinding = .none, delivered: Bool = true,
        tables: SecurityTables = SecurityTables(),
        _ check: (ForwarderFixture) async throws -> Void = { _ in }
    ) async throws {
        let fixture = try ForwarderFixture(
            routes: ["*": "smtp:example.test:\(port)"], options: options, names: names,
            policies: { _ in MultiThreadedEventLoopGroup.singleton.next().makeSucceededFuture(finding) }, tables: tables
        )
        try await withForwarder(fixture) { fixture in
            fixture.forwarder.start(ticks: nil)
            try await fixture.add(try envelope(tls: requirement))
            if delivered {
                try await fixture.waitForMessages(0)
                try await fixture.waitUntil("it is logged") { !fixture.delivered.isEmpty }
            } else {
                try await fixture.waitFor(.down)
            }
            try await check(fixture)
        }
    }

    // MARK: Where TLS is not needed

    @Test func `TLS is used where it is offered, whoever the server is`() async throws {
        let server = try await SecureServer(certificate: self.certificate)
        try await self.forward(port: server.port, try self.zone(server.port, "")) { fixture in
            let tls = fixture.delivered.first?.tls ?? ""
            #expect(tls.hasPrefix("may TLSv1.3/TLS_AES_") && tls.hasSuffix("/256"))
            #expect(fixture.observations.map(\.result) == [.success])
            #expect(fixture.observations.map(\.policy) == [.init(type: .none, domain: "example.test")])
            #expect(fixture.observations.map(\.receivingHost) == ["in1.example.test"])
            #expect(fixture.observations.map(\.receivingAddress) == [IPAddress("127.0.0.1")])
            #expect(fixture.observations.map(\.sendingAddress) == [IPAddress("127.0.0.1")])
        }
        #expect(server.messages.map(\.isSecured) == [true])
        try await server.end()
    }

    @Test(arguments: [SecureServer.Flaw.babbles, .leaves])
    func `a handshake that fails is followed by plain text with the same server`(
        flaw: SecureServer.Flaw
    ) async throws {
        let server = try await SecureServer(flaw: flaw)
        try await self.forward(port: server.port, try self.zone(server.port, "")) { fixture in
            #expect(fixture.delivered.first?.tls == "none")
            #expect(fixture.failures == [.validationFailure])
            #expect(fixture.observations.map(\.sendingAddress) == [IPAddress("127.0.0.1")])
        }
        #expect(server.connections == 2)
        #expect(server.messages.map(\.isSecured) == [false])
        try await server.end()
    }

    @Test func `TLS that breaks off at once is followed by plain text with the same server`() async throws {
        let server = try await SecureServer(certificate: self.certificate, flaw: .leavesLater)
        try await self.forward(port: server.port, try self.zone(server.port, "")) { fixture in
            #expect(fixture.delivered.first?.tls == "none")
            #expect(fixture.observations.map(\.result) == [.success])
        }
        #expect(server.connections == 2)
        #expect(server.messages.map(\.isSecured) == [false])
        try await server.end()
    }

    @Test func `where TLS is needed it may not break off`() async throws {
        let server = try await SecureServer(certificate: self.certificate, flaw: .leavesLater)
        let options = Self.options { $0.tls.level = .encrypt }
        try await self.forward(port: server.port, try self.zone(server.port, ""), options: options, delivered: false)
        #expect(server.connections == 1 && server.messages.isEmpty)
        try await server.end()
    }

    @Test(arguments: [SecureServer.Flaw.offersNothing, .refuses])
    func `without STARTTLS the session goes on`(flaw: SecureServer.Flaw) async throws {
        let server = try await SecureServer(flaw: flaw)
        try await self.forward(port: server.port, try self.zone(server.port, "")) { fixture in
            #expect(fixture.delivered.first?.tls == "none")
            #expect(fixture.failures == [.startTLSNotSupported])
        }
        #expect(server.connections == 1)
        try await server.end()
    }

    // MARK: Where it is

    @Test(arguments: [SecureServer.Flaw.babbles, .leaves, .offersNothing, .refuses])
    func `with TLSA records nothing goes out in plain text`(flaw: SecureServer.Flaw) async throws {
        let server = try await SecureServer(flaw: flaw)
        let names = try self.zone(server.port, self.association(self.certificate))
        try await self.forward(port: server.port, names, delivered: false) { fixture in
            #expect(fixture.failures.count == 1)
            #expect(fixture.observations.first?.policy.type == .tlsa)
            let due = fixture.events.contains { if case .destinationDown = $0 { true } else { false } }
            #expect(due)
        }
        #expect(server.connections == 1 && server.messages.isEmpty)
        #expect(!server.commands.contains { $0.hasPrefix("MAIL") })
        try await server.end()
    }

    @Test func `the level encrypt defers what cannot be encrypted`() async throws {
        let server = try await SecureServer(flaw: .offersNothing)
        let options = Self.options { $0.tls.level = .encrypt }
        try await self.forward(port: server.port, try self.zone(server.port, ""), options: options, delivered: false)
        #expect(server.messages.isEmpty)
        try await server.end()
    }

    @Test func `a server that is not who it should be is left for the next`() async throws {
        let bad = try await SecureServer(certificate: self.certificate)
        let other = try TLSCertificate(selfSigned: "in2.example.test", key: TLSCertificate.generateKey())
        let good = try await SecureServer(host: "127.0.0.2", port: bad.port, certificate: other)
        let names = try self.zone(bad.port, Self.wrong, self.association(other))
        try await self.forward(port: bad.port, names) { fixture in
            #expect(fixture.delivered.first?.remote?.hasPrefix("in2.example.test[127.0.0.2]") == true)
            #expect(fixture.delivered.first?.tls?.hasPrefix("dane TLSv1.3/") == true)
            #expect(fixture.failures == [.certificateNotTrusted])
            #expect(fixture.observations.last?.result == .success)
            #expect(fixture.observations.map(\.policy.domain) == ["in1.example.test", "in2.example.test"])
        }
        #expect(bad.connections == 1 && bad.messages.isEmpty)
        #expect(!bad.commands.contains { $0.hasPrefix("MAIL") })
        #expect(good.messages.map(\.serverName) == ["in2.example.test"])
        try await bad.end()
        try await good.end()
    }

    // MARK: Policies of domains

    private func published(_ mode: STSPolicy.Mode, _ pattern: String = "*.example.test") -> STSFinding {
        .policy(
            STSPolicy(mode: mode, mxPatterns: [pattern], maximumAge: .seconds(60), lines: ["mode: \(mode)"]), fault: nil
        )
    }

    @Test func `a policy that is tested is reported, one that is enforced binds`() async throws {
        let server = try await SecureServer(certificate: self.certificate)
        try await self.forward(
            port: server.port, try self.zone(server.port, ""), finding: self.published(.testing)
        ) { fixture in
            #expect(fixture.delivered.first?.tls?.hasPrefix("may TLSv1.3/") == true)
            #expect(fixture.failures == [.certificateNotTrusted])
            #expect(fixture.observations.first?.policy.type == .sts)
        }
        #expect(server.messages.map(\.serverName) == ["in1.example.test"])
        try await self.forward(
            port: server.port, try self.zone(server.port, ""), finding: self.published(.enforce), delivered: false
        ) { fixture in
            #expect(fixture.failures == [.certificateNotTrusted])
        }
        #expect(server.messages.count == 1)
        try await server.end()
    }

    @Test func `a certificate that a policy asks for is enough`() async throws {
        let authority = try CertificateAuthority()
        let server = try await SecureServer(certificate: try authority.certificate(of: "in1.example.test"))
        let options = Self.options()
        let tables = SecurityTables(webAuthorities: authority.root)
        try await self.forward(
            port: server.port, try self.zone(server.port, "", security: .insecure), options: options,
            finding: self.published(.enforce), tables: tables
        ) { fixture in
            #expect(fixture.delivered.first?.tls?.hasPrefix("sts TLSv1.3/") == true)
            #expect(fixture.observations.map(\.result) == [.success])
        }
        // The host is not in the policy: it is not even connected to.
        try await self.forward(
            port: server.port, try self.zone(server.port, "", security: .insecure), options: options,
            finding: self.published(.enforce, "other.example.test"), delivered: false, tables: tables
        ) { fixture in
            #expect(fixture.failures == [.validationFailure])
        }
        #expect(server.connections == 1)
        try await server.end()
    }

    /// What the administrator trusts for partners is one thing, what everybody trusts another.
    @Test(arguments: [STSPolicy.Mode.enforce, .testing])
    func `authorities of partners do not count for policies, nor those of the web for partners`(
        mode: STSPolicy.Mode
    ) async throws {
        let (partners, web) = (try CertificateAuthority(), try CertificateAuthority("Web"))
        let server = try await SecureServer(certificate: try partners.certificate(of: "in1.example.test"))
        let options = Self.options { $0.tls.authorities = partners.root }
        try await self.forward(
            port: server.port, try self.zone(server.port, "", security: .insecure), options: options,
            finding: self.published(mode), delivered: mode == .testing, tables: SecurityTables(webAuthorities: web.root)
        ) { fixture in
            #expect(fixture.failures == [.certificateNotTrusted])
        }
        let verified = Self.options {
            $0.tls.authorities = partners.root
            $0.tls.level = .verify
        }
        try await self.forward(
            port: server.port, try self.zone(server.port, ""), options: verified, finding: self.published(mode),
            tables: SecurityTables(webAuthorities: web.root)
        ) { fixture in
            #expect(fixture.delivered.first?.tls?.hasPrefix("verify TLSv1.3/") == true)
        }
        try await server.end()
    }

    @Test func `a next hop that is an address proves its address`() async throws {
        let authority = try CertificateAuthority()
        let server = try await SecureServer(certificate: try authority.certificate(of: "127.0.0.1"))
        let options = Self.options {
            $0.tls.authorities = authority.root
            $0.tls.level = .secure
        }
        let fixture = try ForwarderFixture(
            routes: ["*": "smtp:[127.0.0.1]:\(server.port)"], options: options, names: try ZoneService())
        try await withForwarder(fixture) { fixture in
            fixture.forwarder.start(ticks: nil)
            try await fixture.add(try envelope())
            try await fixture.waitUntil("it is logged") { !fixture.delivered.isEmpty }
            #expect(fixture.delivered.first?.tls?.hasPrefix("secure TLSv1.3/") == true)
        }
        try await server.end()
    }

    // MARK: What messages ask for

    @Test func `REQUIRETLS goes to a server that promises the same`() async throws {
        let server = try await SecureServer(certificate: self.certificate, extensions: ["REQUIRETLS"])
        let names = try self.zone(server.port, self.association(self.certificate))
        try await self.forward(port: server.port, names, requirement: .required) { fixture in
            #expect(fixture.delivered.first?.tls?.hasPrefix("dane ") == true)
        }
        #expect(server.messages.count == 1 && server.messages.first?.mail.contains(" REQUIRETLS") == true)
        try await server.end()
    }

    @Test func `REQUIRETLS that nobody can promise comes back, as safe as it was`() async throws {
        let server = try await SecureServer(certificate: self.certificate)
        let names = try self.zone(server.port, self.association(self.certificate))
        let fixture = try ForwarderFixture(
            routes: ["example.test": "smtp:example.test:\(server.port)", "client.example": "retry:"],
            options: Self.options(), names: names)
        try await withForwarder(fixture) { fixture in
            fixture.forwarder.start(ticks: nil)
            try await fixture.add(
                try envelope(tls: .required), "Subject: secret\r\n\r\nhidden\r\n")
            try await fixture.waitUntil("there is a notice") {
                try fixture.messages().contains { $0.about != nil }
            }
            let notice = try #require(try fixture.messages().first { $0.about != nil })
            #expect(notice.envelope.parameters.tls == .required)
            #expect(notice.progress.lanes.first?.name == LaneNaming.lane("client.example", for: .required))
            let content = try fixture.content(notice)
            #expect(content.contains("Status: 5.7.30") && content.contains("Subject: secret"))
            #expect(!content.contains("hidden"))
        }
        #expect(server.messages.isEmpty)
        try await server.end()
    }

    @Test func `REQUIRETLS waits if promised TLS is not offered, and else comes back`() async throws {
        let server = try await SecureServer(flaw: .offersNothing)
        let names = try self.zone(server.port, self.association(self.certificate))
        try await self.forward(port: server.port, names, requirement: .required, delivered: false) {
            (fixture) async throws in
            #expect(try fixture.messages().map(\.about) == [nil])
        }
        let fixture = try ForwarderFixture(
            routes: ["example.test": "smtp:example.test:\(server.port)", "client.example": "retry:"],
            options: Self.options(), names: try self.zone(server.port, ""))
        try await withForwarder(fixture) { fixture in
            fixture.forwarder.start(ticks: nil)
            try await fixture.add(try envelope(tls: .required))
            try await fixture.waitUntil("there is a notice") {
                try fixture.messages().contains { $0.about != nil }
            }
            let notice = try #require(try fixture.messages().first { $0.about != nil })
            #expect(try fixture.content(notice).contains("Status: 5.7.10"))
        }
        try await server.end()
    }

    @Test func `TLS-Required No overrules what the domain publishes, and is reported to nobody`() async throws {
        let server = try await SecureServer(certificate: self.certificate)
        let names = try self.zone(server.port, Self.wrong)
        try await self.forward(
            port: server.port, names, requirement: .optional, finding: self.published(.enforce, "nobody.test")
        ) { fixture in
            #expect(fixture.delivered.first?.tls?.hasPrefix("may TLSv1.3/") == true)
            #expect(fixture.observations.isEmpty)
            #expect(fixture.delivered.first?.destination.hasSuffix(" (TLS-Required: No)") == true)
        }
        try await server.end()
    }

    // MARK: The administrator's tables

    @Test func `passwords are said inside TLS, and only there`() async throws {
        var tables = SecurityTables(passwords: [("in1.example.test", "me:hidden")])
        let server = try await SecureServer(certificate: self.certificate, extensions: ["AUTH PLAIN"])
        // To nobody who does not prove who he is.
        try await self.forward(port: server.port, try self.zone(server.port, ""), delivered: false, tables: tables)
        #expect(!server.commands.contains { $0.hasPrefix("AUTH") } && server.messages.isEmpty)
        let proven = try self.zone(server.port, self.association(self.certificate))
        try await self.forward(port: server.port, proven, tables: tables) { fixture in
            #expect(fixture.delivered.first?.tls?.hasPrefix("dane TLSv1.3/") == true)
        }
        #expect(server.messages.first?.authentication == "AUTH PLAIN AG1lAGhpZGRlbg==")
        tables.policies = [("example.test:\(server.port)", "encrypt")]
        try await self.forward(port: server.port, try self.zone(server.port, ""), tables: tables) { fixture in
            #expect(fixture.delivered.first?.tls?.hasPrefix("encrypt TLSv1.3/") == true)
        }
        #expect(server.messages.map(\.authentication) == Array(repeating: "AUTH PLAIN AG1lAGhpZGRlbg==", count: 2))
        tables.policies = []
        let plain = try await SecureServer(flaw: .babbles)
        try await self.forward(
            port: plain.port, try self.zone(plain.port, ""), delivered: false, tables: tables)
        #expect(plain.messages.isEmpty && plain.connections == 1)
        try await server.end()
        try await plain.end()
    }

    @Test func `a destination may begin with TLS`() async throws {
        let server = try await SecureServer(certificate: self.certificate, isImplicit: true)
        let options = Self.options {
            var destination = DestinationOptions()
            destination.implicitTLS = true
            $0.destinations.values["example.test:\(server.port)"] = destination
        }
        try await self.forward(port: server.port, try self.zone(server.port, ""), options: options) { fixture in
            #expect(fixture.delivered.first?.tls?.hasPrefix("may TLSv1.3/") == true)
        }
        #expect(!server.commands.contains("STARTTLS") && server.messages.count == 1)
        try await server.end()
    }

    @Test func `when levels change, connections of before are given up`() async throws {
        let server = try await SecureServer(certificate: self.certificate)
        let names = try self.zone(server.port, "")
        try await self.forward(port: server.port, names) { fixture in
            try fixture.use(options: Self.options { $0.tls.level = .encrypt })
            try await fixture.waitUntil("it is given up") { server.open == 0 }
            try await fixture.add(try envelope())
            try await fixture.waitForMessages(0)
            try await fixture.waitUntil("it is logged") { fixture.delivered.count == 2 }
            #expect(fixture.delivered.last?.tls?.hasPrefix("encrypt ") == true)
            #expect(server.connections == 2)
        }
        try await server.end()
    }

    @Test func `messages that ask for something share no connection with others`() async throws {
        let server = try await SecureServer(certificate: self.certificate, extensions: ["REQUIRETLS"])
        let names = try self.zone(server.port, self.association(self.certificate))
        try await self.forward(port: server.port, names) { fixture in
            var count = 1
            for requirement in [TLSRequirement.required, .optional, .unspecified] {
                try await fixture.add(try envelope(tls: requirement))
                count += 1
                try await fixture.waitUntil("it is logged") { fixture.delivered.count == count }
            }
        }
        #expect(server.connections == 3, "the last goes over the first")
        try await server.end()
    }
}

extension CertificateAuthority {
    fileprivate func certificate(of name: String) throws -> TLSCertificate {
        let files = try self.certificate(for: name)
        return try TLSCertificate(
            chain: Array(try Data(contentsOf: URL(fileURLWithPath: files.chain))),
            key: Array(try Data(contentsOf: URL(fileURLWithPath: files.key))))
    }
}
