import Mail
import Rules
import Testing

/// Names: of the client, of HELO, of addresses, and DNS lists (SEMANTICS §2).
struct NameRestrictionTests {
    private func answers(_ answers: [(String, Lookup.NameType, NameAnswer)]) -> [Lookup: LookupAnswer] {
        Dictionary(uniqueKeysWithValues: answers.map { (.names($0.0, $0.1), .names($0.2)) })
    }

    private static let client = IPAddress.v4(0xC000_0263)
    private static let reverse = "99.2.0.192.in-addr.arpa"

    private func clientFixture(_ restriction: String, _ answers: [(String, Lookup.NameType, NameAnswer)])
        -> RestrictionFixture
    {
        var fixture = RestrictionFixture([.client: [restriction]])
        fixture.facts.givenName = nil
        fixture.answers = self.answers(answers)
        return fixture
    }

    @Test func `a client's name leads back to its address`() throws {
        let unknown = "reject_unknown_client_hostname"
        let pointer = (Self.reverse, Lookup.NameType.ptr, NameAnswer.hosts(["mail.client.example"]))
        let there = ("mail.client.example", Lookup.NameType.a, NameAnswer.addresses([Self.client]))
        let elsewhere = ("mail.client.example", Lookup.NameType.a, NameAnswer.addresses([.v4(1)]))
        let lost = ("mail.client.example", Lookup.NameType.a, NameAnswer.failed("time-out"))
        let refusal = "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.99]"
        #expect(try self.clientFixture(unknown, [pointer, there]).reply() == "accept")
        #expect(try self.clientFixture(unknown, [pointer, elsewhere]).reply() == refusal)
        #expect(try self.clientFixture(unknown, [pointer, lost]).reply() == refusal)
        #expect(try self.clientFixture(unknown, [(Self.reverse, .ptr, .none)]).reply() == refusal)
        var hard = self.clientFixture(unknown, [pointer, elsewhere])
        hard.options.unknownClient = 550
        #expect(try hard.reply().hasPrefix("550 5.7.25"))
        hard.answers = self.answers([pointer, lost])
        #expect(try hard.reply().hasPrefix("450 4.7.25"))
        let onlyReverse = "reject_unknown_reverse_client_hostname"
        #expect(try self.clientFixture(onlyReverse, [pointer, elsewhere]).reply() == "accept")
        #expect(try self.clientFixture(onlyReverse, [(Self.reverse, .ptr, .none)]).reply().hasPrefix("450 4.7.1"))
    }

    @Test func `of several names the one counts that leads back`() throws {
        let fixture = self.clientFixture(
            "reject_unknown_client_hostname",
            [
                (Self.reverse, .ptr, .hosts(["b.example", "a.example"])), ("a.example", .a, .none),
                ("b.example", .a, .addresses([Self.client])),
            ])
        #expect(try fixture.outcome().clientName?.verified == "b.example")
    }

    @Test(arguments: [
        ("mail.example", "accept", "accept"), ("mail.example.", "accept", "accept"),
        ("short", "accept", "504"), ("192.0.2.1", "accept", "504"), ("[192.0.2.1]", "accept", "accept"),
        ("[192.0.2.999]", "501", "501"), ("[IPv6:2001:db8::1]", "accept", "accept"), ("[2001:db8::1]", "501", "501"),
        ("-bad.example", "501", "504"), ("a..b", "501", "504"), ("under_score.example", "accept", "accept"),
        ("12345", "501", "504"), ("[192.0.2.1", "501", "501"),
    ])
    func `HELO names are valid, and qualified`(helo: String, valid: String, qualified: String) throws {
        var fixture = RestrictionFixture([.helo: ["reject_invalid_helo_hostname"]])
        fixture.facts.helo = helo
        #expect(try fixture.reply().hasPrefix(valid))
        fixture.lists = [.helo: ["reject_non_fqdn_helo_hostname"]]
        #expect(try fixture.reply().hasPrefix(qualified))
    }

    @Test func `a HELO name has an address or a mail server`() throws {
        var fixture = RestrictionFixture([.helo: ["reject_unknown_helo_hostname"], .recipient: ["permit"]])
        let name = "mail.client.example"
        fixture.answers = self.answers([(name, .a, .none), (name, .aaaa, .none), (name, .mx, .hosts([""]))])
        #expect(try fixture.reply() == "accept")  // It takes no mail, and may send.
        fixture.answers = self.answers([(name, .a, .none), (name, .aaaa, .none), (name, .mx, .none)])
        #expect(try fixture.reply() == "450 4.7.1 <\(name)>: Helo command rejected: Host not found")
        fixture.answers = self.answers([(name, .a, .failed("x")), (name, .aaaa, .none), (name, .mx, .none)])
        #expect(try fixture.reply() == "450 4.7.1 <\(name)>: Helo command rejected: Host not found")
        fixture.lists[.recipient] = ["reject"]
        #expect(try fixture.reply().hasPrefix("554"))  // It might have been permitted, and is refused anyway.
    }

