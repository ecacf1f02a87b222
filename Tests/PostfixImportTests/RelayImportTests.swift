import Daemon
import Mail
import PostfixImport
import Testing

/// Domains, recipients, routes and tables.
struct RelayImportTests {
    private static let safe = "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n"

    @Test func `domains match those below them, as by default, and that is told`() throws {
        let main = Self.safe + "relay_domains = example.test\nrelay_recipient_maps = hash:/etc/postfix/r\n"
        let setUp = try SetUp(main, files: ["r": "a@example.test x\n"])
        #expect(setUp.yaml.contains("relay_domains: [example.test, .example.test]"))
        #expect(setUp.warnings(line: 4).contains { $0.contains("every name below it") })
        let strict = try SetUp(main + "parent_domain_matches_subdomains =\n", files: ["r": "a@example.test x\n"])
        #expect(strict.yaml.contains("relay_domains: [example.test]"))
        #expect(!strict.warns("every name below it"))
    }

    @Test func `no list of recipients takes everybody, and catch-alls are told`() throws {
        let open = try SetUp(Self.safe + "relay_domains = example.test\n")
        #expect(open.yaml.contains("accept_unverified: true"))
        #expect(open.warns("relay_recipient_maps is empty"))
        let setUp = try SetUp(
            Self.safe + "relay_domains = example.test\nrelay_recipient_maps = hash:/etc/postfix/r\n",
            files: ["r": "# x\n@example.test x\n"])
        #expect(!setUp.yaml.contains("accept_unverified"))
        #expect(setUp.warnings("r", line: 2).contains { $0.contains("every address of its domain") })
        _ = try setUp.checked()
    }

    @Test func `a route without brackets is told, and one of another name for smtp becomes smtp`() throws {
        let main = Self.safe + "relay_domains = hash:/etc/postfix/t\ntransport_maps = hash:/etc/postfix/t\n"
        let routes =
            "a.test smtp:mail.a.test\nb.test slow:[mail.b.test]:26\nc.test lmtp:[::1]:24\nd.test smtp:[192.0.2.1]\n"
        let setUp = try SetUp(
            main, master: SetUp.master + "slow unix - - y - 1 smtp\nlmtp unix - - y - - lmtp\n", files: ["t": routes])
        #expect(setUp.warnings("t", line: 1).contains { $0.contains("write [mail.a.test]") })
        #expect(setUp.table("t")?.contains("b.test smtp:[mail.b.test]:26\n") == true)
        #expect(setUp.warnings("t", line: 3).contains { $0.contains("by SMTP only") })
        #expect(setUp.warnings("t", line: 4).isEmpty)
        _ = try setUp.checked()
    }

    @Test func `relayhost and relay_transport are routes`() throws {
        let main =
            Self.safe + """
                relay_domains = a.test
                relay_transport = relay:[192.0.2.1]
                relayhost = out.example.test:587

                """
        let setUp = try SetUp(main)
        let table = try #require(setUp.table("transport"))
        #expect(table.contains("a.test relay:[192.0.2.1]\n"))
        #expect(table.contains("* smtp:out.example.test:587\n"))
        #expect(setUp.warnings(line: 6).contains { $0.contains("write [out.example.test]:587") })
        _ = try setUp.checked()
    }

    @Test func `addresses with an alias exist, and are not rewritten`() throws {
        let main =
            Self.safe + """
                relay_domains = a.test
                virtual_alias_domains = a.test, b.test
                virtual_alias_maps = hash:/etc/postfix/v
                transport_maps = inline:{ a.test=smtp:[192.0.2.1] }

                """
        let setUp = try SetUp(main, files: ["v": "x@a.test y@elsewhere.test\nz@b.test y@a.test\npostmaster y@a.test\n"])
        #expect(setUp.table("virtual_alias_recipients")?.contains("x@a.test") == true)
        #expect(setUp.table("virtual_alias_recipients")?.contains("z@b.test") == false)
        #expect(setUp.warns("b.test is a domain of aliases only"))
        #expect(setUp.parameter("virtual_alias_maps")?.status == .unsupported)
        #expect(setUp.yaml.contains("postmaster: y@a.test"))
        _ = try setUp.checked()
    }

