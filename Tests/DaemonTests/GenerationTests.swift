import Crypto
import Daemon
import Harness
import Mail
import Testing

/// Configuration and tables as they are read from their files.
struct GenerationTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
        try self.folder.make(folder: "rules")
        try self.folder.write("rules/transport", "example.test smtp:[127.0.0.1]:2526\n")
        try self.folder.write("rules/recipients", "user@example.test x\n")
        try self.configure()
    }

    private var file: String { self.folder.path("postern.yaml") }

    private func configure(_ more: String = "") throws {
        try self.folder.write(
            "postern.yaml",
            """
            hostname: mx2.example.test
            rules: \(self.folder.path("rules"))
            relay_domains: texthash:transport
            transport: texthash:transport
            relay_recipients: texthash:recipients
            \(more)

            """)
    }

    /// Each error without the name of the folder.
    private func errors() -> [String] {
        do {
            _ = try Generation(file: self.file, number: 1)
            return []
        } catch {
            return error.list.map { $0.description.replacing(self.folder.path + "/", with: "") }
        }
    }

    @Test func `what is right is read`() throws {
        let generation = try Generation(file: self.file, number: 7)
        #expect(generation.number == 7)
        #expect(generation.hostname == "mx2.example.test")
        #expect(generation.warnings.isEmpty)
    }

    @Test func `each key of a domain signs with its own headers`() throws {
        for name in ["one", "two"] {
            try SigningKeyFile.create(self.folder.path(name), try PrivateKey.generateEd25519())
        }
        try self.configure(
            """
            authentication:
              dkim:
                sign:
                  - {domain: example.test, selector: one, key: one, headers: [From]}
                  - {domain: example.test, selector: two, key: two, headers: [From, To]}
            """)
        let generation = try Generation(file: self.file, number: 1)
        let content = Array("From: a@example.test\r\nTo: b@example.net\r\n\r\nHello\r\n".utf8)
        let fields = String(decoding: try generation.forwarder.sign(content), as: UTF8.self)
        #expect(fields.contains("s=one;"))
        #expect(fields.contains("h=from;"))
        #expect(fields.contains("s=two;"))
        #expect(fields.contains("h=from:to;"))
    }

    @Test func `a client is exempt from authentication by the values that the reference names, and no others`() throws {
        try self.configure("authentication: {exempt: [\"cidr:exempt\"]}")
        for value in ["OK", "permit", "dunno"] {
            try self.folder.write("rules/exempt", "192.0.2.0/24 \(value)\n")
            #expect(self.errors() == [])
            let line = ReferencePage.text.split(separator: "\n").first { $0.contains("because of SPF or DMARC, such") }
            #expect(line?.contains("`\(value)`") == true)
        }
        try self.folder.write("rules/exempt", "192.0.2.0/24 REJECT\n")
        #expect(self.errors() == ["rules/exempt:1: 'REJECT' is not OK, permit or dunno"])
    }

    @Test func `a file that is not there is told in the system's words`() throws {
        try self.configure("limits: {recipients: 200}")
        #expect(self.errors() == [])
        #expect(throws: FileErrors.self) { try Generation(file: self.folder.path("none.yaml"), number: 1) }
        do {
            _ = try Generation(file: self.folder.path("none.yaml"), number: 1)
        } catch {
            #expect(error.list.map(\.message) == ["cannot be read: No such file or directory"])
        }
        do {
            _ = try Generation(file: self.folder.path("rules"), number: 1)
            Issue.record("a folder was read")
        } catch {
            #expect(error.list.map(\.message) == ["cannot be read: Is a directory"])
        }
    }

    @Test func `a table that is not there is told once, whatever it is for`() throws {
        try self.folder.write("rules/recipients", "x\n")
        try self.configure("accept_unverified: true")
        let text = self.folder.text("postern.yaml").replacing("texthash:transport", with: "texthash:none")
        try self.folder.write("postern.yaml", text)
        #expect(
            self.errors() == [
                "rules/none: cannot be read: No such file or directory",
                "rules/recipients:1: a key without value: 'x'",
            ])
    }

    @Test func `errors of all tables come at once, with file and line`() throws {
        try self.folder.write(
            "rules/transport", "example.test smtp:[127.0.0.1]:0\n# x\nother.test local:\nthird.test smtp:[a\n")
        try self.folder.write("rules/recipients", "a@example.test x\n\na@EXAMPLE.test y\n")
        #expect(
            self.errors() == [
                "rules/transport:1: '[127.0.0.1]:0' is not a next hop such as [192.0.2.1]:25, [mail.example.com] or example.com",
                "rules/transport:3: unknown transport 'local'; there are smtp, relay, error, retry, discard",
                "rules/transport:4: '[a' is not a next hop such as [192.0.2.1]:25, [mail.example.com] or example.com",
                "rules/recipients:3: key 'a@example.test' stands in line 1 already",
            ])
    }

    @Test func `what is not UTF-8 is told with line and column`() throws {
        try self.folder.write(
            "rules/recipients", bytes: Array("a@example.test x\nb".utf8) + [0xFC] + Array("@x y\n".utf8))
        #expect(self.errors() == ["rules/recipients:2:2: not UTF-8"])
        try self.folder.write("postern.yaml", bytes: Array("hostname: a.test\n# ".utf8) + [0xE4, 0x0A])
        #expect(self.errors() == ["postern.yaml:2:3: not UTF-8"])
    }

    @Test func `a trust anchor that cannot be read is an error before it is needed`() throws {
        try self.configure("resolver: {trust_anchor: \(self.folder.path("none"))}")
        #expect(self.errors() == ["none: cannot be read: No such file or directory"])
        try self.configure("resolver: {trust_anchor: \(self.folder.path("rules"))}")
        #expect(self.errors() == ["rules: cannot be read: Is a directory"])
        try self.folder.write("none", ". IN DS 20326 8 2 00\n")
        try self.configure("resolver: {trust_anchor: \(self.folder.path("none"))}")
        #expect(self.errors() == [])
    }

    @Test func `a byte order mark is no text`() throws {
        for name in ["postern.yaml", "rules/transport", "rules/recipients"] {
            try self.folder.write(name, bytes: [0xEF, 0xBB, 0xBF] + Array(self.folder.text(name).utf8))
        }
        #expect(self.errors() == [])
        #expect(try Generation(file: self.file, number: 1).warnings.isEmpty)
    }

    @Test func `a relay domain without recipients is a warning`() throws {
        try self.folder.write("rules/transport", "example.test :\nempty.test :\n.sub.test :\nuser@else.test :\n* :\n")
        let warnings = try Generation(file: self.file, number: 1).warnings.map(\.message)
        #expect(warnings.count == 1)
        #expect(warnings.first?.hasPrefix("relay domain empty.test has no recipients") == true)
    }

    @Test func `a reload takes all or keeps what was`() async throws {
        let keeper = GenerationKeeper(file: self.file, first: try Generation(file: self.file, number: 1))
        try self.configure("postmaster: a@example.test")
        let good = await keeper.reload()
        #expect(good.generation == 2)
        #expect(good.errors == [])
        #expect(keeper.current.configuration.postmaster?.description == "a@example.test")

        try self.configure("postmaster: b@example.test")
        try self.folder.write("rules/recipients", "broken\n")
        let bad = await keeper.reload()
        #expect(bad.generation == 2)
        #expect(bad.errors.count == 1)
        #expect(keeper.current.number == 2)
        #expect(keeper.current.configuration.postmaster?.description == "a@example.test")

        try self.folder.write("rules/recipients", "user@example.test x\n")
        let again = await keeper.reload()
        #expect(again.errors == [])
        #expect(again.generation > 2)
        #expect(keeper.current.configuration.postmaster?.description == "b@example.test")
    }

    @Test func `a reload says what takes effect only at a restart`() async throws {
        let keeper = GenerationKeeper(file: self.file, first: try Generation(file: self.file, number: 1))
        try self.configure("state: /somewhere/else\nresolver: {timeout: 1s}")
        let report = await keeper.reload()
        #expect(
            report.warnings == [
                "state was changed; it takes effect at a restart", "resolver was changed; it takes effect at a restart",
            ])
    }
}

