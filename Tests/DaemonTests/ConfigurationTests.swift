import Daemon
import Foundation
import Mail
import Rules
import Testing

/// What an administrator is told about a wrong `postern.yaml`.
struct ConfigurationTests {
    private func errors(_ yaml: String) -> [String] {
        do {
            _ = try Configuration(yaml: yaml, file: "p.yaml")
            return []
        } catch {
            return error.list.map(\.description)
        }
    }

    @Test func `the smallest file has the defaults`() throws {
        let configuration = try Configuration(yaml: "hostname: mx2.example.test\n", file: "p.yaml")
        #expect(configuration.hostname?.text == "mx2.example.test")
        #expect(configuration.listen.map(\.description) == ["0.0.0.0:25", "[::]:25"])
        #expect(configuration.state == "/var/lib/postern")
        #expect(configuration.control == "/run/postern/control")
        #expect(configuration.rules == "/etc/postern/rules")
        #expect(configuration.relayNetworks.isEmpty)
        #expect(configuration.relayDomains == .list([]))
        #expect(configuration.relayRecipients == RecipientTables())
        #expect(configuration.acceptUnverified == .none)
        #expect(configuration.transport == nil)
        #expect(configuration.resolver.forwarders.isEmpty)
        #expect(configuration.queue.lifetime == .seconds(864_000))
        #expect(configuration.queue.noticeLifetime == .seconds(864_000))
        #expect(configuration.queue.delayNotice == .seconds(14_400))
        #expect(configuration.limits.messageSize == ByteCount(25_000_000))
        #expect(configuration.log.format == .text)
        #expect(configuration.shutdownGrace == .seconds(30))
    }

    @Test func `every key of the design is read`() throws {
        let configuration = try Configuration(
            yaml: """
                hostname: mx2.example.com
                listen: ["0.0.0.0:25", "[::]:2525"]
                resolver: {forwarders: [192.0.2.1, "192.0.2.2:5353"], timeout: 2s}
                relay_networks: [127.0.0.0/8, "::1"]
                relay_domains: texthash:transport
                relay_recipients: hash:recipients
                accept_unverified: [a.test]
                transport: lmdb:/etc/transport
                recipient_delimiter: +
                postmaster: root@example.com
                screener:
                  enabled: true
                  greet_wait: 5s
                  access: cidr:client_access.cidr
                  dnsbl:
                    - zen.spamhaus.org=127.0.0.[2..11]*3
                    - list.dnswl.org=127.0.[0..255].[1..3]*-2
                  dnsbl_allow_threshold: -1
                  dnsbl_names: {key.zen.dq.spamhaus.net: zen.dq.spamhaus.net}
                  pipelining: enforce
                proxy: {listen: ["127.0.0.1:10025"], networks: [127.0.0.0/8]}
                limits: {message_size: 10MiB, recipients: 200}
                queue: {lifetime: 5d, notice_lifetime: 1d12h, delay_notice: 0}
                forwarder: {destinations: {"[192.0.2.1]:25": {concurrency: 3}}}
                log: {format: json, level: debug}
                """, file: "p.yaml")
        #expect(configuration.listen.map(\.port) == [25, 2525])
        #expect(configuration.resolver.forwarders.map(\.endpoint.description) == ["192.0.2.1:53", "192.0.2.2:5353"])
        #expect(configuration.relayNetworks.map(\.description) == ["127.0.0.0/8", "::1/128"])
        #expect(configuration.screener.access.elements == [.relayNetworks, .cidr(path: "client_access.cidr")])
        #expect(configuration.screener.dnsbl.map(\.weight) == [3, -2])
        #expect(configuration.screener.setting(of: .pipelining) == .enforce)
        #expect(configuration.screener.setting(of: .nonSMTP) == .off)
        #expect(configuration.screener.dnsblAllowThreshold.value == -1)
        #expect(configuration.proxy.listen.map(\.description) == ["127.0.0.1:10025"])
        #expect(configuration.relayDomains.optionText == "texthash:transport")
        #expect(configuration.relayRecipients.tables.first?.path == "recipients")
        #expect(configuration.transport?.path == "/etc/transport")
        #expect(configuration.acceptUnverified.optionText == "[a.test]")
        #expect(configuration.recipientDelimiter == "+")
        #expect(configuration.postmaster?.description == "root@example.com")
        #expect(configuration.limits.messageSize == ByteCount(10 << 20))
        #expect(configuration.queue.noticeLifetime == .seconds(129_600))
        #expect(configuration.queue.delayNotice == .zero)
        #expect(configuration.forwarder.destinations.values["[192.0.2.1]:25"]?.concurrency == 3)
        #expect(configuration.log.format == .json)
    }