    @Test func `local delivery is lost and told`() throws {
        let setUp = try SetUp(Self.safe + "mydestination = $myhostname, a.test\nlocal_recipient_maps =\n")
        #expect(setUp.parameter("mydestination")?.status == .unsupported)
        #expect(setUp.warnings(line: 4).contains { $0.contains("mx.example.test, a.test") })
        #expect(setUp.warnings(line: 5).contains { $0.contains("local_recipient_maps is empty") })
    }

    @Test func `mailboxes that another server has are a relay domain`() throws {
        let main =
            Self.safe + """
                virtual_mailbox_domains = a.test
                virtual_mailbox_maps = hash:/etc/postfix/v
                virtual_transport = smtp:[192.0.2.9]

                """
        let setUp = try SetUp(main, files: ["v": "x@a.test a.test/x/\n"])
        #expect(setUp.yaml.contains("relay_domains: [a.test]"))
        #expect(setUp.yaml.contains("relay_recipients: texthash:v"))
        #expect(setUp.table("transport")?.contains("a.test smtp:[192.0.2.9]\n") == true)
        _ = try setUp.checked()
    }

    @Test func `networks are read as Postfix does`() throws {
        let hosts =
            "myhostname = mx.example.test\nmynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128, 10.0.0.0/8 x\n"
        let setUp = try SetUp(Self.safe, hosts: hosts)
        #expect(setUp.yaml.contains("relay_networks: [127.0.0.0/8, \"::1/128\", 10.0.0.0/8]"))
        #expect(setUp.warnings(line: 2).contains { $0.contains("very many hosts") })
        #expect(setUp.warnings(line: 2).contains { $0.contains("'x' is not a network") })
        let unset = try SetUp(Self.safe, hosts: "myhostname = mx.example.test\nmynetworks_style = subnet\n")
        #expect(unset.warnings(line: 2).contains { $0.contains("every host of this machine's networks") })
        _ = try unset.checked()
    }
}

struct TableImportTests {
    private static func access(_ table: String) -> String {
        "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n"
            + "smtpd_client_restrictions = check_client_access \(table)\n"
    }

    @Test func `a table that is not there becomes an empty one, with the place that names it`() throws {
        let setUp = try SetUp(Self.access("hash:/etc/postfix/gone"))
        #expect(setUp.warnings(line: 4).contains { $0.contains("/etc/postfix/gone is not there") })
        #expect(setUp.report.tables.first?.status == .missing)
        #expect(setUp.report.tables.first?.line == 4)
        _ = try setUp.checked()
    }

    @Test func `lines that Postfix passes over become comments`() throws {
        let text = "192.0.2.0/24 REJECT\n192.0.2.1/24 OK\n198.51.100.0/24\n203.0.113.0/24 REJECT\n  and more\n"
        let setUp = try SetUp(Self.access("cidr:/etc/postfix/nets"), files: ["nets": text])
        let lines = try #require(setUp.table("nets")).split(separator: "\n")
        #expect(lines.count == 5)
        #expect(lines[0] == "192.0.2.0/24 REJECT")
        #expect(lines[1].hasPrefix("# postern import") && lines[1].hasSuffix("192.0.2.1/24 OK"))
        #expect(lines[2].hasPrefix("# postern import"))
        #expect(lines[4] == "  and more")
        #expect(setUp.warnings("nets", line: 2).count == 1)
        #expect(setUp.report.tables.first?.status == .changed)
        _ = try setUp.checked()
    }

    @Test func `of a key that comes twice the first stays`() throws {
        let setUp = try SetUp(Self.access("hash:/etc/postfix/a"), files: ["a": "x.test OK\ny.test OK\nX.test REJECT\n"])
        #expect(setUp.table("a")?.hasPrefix("x.test OK\ny.test OK\n# postern import") == true)
        #expect(setUp.warnings("a", line: 3).count == 1)
    }

    @Test(arguments: ["mysql:/etc/postfix/x", "tcp:127.0.0.1:9", "proxy:ldap:/etc/postfix/x", "unionmap:{a:b}"])
    func `a type that Postern does not have is told with what it means`(table: String) throws {
        let setUp = try SetUp(Self.access(table))
        #expect(setUp.warnings(line: 4).contains { $0.contains("nobody is permitted or refused by it") })
        #expect(setUp.report.tables.first?.status == .unsupported)
        _ = try setUp.checked()
    }

