import Mail
import Rules
import Testing

/// Lists and their order: what ends what, and what carries over (SEMANTICS §2).
struct RestrictionTests {
    @Test func `a permit ends its own list and no other`() throws {
        var fixture = RestrictionFixture([.client: ["permit", "reject"], .recipient: ["reject"]])
        #expect(try fixture.reply() == "554 5.7.1 <user@example.test>: Recipient address rejected: Access denied")
        fixture.lists[.recipient] = ["permit", "reject"]
        #expect(try fixture.reply() == "accept")
        fixture.lists = [.relay: ["permit"], .recipient: ["reject"]]
        #expect(try fixture.reply().hasPrefix("554"))
    }

    @Test func `refusals of each list have its words`() throws {
        let name = "mail.client.example[192.0.2.99]"
        for (stage, words) in [
            (Stage.client, "<\(name)>: Client host"), (.helo, "<mail.client.example>: Helo command"),
            (.sender, "<sender@client.example>: Sender address"), (.relay, "<user@example.test>: Recipient address"),
        ] {
            #expect(try RestrictionFixture([stage: ["reject"]]).reply() == "554 5.7.1 \(words) rejected: Access denied")
            #expect(
                try RestrictionFixture([stage: ["defer"]]).reply() == "450 4.3.2 \(words) rejected: Try again later")
        }
        #expect(
            try RestrictionFixture([.data: ["reject"]]).reply(.data)
                == "554 5.7.1 <DATA>: Data command rejected: Access denied")
        #expect(
            try RestrictionFixture([.endOfData: ["reject"]]).reply(.endOfData)
                == "554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: Access denied")
    }

    @Test func `defer_if_permit turns a permit into a deferral, and a refusal stays`() throws {
        var fixture = RestrictionFixture([.client: ["defer_if_permit"], .recipient: ["permit"]])
        #expect(try fixture.reply().hasPrefix("450 4.7.0 <mail.client.example[192.0.2.99]>: Client host rejected"))
        fixture.lists[.recipient] = ["reject"]
        #expect(try fixture.reply().hasPrefix("554"))
        fixture.lists = [.recipient: ["defer_if_permit"]]
        #expect(try fixture.reply().hasPrefix("450 4.7.0 <user@example.test>"))
    }

    @Test func `defer_if_reject turns a refusal into a deferral within its command only`() throws {
        var fixture = RestrictionFixture([.recipient: ["defer_if_reject", "reject"]])
        #expect(try fixture.reply().hasPrefix("450 4.7.0 <user@example.test>"))
        fixture.lists = [.client: ["defer_if_reject"], .recipient: ["reject"]]
        #expect(try fixture.reply().hasPrefix("554"))
        fixture.lists = [.relay: ["defer_if_reject"], .recipient: ["reject"]]
        #expect(try fixture.reply().hasPrefix("450"))
        // With both there is nothing more to find out.
        fixture.lists = [.recipient: ["defer_if_reject", "defer_if_permit", "reject"]]
        #expect(try fixture.reply().hasPrefix("450 4.7.0"))
    }

    @Test func `deferrals do not carry over to DATA`() throws {
        let fixture = RestrictionFixture([.client: ["defer_if_permit"], .data: ["permit"]])
        #expect(try fixture.reply(.data) == "accept")
        #expect(try RestrictionFixture([.data: ["defer_if_permit"]]).reply(.data).hasPrefix("450 4.7.0 <DATA>"))
    }

    @Test func `warn_if_reject is for the next restriction, a class as a whole`() throws {
        var fixture = RestrictionFixture([.recipient: ["warn_if_reject reject", "permit"]])
        let outcome = try fixture.outcome()
        #expect(outcome.refusal == nil)
        #expect(outcome.notes.map(\.kind) == [.rejectWarning])
        fixture.lists[.recipient] = ["warn_if_reject reject", "reject"]
        #expect(try fixture.reply().hasPrefix("554"))
        fixture.classes = ["strict": ["reject_non_fqdn_sender", "reject"]]
        fixture.lists[.recipient] = ["warn_if_reject strict"]
        #expect(try fixture.outcome().notes.map(\.kind) == [.rejectWarning])
        #expect(try fixture.reply() == "accept")
        // A warning leaves no deferral behind.
        fixture.lists[.recipient] = ["warn_if_reject defer_if_permit"]
        #expect(try fixture.reply() == "accept")
    }

    @Test func `classes are lists in lists, also on the right-hand side of a table`() throws {
        var fixture = RestrictionFixture([.recipient: ["check_recipient_access hash:r", "permit"]])
        fixture.classes = ["strict": ["reject_non_fqdn_helo_hostname", "permit"]]
        fixture.tables = ["hash:r": "user@example.test strict\n"]
        #expect(try fixture.reply() == "accept")
        fixture.facts.helo = "short"
        #expect(
            try fixture.reply() == "504 5.5.2 <short>: Helo command rejected: need fully-qualified hostname")
        fixture.tables = ["hash:r": "user@example.test warn_if_reject, strict\n"]
        #expect(try fixture.reply() == "accept")
    }

    @Test func `a table that leads to itself is a fault of ours`() throws {
        var fixture = RestrictionFixture([.recipient: ["loop"]])
        fixture.tables = ["hash:r": "user@example.test nothing_like_it\n"]
        fixture.classes = ["loop": ["check_recipient_access hash:r"]]
        #expect(try fixture.reply() == "451 4.3.5 Server configuration error")
    }

    @Test func `postmaster is asked nothing`() throws {
        var fixture = RestrictionFixture([.client: ["reject"], .recipient: ["reject"]])
        fixture.facts.forwardPath = .postmaster
        #expect(try fixture.reply() == "accept")
    }

    @Test func `relaying is for our domains and our clients`() throws {
        var fixture = RestrictionFixture([.relay: ["permit_mynetworks", "reject_unauth_destination"]])
        #expect(try fixture.reply() == "accept")
        fixture.facts.forwardPath = Mailbox("u@else.test").map { .mailbox($0) }
        #expect(try fixture.reply() == "554 5.7.1 <u@else.test>: Relay access denied")
        fixture.facts.client = Endpoint(.v4(0x0A01_0203), port: 1)
        #expect(try fixture.reply() == "accept")
        fixture.lists[.relay] = ["defer_unauth_destination"]
        #expect(try fixture.reply() == "454 4.7.1 <u@else.test>: Relay access denied")
    }

    @Test func `unknown recipients are refused behind all lists, unless asked for before`() throws {
        var fixture = RestrictionFixture([.recipient: ["permit"]])
        fixture.facts.forwardPath = Mailbox("nobody@example.test").map { .mailbox($0) }
        let unknown =
            "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown in relay recipient table"
        #expect(try fixture.reply() == unknown)
        fixture.lists[.recipient] = ["reject_unlisted_recipient", "defer"]
        #expect(try fixture.reply() == unknown)
        fixture.lists[.recipient] = ["defer", "reject_unlisted_recipient"]
        #expect(try fixture.reply().hasPrefix("450"))
        fixture.lists = [.sender: ["reject_unlisted_sender"]]
        fixture.facts.forwardPath = Mailbox("user@example.test").map { .mailbox($0) }
        fixture.facts.reversePath = Mailbox("nobody@example.test").map { .mailbox($0) }
        #expect(try fixture.reply().hasPrefix("550 5.1.0 <nobody@example.test>: Sender address rejected: User unknown"))
    }

    @Test func `without delay each command has its list, and deferrals are kept`() throws {
        var fixture = RestrictionFixture([.client: ["defer_if_permit"], .helo: ["permit"], .sender: ["permit"]])
        fixture.delays = false
        var carried = Evaluation.Carried()
        let helo = try fixture.outcome(.helo, &carried)
        let mail = try fixture.outcome(.mail, &carried)
        #expect(helo.refusal == nil && mail.refusal == nil)
        let recipient = try fixture.outcome(.recipient, &carried)
        #expect(recipient.refusal?.reply.code == 450)
        fixture.lists = [.client: ["reject"]]
        let refused = try fixture.outcome(.helo, &carried)
        #expect(refused.refusal?.reply.code == 554)
        let later = try fixture.outcome(.mail, &carried)
        #expect(later.refusal == nil)
    }

    @Test func `a recipient who cannot be told is deferred, asked for in a list or not`() throws {
        var fixture = RestrictionFixture([.relay: ["reject_unauth_destination"]])
        fixture.asksElsewhere = true
        let mailbox = try #require(Mailbox("elsewhere@example.test"))
        fixture.facts.forwardPath = .mailbox(mailbox)
        #expect(throws: RestrictionFixture.Asked(lookup: .recipient(mailbox))) { () throws in try fixture.reply() }
        let later = Reply(450, .init(1, 1), "Recipient address rejected: later")
        let never = Reply(550, .init(1, 1), "Recipient address rejected: never")
        for lists in [[Stage.relay: ["reject_unauth_destination"]], [.recipient: ["reject_unlisted_recipient"]]] {
            fixture.lists = lists
            fixture.answers[.recipient(mailbox)] = .address(.undecided(later, why: "down"))
            #expect(try fixture.reply() == "450 4.1.1 <elsewhere@example.test>: Recipient address rejected: later")
            fixture.answers[.recipient(mailbox)] = .address(.unknown(never, why: "no"))
            #expect(try fixture.reply() == "550 5.1.1 <elsewhere@example.test>: Recipient address rejected: never")
            fixture.answers[.recipient(mailbox)] = .address(.known)
            #expect(try fixture.reply() == "accept")
            fixture.answers[.recipient(mailbox)] = .address(.acceptAndHold("down"))
            #expect(try fixture.outcome().effects.holds != nil)
        }
        // Who stands in a table is not asked about.
        fixture.facts.forwardPath = Mailbox("user@example.test").map { .mailbox($0) }
        fixture.answers = [:]
        #expect(try fixture.reply() == "accept")
    }

    @Test func `what servers say of an address is for good, or for now if nothing refuses for good`() throws {
        var fixture = RestrictionFixture([.sender: ["reject_unverified_sender"], .recipient: ["reject"]])
        let mailbox = try #require(fixture.facts.reversePath?.mailbox)
        let lookup = Lookup.verification(mailbox, .sender)
        let now = Reply(450, .init(1, 7), "Sender address rejected: undeliverable address")
        for (finding, isLast, code) in [
            (AddressFinding.known, true, 0), (.unknown(now, why: "no"), true, 450),
            (.unknown(now, why: "no"), false, 554),
            (.undecided(now, why: "?"), true, 450), (.undecided(now, why: "?"), false, 554),
            (.unknown(Reply(550, .init(1, 7), "undeliverable address"), why: "no"), false, 550),
        ] {
            fixture.lists[.recipient] = isLast ? ["reject_unlisted_recipient"] : ["reject"]
            fixture.answers[lookup] = .address(finding)
            #expect(try fixture.outcome().refusal?.reply.code ?? 0 == code, "\(finding)")
        }
    }

    @Test func `a sender of ours whom no table has is asked about as well`() throws {
        var fixture = RestrictionFixture([.sender: ["reject_unlisted_sender"]])
        fixture.asksElsewhere = true
        let mailbox = try #require(Mailbox("elsewhere@example.test"))
        fixture.facts.reversePath = .mailbox(mailbox)
        fixture.answers[.recipient(mailbox)] = .address(.known)
        #expect(try fixture.reply() == "accept")
        fixture.answers[.recipient(mailbox)] = .address(.unknown(Reply(550, nil, "x"), why: "no"))
        #expect(try fixture.reply() == "550 5.1.0 <elsewhere@example.test>: Sender address rejected: User unknown")
    }

    @Test func `a code that is temporary already is not made less`() throws {
        var fixture = RestrictionFixture([.relay: ["defer_unauth_destination"]])
        fixture.options.relay = 450
        fixture.facts.forwardPath = Mailbox("u@else.test").map { .mailbox($0) }
        #expect(try fixture.reply().hasPrefix("450 4.7.1"))
    }

    @Test func `a bounce has one recipient`() throws {
        var fixture = RestrictionFixture([.recipient: ["reject_multi_recipient_bounce"]])
        fixture.facts.recipientCount = 1
        #expect(try fixture.reply() == "accept")
        fixture.facts.reversePath = .null
        #expect(
            try fixture.reply() == "550 5.5.3 <user@example.test>: Recipient address rejected: Multi-recipient bounce")
        fixture.facts.recipientCount = 0
        #expect(try fixture.reply() == "accept")
        fixture.lists = [.data: ["reject_multi_recipient_bounce"]]
        fixture.facts.recipientCount = 1
        #expect(try fixture.reply(.data) == "accept")
        fixture.facts.recipientCount = 2
        #expect(try fixture.reply(.data).hasPrefix("550 5.5.3"))
    }

    @Test func `behind several recipients nobody is the recipient`() throws {
        var fixture = RestrictionFixture([.data: ["check_recipient_access hash:r"]])
        fixture.tables = ["hash:r": "user@example.test REJECT\n"]
        fixture.facts.recipientCount = 1
        #expect(try fixture.reply(.data).hasPrefix("554"))
        fixture.facts.recipientCount = 2
        #expect(try fixture.reply(.data) == "accept")
    }

    @Test func `a pause is asked for each time it is reached`() throws {
        var fixture = RestrictionFixture([.recipient: ["sleep 2", "sleep 2", "reject"]])
        #expect(throws: RestrictionFixture.Asked(lookup: .pause(.seconds(2), number: 1))) { () throws in
            try fixture.reply()
        }
        fixture.answers[.pause(.seconds(2), number: 1)] = .passed
        #expect(throws: RestrictionFixture.Asked(lookup: .pause(.seconds(2), number: 2))) { () throws in
            try fixture.reply()
        }
        fixture.answers[.pause(.seconds(2), number: 2)] = .passed
        #expect(try fixture.reply().hasPrefix("554"))
    }

    @Test func `soft bounces are for now`() throws {
        var fixture = RestrictionFixture([.recipient: ["reject"]])
        fixture.options.softBounce = true
        #expect(try fixture.reply().hasPrefix("454 4.7.1"))
    }

    @Test func `pipelining and plain text are told apart`() throws {
        var fixture = RestrictionFixture([.data: ["reject_unauth_pipelining"], .client: ["reject_plaintext_session"]])
        #expect(try fixture.reply(.data) == "accept")
        fixture.facts.hasPipelined = true
        #expect(
            try fixture.reply(.data)
                == "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining")
        #expect(try fixture.reply() == "450 4.7.1 Session encryption is required")
        fixture.facts.tls = TLSSummary(version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", bits: 128, keyBits: 128)
        #expect(try fixture.reply() == "accept")
    }

    @Test func `every step is told, with where it stands`() throws {
        var fixture = RestrictionFixture([
            .client: ["permit_mynetworks"], .recipient: ["strict", "permit"],
        ])
        fixture.classes = ["strict": ["check_sender_access hash:s"]]
        fixture.tables = ["hash:s": "# who\nclient.example REJECT go away\n"]
        let outcome = try fixture.outcome()
        #expect(
            outcome.trace.map(\.result) == [
                "dunno", "554 5.7.1 <sender@client.example>: Sender address rejected: go away",
                "554 5.7.1 <sender@client.example>: Sender address rejected: go away",
            ])
        #expect(outcome.trace.map(\.depth) == [0, 0, 1])
        let reason = try #require(outcome.refusal?.reason)
        #expect(reason.stage == "recipient" && reason.restriction == "check_sender_access hash:s")
        #expect(reason.place == "/rules/hash:s:2" && reason.key == "client.example")
    }

    @Test(arguments: [
        "rejekt_non_fqdn_sender", "reject_rbl_client", "check_sender_access", "check_sender_access nothing",
        "permit reject_rbl_client a..b", "check_relay_domains", "permit_mx_backup", "sleep", "sleep x",
    ])
    func `what is no restriction is an error`(line: String) {
        #expect(throws: OptionProblem.self) { () throws in try RestrictionFixture([.recipient: [line]]).policy() }
    }
}