    @Test func `a sender's domain takes mail`() throws {
        var fixture = RestrictionFixture([.sender: ["reject_unknown_sender_domain"]])
        let domain = "client.example"
        fixture.answers = self.answers([(domain, .mx, .hosts(["mx.example"]))])
        #expect(try fixture.reply() == "accept")
        fixture.answers = self.answers([(domain, .mx, .hosts([""]))])
        #expect(
            try fixture.reply()
                == "550 5.7.27 <sender@client.example>: Sender address rejected: Domain client.example does not accept mail (nullMX)"
        )
        fixture.answers = self.answers([(domain, .mx, .none), (domain, .a, .none), (domain, .aaaa, .none)])
        #expect(
            try fixture.reply() == "450 4.1.8 <sender@client.example>: Sender address rejected: Domain not found")
        fixture.answers = self.answers([
            (domain, .mx, .failed("x")), (domain, .a, .addresses([.v4(1)])),
        ])
        #expect(try fixture.reply() == "accept")
        fixture.facts.reversePath = .null
        fixture.answers = [:]
        #expect(try fixture.reply() == "accept")
        fixture.facts.reversePath = Mailbox("a@[192.0.2.1]").map { .mailbox($0) }
        #expect(try fixture.reply() == "accept")
        fixture.lists = [.recipient: ["reject_unknown_recipient_domain"]]
        fixture.answers = self.answers([("example.test", .mx, .hosts([""]))])
        #expect(try fixture.reply().hasPrefix("556 5.1.10 <user@example.test>: Recipient address rejected"))
    }

    @Test func `addresses are qualified`() throws {
        var fixture = RestrictionFixture([.sender: ["reject_non_fqdn_sender"]])
        fixture.facts.reversePath = Mailbox("a@short").map { .mailbox($0) }
        #expect(
            try fixture.reply() == "504 5.5.2 <a@short>: Sender address rejected: need fully-qualified address")
        fixture.facts.reversePath = .null
        #expect(try fixture.reply() == "accept")
    }

    @Test func `a list of clients refuses with its text, and error codes list nobody`() throws {
        var fixture = RestrictionFixture([.client: ["reject_rbl_client bl.example=127.0.0.[2..4]"]])
        let query = "99.2.0.192.bl.example"
        fixture.answers = self.answers([
            (query, .a, .addresses([.v4(0x7F00_0003)])), (query, .txt, .texts(["see", "there"])),
        ])
        #expect(
            try fixture.reply()
                == "554 5.7.1 Service unavailable; Client host [192.0.2.99] blocked using bl.example; see / there")
        fixture.answers = self.answers([(query, .a, .addresses([.v4(0x7F00_0009)]))])
        #expect(try fixture.reply() == "accept")
        fixture.answers = self.answers([(query, .a, .addresses([.v4(0x7FFF_FFFE)]))])
        let outcome = try fixture.outcome()
        #expect(outcome.refusal == nil && outcome.notes.map(\.kind) == [.fault])
        fixture.answers = self.answers([(query, .a, .failed("time-out"))])
        #expect(try fixture.reply() == "accept")
    }

    @Test func `IPv6 clients are asked about by nibbles`() throws {
        var fixture = RestrictionFixture([.client: ["reject_rbl_client bl.example"]])
        fixture.facts.client = Endpoint(try #require(IPAddress("2001:db8::1")), port: 1)
        let query = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example"
        #expect(throws: RestrictionFixture.Asked(lookup: .names(query, .a))) { () throws in try fixture.reply() }
    }

    @Test func `a list of good clients permits no relaying, and defers when it is silent`() throws {
        var fixture = RestrictionFixture([.recipient: ["permit_dnswl_client wl.example", "reject"]])
        let query = "99.2.0.192.wl.example"
        fixture.answers = self.answers([(query, .a, .addresses([.v4(0x7F00_0002)]))])
        #expect(try fixture.reply() == "accept")
        fixture.answers = self.answers([(query, .a, .failed("time-out"))])
        #expect(try fixture.reply() == "450 4.7.1 <192.0.2.99>: Client host rejected: Service unavailable")
        fixture.facts.forwardPath = Mailbox("u@else.test").map { .mailbox($0) }
        fixture.answers = [:]
        #expect(try fixture.reply().hasPrefix("554"))
    }

    @Test func `lists of domains are not asked about addresses`() throws {
        var fixture = RestrictionFixture([.sender: ["reject_rhsbl_sender bl.example"]])
        fixture.answers = self.answers([
            ("client.example.bl.example", .a, .addresses([.v4(0x7F00_0002)])),
            ("client.example.bl.example", .txt, .none),
        ])
        #expect(
            try fixture.reply()
                == "554 5.7.1 Service unavailable; Sender address [sender@client.example] blocked using bl.example")
        for sender in ["a@[192.0.2.1]", "a@client.99"] {
            fixture.facts.reversePath = Mailbox(sender).map { .mailbox($0) }
            fixture.answers = [:]
            #expect(try fixture.reply() == "accept")
        }
    }
}