    @Test(arguments: [
        "inline:{ 192.0.2.1=REJECT, { 192.0.2.2 = REJECT go away } }", "static:DUNNO", "cidr:{{192.0.2.0/24 REJECT}}",
        "pcre:{{/^192\\.0\\.2\\./ REJECT}}",
    ])
    func `what stands in main.cf stays there`(table: String) throws {
        let setUp = try SetUp(Self.access(table))
        #expect(setUp.report.tables.first?.status == .inline)
        #expect(setUp.yaml.contains("check_client_access"))
        _ = try setUp.checked()
    }

    @Test func `two files of one name are both there`() throws {
        let main = Self.access("hash:/etc/postfix/a, check_client_access hash:/etc/other/a")
        let files = ["a": "x.test OK\n", "/etc/other/a": "y.test OK\n"]
        // The other one is looked for by its name in the folder, so that it is the same file here.
        let same = try SetUp(main, files: files)
        #expect(same.result.files.count == 2 || same.table("a-2") != nil)
        _ = try same.checked()
    }

    @Test func `a table that is newer than its index is told`() throws {
        let setUp = try SetUp(
            Self.access("hash:/etc/postfix/a"), files: ["a": "x.test OK\n"], times: ["a": 200, "a.db": 100])
        #expect(setUp.warnings(line: 4).contains { $0.contains("newer than its .db") })
    }

    @Test func `only an index is no text`() throws {
        let setUp = try SetUp(Self.access("hash:/etc/postfix/a"), times: ["a.db": 100])
        #expect(setUp.warnings(line: 4).contains { $0.contains("there is only /etc/postfix/a.db") })
    }

    @Test func `content tables come along, each action checked`() throws {
        let main = """
            smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
            header_checks = pcre:/etc/postfix/h
            body_checks = regexp:/etc/postfix/b

            """
        let setUp = try SetUp(
            main, files: ["h": "/^Subject: x/ REJECT no\n/^To:/ FILTER local:\n/^X:/ FROBNICATE\n", "b": "/x/ WARN\n"])
        let content = try setUp.checked().configuration.content
        #expect(content.headerChecks == ["pcre:h"])
        #expect(content.bodyChecks == ["regexp:b"])
        #expect(setUp.warnings("h", line: 2).count == 1)
        #expect(setUp.warnings("h", line: 3).count == 1)
    }

    @Test func `passwords are secret`() throws {
        let main = """
            smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
            smtp_tls_security_level = secure
            smtp_sasl_auth_enable = yes
            smtp_sasl_password_maps = hash:/etc/postfix/passwd

            """
        let setUp = try SetUp(main, files: ["passwd": "[mail.example.test] user:secret\n"])
        #expect(setUp.result.files.first { $0.path == "rules/passwd" }?.isSecret == true)
        #expect(setUp.yaml.contains("passwords: texthash:passwd"))
    }
}

struct TLSImportTests {
    private static let safe = "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n"

    @Test func `a certificate that is not here becomes a comment`() throws {
        let main =
            Self.safe + """
                smtpd_tls_security_level = may
                smtpd_tls_cert_file = /etc/ssl/cert.pem
                smtpd_tls_key_file = /etc/ssl/key.pem
                smtpd_tls_protocols = >=TLSv1.3

                """
        let setUp = try SetUp(main)
        #expect(setUp.yaml.contains("# certificates: [{chain: /etc/ssl/cert.pem, key: /etc/ssl/key.pem}]"))
        #expect(setUp.warnings(line: 5).contains { $0.contains("is not here") })
        let configuration = try setUp.checked().configuration
        #expect(configuration.tls.enabled)
        let here = try SetUp(main, times: ["/etc/ssl/cert.pem": 1, "/etc/ssl/key.pem": 1])
        #expect(here.yaml.contains("- {chain: /etc/ssl/cert.pem, key: /etc/ssl/key.pem}"))
        #expect(try here.configuration().tls.certificates.count == 1)
    }

    @Test func `levels and policies of next hops come along`() throws {
        let main =
            Self.safe + """
                smtp_tls_security_level = encrypt
                smtp_tls_policy_maps = hash:/etc/postfix/tls_policy

                """
        let setUp = try SetUp(main, files: ["tls_policy": "example.test secure match=nexthop\n"])
        let tls = try setUp.checked().configuration.forwarder.tls
        #expect(tls.level == .encrypt)
        #expect(tls.policy == "texthash:tls_policy")
        #expect(!tls.mtaSTS)
    }
}
