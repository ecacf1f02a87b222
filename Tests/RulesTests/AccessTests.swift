import Mail
import Rules
import Testing

/// Access tables: which keys, in which order, and what their right-hand sides do (SEMANTICS §3).
struct AccessTests {
    private func reply(_ restriction: String, _ table: String, _ change: (inout RestrictionFixture) -> Void = { _ in })
        throws -> String
    {
        var fixture = RestrictionFixture([.recipient: ["\(restriction) hash:t"]])
        fixture.tables = ["hash:t": table]
        change(&fixture)
        return try fixture.reply()
    }

    @Test(arguments: [
        "mail.client.example", "client.example", "example", "192.0.2.99", "192.0.2", "192.0", "192",
    ])
    func `a client is found by its name, its parents, its address and its networks`(key: String) throws {
        #expect(try self.reply("check_client_access", "\(key) REJECT\n").hasPrefix("554"))
        #expect(try self.reply("check_client_access", ".\(key) REJECT\n") == "accept")
    }

    @Test func `a name comes before an address, and DUNNO ends the search`() throws {
        #expect(try self.reply("check_client_access", "example OK\n192.0.2.99 REJECT\n") == "accept")
        #expect(try self.reply("check_client_access", "mail.client.example DUNNO\nclient.example REJECT\n") == "accept")
    }

    @Test(arguments: ["2001:db8:1::5", "2001:db8:1:", "2001:db8:1", "2001:db8", "2001"])
    func `an IPv6 address is cut at its colons`(key: String) throws {
        let reply = try self.reply("check_client_access", "\(key) REJECT\n") {
            $0.facts.givenName = ClientName(nil)
            $0.facts.client = Endpoint(IPAddress("2001:db8:1::5") ?? .v4(0), port: 1)
        }
        #expect(reply.hasPrefix("554"))
    }

    @Test(arguments: [
        "user+ext@example.test", "user@example.test", "example.test", "test", "user+ext@", "user@",
    ])
    func `an address is found by its parts`(key: String) throws {
        let reply = try self.reply("check_recipient_access", "\(key) REJECT\n") {
            $0.facts.forwardPath = Mailbox("User+ext@Example.test").map { .mailbox($0) }
        }
        #expect(reply.hasPrefix("554 5.7.1 <User+ext@Example.test>: Recipient address rejected"))
    }

    @Test func `the order of an address's keys is fixed`() throws {
        let keys = ["user+ext@example.test", "user@example.test", "example.test", "test", "user+ext@", "user@"]
        for index in keys.indices {
            let rest = keys[index...].enumerated().map { "\($0.element) \($0.offset == 0 ? "OK" : "REJECT")\n" }
            let reply = try self.reply("check_recipient_access", rest.joined()) {
                $0.facts.forwardPath = Mailbox("user+ext@example.test").map { .mailbox($0) }
            }
            #expect(reply == "accept", "\(keys[index])")
        }
    }

    @Test func `patterns see an address in small letters, and what a client calls itself as it is`() throws {
        var fixture = RestrictionFixture([.recipient: ["check_recipient_access pcre:t"]])
        fixture.facts.forwardPath = Mailbox("User@Example.TEST").map { .mailbox($0) }
        fixture.tables = ["pcre:t": "/^User/i REJECT as it came\n/^(user)@(.*)/i REJECT $1 at $2\n"]
        let reply = try fixture.reply()
        #expect(reply == "554 5.7.1 <User@Example.TEST>: Recipient address rejected: user at example.test")

        fixture.lists = [.helo: ["check_helo_access pcre:t"]]
        fixture.facts.helo = "User.example"
        #expect(try fixture.reply() == "554 5.7.1 <User.example>: Helo command rejected: as it came")
    }

    @Test func `the null reverse-path has a key of its own`() throws {
        let reply = try self.reply("check_sender_access", "<> 550 5.1.7 no notices\n") { $0.facts.reversePath = .null }
        #expect(reply == "550 5.1.7 <>: Sender address rejected: no notices")
    }

