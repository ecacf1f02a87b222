import Daemon
import Mail
import PostfixImport
import Rules
import Testing

/// What becomes of the numbers, times and names.
struct ConversionTests {
    @Test func `what is not set has Postfix's default where Postern has another`() throws {
        let configuration = try SetUp("").configuration()
        #expect(configuration.queue.lifetime == .seconds(5 * 86_400))
        #expect(configuration.queue.noticeLifetime == .seconds(5 * 86_400))
        #expect(configuration.queue.delayNotice == .zero)
        #expect(configuration.limits.messageSize.bytes == 10_240_000)
        #expect(configuration.forwarder.recipientsPerTransaction == 50)
        #expect(!configuration.limits.rejectPipelining)
        #expect(configuration.forwarder.tls.level == .none)
        #expect(!configuration.tls.enabled)
        #expect(!configuration.screener.enabled)
        #expect(configuration.limits.vrfy)
    }

    @Test func `what is as in Postern is not written`() throws {
        let main = """
            maximal_queue_lifetime = 10d
            bounce_queue_lifetime = 240h
            delay_warning_time = 4
            message_size_limit = 25000000
            smtpd_recipient_limit = 1000

            """
        let setUp = try SetUp(main)
        let configuration = try setUp.configuration()
        #expect(configuration.queue.lifetime == Configuration().queue.lifetime)
        #expect(!setUp.yaml.contains("lifetime"))
        #expect(!setUp.yaml.contains("message_size"))
        for name in ["maximal_queue_lifetime", "bounce_queue_lifetime", "message_size_limit", "smtpd_recipient_limit"] {
            #expect(setUp.parameter(name)?.status == .default, "\(name)")
        }
    }

    @Test func `every setting has a status, and why if it is not converted`() throws {
        let main = """
            message_size_limit = 1000000
            smtpd_banner = x
            soft_bounce = no
            smtp_header_checks = pcre:/etc/postfix/x
            no_such_thing = 1
            mesage_size_limit = 5
            my_list = reject_unlisted_recipient
            smtpd_recipient_restrictions = $my_list

            """
        let setUp = try SetUp(main)
        let expected: [(String, ImportReport.Status)] = [
            ("message_size_limit", .converted), ("smtpd_banner", .ignored), ("soft_bounce", .default),
            ("smtp_header_checks", .unsupported), ("no_such_thing", .ignored), ("mesage_size_limit", .ignored),
            ("my_list", .ignored), ("smtpd_recipient_restrictions", .converted),
        ]
        for (name, status) in expected { #expect(setUp.parameter(name)?.status == status, "\(name)") }
        #expect(setUp.parameter("message_size_limit")?.key == "limits.message_size")
        #expect(setUp.report.parameters.allSatisfy { $0.key != nil || $0.why != nil })
        #expect(setUp.warns("Postfix has no parameter 'no_such_thing'"))
        #expect(setUp.warns("did you mean message_size_limit?"))
        #expect(setUp.parameter("my_list")?.why?.contains("your own") == true)
    }

    @Test func `the last of two settings counts, and the first is told`() throws {
        let setUp = try SetUp("message_size_limit = 1000000\nmessage_size_limit = 2000000\n")
        #expect(try setUp.configuration().limits.messageSize.bytes == 2_000_000)
        #expect(setUp.warnings(line: 3).contains { $0.contains("set again in line 4") })
    }

    @Test func `a service's own setting counts before main.cf's`() throws {
        let master =
            "smtp inet n - y - - smtpd\n  -o smtpd_recipient_limit=107 -o { smtpd_client_restrictions = reject }\n"
        let setUp = try SetUp("smtpd_recipient_limit = 108\n", master: master)
        #expect(try setUp.configuration().limits.recipients == 107)
        #expect(setUp.yaml.contains("client: [reject]"))
        let override = try #require(setUp.report.parameters.last { $0.file == "/etc/postfix/master.cf" })
        #expect(override.status == .converted)
        #expect(override.line == 2)
    }

    @Test func `rates are reckoned by the minute`() throws {
        let main = "anvil_rate_time_unit = 10s\nsmtpd_client_message_rate_limit = 5\n"
        #expect(try SetUp(main).configuration().limits.messageRatePerClient == 30)
    }

    @Test func `levels of compatibility say what defaults are`() throws {
        let old = try SetUp("smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n")
        #expect(old.yaml.contains("relay: []"))
        let new = try SetUp("compatibility_level = 3.6\n")
        #expect(new.yaml.contains("relay: [permit_mynetworks, defer_unauth_destination]"))
        _ = try new.checked()
    }

    @Test func `only one of the two lifetimes is a warning`() throws {
        #expect(try SetUp("maximal_queue_lifetime = 1d\n").warnings(line: 3).contains { $0.contains("set both") })
        let both = try SetUp("maximal_queue_lifetime = 1d\nbounce_queue_lifetime = 1d\n")
        #expect(!both.warns("set both"))
    }

    @Test func `a name that has no value is told, and capitals are a template`() throws {
        #expect(
            try SetUp("smtpd_banner = $nothing\n").warnings(line: 3).contains { $0.contains("$nothing has no value") })
        #expect(throws: FileError.self) { try SetUp("relayhost = $RELAY_HOST\n") }
    }

