extension RestrictionReference {
    static let sender: [RestrictionReference] = [
        .init(
            "reject_non_fqdn_sender", refusal: .code(option: "non_fqdn_reject_code", detail: "5.2"),
            "Refuses senders whose domain has no dot. An address literal passes."),
        .init(
            "reject_unknown_sender_domain", also: ["reject_unknown_address"],
            refusal: .code(option: "unknown_address_reject_code", detail: "1.8"),
            """
            Refuses senders whose domain has neither MX nor address records, and with `550 5.7.27` those whose domain
            says that it takes no mail (RFC 7505). While name servers do not answer it is as `defer_if_permit`. An
            address literal passes.
            """),
        .init(
            "reject_unlisted_sender", refusal: .code(option: "unknown_relay_recipient_reject_code", detail: "1.0"),
            """
            Refuses senders in a domain of `relay_domains` that would not be taken as recipients, as
            `reject_unlisted_recipient` finds out.
            """),
        .init(
            "reject_unverified_sender",
            """
            Asks the servers of the sender's domain whether they take mail for the address, and refuses the sender if
            they do not: with `550 5.1.7`, or as `defer_if_permit` with `450 4.1.7`, by `callout.reject`. Answers are
            waited for and kept as `callout` says; while there is none it is as `defer_if_permit`.
            """),
        .init(
            "reject_multi_recipient_bounce",
            refusal: .code(option: "multi_recipient_bounce_reject_code", detail: "5.3"),
            """
            Refuses the null sender with more than one recipient: notices have one. In `data` it refuses the message,
            at RCPT each recipient after the first.
            """),
    ]

    static let recipient: [RestrictionReference] = [
        .init(
            "reject_non_fqdn_recipient", refusal: .code(option: "non_fqdn_reject_code", detail: "5.2"),
            "Refuses recipients whose domain has no dot. An address literal passes."),
        .init(
            "reject_unknown_recipient_domain", refusal: .code(option: "unknown_address_reject_code", detail: "1.2"),
            """
            Refuses recipients whose domain has neither MX nor address records, and with `556 5.1.10` those whose domain
            says that it takes no mail (RFC 7505). While name servers do not answer it is as `defer_if_permit`. Domains
            of ours are asked about as well.
            """),
        .init(
            "reject_unlisted_recipient", also: ["check_recipient_maps"],
            refusal: .code(option: "unknown_relay_recipient_reject_code", detail: "1.1"),
            """
            Refuses recipients of `relay_domains` whom `relay_recipients` does not have, nor, where `callout` has the
            domain, the primary; and any for whom the table `transport` says `error:` or `retry:`. It is asked behind
            the list `recipient` in any case, so that it needs to be written only in front of what costs more.
            """),
        .init(
            "reject_unverified_recipient",
            """
            Asks the server of the recipient whether it takes mail for the address, whatever the tables say, and
            refuses it with `550 5.1.1`, or as `defer_if_permit` with `450 4.1.1`, by `callout.reject`; while there is
            no answer it is as `defer_if_permit`. For domains that `callout` has it is not needed.
            """),
    ]

    static let relaying: [RestrictionReference] = [
        .init(
            "reject_unauth_destination", refusal: .code(option: "relay_domains_reject_code", detail: "7.1"),
            """
            Refuses recipients in domains that `relay_domains` does not have, and in those that it has the addresses
            `user%other@domain`, `other!user@domain` and `"user@other"@domain`. It, `reject`, `defer` or
            `defer_if_permit` must end the list `relay`, or `recipient`, for strangers.
            """,
            difference: "`relay_domains` has `www.example.com` by `example.com`. Here it does not."),
        .init(
            "defer_unauth_destination", refusal: .fixed("454 4.7.1"),
            "The same for now: 100 less than `reply_codes.relay_domains_reject_code`."),
        .init(
            "permit_auth_destination",
            "Permits recipients that `reject_unauth_destination` would not refuse."),
    ]

    static let judgements: [RestrictionReference] = [
        .init(
            "check_spf",
            """
            Asks whether the client may send for the sender's domain, and for the name in HELO. What follows from each
            result is in `authentication.spf`: by default a fail is refused with `550 5.7.23`, and nothing else. Clients
            in `authentication.exempt` pass, and who cannot be judged as well. It needs the sender: with
            `reject_delayed: false` it may not stand in `client` or `helo`.
            """,
            difference: "a policy service."),
        .init(
            "greylist", refusal: .fixed("450 4.2.0"),
            """
            Has mail of a client, sender and recipient not seen before come again, as `greylist` says. Only in the list
            `recipient` and in classes used there; best at its end, behind `reject_unlisted_recipient`.
            """,
            difference: "a policy service."),
        .init(
            "check_policy_service", argument: "SERVICE",
            """
            Asks a policy service, whose answer is one of the actions of access tables. It is `inet:HOST:PORT` or
            `unix:PATH`, or `{inet:HOST:PORT, timeout=10s, max_idle=300s, policy_context=TEXT,
            {default_action=ACTION}}`. Where it does not answer within 100 seconds, or its `timeout`, its
            `default_action` holds: `451 4.3.5 Server configuration problem`.
            """,
            difference: "an empty answer is OK. Here it is an error, `451`."),
    ]

    static let nothing: [RestrictionReference] = [
        .init(
            "permit_sasl_authenticated",
            also: [
                "reject_sender_login_mismatch", "reject_authenticated_sender_login_mismatch",
                "reject_known_sender_login_mismatch", "reject_unauthenticated_sender_login_mismatch",
            ],
            "Read, warned of and passed over: clients do not log in here."),
        .init("check_sasl_access", argument: "TABLE", "The same; its table must exist."),
    ]
}
