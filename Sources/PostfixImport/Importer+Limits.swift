import Mail

/// Limits, codes, queue and times: what is a number in both.
extension Importer {
    mutating func convertLimits() {
        let smtpd = self.services.smtpd
        self.convertMessageSize()
        self.convertNumber("smtpd_recipient_limit", "limits.recipients", standard: 1000, in: 100...Int.max, smtpd)
        self.convertNumber("smtpd_soft_error_limit", "limits.soft_errors", standard: 10, smtpd)
        self.convertNumber("smtpd_hard_error_limit", "limits.errors_per_session", standard: 20, smtpd)
        self.convertTime("smtpd_error_sleep_time", "limits.error_delay", unit: "s", standard: 1, smtpd)
        self.convertNumber("smtpd_junk_command_limit", "limits.junk_commands", standard: 100, smtpd)
        self.convertSize("line_length_limit", "limits.command_line", standard: 2048, least: 512, smtpd)
        self.convertNumber("hopcount_limit", "limits.hops", standard: 50, smtpd)
        self.convertTime("smtpd_timeout", "limits.command_timeout", unit: "s", standard: 300, smtpd)
        self.convertTime("smtpd_timeout", "limits.data_timeout", unit: "s", standard: 300, smtpd)
        self.convertSwitch("disable_vrfy_command", "limits.vrfy", standard: true, negated: true, smtpd)
        self.convertSwitch("smtpd_forbid_unauth_pipelining", "limits.reject_pipelining", standard: true, smtpd)
        self.convertLineEndings()
        let connections = self.services.postscreen == nil ? "smtpd" : "postscreen"
        self.convertNumber(
            "\(connections)_client_connection_count_limit", "limits.connections_per_client", standard: 50,
            self.services.postscreen ?? smtpd)
        self.convertRates()
        self.convertPrefixes()
        self.convertCodes()
        self.convertHELO()
    }

    private mutating func convertMessageSize() {
        let value = self.value("message_size_limit", in: self.services.smtpd)
        guard value.text == "0" else {
            return self.convertSize(
                "message_size_limit", "limits.message_size", standard: 25_000_000, self.services.smtpd)
        }
        self.set("limits.message_size", .scalar("1TB"), from: value, note: "0 is no limit in Postfix.")
        self.warn(value, "message_size_limit = 0: messages of any size are taken, until the disk is full")
    }

    private mutating func convertLineEndings() {
        let value = self.value("smtpd_forbid_bare_newline", in: self.services.smtpd)
        switch value.text.lowercased() {
        case "reject": self.set("limits.line_endings", .scalar("reject"), from: value)
        case "yes", "normalize":
            if value.isSet { self.mark(value, .default) }
        default:
            if value.isSet {
                self.mark(
                    value, .converted, key: "limits.line_endings",
                    why: "Postern always closes this hole (SMTP smuggling)")
            }
        }
    }

    /// Postern counts by the minute.
    private mutating func convertRates() {
        let unit = self.value("anvil_rate_time_unit")
        let seconds = Quantities.seconds(unit.text, unit: "s") ?? 60
        for (name, key) in [
            ("connection", "connection_rate_per_client"), ("message", "message_rate_per_client"),
            ("recipient", "recipient_rate_per_client"),
        ] {
            let value = self.value("smtpd_client_\(name)_rate_limit", in: self.services.smtpd)
            guard let count = Int(value.text), count > 0 else {
                if value.isSet { self.mark(value, .default) }
                continue
            }
            let rate = max(1, (count * 60 + seconds - 1) / max(1, seconds))
            self.set(
                "limits.\(key)", .scalar("\(rate)"), from: value,
                note: seconds == 60 ? nil : "\(count) in \(unit.text), here by the minute.")
            if unit.isSet { self.mark(unit, .converted, key: "limits.\(key)") }
        }
        if unit.isSet, self.fate(unit.name) == nil { self.mark(unit, .ignored, why: "no rate is limited") }
    }

    private mutating func convertPrefixes() {
        for (name, key, standard) in [("ipv4", "client_prefix_ipv4", 32), ("ipv6", "client_prefix_ipv6", 64)]
        where self.isSet("smtpd_client_\(name)_prefix_length") {
            self.convertNumber(
                "smtpd_client_\(name)_prefix_length", "limits.\(key)", standard: standard,
                in: 0...(name == "ipv4" ? 32 : 128))
        }
    }

