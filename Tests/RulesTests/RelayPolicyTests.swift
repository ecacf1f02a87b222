import Mail
import Rules
import Testing

struct RelayPolicyTests {
    private static let stranger = IPAddress.v4(0xC000_0263)
    private static let ours = IPAddress.v4(0x0A00_0005)

    private func policy(
        _ domains: [String] = ["example.test"], networks: [String] = ["10.0.0.0/8"], recipients: String? = nil,
        unverified: RelayPolicy.Unverified = .refused, postmaster: String? = "postmaster@example.test"
    ) throws -> RelayPolicy {
        RelayPolicy(
            relayDomains: DomainSet(keys: domains), relayNetworks: try networks.map { try IPNetwork($0) },
            recipients: try recipients.map { [try TextTable($0)] } ?? [], unverified: unverified,
            postmaster: postmaster.flatMap { Mailbox($0) }, delimiter: "+")
    }

    private enum Outcome { case accepted, denied, unknown }

    private struct Undecided: Error {}

    private func outcome(_ policy: RelayPolicy, _ address: String, from client: IPAddress = Self.stranger) throws
        -> Outcome
    {
        let mailbox = try #require(Mailbox(address))
        var facts = SessionFacts(client: Endpoint(client, port: 1))
        facts.forwardPath = .mailbox(mailbox)
        var carried = Evaluation.Carried()
        let result = Evaluation.run(
            .recipient, policy: .relayOnly(policy), facts: facts, answers: [:], carried: &carried)
        guard case .decided(let outcome) = result else { throw Undecided() }
        #expect(policy.mailbox(for: .mailbox(mailbox))?.description == address)  // As it was written.
        switch outcome.refusal?.reply.code {
        case nil: return .accepted
        case 554: return .denied
        default: return .unknown
        }
    }

    @Test func `a domain is that name, and with a dot what is below it`() throws {
        let policy = try self.policy(["example.test", ".below.test"], unverified: .accepted)
        #expect(try self.outcome(policy, "u@Example.TEST") == .accepted)
        #expect(try self.outcome(policy, "u@www.example.test") == .denied)
        #expect(try self.outcome(policy, "u@a.below.test") == .accepted)
        #expect(try self.outcome(policy, "u@a.b.below.test") == .accepted)
        #expect(try self.outcome(policy, "u@below.test") == .denied)
        #expect(try self.outcome(policy, "u@xbelow.test") == .denied)
        #expect(try self.outcome(policy, "u@notexample.test") == .denied)
        #expect(try self.outcome(policy, "u@[192.0.2.1]") == .denied)
    }

    @Test func `of a transport table the domains count, and nothing else`() throws {
        let policy = try self.policy(["*", "user@else.test", "example.test"], unverified: .accepted)
        #expect(try self.outcome(policy, "user@else.test") == .denied)
        #expect(try self.outcome(policy, "u@example.test") == .accepted)
        #expect(DomainSet(keys: ["*", "a@b.test"]).isEmpty)
    }

    @Test func `clients of ours may send to anybody, and are told of unknown recipients`() throws {
        let policy = try self.policy(networks: ["10.0.0.0/8", "2001:db8::/32"], recipients: "user@example.test ok\n")
        #expect(try self.outcome(policy, "u@else.test", from: Self.ours) == .accepted)
        #expect(try self.outcome(policy, "u@[192.0.2.1]", from: Self.ours) == .accepted)
        #expect(try self.outcome(policy, "u%else@example.test", from: Self.ours) == .unknown)
        #expect(try self.outcome(policy, "nobody@example.test", from: Self.ours) == .unknown)
        #expect(try self.outcome(policy, "user@example.test", from: Self.ours) == .accepted)
        #expect(try self.outcome(policy, "u@else.test", from: .v4(0x0B00_0001)) == .denied)
        #expect(try self.outcome(policy, "u@else.test", from: try #require(IPAddress("2001:db8::1"))) == .accepted)
        #expect(try self.outcome(policy, "u@else.test", from: try #require(IPAddress("2001:db9::1"))) == .denied)
    }

    @Test func `recipients are known by their address, without its extension, or by their domain`() throws {
        let policy = try self.policy(
            ["example.test", "all.test"], recipients: "User@Example.test x\nfull+ext@example.test x\n@all.test x\n")
        #expect(try self.outcome(policy, "uSER@example.test") == .accepted)
        #expect(try self.outcome(policy, "user+any@example.test") == .accepted)
        #expect(try self.outcome(policy, "full+ext@example.test") == .accepted)
        #expect(try self.outcome(policy, "full@example.test") == .unknown)
        #expect(try self.outcome(policy, "full+other@example.test") == .unknown)
        #expect(try self.outcome(policy, "anybody@all.test") == .accepted)
        #expect(try self.outcome(policy, "nobody@example.test") == .unknown)
        #expect(try self.outcome(policy, "\"user\"@example.test") == .accepted)
    }

    @Test func `a domain without recipients takes nothing, unless it may`() throws {
        let domains = ["example.test", "open.test"]
        let recipients = "user@example.test x\n"
        let closed = try self.policy(domains, recipients: recipients)
        #expect(try self.outcome(closed, "u@open.test") == .unknown)
        #expect(closed.domainsWithoutRecipients == ["open.test"])

        let open = try self.policy(domains, recipients: recipients, unverified: .accepted)
        #expect(try self.outcome(open, "u@open.test") == .accepted)
        // Of this one the recipients are known, so the others are not.
        #expect(try self.outcome(open, "nobody@example.test") == .unknown)
        #expect(open.domainsWithoutRecipients.isEmpty)

        let some = try self.policy(
            domains + ["third.test"], recipients: recipients, unverified: .acceptedFor(["open.test"]))
        #expect(try self.outcome(some, "u@open.test") == .accepted)
        #expect(try self.outcome(some, "u@third.test") == .unknown)
        #expect(some.domainsWithoutRecipients == ["third.test"])
    }

    @Test func `without a table of recipients nothing is taken, unless it may`() throws {
        #expect(try self.outcome(try self.policy(), "u@example.test") == .unknown)
        #expect(try self.outcome(try self.policy(unverified: .accepted), "u@example.test") == .accepted)
    }

    @Test func `the domain alone is no entry for its recipients`() throws {
        let policy = try self.policy(recipients: "example.test x\nuser x\n")
        #expect(try self.outcome(policy, "user@example.test") == .unknown)
    }

    @Test(arguments: ["user%else.test@example.test", "else.test!user@example.test", "\"user@else.test\"@example.test"])
    func `strangers route nothing onward, whoever is known`(address: String) throws {
        let policy = try self.policy(recipients: "@example.test x\n", unverified: .accepted)
        #expect(try self.outcome(policy, address) == .denied)
    }

    @Test func `postmaster without a domain is that of the domain that was given`() throws {
        let policy = try self.policy(recipients: "user@example.test x\n")
        #expect(policy.mailbox(for: .postmaster) == Mailbox("postmaster@example.test"))
        #expect(try self.policy(postmaster: nil).mailbox(for: .postmaster) == nil)
    }
}
