package import Mail

/// The restriction lists as the configuration has them, before tables are read.
package struct RestrictionSettings: Options, OptionValue {
    package var client: [RestrictionElement] = []
    package var helo: [RestrictionElement] = []
    package var sender: [RestrictionElement] = []
    package var relay: [RestrictionElement] = [.init("permit_mynetworks"), .init("reject_unauth_destination")]
    package var recipient: [RestrictionElement] = []
    package var data: [RestrictionElement] = []
    package var endOfData: [RestrictionElement] = []

    package init() {}

    package static let summary =
        "What is asked of a client, and when: lists of restrictions with Postfix's names. "
        + "Refusals of the first three come at RCPT, unless `reject_delayed` is false."

    package static let fields: [OptionField<Self>] = [
        .init("client", \.client, "About who connects."),
        .init("helo", \.helo, "About what the client calls itself."),
        .init("sender", \.sender, "About the reverse-path."),
        .init(
            "relay", \.relay,
            "Who may send where. It decides alone: what another list permits does not relay, and it must end the way "
                + "for others with `reject_unauth_destination`, unless the list of recipients does."),
        .init("recipient", \.recipient, "About each recipient."),
        .init("data", \.data, "When all recipients are known."),
        .init("end_of_data", \.endOfData, "When the content has come."),
    ]

    package subscript(stage: Stage) -> [RestrictionElement] {
        switch stage {
        case .client: self.client
        case .helo: self.helo
        case .sender: self.sender
        case .relay: self.relay
        case .recipient: self.recipient
        case .data: self.data
        case .endOfData: self.endOfData
        }
    }
}

/// One element of a list: words of a line, or a restriction with what it takes.
package struct RestrictionElement: Hashable, Sendable, OptionValue {
    /// `warn_if_reject`, the name, its argument; or several restrictions in one line, as Postfix has them.
    package let words: [String]
    /// Nil for what stands in no file.
    package let place: OptionPlace?

    package init(_ words: String...) {
        self.words = words
        self.place = nil
    }

    private init(words: [String], at place: OptionPlace) {
        self.words = words
        self.place = place
    }

    package static let optionSyntax = "a restriction such as reject_non_fqdn_sender or {reject_rbl_client: LIST}"

    package init(option node: OptionNode) throws(OptionError) {
        switch node.content {
        case .scalar(let text):
            let words = Self.split(text)
            guard !words.isEmpty else { throw node.error("expected \(Self.optionSyntax)") }
            self.init(words: words, at: node.place)
        case .map(let entries):
            guard let entry = entries.first, entries.count == 1 else {
                throw node.error("a restriction is one key with its argument; write others as elements of their own")
            }
            self.init(words: [entry.key] + (try Self.argument(entry.value)), at: entry.place)
        case .list: throw node.error("expected \(Self.optionSyntax)")
        }
    }

    /// What stands behind a name: its argument, or behind `warn_if_reject` another restriction.
    private static func argument(_ node: OptionNode) throws(OptionError) -> [String] {
        switch node.content {
        case .scalar(let text): return [text]
        case .map: return try RestrictionElement(option: node).words
        case .list: throw node.error("a restriction takes one argument")
        }
    }

    /// Words are separated by blanks and commas; braces keep them together, as in Postfix.
    private static func split(_ text: String) -> [String] {
        var words: [String] = []
        var word = ""
        var depth = 0
        for character in text {
            if character == "{" { depth += 1 }
            if character == "}" { depth -= 1 }
            if depth <= 0, character == " " || character == "\t" || character == "," {
                if !word.isEmpty { words.append(word) }
                word = ""
            } else {
                word.append(character)
            }
        }
        return word.isEmpty ? words : words + [word]
    }

    package var optionText: String {
        self.words.count < 2 ? self.words.joined() : "{\(self.words[0]): \(self.words[1...].joined(separator: " "))}"
    }
}
