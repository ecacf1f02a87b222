import Foundation
import Harness

/// What both servers have around them: the same names, addresses, networks and policy service.
///
/// Sources of the names: `Tests/Restrictions/names.zones`.
struct SmtpdWorld: Sendable {
    static let relayDomains = ["example.test", "open.test"]
    static let recipients =
        ["user", "other", "team", "postmaster", "spamtrap"].map { "\($0)@example.test ok\n" }
        .joined() + "@open.test ok\n"

    /// Mailboxes that routes refuse. All other mail is kept: there is nobody to send it to.
    static let transport = "moved@example.test error:5.1.6 Own words\npaused@example.test retry:4.3.1 Own words\n"

    /// Where the names are for Postfix, which knows only port 53. Other programs have no business at this address.
    private static let nameHost = "127.154.\(Int.random(in: 0...255)).\(Int.random(in: 1...254))"

    let names: Unbound
    private let server: NSD
    /// One for Postfix and one for Postern, which do the same.
    let policies: (postfix: PolicyServer, postern: PolicyServer)

    init() throws {
        let zones = try ZoneTexts(file: "Restrictions/names.zones").now
        let server = try NSD(zones: zones)
        self.server = server
        self.names = try Unbound(
            host: Self.nameHost, port: 53,
            stubs: Dictionary(uniqueKeysWithValues: zones.keys.map { ($0, server.address) }),
            settings: [
                "local-zone: \"broken.test\" always_refuse", "rrset-roundrobin: no",
                "local-zone: \"3.2.18.198.in-addr.arpa\" always_refuse", "local-zone: \"silent.test\" always_deny",
            ])
        self.policies = (try Self.policyServer(), try Self.policyServer())
    }

    private static func policyServer() throws -> PolicyServer {
        try PolicyServer { _, _, lines in .bytes(Array("action=\(Self.action(lines))\n\n".utf8)) }
    }

    /// The policy service does what the recipient's extension says: `user+policy-reject`.
    private static func action(_ lines: [String]) -> String {
        let recipient = lines.first { $0.hasPrefix("recipient=") } ?? ""
        let sender = lines.first { $0.hasPrefix("sender=") } ?? ""
        let word = [recipient, sender].lazy.compactMap { $0.firstMatch(of: /\+policy-([a-z]+)/)?.1 }.first ?? "dunno"
        switch word {
        case "reject": return "REJECT Own words of the policy"
        case "code": return "554 5.7.9 Own code of the policy"
        case "defer": return "DEFER_IF_PERMIT Own greylisting"
        case "later": return "450 4.7.1 Own words: later"
        case "ok": return "OK"
        case "hold": return "HOLD Own reason"
        case "discard": return "DISCARD"
        case "prepend": return "PREPEND X-Own: policy"
        case "redirect": return "REDIRECT other@example.test"
        case "drop": return "521 5.7.1 Own goodbye"
        case "strange": return "no_such_restriction"
        case "empty": return ""
        default: return "DUNNO"
        }
    }
}

// MARK: - Postfix

extension SmtpdWorld {
    private static let listNames = [
        "client": "smtpd_client_restrictions", "helo": "smtpd_helo_restrictions",
        "sender": "smtpd_sender_restrictions", "relay": "smtpd_relay_restrictions",
        "recipient": "smtpd_recipient_restrictions", "data": "smtpd_data_restrictions",
        "end_of_data": "smtpd_end_of_data_restrictions",
    ]

    /// One Postfix with a server for each part, which all have the same tables of addresses.
    func postfix(_ parts: [(part: SmtpdScript.Part, address: Endpoint)]) throws -> PostfixPrimary {
        var files = [
            "etc/resolv.conf": "nameserver \(self.names.address.host)\noptions attempts:1 timeout:1\n",
            "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: dns\n",
            "etc/postfix/relay_recipients": Self.recipients, "etc/postfix/transport": Self.transport,
        ]
        for (index, entry) in parts.enumerated() {
            for table in entry.part.tables { files["etc/postfix/part\(index)/\(table.name)"] = table.text }
        }
        return try PostfixPrimary(
            domains: [],
            settings: [
                "myhostname": "mx2.example.test", "fast_flush_domains": "",
                "relay_domains": Self.relayDomains.joined(separator: ", "),
                // `example.com` is that name only, as it is here.
                "parent_domain_matches_subdomains": "smtpd_access_maps",
                "relay_recipient_maps": "texthash:/etc/postfix/relay_recipients", "recipient_delimiter": "+",
                "disable_dns_lookups": "no", "smtpd_peername_lookup": "yes", "smtp_dns_support_level": "enabled",
                "smtpd_upstream_proxy_protocol": "haproxy",
                "transport_maps": "texthash:/etc/postfix/transport",
                "defer_transports": "relay, smtp", "default_transport": "smtp", "relay_transport": "relay",
                "smtpd_error_sleep_time": "0", "smtpd_soft_error_limit": "100", "smtpd_hard_error_limit": "20",
                "smtpd_client_connection_rate_limit": "0", "smtpd_helo_required": "yes",
                "smtpd_policy_service_timeout": "5s", "smtpd_policy_service_try_limit": "1",
            ],
            servers: parts.enumerated().map { index, entry in
                .init(
                    entry.address,
                    settings: Self.settings(of: entry.part, self.policies.postfix.address, "/etc/postfix/part\(index)"))
            }, files: files)
    }

