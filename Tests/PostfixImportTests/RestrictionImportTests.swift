import Daemon
import Mail
import PostfixImport
import Testing

struct RestrictionImportTests {
    private static let safe = "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n"

    @Test func `a list keeps its order, and tables come along`() throws {
        let main =
            Self.safe + """
                smtpd_recipient_restrictions =
                  reject_unauth_pipelining,
                  check_client_access cidr:/etc/postfix/clients,
                  warn_if_reject reject_rbl_client zen.example.net=127.0.0.[2..11],
                  hash:/etc/postfix/rcpt
                  permit

                """
        let setUp = try SetUp(main, files: ["clients": "192.0.2.0/24 REJECT\n", "rcpt": "a@example.test OK\n"])
        let lines = setUp.yaml.split(separator: "\n").map { $0.drop { $0 == " " } }
        let start = try #require(lines.firstIndex(of: "recipient:"))
        #expect(
            lines[(start + 1)...(start + 5)] == [
                "- reject_unauth_pipelining", "- check_client_access cidr:clients",
                "- \"warn_if_reject reject_rbl_client zen.example.net=127.0.0.[2..11]\"",
                "- check_recipient_access texthash:rcpt", "- permit",
            ])
        #expect(setUp.table("clients") == "192.0.2.0/24 REJECT\n")
        _ = try setUp.checked()
    }

    @Test func `classes come along with what uses them`() throws {
        let main =
            Self.safe + """
                smtpd_restriction_classes = strict
                strict = reject_unknown_sender_domain, reject_non_fqdn_sender
                smtpd_sender_restrictions = check_recipient_access hash:/etc/postfix/rcpt, strict

                """
        let setUp = try SetUp(main, files: ["rcpt": "a@example.test strict\nb@example.test lax\n"])
        #expect(setUp.yaml.contains("restriction_classes:\n"))
        #expect(setUp.parameter("strict")?.status == .converted)
        // What names no class answered 451 in Postfix.
        #expect(setUp.warnings("rcpt", line: 2).contains { $0.contains("lax") })
        #expect(setUp.table("rcpt")?.contains("# postern import") == true)
        _ = try setUp.checked()
    }

    @Test func `old names become new ones, and some answer 451 to all mail`() throws {
        let main =
            Self.safe + """
                maps_rbl_domains = list.example.net
                smtpd_client_restrictions = reject_unknown_client, reject_maps_rbl, reject_no_such_thing
                smtpd_recipient_restrictions = permit_mx_backup, check_relay_domains

                """
        let setUp = try SetUp(main)
        #expect(setUp.yaml.contains("reject_unknown_client_hostname"))
        #expect(setUp.yaml.contains("reject_rbl_client list.example.net"))
        #expect(!setUp.yaml.contains("permit_mx_backup"))
        #expect(setUp.yaml.contains("recipient: [reject_unauth_destination]"))
        #expect(setUp.warnings(line: 5).contains { $0.contains("reject_maps_rbl is obsolete") })
        #expect(setUp.warnings(line: 5).contains { $0.contains("no restriction 'reject_no_such_thing'") })
        #expect(setUp.warnings(line: 6).contains { $0.contains("permit_mx_backup is left out") })
        _ = try setUp.checked()
    }

    @Test func `logins are left out, and a loss is told`() throws {
        let main =
            Self.safe + """
                smtpd_sasl_auth_enable = yes
                smtpd_sender_restrictions = permit_sasl_authenticated, reject_sender_login_mismatch

                """
        let setUp = try SetUp(main)
        #expect(!setUp.yaml.contains("sasl"))
        #expect(setUp.warnings(line: 5).contains { $0.contains("reject_sender_login_mismatch") })
        _ = try setUp.checked()
    }

    @Test func `DNS lists without filter and closed ones are told`() throws {
        let main =
            Self.safe + """
                smtpd_client_restrictions = reject_rbl_client list.example.net,
                  reject_rbl_client dnsbl.sorbs.net

                """
        let setUp = try SetUp(main)
        #expect(setUp.warnings(line: 4).contains { $0.contains("list.example.net has no filter") })
        #expect(setUp.warnings(line: 5).contains { $0.contains("dnsbl.sorbs.net was closed") })
        #expect(!setUp.yaml.contains("sorbs"))
    }

    @Test func `policyd-spf and postgrey are what Postern has itself`() throws {
        let main =
            Self.safe + """
                smtpd_recipient_restrictions = check_policy_service unix:private/policyd-spf,
                  check_policy_service inet:127.0.0.1:10023, check_policy_service inet:127.0.0.1:9998

                """
        let master = SetUp.master + "policyd-spf unix - n n - 0 spawn user=x argv=/usr/bin/policyd-spf\n"
        let setUp = try SetUp(
            main, master: master,
            files: [
                "/etc/postfix-policyd-spf-python/policyd-spf.conf":
                    "HELO_reject = SPF_Not_Pass\nMail_From_reject = False\nWhitelist = 192.0.2.0/24\n",
                "/etc/default/postgrey": "POSTGREY_OPTS=\"--inet=10023 --delay=60 --max-age=10\"\n",
                "/etc/postgrey/whitelist_clients": "# x\n192.0.2\nmail.example.com\n",
                "/etc/postgrey/whitelist_recipients": "postmaster@\n",
            ])
        let configuration = try setUp.checked().configuration
        #expect(configuration.authentication.spf.helo.softfail == .reject)
        #expect(configuration.authentication.spf.mailFrom.fail == .mark)
        #expect(configuration.greylist.delay == .seconds(60))
        #expect(configuration.greylist.expiry == .seconds(10 * 86_400))
        #expect(setUp.table("spf_exempt.cidr")?.contains("192.0.2.0/24 permit") == true)
        #expect(setUp.table("greylist_clients.cidr")?.contains("192.0.2.0/24 permit") == true)
        #expect(setUp.warnings("/etc/postgrey/whitelist_clients", line: 3).count == 1)
        #expect(setUp.yaml.contains("check_policy_service inet:127.0.0.1:9998"))
        #expect(setUp.yaml.contains("- check_spf\n"))
        #expect(setUp.yaml.contains("- greylist\n"))
    }

    @Test func `a program that Postfix starts cannot be asked`() throws {
        let main = Self.safe + "smtpd_recipient_restrictions = check_policy_service unix:private/own\n"
        let setUp = try SetUp(main, master: SetUp.master + "own unix - n n - 0 spawn user=x argv=/usr/bin/own\n")
        #expect(setUp.warns("is a program that Postfix starts (master.cf:4)"))
        #expect(!setUp.yaml.contains("policy"))
    }

    @Test(arguments: [
        "smtpd_relay_restrictions = permit_mynetworks\n", "smtpd_relay_restrictions =\n",
        "smtpd_relay_restrictions = permit\nsmtpd_recipient_restrictions = permit_mynetworks, permit\n",
    ])
    func `an open relay is closed, and told`(main: String) throws {
        let setUp = try SetUp(main)
        #expect(setUp.warnings(line: 3).contains { $0.contains("keeps strangers from sending to anybody") })
        #expect(setUp.yaml.contains("reject_unauth_destination"))
        _ = try setUp.checked()
    }

    @Test func `a permit by table before the relay check is told, and what is never asked`() throws {
        let main = """
            smtpd_relay_restrictions =
            smtpd_recipient_restrictions = check_sender_access hash:/etc/postfix/s, reject_unauth_destination
            smtpd_helo_restrictions = permit, reject_invalid_helo_hostname

            """
        let setUp = try SetUp(main, files: ["s": "a@example.test OK\n"])
        #expect(setUp.warnings(line: 3).contains { $0.contains("smtpd_relay_restrictions is empty") })
        #expect(setUp.warnings(line: 4).contains { $0.contains("relay to anybody") })
        #expect(setUp.warnings(line: 5).contains { $0.contains("is never asked") })
        _ = try setUp.checked()
    }

    @Test func `postscreen becomes the screener, with Postfix's own lenience`() throws {
        let main = """
            postscreen_access_list = permit_mynetworks, hash:/etc/postfix/own, cidr:/etc/postfix/nets
            postscreen_dnsbl_sites = list.example.net=127.0.0.[2..4]*3, KEY.example.org=127.0.0.2, dnswl.example.net*-2
            postscreen_dnsbl_threshold = 3
            postscreen_dnsbl_allowlist_threshold = -1
            postscreen_dnsbl_reply_map = texthash:/etc/postfix/names
            postscreen_greet_action = enforce
            postscreen_greet_wait = 3s
            postscreen_pipelining_enable = yes

            """
        let setUp = try SetUp(
            main, master: SetUp.screened,
            files: ["own": "192.0.2.1 permit\n", "nets": "192.0.2.0/24 reject\n", "names": "key.example.org list\n"])
        let screener = try setUp.checked().configuration.screener
        #expect(screener.enabled)
        #expect(screener.dnsbl.count == 3)
        #expect(screener.dnsblThreshold.value == 3)
        #expect(screener.dnsblAllowThreshold.value == -1)
        #expect(screener.dnsblAction == .ignore)
        #expect(screener.accessAction == .ignore)
        #expect(screener.pregreet == .enforce)
        #expect(screener.greetWait == .seconds(3))
        #expect(screener.pipelining == .enforce)
        #expect(screener.dnsblNames.values == ["key.example.org": "list"])
        #expect(screener.access.elements.count == 3)
    }
}