    private mutating func convertCodes() {
        let codes: [(String, Int)] = [
            ("reject_code", 554), ("access_map_reject_code", 554), ("access_map_defer_code", 450), ("defer_code", 450),
            ("relay_domains_reject_code", 554), ("maps_rbl_reject_code", 554), ("invalid_hostname_reject_code", 501),
            ("non_fqdn_reject_code", 504), ("unknown_address_reject_code", 450), ("unknown_client_reject_code", 450),
            ("unknown_hostname_reject_code", 450), ("unknown_relay_recipient_reject_code", 550),
            ("multi_recipient_bounce_reject_code", 550), ("plaintext_reject_code", 450),
        ]
        for (name, standard) in codes {
            let value = self.value(name, in: self.services.smtpd)
            guard let code = Int(value.text), (400...599).contains(code) else {
                self.warn(value, "\(name) = \(value.text) is no code of a refusal: \(standard) is used")
                self.mark(value, .unsupported, why: "it is no code of a refusal")
                continue
            }
            self.convertNumber(name, "reply_codes.\(name)", standard: standard, self.services.smtpd)
        }
        let soft = self.value("soft_bounce", in: self.services.smtpd)
        if soft.isYes {
            self.warn(soft, "soft_bounce = yes: what is refused is only deferred, and comes again for days")
        }
        self.convertSwitch("soft_bounce", "reply_codes.soft_bounce", standard: false, self.services.smtpd)
    }

    private mutating func convertHELO() {
        let value = self.value("smtpd_helo_required", in: self.services.smtpd)
        if value.isYes { return self.mark(value, .default, why: "Postern always requires HELO") }
        if value.isSet { self.mark(value, .ignored, why: "Postern always requires HELO, as RFC 5321 §4.1.1.1 does") }
    }

    // MARK: Queue and client

    mutating func convertQueue() {
        let lifetime = self.value("maximal_queue_lifetime")
        let bounces = self.value("bounce_queue_lifetime")
        if lifetime.isSet != bounces.isSet {
            let (one, other) = lifetime.isSet ? (lifetime, bounces) : (bounces, lifetime)
            self.warn(
                one,
                "only \(one.name) is set, and \(other.name) is \(other.text): mail and notices are kept for different "
                    + "times; set both (queue.lifetime, queue.notice_lifetime)")
        }
        self.convertTime("maximal_queue_lifetime", "queue.lifetime", unit: "d", standard: 10 * 86_400)
        self.convertTime("bounce_queue_lifetime", "queue.notice_lifetime", unit: "d", standard: 10 * 86_400)
        self.convertTime("delay_warning_time", "queue.delay_notice", unit: "h", standard: 4 * 3600)
        let backoff = Quantities.seconds(self.value("minimal_backoff_time").text, unit: "s") ?? 300
        self.convertTime("minimal_backoff_time", "forwarder.retry_minimum", unit: "s", standard: 300, least: 1)
        self.convertTime("maximal_backoff_time", "forwarder.retry_maximum", unit: "s", standard: 4000, least: backoff)
        self.convertSize("bounce_size_limit", "forwarder.notice_content", standard: 50_000)
        self.convertClientLimits()
        let timeouts: [(String, String, Int)] = [
            ("smtp_connect_timeout", "connect", 30), ("smtp_helo_timeout", "helo", 300),
            ("smtp_helo_timeout", "greeting", 300), ("smtp_mail_timeout", "mail", 300),
            ("smtp_rcpt_timeout", "rcpt", 300), ("smtp_data_init_timeout", "data_init", 120),
            ("smtp_data_xfer_timeout", "data_transfer", 180), ("smtp_data_done_timeout", "data_done", 600),
            ("smtp_rset_timeout", "rset", 20), ("smtp_quit_timeout", "quit", 300),
        ]
        for (name, key, standard) in timeouts {
            self.convertTime(name, "forwarder.timeouts.\(key)", unit: "s", standard: standard, self.services.client)
        }
        self.convertOwnAddresses()
    }

    /// Mail for relay domains goes by the transport `relay`, other mail by `smtp`; Postern has one limit for both.
    private mutating func convertClientLimits() {
        self.convertNumber(
            "initial_destination_concurrency", "forwarder.initial_concurrency", standard: 5, in: 1...1000)
        for (suffix, key, standard) in [
            ("destination_concurrency_limit", "forwarder.concurrency", 20),
            ("destination_recipient_limit", "forwarder.recipients_per_transaction", 100),
        ] {
            let names = ["relay_\(suffix)", "smtp_\(suffix)", "default_\(suffix)"]
            let name = names.first { self.isSet($0) } ?? "default_\(suffix)"
            self.convertNumber(name, key, standard: standard, in: 1...1000)
            for other in names where other != name && self.isSet(other) {
                self.mark(other, .ignored, why: "\(name) is set, and Postern has one limit for all next hops")
            }
        }
    }

    private mutating func convertOwnAddresses() {
        let value = self.value("proxy_interfaces")
        guard value.isSet, !value.isEmpty else { return }
        let items = value.words.compactMap { PlainAddress($0)?.address.description }.map { YAMLWriter.Item(text: $0) }
        self.set("forwarder.own_addresses", .list(items), from: value)
    }
}