    @Test(arguments: [
        ("inet_protocols = ipv4\n", "[0.0.0.0:25]"),
        ("inet_interfaces = loopback-only\n", "[127.0.0.1:25, [::1]:25]"),
        ("inet_interfaces = 192.0.2.1\n", "[192.0.2.1:25]"),
    ])
    func `addresses are those of the interfaces`(main: String, expected: String) throws {
        let setUp = try SetUp(main)
        #expect(try setUp.checked().configuration.listen.optionText == expected)
    }

    @Test func `services for users are unsupported`() throws {
        let master =
            SetUp.master
            + "submission inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n10025 inet n - n - - smtpd\n"
        let setUp = try SetUp("", master: master)
        #expect(setUp.warnings("master.cf", line: 4).contains { $0.contains("log in") })
        #expect(setUp.warnings("master.cf", line: 6).contains { $0.contains("content filter") })
        #expect(setUp.report.parameters.last?.status == .unsupported)
    }

    @Test func `mail that was filtered by programs is a loud warning`() throws {
        let setUp = try SetUp("content_filter = scan:127.0.0.1:10024\nsmtpd_milters = inet:127.0.0.1:11332\n")
        #expect(setUp.warnings(line: 3).contains { $0.contains("NOT filtered") })
        #expect(setUp.warnings(line: 4).contains { $0.contains("rspamd") })
        #expect(setUp.parameter("content_filter")?.status == .unsupported)
    }

    @Test func `numbers that Postern does not take become the nearest that it does`() throws {
        let main = """
            smtpd_recipient_limit = 5
            line_length_limit = 80
            minimal_backoff_time = 2h
            maximal_backoff_time = 1h
            maximal_queue_lifetime = 99999999w

            """
        let setUp = try SetUp(main)
        let configuration = try setUp.configuration()
        #expect(configuration.limits.recipients == 100)
        #expect(configuration.limits.commandLine.bytes == 512)
        #expect(configuration.forwarder.retryMaximum == .seconds(7200))
        #expect(setUp.warnings(line: 3).contains { $0.contains("Postern takes 100") })
    }

    @Test func `the load balancers of a PROXY set-up have to be named`() throws {
        let setUp = try SetUp("postscreen_upstream_proxy_protocol = haproxy\n", master: SetUp.screened)
        let configuration = try setUp.configuration()
        #expect(configuration.listen.isEmpty)
        #expect(configuration.proxy.listen.count == 2)
        #expect(setUp.warns("nobody gets in"))
    }
}
