import Greylist
import Harness
import Mail
import Receiver
import Rules
import Testing

@testable import Daemon

/// Greylisting by what the configuration says.
struct GreylistServiceTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
        try self.folder.make(folder: "rules")
        try self.folder.make(folder: "state")
        try self.folder.write("rules/clients", "192.0.2.0/28 OK\n192.0.2.0/24 dunno\n2001:db8::/32 permit\n")
        try self.folder.write("rules/addresses", "192.0.2.77 OK\n198.51.100 OK\n198.51.100.9 DUNNO\n")
        try self.folder.write("rules/recipients", "postmaster@ OK\nfast.example.test OK\nuser@example.test ok\n")
        try self.folder.write("rules/domains", "example.net x\n.example.org x\n")
    }

    private func configure(_ greylist: String) throws {
        try self.folder.write(
            "postern.yaml",
            """
            hostname: mx2.example.test
            rules: \(self.folder.path("rules"))
            state: \(self.folder.path("state"))
            recipient_delimiter: "+"
            greylist: \(greylist)

            """)
    }

    private func generation(_ number: Int = 1) throws -> Generation {
        try Generation(file: self.folder.path("postern.yaml"), number: number)
    }

    private func errors() -> [String] {
        do {
            _ = try Generation(file: self.folder.path("postern.yaml"), number: 1)
            return []
        } catch { return error.list.map { $0.description.replacing(self.folder.path + "/", with: "") } }
    }

    /// What is said to a client that comes for the first time.
    private func judgement(
        _ service: GreylistService, client: String = "203.0.113.1", to recipient: String = "someone@example.test",
        spf: String? = nil, generation number: Int = 1, remembers: Bool = false
    ) async throws -> Judgement {
        let question = GreylistQuestion(
            client: try #require(IPAddress(client)), helo: "x.example",
            reversePath: .mailbox(try #require(Mailbox("sender@client.example"))),
            recipient: try #require(Mailbox(recipient)), isAllowlisted: false)
        let domain = spf.flatMap { DomainName($0) }
        return await service.judgement(
            question, GreylistCircumstances(generation: number, remembers: remembers) { domain })
    }

    private func with(_ body: (GreylistService) async throws -> Void) async throws {
        let service = try GreylistService(
            first: try self.generation(), clock: WallClock { Timestamp(seconds: 1_800_000_000) }
        ) { Issue.record("\($0)") }
        defer { service.close() }
        try await body(service)
    }

    private static let refused = Judgement.refused(
        Reply(450, .init(2, 0), "Greylisted, try again in 300 seconds"), why: "not seen before")

    @Test func `tables of clients are asked in their order, by address and network`() async throws {
        try self.configure("{exempt: [\"cidr:clients\", \"texthash:addresses\"]}")
        let expected = [
            ("192.0.2.1", true), ("192.0.2.16", false), ("192.0.2.77", true), ("2001:db8::1", true),
            ("198.51.100.1", true), ("198.51.100.9", false), ("203.0.113.1", false),
        ]
        try await self.with { service async throws in
            for (client, isExempt) in expected {
                #expect(
                    try await self.judgement(service, client: client)
                        == (isExempt ? .passed("exempt client") : Self.refused), "\(client)")
            }
        }
    }

    @Test func `recipients are looked up as by check_recipient_access`() async throws {
        try self.configure("{exempt_recipients: [\"texthash:recipients\"]}")
        let expected = [
            ("Postmaster@anything.example", true), ("x@fast.example.test", true), ("x@deep.fast.example.test", true),
            ("User+ext@example.test", true), ("someone@example.test", false),
        ]
        try await self.with { service async throws in
            for (recipient, isExempt) in expected {
                #expect(
                    try await self.judgement(service, to: recipient)
                        == (isExempt ? .passed("exempt recipient") : Self.refused), "\(recipient)")
            }
        }
    }

    @Test(arguments: [
        ("all", ["example.net", "other.example"], [String]()),
        ("[example.net, .example.org]", ["example.net", "a.example.org"], ["a.example.net", "example.org"]),
        ("\"texthash:domains\"", ["Example.net", "a.example.org"], ["a.example.net", "example.org"]),
        ("[]", [], ["example.net"]),
    ])
    func `SPF exempts the domains that are named`(_ value: String, _ exempt: [String], _ others: [String]) async throws
    {
        try self.configure("{spf_pass_domains: \(value)}")
        try await self.with { service async throws in
            for domain in exempt {
                #expect(
                    try await self.judgement(service, spf: domain)
                        == .passed("SPF pass of \(domain.asciiLowercased)"))
            }
            for domain in others { #expect(try await self.judgement(service, spf: domain) == Self.refused) }
            #expect(try await self.judgement(service) == Self.refused)
        }
    }

    @Test func `a transaction is judged by the generation in which it began`() async throws {
        try self.configure("{}")
        try await self.with { service async throws in
            try self.configure("{delay: 10s, text: see our page}")
            service.use(try self.generation(2))
            #expect(try await self.judgement(service) == Self.refused)
            #expect(
                try await self.judgement(service, generation: 2)
                    == .refused(
                        Reply(450, .init(2, 0), "Greylisted, try again in 10 seconds; see our page"),
                        why: "not seen before"))
        }
    }

    @Test func `an explanation leaves nothing behind, and status counts`() async throws {
        try self.configure("{}")
        try await self.with { service async throws in
            #expect(try await self.judgement(service) == Self.refused)
            #expect(service.status.entries == 0 && service.status.delayed == 0)
            #expect(try await self.judgement(service, remembers: true) == Self.refused)
            #expect(service.status.entries == 1 && service.status.delayed == 1 && service.status.passed == 0)
        }
    }

    @Test func `what is wrong is told with its place`() throws {
        try self.folder.write("rules/bad", "192.0.2.0/24 REJECT\n")
        try self.configure("{exempt: [\"cidr:bad\", clients], exempt_recipients: [\"texthash:none\"]}")
        let errors = self.errors()
        #expect(errors.count == 3, "\(errors)")
        #expect(errors.contains("rules/bad:1: 'REJECT' is not OK, permit or dunno"), "\(errors)")
        #expect(errors.contains { $0.hasPrefix("postern.yaml: greylist.exempt: not a table") }, "\(errors)")
        #expect(errors.contains { $0.hasPrefix("rules/none: cannot be read") }, "\(errors)")
        try self.configure("{spf_pass_domains: some}")
        #expect(self.errors().count == 1)
        try self.configure("{delay: 3d}")
        #expect(self.errors().first?.contains("retry_window must be longer than delay") == true)
    }
}
