extension ReferenceChapter {
    package static let tables = ReferenceChapter(
        "Tables",
        [
            .text(
                """
                A table is named where it is used, by its type and file: `texthash:senders`,
                `cidr:/etc/postern/my.cidr`. Without a path, the file stands in the folder `rules` of `postern.yaml`. A
                change comes into force with `postern reload`, and `postern table query TYPE:FILE KEY` says what a table
                says to a key.
                """),
            .text(
                """
                In every file, a line that begins with a blank continues the line before, empty lines do not count, nor
                do those whose first other character is `#`. There are no comments behind anything. Files are UTF-8.
                """),
            .text(
                """
                A line that cannot be read, a key without a value or an action that does not exist is an error of the
                whole configuration, told as `FILE:LINE: MESSAGE`: `postern check` tells all of them, and `postern
                reload` changes nothing. What a pattern puts into its value is looked at when it matches: an error there
                answers `451` in restrictions, and in checks of content counts as no match. A rule that another before
                it hides, and an indented line that looks like a rule of its own, are warnings.
                """),
            .text("Postfix: passes over lines that it cannot read."),
        ] + TableKind.allCases.flatMap(\.chapterBlocks))

    package static let keys = ReferenceChapter(
        "What is looked up",
        [
            .text(
                """
                Tables of keys (`texthash:` and its like, `inline:`) are asked for one key after the other, and the
                first that they have counts. Keys are in small letters there.
                """),
            .entries([
                .init(
                    "an address",
                    """
                    `user+ext@domain`, `user@domain`, the domain as below, `user+ext@`, `user@`. Those with an extension
                    only if `recipient_delimiter` says what separates it.
                    """),
                .init("the null sender", "`<>`"),
                .init("a domain or a host name", "`mail.example.com`, `example.com`, `com`."),
                .init(
                    "a client's address",
                    """
                    `192.0.2.10`, `192.0.2`, `192.0`, `192`. Of IPv6, the shortest form, shortened at each colon:
                    `2001:db8::25`, `2001:db8:`, `2001:db8`, `2001`.
                    """),
                .init(
                    "a client", "Its name as a domain, then its address: a key for the name goes before."),
                .init("a certificate", "Its fingerprint, `A1:B2:...`; then that of its public key."),
                .init("a recipient, in relay_recipients", "`user+ext@domain`, `user@domain`, `@domain`."),
                .init(
                    "a recipient, in transport",
                    """
                    `user+ext@domain`, `user@domain`, `mail.example.com`, `.example.com`, `.com`, `*`. The value is
                    `TRANSPORT:NEXTHOP`; the transports are `smtp` (or `relay`), `error`, `retry` and `discard`.
                    """),
                .init(
                    "a domain, in relay_domains",
                    "`example.com`, and `.example.com` for what is below it. Values mean nothing."),
                .init(
                    "an attachment",
                    "Its name, then the ends of it that begin with a dot: `a.tar.gz`, `.tar.gz`, `.gz`."),
            ]),
            .text(
                """
                Tables of patterns are asked once, for the whole: an address is in small letters, a name as it came. Of
                a client they see the name, then the address. `cidr:` is asked in the same way, and says nothing to what
                is no address of a client or server. `static:` always answers.
                """),
            .text(
                """
                Some tables have no actions but words: `screener.access` takes `permit`, `reject` and `dunno`;
                `greylist.exempt`, `greylist.exempt_recipients` and `authentication.exempt` take `OK` or `permit`, which
                exempts, and `dunno`. Clients are looked up there by their address alone.
                """),
        ])
}

extension ReferenceEntry {
    /// - Parameter subject: not what somebody writes, but what it is about.
    fileprivate init(_ subject: String, _ text: String) {
        self.init([], argument: subject, [text])
    }
}