    @Test(arguments: [
        // Unknown and repeated keys.
        ("hostname: a.test\nhostnam: b\n", "p.yaml:2:1: unknown key 'hostnam', did you mean 'hostname'?"),
        ("hostname: a.test\nqueue:\n  lifetime: 1d\n  zzz: 1\n", "p.yaml:4:3: unknown key 'zzz'"),
        ("hostname: a.test\nqueue: {lifetime: 1d, zzz: 1}\n", "p.yaml:2:23: unknown key 'zzz'"),
        ("hostname: a.test\nstate: /a\nhostname: b.test\n", "p.yaml:3:1: key 'hostname' is repeated"),
        (
            "hostname: a.test\nqueue:\n  lifetime: 1d\n  reserve: 1MB\n  lifetime: 2d\nlog: {}\n",
            "p.yaml:5:3: key 'lifetime' is repeated"
        ),
        ("queue: {lifetime: 1d, lifetime: 2d}\nhostname: a.test\n", "p.yaml:1:23: key 'lifetime' is repeated"),
        ("\"hostname\": a.test\n\"hostname\": b.test\n", "p.yaml:2:1: key 'hostname' is repeated"),
        (
            "hostname: a.test\nlog:\n  level: info\nqueue:\n  lifetime: 1d\n  lifetime: 2d\n",
            "p.yaml:6:3: key 'lifetime' is repeated"
        ),
        (
            "log:\n  level: info\nqueue:\n  log: 1\nlog: {}\nhostname: a.test\n",
            "p.yaml:5:1: key 'log' is repeated"
        ),
        // Wrong types.
        ("hostname: a.test\nlisten: 25\n", "p.yaml:2:9: expected a list, each ADDRESS:PORT, IPv6 in brackets"),
        ("hostname: a.test\nlisten: [25]\n", "p.yaml:2:10: '25' is not ADDRESS:PORT, IPv6 in brackets"),
        ("hostname: a.test\nqueue: 10d\n", "p.yaml:2:8: expected keys with values"),
        ("hostname: [a.test]\n", "p.yaml:1:11: expected a domain name"),
        (
            "hostname: a.test\nqueue: {lifetime: {a: b}}\n",
            "p.yaml:2:19: expected a duration such as 10d, 4h, 5m, 300s or 500ms"
        ),
        ("hostname: a.test\nlimits: {recipients: many}\n", "p.yaml:2:22: 'many' is not a whole number"),
        ("hostname: a.test\nlimits: {recipients: -1}\n", "p.yaml:2:22: '-1' is not a whole number"),
        ("hostname: a.test\naccept_unverified: maybe\n", "p.yaml:2:20: 'maybe' is neither true nor false"),
        ("hostname: a.test\nlog: {format: xml}\n", "p.yaml:2:15: 'xml' is not text or json"),
        (
            "hostname: a.test\ntransport: transport\n",
            "p.yaml:2:12: 'transport' is not a table such as texthash:transport"
        ),
        (
            "hostname: a.test\ntransport: pcre:transport\n",
            "p.yaml:2:12: 'pcre:transport' is not a table such as texthash:transport"
        ),
        ("hostname: a.test\nrelay_domains: [a b]\n", "p.yaml:2:17: 'a b' is not a domain"),
        (
            "hostname: a.test\nrelay_networks: [10.0.0.1/8]\n",
            "p.yaml:2:18: '10.0.0.1/8' has bits set behind its prefix; 10.0.0.0/8 was meant?"
        ),
        ("hostname: a.test\npostmaster: root\n", "p.yaml:2:13: 'root' is not a mail address"),
        ("- a\n- b\n", "p.yaml:1:1: expected keys with values"),
        ("just text\n", "p.yaml:1:1: expected keys with values"),
        // Values without unit.
        (
            "hostname: a.test\nqueue: {lifetime: 10}\n",
            "p.yaml:2:19: '10' is not a duration such as 10d, 4h, 5m, 300s or 500ms"
        ),
        ("hostname: a.test\nlimits: {message_size: 25}\n", "p.yaml:2:24: '25' is not a size such as 25MB or 512KiB"),
        (
            "hostname: a.test\nqueue: {lifetime: 900000w900000w}\n",
            "p.yaml:2:19: '900000w900000w' is not a duration such as 10d, 4h, 5m, 300s or 500ms"
        ),
        // Values that are missing or do not fit together.
        ("hostname:\n", "p.yaml:1:10: '' is not a domain name"),
        ("hostname: a.test\nstate:\n", "p.yaml:2:7: expected text"),
        ("hostname: a.test\nstate: \"\"\n", "p.yaml:2:8: expected text"),
        (
            "hostname: a.test\nqueue: {maximum_size: 1MB, reserve: 1MB}\n",
            "p.yaml:2:8: maximum_size is not larger than reserve"
        ),
        ("hostname: a.test\nrecipient_delimiter: ab\n", "p.yaml:1:1: recipient_delimiter is not one character"),
    ])
    func `an error says where and what`(yaml: String, error: String) {
        #expect(self.errors(yaml) == [error])
    }

