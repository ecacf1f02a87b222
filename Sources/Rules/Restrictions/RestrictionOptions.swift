package import Mail

/// How restrictions answer. The codes are those of Postfix's parameters, with their defaults (SEMANTICS §2).
package struct RestrictionOptions: Options, OptionValue {
    package var reject = 554
    package var access = 554
    package var accessDefer = 450
    package var deferring = 450
    package var relay = 554
    package var list = 554
    package var invalidHostname = 501
    package var nonFQDN = 504
    package var unknownAddress = 450
    package var unknownClient = 450
    package var unknownHostname = 450
    package var unlistedRecipient = 550
    package var multiRecipientNotice = 550
    package var plaintext = 450
    package var softBounce = false

    package init() {}

    package static let summary = "The codes that restrictions answer with, as Postfix's parameters of these names."

    package static let fields: [OptionField<Self>] = [
        .init("reject_code", \.reject, "`reject`."),
        .init("access_map_reject_code", \.access, "REJECT in an access table."),
        .init("access_map_defer_code", \.accessDefer, "DEFER and its like in an access table."),
        .init("defer_code", \.deferring, "`defer`."),
        .init("relay_domains_reject_code", \.relay, "`reject_unauth_destination`."),
        .init("maps_rbl_reject_code", \.list, "DNS lists."),
        .init("invalid_hostname_reject_code", \.invalidHostname, "`reject_invalid_helo_hostname`."),
        .init("non_fqdn_reject_code", \.nonFQDN, "`reject_non_fqdn_...`."),
        .init("unknown_address_reject_code", \.unknownAddress, "`reject_unknown_sender_domain` and its like."),
        .init("unknown_client_reject_code", \.unknownClient, "`reject_unknown_client_hostname` and its like."),
        .init("unknown_hostname_reject_code", \.unknownHostname, "`reject_unknown_helo_hostname`."),
        .init("unknown_relay_recipient_reject_code", \.unlistedRecipient, "Recipients that do not exist."),
        .init("multi_recipient_bounce_reject_code", \.multiRecipientNotice, "`reject_multi_recipient_bounce`."),
        .init("plaintext_reject_code", \.plaintext, "`reject_plaintext_session`."),
        .init("soft_bounce", \.softBounce, "Every 5yz of a restriction becomes 4yz, while rules are tried out."),
    ]

    package func validate() throws(OptionProblem) {
        let codes = [
            self.reject, self.access, self.accessDefer, self.deferring, self.relay, self.list, self.invalidHostname,
            self.nonFQDN, self.unknownAddress, self.unknownClient, self.unknownHostname, self.unlistedRecipient,
            self.multiRecipientNotice, self.plaintext,
        ]
        if let code = codes.first(where: { !(400...599).contains($0) }) {
            throw OptionProblem("\(code) is not a code of a refusal, 400 to 599")
        }
    }
}
