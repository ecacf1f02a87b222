import Mail

/// What Postfix's parameters are called, and what they are if nobody sets them.
package enum ParameterCatalog {
    /// The default of a parameter, as it would be written; nil if Postfix has no parameter of this name. `*` if it
    /// depends on the machine or the version.
    package static func defaultValue(_ name: String) -> String? { self.defaults[name] }

    package static var names: Dictionary<String, String>.Keys { self.defaults.keys }

    private static let defaults: [String: String] = {
        var defaults: [String: String] = [:]
        for text in [aToMail, mailboxToSMTP, smtpTLSToZ] {
            // They are a part of the program: what cannot be read would be missed by its tests.
            guard let file = try? MainFile(text, file: "") else { continue }
            for setting in file.settings { defaults[setting.name] = Words.oneLine(setting.value) }
        }
        return defaults
    }()

    /// Whether a name is one of those that Postfix makes for each transport or service of master.cf, and where the
    /// name of that ends: `smtp_destination_concurrency_limit`, `policyd_time_limit`.
    ///
    /// - Returns: the name of the transport; nil if it is not such a name.
    package static func transport(of name: String) -> (transport: String, suffix: String)? {
        for suffix in self.transportSuffixes where name.hasSuffix(suffix) && name.utf8.count > suffix.utf8.count {
            return (String(name.dropLast(suffix.count)), suffix)
        }
        return nil
    }

    private static let transportSuffixes = [
        "_destination_concurrency_failed_cohort_limit", "_destination_concurrency_limit",
        "_destination_concurrency_negative_feedback", "_destination_concurrency_positive_feedback",
        "_destination_rate_delay", "_transport_rate_delay", "_destination_recipient_limit", "_extra_recipient_limit",
        "_initial_destination_concurrency", "_minimum_delivery_slots", "_recipient_limit", "_recipient_refill_delay",
        "_recipient_refill_limit", "_delivery_slot_cost", "_delivery_slot_discount", "_delivery_slot_loan",
        "_time_limit",
    ]

    /// Names that Postfix has no longer, with what came instead.
    package static let renamed: [String: String] = [
        "virtual_maps": "virtual_alias_maps, virtual_alias_domains", "fallback_relay": "smtp_fallback_relay",
        "authorized_verp_clients": "smtpd_authorized_verp_clients", "program_directory": "daemon_directory",
        "smtpd_sasl_application_name": "smtpd_sasl_path", "virtual_mailbox_limit_maps": "nothing",
        "sample_directory": "nothing", "smtp_always_send_ehlo_": "smtp_always_send_ehlo",
        "postscreen_blacklist_action": "postscreen_denylist_action",
        "postscreen_whitelist_interfaces": "postscreen_allowlist_interfaces",
        "postscreen_dnsbl_whitelist_threshold": "postscreen_dnsbl_allowlist_threshold",
    ]

    /// What a wrong name is probably meant to be: a known one that is one or two letters away.
    package static func resembling(_ name: String) -> String? {
        let bytes = Array(name.utf8)
        guard bytes.count > 5 else { return nil }
        return self.defaults.keys.filter { abs($0.utf8.count - bytes.count) < 3 }.sorted().first {
            Self.distance(bytes, Array($0.utf8)) < 3
        }
    }

    /// How many octets have to be put in, taken out or changed; not exact above 2.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (index, byte) in left.enumerated() {
            var corner = row[0]
            row[0] = index + 1
            for place in right.indices {
                let above = row[place + 1]
                let change = corner + (byte == right[place] ? 0 : 1)
                row[place + 1] = min(change, above + 1, row[place] + 1)
                corner = above
            }
        }
        return row[right.count]
    }
}