    private static func settings(
        of part: SmtpdScript.Part, _ policy: Endpoint, _ folder: String
    ) -> [String: String] {
        var settings = ["smtpd_delay_reject": part.rejectsLate ? "yes" : "no"]
        settings["mynetworks"] = part.networks.map { text in
            guard let slash = text.lastIndex(of: "/"), text.contains(":") else { return text }
            return "[\(text[..<slash])]\(text[slash...])"
        }.joined(separator: ", ")
        settings["smtpd_restriction_classes"] = part.classes.map(\.name).joined(separator: ", ")
        for (name, list) in part.classes { settings[name] = Self.text(list, policy, folder) }
        for (stage, list) in part.lists {
            if let name = Self.listNames[stage] { settings[name] = Self.text(list, policy, folder) }
        }
        return settings
    }

    private static func text(_ list: [SmtpdScript.Element], _ policy: Endpoint, _ folder: String) -> String {
        list.map { element in
            guard let argument = element.argument else { return element.name }
            return "\(element.name) \(Self.place(argument, policy, folder: folder + "/"))"
        }.joined(separator: ", ")
    }

    /// What stands behind a restriction, with the paths of tables and the address of the policy service.
    static func place(_ argument: String, _ policy: Endpoint, folder: String) -> String {
        argument.replacing(/\b(texthash|cidr|pcre|regexp):(\w)/) { "\($0.1):\(folder)\($0.2)" }
            .replacing("policy:", with: "inet:\(policy)")
    }
}

// MARK: - Postern

/// A daemon that gets the lists of one part after the other.
final class SmtpdPostern: Sendable {
    let process: PosternProcess
    /// Its entrance for load balancers.
    let address: Endpoint
    private let policy: Endpoint
    /// Its configuration without restrictions and networks.
    private let base: String

    init(_ world: SmtpdWorld) throws {
        self.address = try .free()
        self.policy = world.policies.postern.address
        self.process = try PosternProcess(
            transport: SmtpdWorld.transport + "* smtp:[127.0.0.1]:9\n",
            domains: "[\(SmtpdWorld.relayDomains.joined(separator: ", "))]",
            recipients: SmtpdWorld.recipients,
            more: """
                proxy: {listen: ["\(self.address)"], networks: [127.0.0.0/8]}
                recipient_delimiter: "+"
                postmaster: postmaster@mx2.example.test
                reply_reference: false
                """, resolver: "{forwarders: [\"\(world.names.address)\"], timeout: 1s}")
        self.base = self.process.file("postern.yaml").replacing("relay_networks: []\n", with: "")
    }

    /// Goes on with the lists and tables of a part.
    func load(_ part: SmtpdScript.Part) throws {
        let networks = part.networks.map { "\"\($0)\"" }.joined(separator: ", ")
        var lines = ["relay_networks: [\(networks)]", "reject_delayed: \(part.rejectsLate)", "restrictions:"]
        for stage in SmtpdScript.stages {
            if let list = part.lists[stage] { lines.append("  \(stage): \(self.yaml(list))") }
        }
        if !part.classes.isEmpty { lines.append("restriction_classes:") }
        for (name, list) in part.classes { lines.append("  \(name): \(self.yaml(list))") }
        for table in part.tables { try self.process.rewrite("rules/\(table.name)", table.text) }
        try self.process.rewrite("postern.yaml", self.base + lines.map { $0 + "\n" }.joined())
        let reloaded = try self.process.command("reload")
        guard reloaded.ending == .exited(0) else {
            throw HarnessError("\(part.name): \(reloaded.output)\(reloaded.errors)")
        }
    }

    private func yaml(_ list: [SmtpdScript.Element]) -> String {
        let elements = list.map { element in
            guard let argument = element.argument else { return element.name }
            return "{\(element.name): \"\(SmtpdWorld.place(argument, self.policy, folder: ""))\"}"
        }
        return "[\(elements.joined(separator: ", "))]"
    }
}
