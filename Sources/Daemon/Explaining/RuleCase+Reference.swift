package import Rules

extension RuleCase {
    /// What postern-rules(5) says of cases.
    package static let chapter = ReferenceChapter(
        "Cases",
        [
            .text(
                """
                Files `*.case` in the folder `rules` are tests of your own: sessions, and what must become of them.
                `postern check` and `postern reload` run them all, and refuse rules that do something else. Nothing is
                asked of the network. Empty lines and those that begin with `#` do not count; the others are:
                """),
            .entries([
                .init("case", "TITLE", "Begins a case."),
                .init(
                    "client", "ADDRESS [NAME]",
                    """
                    Who connects; without a name it has none that leads back to it, and `?` looks it up in what `dns`
                    says. By default `192.0.2.1 client.example`.
                    """),
                .init("helo", "NAME", "What it calls itself; by default `client.example`."),
                .init("from", "ADDRESS", "The sender; `<>`, as by default, for none."),
                .init("to", "ADDRESS", "A recipient; once for each."),
                .init(
                    "tls", "[FINGERPRINT [trusted]]",
                    "An encrypted session; the fingerprint of the client's certificate, and whether that is trusted."
                ),
                .init("ours", "ADDRESS", "A recipient of ours for this case, whatever the tables say."),
                .init(
                    "dns", "NAME TYPE VALUE",
                    """
                    What the DNS says: A, AAAA, MX, NS, PTR or TXT. `FAIL` as VALUE is no answer at all. Names without a
                    line do not exist.
                    """),
                .init("policy", "ACTION", "What every policy service says; by default `DUNNO`."),
                .init(
                    "recipient", "ADDRESS known|unknown|undecided",
                    "What the primary, or a data base, says of an address. By default it is known."),
                .init(
                    "spf", "RESULT",
                    "`pass`, `fail`, `softfail`, `neutral`, `none`, `temperror` or `permerror`; else it is not asked."
                ),
                .init(
                    "greylist", "passed|refused", "Whether greylisting has the mail come again. By default it passes."),
                .init("|", "LINE", "A line of the message."),
                .init(
                    "expect", "VERDICT [CODE] [TEXT]",
                    """
                    `accept`, `defer`, `reject`, `discard` or `hold`; the code of the reply, and a piece of its text. It
                    must be there.
                    """),
            ]),
            .example(Self.example),
        ])

    /// A file of cases.
    package static let example = """
        case a listed client is refused
        client 192.0.2.66 bot.example.net
        helo bot.example.net
        from friend@example.net
        to user@example.org
        ours user@example.org
        dns 66.2.0.192.zen.spamhaus.org A 127.0.0.4
        expect reject 550 blocked using zen.spamhaus.org
        """
}