    @Test(arguments: [
        ("REJECT", "554 5.7.1 <user@example.test>: Recipient address rejected: Access denied"),
        ("reject 5.1.1 no such user", "554 5.1.1 <user@example.test>: Recipient address rejected: no such user"),
        ("DEFER later", "450 4.7.1 <user@example.test>: Recipient address rejected: later"),
        ("550 gone", "550 5.7.1 <user@example.test>: Recipient address rejected: gone"),
        ("450 4.1.7 x", "450 4.1.3 <user@example.test>: Recipient address rejected: x"),
        ("521 bye", "521 5.7.1 <user@example.test>: Recipient address rejected: bye"),
        ("OK", "accept"), ("RELAY", "accept"), ("12345", "accept"), ("DUNNO", "accept"),
        ("DEFER_IF_PERMIT wait", "450 4.7.1 <user@example.test>: Recipient address rejected: wait"),
        ("DEFER_IF_REJECT", "accept"), ("INFO x", "accept"), ("WARN x", "accept"), ("HOLD", "accept"),
        ("FILTER smtp:[127.0.0.1]:10025", "accept"), ("REDIRECT other@example.test", "accept"),
        ("REDIRECT nowhere", "451 4.3.5 Server configuration error"),
        ("hash:other", "451 4.3.5 Server configuration error"),
        ("no_such_class", "451 4.3.5 Server configuration error"),
    ])
    func `right-hand sides`(action: String, expected: String) throws {
        #expect(try self.reply("check_recipient_access", "user@example.test \(action)\n") == expected)
    }

    @Test func `the status of an address is put into the other's words`() throws {
        func status(_ restriction: String, _ key: String, _ action: String) throws -> Substring {
            let reply = try self.reply(restriction, "\(key) \(action)\n")
            return reply.split(separator: " ")[1]
        }
        #expect(try status("check_sender_access", "client.example", "550 5.1.1 x") == "5.1.7")
        #expect(try status("check_sender_access", "client.example", "550 5.1.2 x") == "5.1.8")
        #expect(try status("check_sender_access", "client.example", "550 5.1.5 x") == "5.1.0")
        #expect(try status("check_recipient_access", "example.test", "550 5.1.8 x") == "5.1.2")
        #expect(try status("check_client_access", "192.0.2.99", "550 5.1.1 x") == "5.0.0")
        #expect(try status("check_helo_access", "mail.client.example", "550 4.2.2 x") == "5.2.2")
    }

    @Test(arguments: [
        "HOLD why", "FILTER smtp:[127.0.0.1]", "REDIRECT a@b.test", "BCC a@b.test", "PREPEND X-A: b", "INFO x",
        "WARN x",
    ])
    func `what only has an effect lets the list go on`(action: String) throws {
        var fixture = RestrictionFixture([.recipient: ["check_recipient_access hash:t", "reject"]])
        fixture.tables = ["hash:t": "user@example.test \(action)\n"]
        #expect(try fixture.reply().hasPrefix("554"))
        #expect(try fixture.outcome().notes.count == 1)
    }

    @Test func `effects are those that were asked for`() throws {
        var fixture = RestrictionFixture([.recipient: ["check_sender_access hash:s", "check_recipient_access hash:r"]])
        fixture.tables = [
            "hash:s": "client.example BCC a@b.test\n", "hash:r": "example.test PREPEND X-Note: seen\n",
        ]
        let effects = try fixture.outcome().effects
        #expect(effects.copies == [try #require(Mailbox("a@b.test"))])
        #expect(effects.prepended == ["X-Note: seen"])
        fixture.tables["hash:r"] = "example.test REDIRECT c@d.test\n"
        #expect(try fixture.outcome().effects.redirect == Mailbox("c@d.test"))
        fixture.tables["hash:r"] = "example.test FILTER smtp:[127.0.0.1]:26\n"
        #expect(try fixture.outcome().effects.filter == "smtp:[127.0.0.1]:26")
        fixture.tables["hash:r"] = "example.test HOLD look\n"
        #expect(try fixture.outcome().effects.holds?.key == "example.test")
    }

