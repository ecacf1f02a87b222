extension RestrictionReference {
    /// Every restriction that there is, by what it looks at.
    package static let groups: [(title: String, restrictions: [RestrictionReference])] = [
        ("In any list", Self.anywhere), ("About the client", Self.client), ("About the name in HELO", Self.helo),
        ("About the sender", Self.sender), ("About the recipient", Self.recipient), ("About relaying", Self.relaying),
        ("Tables", Self.tables), ("DNS lists", Self.lists), ("Asked elsewhere", Self.judgements),
        ("Without effect", Self.nothing),
    ]

    private static let anywhere: [RestrictionReference] = [
        .init(
            "permit",
            """
            Ends the list it stands in; the lists behind it are asked all the same. In front of
            `reject_unauth_destination` in the list `relay` it would make an open relay: such a configuration is
            refused, unless the list `recipient` ends the way for strangers.
            """),
        .init("reject", refusal: .code(option: "reject_code", detail: "7.1"), "Refuses for good."),
        .init("defer", refusal: .code(option: "defer_code", detail: "3.2"), "Refuses for now: the client comes again."),
        .init(
            "defer_if_permit", refusal: .fixed("450 4.7.0"),
            """
            Goes on, and refuses for now if nothing refuses for good up to the end of the list `recipient`: from one of
            the lists before it, it holds for those behind it. In `data` and `end_of_data` it holds for that list.
            """),
        .init(
            "defer_if_reject", refusal: .fixed("450 4.7.0"),
            """
            Goes on, and what would refuse for good behind it in the same list, or in `recipient` if it stands in
            `relay`, refuses for now. With a `defer_if_permit` before or behind it, nothing more of the list is asked.
            """),
        .init(
            "warn_if_reject",
            """
            In front of a restriction: what that would refuse is logged (`event=noted kind=reject_warning`), and the
            list goes on. In front of a restriction class it holds for each of its restrictions. An error of ours, such
            as an `OK` where none may stand, still answers `451`.
            """),
        .init(
            "sleep", argument: "SECONDS", "Waits, at most 300 seconds, and goes on. The client waits as well.",
            difference: "no limit."),
    ]

    private static let client: [RestrictionReference] = [
        .init("permit_mynetworks", "Permits clients of `relay_networks`."),
        .init("permit_inet_interfaces", "Permits this machine: a loopback address, or the one that was connected to."),
        .init(
            "permit_tls_clientcerts",
            """
            Permits clients that show a certificate of which the table `tls.relay_certificates` has the fingerprint, or
            that of its public key: SHA-256, as `A1:B2:...`. What stands behind the key means nothing. Needs
            `tls.client_certificates`.
            """,
            difference: "`relay_clientcerts`, with the digest that `smtpd_tls_fingerprint_digest` names."),
        .init(
            "permit_tls_all_clientcerts",
            """
            Permits clients that show a certificate which leads to one of `tls.authorities`. Needs
            `tls.client_certificates`.
            """),
        .init(
            "reject_plaintext_session", refusal: .code(option: "plaintext_reject_code", detail: "7.1"),
            "Refuses clients that have not begun TLS."),
        .init(
            "reject_unknown_client_hostname", also: ["reject_unknown_client"],
            refusal: .code(option: "unknown_client_reject_code", detail: "7.25"),
            """
            Refuses clients whose address has no name that leads back to it. `450` in any case while name servers do not
            answer.
            """,
            difference: "looks at one name of the address. Here up to five are tried."),
        .init(
            "reject_unknown_reverse_client_hostname",
            refusal: .code(option: "unknown_client_reject_code", detail: "7.1"),
            """
            Refuses clients whose address has no name at all, wherever it may lead. `450` in any case while name servers
            do not answer.
            """),
        .init(
            "reject_unauth_pipelining", refusal: .fixed("503 5.5.0"),
            "Refuses clients that have sent commands before it was their turn. Best in `data`."),
    ]

    private static let helo: [RestrictionReference] = [
        .init(
            "reject_invalid_helo_hostname", also: ["reject_invalid_hostname"],
            refusal: .code(option: "invalid_hostname_reject_code", detail: "5.2"),
            """
            Refuses what is no host name by its form. An address passes, alone or as a literal `[192.0.2.1]`; a literal
            that holds no address does not.
            """),
        .init(
            "reject_non_fqdn_helo_hostname", also: ["reject_non_fqdn_hostname"],
            refusal: .code(option: "non_fqdn_reject_code", detail: "5.2"),
            """
            Refuses names without a dot, and what is no name, such as an address without brackets. A literal is looked
            at as `reject_invalid_helo_hostname` does.
            """),
        .init(
            "reject_unknown_helo_hostname", also: ["reject_unknown_hostname"],
            refusal: .code(option: "unknown_hostname_reject_code", detail: "7.1"),
            """
            Refuses names that have neither address nor MX records. While name servers do not answer it is as
            `defer_if_permit`. A literal is looked at as `reject_invalid_helo_hostname` does.
            """),
    ]
}
