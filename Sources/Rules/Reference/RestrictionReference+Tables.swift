extension RestrictionReference {
    static let tables: [RestrictionReference] = [
        .init(
            "check_client_access", argument: "TABLE",
            """
            Looks the client up, by its name if that leads back to its address, else by `unknown`, and then by its
            address; and does what the table says.
            """),
        .init(
            "check_reverse_client_hostname_access", argument: "TABLE",
            """
            The same with the name that the address has, wherever that leads. A permit is an error there, `451`: who
            owns the address chooses the name.
            """),
        .init("check_helo_access", argument: "TABLE", "Looks up what the client calls itself, as a domain."),
        .init(
            "check_sender_access", argument: "TABLE",
            "Looks the sender up, as an address; the null sender is `<>`, whatever the table's type."),
        .init(
            "check_recipient_access", argument: "TABLE",
            """
            Looks the recipient up, as an address. A permit does not hold for the addresses that
            `reject_unauth_destination` refuses in domains of ours. In the list `relay`, a permit relays to the address.
            In `data` and `end_of_data` there is a recipient to look up only if the message has one.
            """),
        .init(
            "check_{client,reverse_client_hostname,helo,sender,recipient}_a_access", argument: "TABLE",
            """
            Looks up the addresses that the name, or the domain of the address, has; of a literal the one in it. A
            permit is an error, `451`: who owns the domain chooses them.
            """),
        .init(
            "check_{client,reverse_client_hostname,helo,sender,recipient}_mx_access", argument: "TABLE",
            """
            Looks up the names of its MX hosts, as domains, and their addresses; a domain without MX records is its own
            host. A permit is an error. Up to 100 hosts, and 100 addresses of them, are looked up. While name servers do
            not answer, it passes.
            """),
        .init(
            "check_{client,reverse_client_hostname,helo,sender,recipient}_ns_access", argument: "TABLE",
            """
            The same with the name servers of the domain, or of the closest one above it that has any. Of literals there
            are none.
            """),
        .init(
            "check_ccert_access", argument: "TABLE",
            """
            Looks up the fingerprint of the certificate that the client has shown, then that of its public key: SHA-256,
            as `A1:B2:...`. Whether the certificate leads to an authority does not matter. Needs
            `tls.client_certificates`.
            """,
            difference: "the digest that `smtpd_tls_fingerprint_digest` names."),
    ]

    static let lists: [RestrictionReference] = [
        .init(
            "reject_rbl_client", also: ["reject_rbl"], argument: "LIST",
            refusal: .code(option: "maps_rbl_reject_code", detail: "7.1"),
            """
            Refuses clients whose address is on the DNS list. LIST is its domain, best with a filter of answers that
            count: `zen.spamhaus.org=127.0.0.[2..11]`. What the list says of the client (TXT) is put into the reply;
            there the list is called as `screener.dnsbl_names` has it.
            """,
            difference: "error codes of lists, such as 127.255.255.254, count as listed. Here they are logged."),
        .init(
            "reject_rhsbl_{client,reverse_client,helo,sender,recipient}", argument: "LIST",
            refusal: .code(option: "maps_rbl_reject_code", detail: "7.1"),
            """
            Refuses if the client's name (one that leads back to its address, or any), the name in HELO, or the domain
            of sender or recipient is on the list. Literals and addresses are not asked about.
            """),
        .init(
            "permit_dnswl_client", argument: "LIST",
            """
            Permits clients whose address is on the list, but not to relay: about recipients that are not ours it says
            nothing. If the list does not answer it is as `defer_if_reject`.
            """),
        .init("permit_rhswl_client", argument: "LIST", "The same by the client's name that leads back to its address."),
    ]
}