    @Test func `DISCARD does not undo what is deferred`() throws {
        var fixture = RestrictionFixture([
            .sender: ["defer_if_permit"], .recipient: ["check_recipient_access hash:r"],
        ])
        fixture.tables = ["hash:r": "user@example.test DISCARD\n"]
        #expect(
            try fixture.reply()
                == "450 4.7.0 <sender@client.example>: Sender address rejected: defer_if_permit requested")
    }

    @Test func `DISCARD ends everything, for all recipients`() throws {
        var fixture = RestrictionFixture([
            .sender: ["check_sender_access hash:s"], .recipient: ["reject"], .data: ["reject"],
        ])
        fixture.tables = ["hash:s": "client.example DISCARD spam\n"]
        let outcome = try fixture.outcome()
        #expect(outcome.refusal == nil && outcome.effects.discards != nil)
        fixture.before = outcome.effects
        #expect(try fixture.reply(.data) == "accept")
        fixture.facts.forwardPath = Mailbox("nobody@example.test").map { .mailbox($0) }
        #expect(try fixture.reply() == "accept")
    }

    @Test func `names that others control permit nothing`() throws {
        var fixture = RestrictionFixture([.recipient: ["check_sender_mx_access cidr:t", "reject"]])
        fixture.tables = ["cidr:t": "192.0.2.0/24 OK\n"]
        fixture.answers = [
            .names("client.example", .mx): .names(.hosts(["mx.client.example"])),
            .names("mx.client.example", .a): .names(.addresses([.v4(0xC000_0205)])),
            .names("mx.client.example", .aaaa): .names(.none),
        ]
        #expect(try fixture.reply() == "451 4.3.5 Server configuration error")
        fixture.tables = ["cidr:t": "192.0.2.0/24 550 your server is bogus\n"]
        #expect(
            try fixture.reply() == "550 5.7.1 <sender@client.example>: Sender address rejected: your server is bogus")
        fixture.tables = ["cidr:t": "192.0.2.0/24 DUNNO\n"]
        #expect(try fixture.reply().hasPrefix("554"))
    }

    @Test func `name servers are those of the closest parent`() throws {
        var fixture = RestrictionFixture([.recipient: ["check_sender_ns_access hash:t"]])
        fixture.tables = ["hash:t": "bad.example REJECT\n"]
        fixture.facts.reversePath = Mailbox("a@deep.client.example").map { .mailbox($0) }
        fixture.answers = [
            .names("deep.client.example", .ns): .names(.none),
            .names("client.example", .ns): .names(.hosts(["ns.bad.example"])),
        ]
        #expect(try fixture.reply().hasPrefix("554"))
    }

    @Test func `of very many servers only so many are looked up`() throws {
        var fixture = RestrictionFixture([.recipient: ["check_sender_mx_access hash:t"]])
        fixture.tables = ["hash:t": "nobody.example REJECT\n"]
        let hosts = (0..<1000).map { "mx\($0).example" }
        fixture.answers[.names("client.example", .mx)] = .names(.hosts(hosts))
        for host in hosts.prefix(100) {
            fixture.answers[.names(host, .a)] = .names(.none)
            fixture.answers[.names(host, .aaaa)] = .names(.none)
        }
        #expect(try fixture.reply() == "accept")
    }

    @Test func `an OK does not send routed addresses onwards`() throws {
        var fixture = RestrictionFixture([
            .relay: ["check_recipient_access hash:t", "reject_unauth_destination"]
        ])
        fixture.tables = ["hash:t": "example.test OK\nelse.test OK\n"]
        fixture.facts.forwardPath = Mailbox("u%x.test@example.test").map { .mailbox($0) }
        #expect(try fixture.reply().hasPrefix("554 5.7.1 <u%x.test@example.test>: Relay access denied"))
        fixture.facts.forwardPath = Mailbox("u@else.test").map { .mailbox($0) }
        #expect(try fixture.reply() == "accept")
    }

    @Test func `a policy service's answer is an action`() throws {
        var fixture = RestrictionFixture([.recipient: ["check_policy_service inet:127.0.0.1:10023"]])
        guard case .needs(let lookup) = try self.needed(fixture), case .policy(let service, let lines) = lookup else {
            Issue.record("it asks nobody")
            return
        }
        #expect(service == "inet:127.0.0.1:10023")
        let values = Dictionary(uniqueKeysWithValues: lines.map { ($0.name, $0.value) })
        #expect(values["protocol_state"] == "RCPT" && values["client_address"] == "192.0.2.99")
        #expect(values["sender"] == "sender@client.example" && values["recipient"] == "user@example.test")
        #expect(values["client_name"] == "mail.client.example" && values["recipient_count"] == "0")
        fixture.answers[lookup] = .action("defer_if_permit Greylisted")
        #expect(try fixture.reply() == "450 4.7.1 <user@example.test>: Recipient address rejected: Greylisted")
        fixture.answers[lookup] = .noAction("gone", default: "451 4.3.5 Server configuration problem")
        #expect(
            try fixture.reply()
                == "451 4.3.5 <user@example.test>: Recipient address rejected: Server configuration problem")
    }

    private func needed(_ fixture: RestrictionFixture) throws -> Evaluation.Result {
        var carried = Evaluation.Carried()
        return Evaluation.run(
            .recipient, policy: try fixture.policy(), facts: fixture.facts, answers: [:], carried: &carried)
    }
}
