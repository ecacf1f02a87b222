import Mail

extension ReferenceChapter {
    package static let lists = ReferenceChapter(
        "Lists",
        [
            .text(
                """
                What is asked of a client stands in lists below `restrictions` in `postern.yaml`, each asked from its
                first restriction on until one permits or refuses. A permit ends its own list only; a refusal is the
                answer. The lists are asked in this order:
                """),
            .entries(
                OptionReference(RestrictionSettings.self).lines.map { .init([$0.key], [$0.explanation]) }),
            .text(
                """
                All up to `recipient` are asked at RCPT, again for each recipient, so that restrictions about sender and
                recipient may stand in any of them. With `reject_delayed: false`, `client` and `helo` are asked at HELO
                and `sender` at MAIL. A restriction that has nothing to look at, such as the name in HELO of a client
                that has not said it, says nothing. For `postmaster` without a domain, none of these lists is asked.
                """),
            .text(
                """
                An element is a name, or a name with its argument, in either of two forms. A table alone stands for
                `check_client_access`, `check_helo_access`, `check_sender_access` or `check_recipient_access` in the
                lists of these names, and for the last in `relay`; `data` and `end_of_data` have no such thing. Lists of
                your own, `restriction_classes`, can be used by their names in lists and on right-hand sides of tables.
                """),
            .example(Self.listExample),
            .text(
                """
                `postern explain` shows what each restriction says about a message, and the log line of a refusal
                (`event=refused`) has list, restriction, table, line and key. Codes of replies are options of
                `reply_codes`; with `reply_codes.soft_bounce` every refusal of a restriction is one for now.
                """),
            .text(
                """
                Postfix: without delay, `client` refuses before the greeting. An unknown restriction answers 451 to all
                mail; here the configuration is refused.
                """),
        ])

    /// A piece of postern.yaml.
    package static let listExample = """
        restriction_classes:
          strict: [reject_unknown_client_hostname, reject_unknown_helo_hostname]
        restrictions:
          sender:
            - permit_mynetworks
            - check_sender_access: texthash:senders
            - reject_unknown_sender_domain
          relay: [permit_mynetworks, reject_unauth_destination]
          recipient:
            - permit_mynetworks
            - reject_unlisted_recipient
            - warn_if_reject reject_rhsbl_sender dbl.spamhaus.org=127.0.1.[2..99]
            - strict
        """

    package static let restrictions = ReferenceChapter(
        "Restrictions",
        [
            .text(
                """
                `{a,b}` in a name stands for one of these words. Tables, and what they may answer, stand below.
                """)
        ]
            + RestrictionReference.groups.flatMap { group -> [Block] in
                [.title(group.title), .entries(group.restrictions.map(\.entry))]
            }
            + [
                .title("Not there"),
                .entries(
                    RestrictionReader.removed.sorted { $0.key < $1.key }.map {
                        .init([$0.key], ["Refused: \($0.value)."])
                    }),
            ])

    package static let accessActions = ReferenceChapter(
        "Actions of access tables",
        [
            .text(
                """
                These stand on the right-hand side of tables that restrictions ask, and are what policy services answer.
                Letters may be of either case. A permit, a refusal and `DISCARD` end the list; the others go on with the
                next restriction. A TEXT that refuses may begin with an enhanced code (RFC 3463), which is made to fit
                the code and the address that it is about. Before MAIL, what is to be done with a message is not done.
                """),
            .entries(AccessAction.reference),
            .text("Postfix: `BCC` and `PREPEND` of several recipients of a message come several times."),
        ])

    package static let content = ReferenceChapter(
        "Checks of content",
        [
            .text(
                """
                Tables named below `content` in `postern.yaml` are asked about each field of a header and each line of
                text; of several tables, and in each of them, the first rule that matches counts.
                """),
            .entries(OptionReference(ContentOptions.self).lines.map { .init([$0.key], [$0.explanation]) }),
            .text(
                """
                A field is asked about with its name and all its lines, between which stands a line feed, up to 100 KiB;
                a line of text without its end, one that is longer than 2048 octets in pieces. `mime_header_checks` see
                the fields of parts, and in every header those that MIME has defined, such as `Content-Type`. Empty
                lines are not asked about. Values are these, letters in either case:
                """),
            .entries(ContentAction.reference),
            .text("`postern message check` shows what the checks do with a message in a file."),
            .example(Self.contentExample),
        ])

    /// A table of patterns.
    package static let contentExample = #"""
        /^Subject:.*\bcheap pills\b/               REJECT We buy no pills
        /^X-Spam-Flag:\s*YES/                      HOLD Somebody thinks that this is spam
        /^(X-Mailer:.*)/                           REPLACE X-Old-$1
        /^Content-Type:\s*message\/external-body/  REJECT 5.7.1 Content that lies elsewhere is not accepted
        """#

    package static let attachments = ReferenceChapter(
        "Attachments",
        [
            .text(
                """
                Rules below `attachments.rules` in `postern.yaml` are asked in their order; the first that rejects or
                holds decides, with `550 5.7.1` and its text. Names are all those that a mail client might show for a
                part, with what zip archives hold. A rule has one of the first four keys:
                """),
            .entries(
                OptionReference(AttachmentRuleOptions.self).lines.map { line in
                    .init([line.key], [line.explanation, "Value: \(line.syntax)."])
                }),
            .example(Self.attachmentExample),
        ])

    /// A piece of postern.yaml.
    package static let attachmentExample = """
        attachments:
          rules:
            - {names: [exe, scr, "invoice-??.js"], action: reject, text: We take no programs by mail}
            - {content: [exe, lnk], action: reject}
            - {encrypted: true, in: message, action: hold}
            - {table: "texthash:attachments"}
        """
}
