import Mail

/// Which addresses exist.
extension Importer {
    mutating func convertRecipients(_ destinations: Destinations, _ aliases: [TableEntry]) {
        let value = self.value("relay_recipient_maps")
        var names: [String] = []
        for word in value.words { self.addRecipients(word, value, to: &names) }
        let local = self.addForwardedRecipients(destinations, to: &names)
        self.addAliases(destinations, aliases, listsRecipients: !value.isEmpty, to: &names)
        if !names.isEmpty {
            let comments = [self.comment(value)] + (local ? ["and those of other classes that are handed on"] : [])
            self.yaml.set(
                "relay_recipients", names.count == 1 ? .scalar(names[0]) : .list(names.map { .init(text: $0) }),
                comments: comments)
        }
        if value.isSet { self.mark(value, .converted, key: value.isEmpty ? "accept_unverified" : "relay_recipients") }
        let hasRelayed = destinations.relay.contains { domain in !destinations.alias.contains { $0.name == domain.name }
        }
        guard value.isEmpty, hasRelayed else { return }
        self.yaml.set(
            "accept_unverified", .scalar("true"),
            comments: [self.comment(value), "Every address is taken. Better: list them, or ask the primary (callout)."])
        self.warn(
            value.isSet ? value : self.value("relay_domains"),
            "relay_recipient_maps is empty: mail for every address of relay_domains is taken, and what the primary "
                + "refuses is returned to forged senders (accept_unverified); list the recipients, or set callout")
    }

    private mutating func addRecipients(_ word: String, _ value: Value, to names: inout [String]) {
        if let name = TableName(word), name.type == "unionmap", let inside = Words.inside(name.rest) {
            for word in Words.split(inside) { self.addRecipients(word, value, to: &names) }
            return
        }
        guard let table = self.table(word, .recipients, of: value) else { return }
        if !names.contains(table.name) { names.append(table.name) }
        guard case .text(let entries)? = table.table?.content else { return }
        for key in entries.keys where key.hasPrefix("@") {
            guard let entry = entries[key] else { continue }
            self.warn(
                SourcePlace(file: table.table?.file ?? self.main.file, line: entry.line),
                "'\(key)' takes mail for every address of its domain, also for those that the primary does not know: "
                    + "it is returned to forged senders")
        }
    }

    /// - Returns: whether there are any.
    private mutating func addForwardedRecipients(_ destinations: Destinations, to names: inout [String]) -> Bool {
        guard !destinations.forwarded.isEmpty else { return false }
        let mailboxes = self.value("virtual_mailbox_maps")
        for word in mailboxes.words {
            guard let table = self.table(word, .recipients, of: mailboxes) else { continue }
            if !names.contains(table.name) { names.append(table.name) }
        }
        if mailboxes.isSet { self.mark(mailboxes, .converted, key: "relay_recipients") }
        return true
    }

    /// Addresses with an alias exist, though they are not rewritten.
    private mutating func addAliases(
        _ destinations: Destinations, _ aliases: [TableEntry], listsRecipients: Bool, to names: inout [String]
    ) {
        let value = self.value("virtual_alias_maps")
        guard value.isSet || !aliases.isEmpty else { return }
        let aliasDomains = Set(destinations.alias.map(\.name))
        let ours = Set(destinations.all.map(\.name))
        var lines: [String] = []
        for entry in aliases {
            guard let at = entry.key.lastIndex(of: "@") else { continue }
            let domain = String(entry.key[entry.key.index(after: at)...])
            // Where every address is taken, a list of some would be a list of all.
            guard aliasDomains.contains(domain) || (ours.contains(domain) && listsRecipients) else { continue }
            lines.append("\(entry.key) \(entry.value.isEmpty ? "OK" : Words.oneLine(entry.value))")
        }
        if !lines.isEmpty {
            let text =
                "# Addresses of \(value.name): they exist, but are not rewritten.\n" + lines.map { "\($0)\n" }.joined()
            let file = self.tables.add("virtual_alias_recipients", text)
            names.append("texthash:\(file)")
        }
        let isEmpty = aliases.isEmpty && value.isEmpty
        guard !isEmpty else { return self.mark(value, .default) }
        let place = aliases.first.map(\.place) ?? self.place(value)
        self.mark(
            value, .unsupported, key: lines.isEmpty ? nil : "relay_recipients",
            why: "Postern rewrites no addresses" + (lines.isEmpty ? "" : "; those that have an alias exist"))
        let shown = aliases.prefix(3).map { "\($0.key) to \(Words.oneLine($0.value))" }.joined(separator: ", ")
        self.warn(
            place,
            "unsupported: virtual_alias_maps" + (shown.isEmpty ? "" : " (\(shown)\(aliases.count > 3 ? ", …" : ""))")
                + ": mail goes to the primary under the address it came for; let the primary have the aliases")
    }

    // MARK: The postmaster

    /// Who gets mail to `postmaster` without a domain.
    mutating func convertPostmaster(_ aliases: [TableEntry]) {
        let origin = self.origin
        var name = "postmaster"
        var place = SourcePlace(file: self.main.file, line: 1)
        let local = self.localAliases()
        // Aliases may lead on a few times.
        for _ in 0..<5 {
            let keys = [name, "\(name)@\(origin)"]
            let virtual = aliases.first { keys.contains($0.key) }
            guard let entry = virtual ?? local.first(where: { $0.key == name }) else { return }
            let target = Words.split(entry.value).first ?? ""
            place = entry.place
            let address = target.contains("@") ? target : target
            if let mailbox = Mailbox(address) {
                self.yaml.set(
                    "postmaster", .scalar("\(mailbox)"), comments: ["the alias of \(name), \(self.short(place))"])
                return
            }
            name = address.lowercased()
        }
    }

    private var origin: String {
        let value = self.value("myorigin").text
        guard value.hasPrefix("/") else { return value }
        guard case .text(let text, _, _) = self.find(value) else { return self.value("myhostname").text }
        return Words.trimmed(text.split(whereSeparator: \.isNewline).first ?? "")
    }

    /// aliases(5): `name: value, value`.
    private func localAliases() -> [TableEntry] {
        self.value("alias_maps").words.flatMap { word -> [TableEntry] in
            guard let name = TableName(word), name.isIndexed, case .text(let text, let path, _) = self.find(name.rest)
            else { return [] }
            return LogicalText(text).lines.compactMap { line in
                guard let colon = line.text.firstIndex(of: ":") else { return nil }
                return TableEntry(
                    key: Words.trimmed(line.text[..<colon]).lowercased(),
                    value: Words.trimmed(line.text[line.text.index(after: colon)...]),
                    place: SourcePlace(file: path, line: line.number))
            }
        }
    }
}