    @Test(arguments: [
        ("hostname: a.test\n  queue: {}\n", 2), ("hostname: a.test\nqueue: {lifetime: 1d\n", 3),
        ("hostname: 'a.test\n", 2), ("hostname: a.test\n\tqueue: {}\n", 2), ("hostname: a.test\nqueue: [1, 2}\n", 2),
        ("hostname: *unknown\n", 1), ("hostname: a.test\nstate: \"x\u{07}y\"\n", 2),
        ("hostname: a.test\n---\nx: y\n", 2),
        ("hostname: \"\\z\"\n", 1),
    ])
    func `what is no YAML is an error with line and column`(yaml: String, line: Int) throws {
        do {
            _ = try Configuration(yaml: yaml, file: "p.yaml")
            Issue.record("it was read")
        } catch {
            #expect(error.list.count == 1)
            let first = try #require(error.list.first)
            #expect(first.line == line, "\(first)")
            #expect((first.column ?? 0) >= 1, "\(first)")
            #expect(!first.message.contains("\n") && !first.message.isEmpty, "\(first)")
        }
    }

    @Test func `all errors of a file come at once, in its order`() {
        let yaml = """
            hostname: a b
            listen: [x, "127.0.0.1:25", y]
            unknown: 1
            queue:
              lifetime: 10
              other: 1
            forwarder:
              destinations:
                "[192.0.2.1]": {concurrency: x}
            limits: {recipients: 1}

            """
        #expect(
            self.errors(yaml).map { $0.split(separator: " ")[0] } == [
                "p.yaml:1:11:", "p.yaml:2:10:", "p.yaml:2:29:", "p.yaml:3:1:", "p.yaml:5:13:", "p.yaml:6:3:",
                "p.yaml:9:34:", "p.yaml:10:9:",
            ])
    }

    @Test func `columns count characters`() {
        #expect(self.errors("hostname: a.test\nlog: {\"ü\": 1, x: 2}\n").last == "p.yaml:2:15: unknown key 'x'")
    }

    @Test func `files of other systems are read`() throws {
        #expect(self.errors("hostname: a.test\r\nqueue: {lifetime: 10d}\r\n") == [])
        #expect(self.errors("hostname: a.test\r\nqueue: {lifetime: 10}\r\n").map { $0.prefix(12) } == ["p.yaml:2:19:"])
    }

    @Test func `the reference page has every key`() {
        for key in Configuration.fields.map(\.key) { #expect(ReferencePage.text.contains("| `\(key)` |"), "\(key)") }
        #expect(ReferencePage.text.contains("## `forwarder.timeouts`"))
    }

    @Test func `the reference page in the source is the one that is made`() throws {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/CONFIGURATION.md")
        #expect(try String(contentsOf: page, encoding: .utf8) == ReferencePage.text, "make reference")
    }

    @Test func `the page on restrictions in the source is the one that is made`() throws {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/RESTRICTIONS.md")
        #expect(try String(contentsOf: page, encoding: .utf8) == RulesReferencePage.text, "make reference")
    }

    @Test(arguments: [ReferenceChapter.listExample, ReferenceChapter.attachmentExample])
    func `the examples of the page on restrictions are configurations`(_ yaml: String) {
        #expect(self.errors(yaml).isEmpty)
    }

    @Test func `the page on restrictions has a case that can be read, and all that may stand in one`() throws {
        #expect(try RuleCases(RuleCase.example).cases.count == 1)
        let error = #expect(throws: TableProblems.self) { () throws in try RuleCases("case x\nexpect accept\nfoo") }
        let words = try #require(error?.list.first?.message.firstMatch(of: #/is none of (.*) and \|/#)?.1)
        let keywords = words.split(separator: ", ").map(String.init)
        #expect(keywords.count > 10)
        for keyword in keywords { #expect(RulesReferencePage.text.contains("| `\(keyword)` *"), "\(keyword)") }
    }
}