/// What the screener is told.
extension GenerationTests {
    private func configureScreener(_ text: String) throws { try self.configure("screener: {\(text)}") }

    @Test func `an access list is read with its tables`() throws {
        try self.folder.write(
            "rules/clients", "192.0.2.1 permit\n192.0.2.0/24 REJECT\n10.0.0.0/8 OK\n0.0.0.0/0 dunno\n")
        try self.configureScreener("access: [\"cidr:clients\", permit_mynetworks, reject]")
        #expect(self.errors() == [])
        #expect(try Generation(file: self.file, number: 1).warnings.isEmpty)
    }

    @Test func `a result that the screener does not know is an error where it stands`() throws {
        try self.folder.write("rules/clients", "192.0.2.1 permit\n192.0.2.0/24 550 go away\n")
        try self.configureScreener("access: cidr:clients")
        #expect(self.errors() == ["rules/clients:2: '550 go away' is not permit, reject or dunno"])
    }

    @Test func `a line of a client table that can never count is a warning`() throws {
        try self.folder.write("rules/clients", "192.0.2.0/24 permit\n192.0.2.1 reject\n")
        try self.configureScreener("access: cidr:clients")
        let warnings = try Generation(file: self.file, number: 1).warnings
        #expect(warnings.count == 1 && warnings[0].description.contains("rules/clients:2: "))
    }

