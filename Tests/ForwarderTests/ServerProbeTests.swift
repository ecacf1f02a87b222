import MTASTS
import Mail
import NIOPosix
import Resolver
import SMTP
import TLS
import Testing
import ZoneFiles

@testable import Forwarder

/// Sessions without mail, with servers that are good or not.
@Suite(.serialized) struct ServerProbeTests {
    private static let loop = MultiThreadedEventLoopGroup.singleton.next()

    private let certificate: TLSCertificate

    init() throws {
        self.certificate = try TLSCertificate(selfSigned: "in1.example.test", key: TLSCertificate.generateKey())
    }

    private func probe(
        _ server: SecureServer, _ records: String = "", security: DNSSecurity = .secure, level: TLSLevel = .dane,
        finding: STSFinding = .none, bogus: String? = nil
    ) async throws -> ProbedServer {
        let names = try ZoneService()
        try names.set(
            """
            $ORIGIN example.test.
            @ SOA ns admin 1 1h 1h 1d 60
            @ MX 7 in1
            in1 A 127.0.0.1
            \(records)

            """, security: security)
        if let bogus { try names.fail(bogus, .tlsa, with: .bogus) }
        var options = ForwarderOptions()
        options.tls.level = level
        let probe = ServerProbe(
            loop: Self.loop, names: names,
            identity: OwnIdentity(hostname: "us.test", addresses: [], listeners: [], allowsLoopback: true),
            security: ForwarderSecurity(options), contexts: TLSContexts(ForwarderSecurity(options)), limit: .seconds(10)
        )
        let result = try await probe.probe(try NextHop(text: "example.test:\(server.port)"), finding).get()
        guard case .servers(let servers) = result else { throw NoServers() }
        return try #require(servers.first)
    }

    private struct NoServers: Error {}

    @Test func `a good server is asked for nothing but EHLO`() async throws {
        let server = try await SecureServer(certificate: self.certificate, extensions: ["REQUIRETLS"])
        let probed = try await self.probe(server)
        #expect(probed.visit.isUsable && probed.visit.reason == nil && probed.visit.offersRequireTLS == true)
        #expect(probed.visit.session?.peer?.fingerprint == self.certificate.fingerprint)
        #expect(probed.server.origin.preference == 7)
        #expect(server.commands == ["EHLO us.test", "STARTTLS", "EHLO us.test", "QUIT"])
        try await server.end()
    }

    @Test(arguments: [SecureServer.Flaw.babbles, .leaves, .leavesLater, .offersNothing, .refuses])
    func `what goes in plain text is said to do so`(flaw: SecureServer.Flaw) async throws {
        let server = try await SecureServer(certificate: self.certificate, flaw: flaw)
        let probed = try await self.probe(server)
        #expect(probed.visit.isUsable && probed.visit.session == nil)
        #expect(probed.visit.reason?.hasSuffix("mail goes in plain text") == true)
        let needed = try await self.probe(server, level: .encrypt)
        #expect(!needed.visit.isUsable && needed.visit.reason != nil)
        try await server.end()
    }

    @Test func `a server that must not be used is not talked to`() async throws {
        let server = try await SecureServer(certificate: self.certificate)
        let policy = STSPolicy(mode: .enforce, mxPatterns: ["other.test"], maximumAge: .seconds(60))
        let probed = try await self.probe(server, finding: .policy(policy, fault: nil))
        #expect(!probed.visit.isUsable && probed.level == .dane)
        #expect(probed.visit.reason?.contains("MTA-STS") == true)
        #expect(server.connections == 0)
        try await server.end()
    }

    @Test func `a server whose TLSA records cannot be known is not talked to`() async throws {
        let server = try await SecureServer(certificate: self.certificate)
        let probed = try await self.probe(server, bogus: "_\(server.port)._tcp.in1.example.test")
        #expect(!probed.visit.isUsable && probed.visit.reason?.contains("TLSA look-up error") == true)
        guard case .failed(_, isBogus: true, _) = probed.associations else {
            Issue.record("\(probed.associations)")
            return
        }
        #expect(server.connections == 0)
        try await server.end()
    }

    @Test func `TLSA records are shown where they do not count`() async throws {
        let server = try await SecureServer(certificate: self.certificate)
        let record = "_\(server.port)._tcp.in1 TLSA 3 1 1 " + String(repeating: "ab", count: 32)
        let probed = try await self.probe(server, record, level: .encrypt)
        #expect(probed.visit.isUsable)
        guard case .usable(let usable, _, _) = probed.associations else {
            Issue.record("\(probed.associations)")
            return
        }
        #expect(usable.count == 1)
        let bound = try await self.probe(server, record)
        #expect(!bound.visit.isUsable && bound.visit.session?.verdict == .failed(.noMatchingAssociation))
        try await server.end()
    }
}
