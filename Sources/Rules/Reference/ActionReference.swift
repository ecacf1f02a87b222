extension AccessAction {
    /// What may stand on the right-hand side of an access table, names first.
    package static var reference: [ReferenceEntry] {
        Name.allCases.filter { $0 != .relay }.map(\.entry) + [
            .init(
                ["4NN", "5NN"], argument: "TEXT",
                [
                    """
                    Refuses with this code, 400 to 599, and the text, which may begin with an enhanced code such as
                    `5.7.1`. Its first digit is always that of the code. 421 and 521 end the session as well.
                    """
                ]),
            .init([], argument: "DIGITS", ["The same as `OK`, for tables that hold times or the like."]),
            .init(
                [], argument: "RESTRICTION...",
                [
                    """
                    Names of restrictions without arguments, and of classes of `restriction_classes`: they are asked in
                    place of the action, at most 100 deep. A table cannot name tables, services or DNS lists.
                    """
                ]),
        ]
    }
}

extension AccessAction.Name {
    fileprivate var entry: ReferenceEntry {
        switch self {
        case .bcc:
            .init(self.rawValue, "ADDRESS", "Adds a recipient, once for each message. Nobody is told of its fate.")
        case .defer:
            self.refusal("Refuses for now. Reply: `450 4.7.1`, or as `reply_codes.access_map_defer_code` says.")
        case .deferIfPermit: self.refusal("As the restriction `defer_if_permit`, with the code of `DEFER`.")
        case .deferIfReject: self.refusal("As the restriction `defer_if_reject`, with the code of `DEFER`.")
        case .discard:
            .init(
                self.rawValue, "[TEXT]",
                """
                Takes the message and throws it away, for all recipients; no list is asked anything more. What
                `defer_if_permit` has said before still holds.
                """)
        case .dunno: .init(self.rawValue, nil, "Goes on with the next restriction. No shorter key is looked up.")
        case .filter:
            .init(
                self.rawValue, "TRANSPORT:NEXTHOP",
                "Sends the message there, for all recipients. What may stand there is in the table `transport`.")
        case .hold:
            .init(
                self.rawValue, "[TEXT]",
                "Takes the message, if nothing refuses it, and keeps it in the queue until `postern queue release`."
            )
        case .info: .init(self.rawValue, "[TEXT]", "Writes the text into the log (`event=noted kind=info`).")
        case .ok, .relay:
            .init(
                [Self.ok.rawValue, Self.relay.rawValue],
                [
                    """
                    Permits: ends the list. Where whoever is looked up could bring it about, as in
                    `check_sender_mx_access`, it is an error, `451`.
                    """
                ])
        case .prepend:
            .init(
                self.rawValue, "NAME: TEXT",
                "Puts a header field in front of the message, each once. Not in `end_of_data`: it has passed by then.")
        case .redirect:
            .init(
                self.rawValue, "ADDRESS", "Sends the message there, instead of to all its recipients.")
        case .reject:
            self.refusal("Refuses for good. Reply: `554 5.7.1`, or as `reply_codes.access_map_reject_code` says.")
        case .warn: .init(self.rawValue, "[TEXT]", "As `INFO`, with `kind=warn`.")
        }
    }

    private func refusal(_ text: String) -> ReferenceEntry {
        ReferenceEntry(self.rawValue, "[TEXT]", text)
    }
}

extension ContentAction {
    /// What may stand on the right-hand side of header, MIME and body checks.
    package static var reference: [ReferenceEntry] {
        Name.allCases.filter { $0 != .ok }.map(\.entry)
    }
}

extension ContentAction.Name {
    fileprivate var entry: ReferenceEntry {
        switch self {
        case .bcc: .init(self.rawValue, "ADDRESS", "Adds a recipient, at most 100. Nobody is told of its fate.")
        case .discard:
            .init(self.rawValue, "[TEXT]", "Takes the message and throws it away. Nothing behind it is looked at.")
        case .dunno, .ok:
            .init(
                [Self.dunno.rawValue, Self.ok.rawValue],
                ["Goes on with the next field or line: no other rule is asked about this one."])
        case .filter:
            .init(self.rawValue, "TRANSPORT:NEXTHOP", "Sends the message there; of several the last counts.")
        case .hold: .init(self.rawValue, "[TEXT]", "Keeps the message in the queue until `postern queue release`.")
        case .ignore: .init(self.rawValue, nil, "Takes the field or line out, without a word in the log.")
        case .info: .init(self.rawValue, "[TEXT]", "Writes a line into the log (`event=noted kind=info`).")
        case .pass:
            .init(
                self.rawValue, nil,
                "Asks no check about the rest of the message. Attachments are looked at all the same.")
        case .prepend: .init(self.rawValue, "TEXT", "Puts a field, or in a body a line, in front of this one.")
        case .redirect:
            .init(
                self.rawValue, "ADDRESS",
                """
                Sends the message there, instead of to all its recipients. Nothing behind it is looked
                at.
                """)
        case .reject:
            .init(
                self.rawValue, "[TEXT]",
                """
                Refuses the message: `550 5.7.1`, or `451` where the text begins with an enhanced code such as `4.7.1`.
                Nothing behind it is looked at.
                """)
        case .replace: .init(self.rawValue, "TEXT", "Puts a field, or in a body a line, in place of this one.")
        case .strip: .init(self.rawValue, "[TEXT]", "As `IGNORE`, with a line in the log.")
        case .warn: .init(self.rawValue, "[TEXT]", "As `INFO`, with `kind=warn`.")
        }
    }
}