    @Test(arguments: [
        ("dnsbl: [\"zen.example=127.0.0.[2..1]\"]", "dnsbl"), ("dnsbl: [\"zen.example*0\"]", "weight"),
        ("access: [\"hash:clients\"]", "cidr tables only"), ("access: [\"cidr:none\"]", "No such file"),
        ("dnsbl_threshold: 0", "above 0"), ("dnsbl_allow_threshold: 1", "below 0"), ("greet_wait: 0", "greet_wait"),
        ("pregreet: reject", "off or ignore or enforce or drop"), ("dnsbl_min_ttl: 2h", "dnsbl_max_ttl"),
    ]) func `what makes no sense is refused`(setting: String, reason: String) throws {
        try self.configureScreener(setting)
        let errors = self.errors()
        #expect(errors.count == 1)
        if reason != "dnsbl", reason != "weight" { #expect(errors.first?.contains(reason) == true, "\(errors)") }
    }

    @Test func `a list without a filter is warned of, as its error codes would count`() throws {
        try self.configureScreener("dnsbl: [bl.example, \"good.example*-1\"]")
        let warnings = try Generation(file: self.file, number: 1).warnings
        #expect(warnings.count == 1 && warnings[0].message.hasPrefix("bl.example has no filter"))
        try self.configureScreener("dnsbl: [key.bl.example], dnsbl_names: {key.bl.example: bl}")
        let named = try Generation(file: self.file, number: 1).warnings
        #expect(named.first?.message.hasPrefix("bl has no filter") == true, "the zone holds a key")
    }

    @Test func `an address cannot be for proxies and for others`() throws {
        try self.configure("listen: [\"127.0.0.1:25\"]\nproxy: {listen: [\"127.0.0.1:25\"], networks: [127.0.0.1]}")
        #expect(self.errors().count == 1)
        try self.configure("proxy: {listen: [\"127.0.0.1:25\"]}")
        #expect(self.errors().first?.contains("listen and networks go together") == true)
    }

    @Test(arguments: [
        ("{relay: []}", false), ("{relay: [permit_mynetworks]}", false), ("{relay: [reject_unauth_destination]}", true),
        // What stands behind a permit is never asked.
        ("{relay: [permit, reject_unauth_destination]}", false),
        ("{relay: [warn_if_reject, permit, reject]}", false), ("{relay: [warn_if_reject, reject]}", false),
        ("{relay: [open, reject_unauth_destination]}", false), ("{relay: [closed]}", true),
        ("{relay: [{warn_if_reject: closed}]}", false), ("{relay: [outer, reject]}", false),
        ("{relay: [reject_unauth_destination, permit]}", true), ("{relay: [defer_unauth_destination]}", true),
        ("{relay: [permit], recipient: [permit_mynetworks, reject]}", true),
        ("{relay: [permit], recipient: [permit, reject]}", false),
    ])
    func `a configuration that lets anybody send to anybody is refused`(lists: String, isClosed: Bool) throws {
        try self.configure(
            "restriction_classes: {open: [permit], outer: [permit_mynetworks, open], closed: [reject]}\n"
                + "restrictions: \(lists)")
        let error = "postern.yaml: restrictions.relay lets anybody send to anybody: it needs reject_unauth_destination"
        #expect(self.errors() == (isClosed ? [] : [error]))
    }

    @Test func `greylisting stands where recipients are judged, wherever it is named`() throws {
        try self.folder.write("rules/strangers", "example.net late\n")
        try self.configure(
            """
            restriction_classes: {late: [greylist]}
            restrictions:
              sender: [{check_sender_access: "texthash:strangers"}]
              recipient: [greylist, late, {check_sender_access: "texthash:strangers"}]
              data: [greylist]
              end_of_data: [late]
            """)
        let errors = self.errors()
        #expect(errors.count == 3)
        let places = errors.map { String($0.prefix { $0 != " " }) }
        #expect(places == ["postern.yaml:10:10:", "postern.yaml:11:17:", "rules/strangers:1:"], "\(errors)")
        #expect(errors.allSatisfy { $0.contains("greylist belongs into restrictions.recipient") }, "\(errors)")
    }

    @Test func `SPF needs a sender`() throws {
        try self.configure("restrictions: {helo: [check_spf], sender: [check_spf], data: [check_spf]}")
        #expect(self.errors() == [])
        try self.configure("reject_delayed: false\nrestrictions: {helo: [check_spf], sender: [check_spf]}")
        #expect(self.errors().count == 1)
        #expect(self.errors().first?.contains("is not known in restrictions.helo while reject_delayed") == true)
    }

    @Test func `cases say what greylisting and SPF say`() throws {
        func cases(_ greylist: String, _ spf: String, _ expected: String) throws -> [String] {
            let text = "case a\nhelo x.example\nto user@example.test\n\(greylist)\n\(spf)\nexpect \(expected)\n"
            return try RuleCases(text).failures(try Generation(file: self.file, number: 1)).map(\.message)
        }
        try self.configure("restrictions: {sender: [check_spf], recipient: [greylist]}")
        #expect(try cases("", "", "accept") == [])
        #expect(try cases("greylist passed", "spf softfail", "accept") == [])
        #expect(try cases("greylist refused", "spf pass", "defer 450 Greylisted") == [])
        #expect(try cases("greylist refused", "spf fail", "reject 550 SPF fail") == [])
        #expect(try cases("", "spf temperror", "defer 451") == [])
        #expect(try cases("greylist refused", "", "accept").first?.contains("defer 450 4.2.0") == true)
    }
}
