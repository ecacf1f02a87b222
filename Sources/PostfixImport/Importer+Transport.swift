import Mail
import Rules

/// Where mail goes.
extension Importer {
    func transportEntries() -> [TableEntry] {
        var copy = self
        return copy.entries(self.value("transport_maps"))
    }

    /// What Postern calls a way of Postfix's: the transports `smtp` and `relay`, and those of master.cf that are the
    /// same program under another name.
    ///
    /// - Returns: nil for what is no way by SMTP.
    func smtpRoute(_ text: String) -> String? {
        let (transport, nextHop) = Self.split(text)
        guard ["smtp", "relay"].contains(transport) || self.program(of: transport) == "smtp" else { return nil }
        return nextHop.isEmpty ? nil : "\(transport == "relay" ? "relay" : "smtp"):\(nextHop)"
    }

    /// `transport:nexthop`; a value without colon is a transport.
    static func split(_ text: String) -> (transport: String, nextHop: String) {
        guard let colon = text.firstIndex(of: ":") else { return (text, "") }
        return (String(text[..<colon]), Words.trimmed(text[text.index(after: colon)...]))
    }

    func program(of transport: String) -> String? {
        self.master.services.first { $0.type == "unix" && $0.name == transport }?.command
    }

    mutating func convertTransport(_ entries: [TableEntry], _ destinations: Destinations) {
        let value = self.value("transport_maps")
        var added = self.parentRoutes(entries) + self.classRoutes(destinations)
        if let relayhost = self.relayhostLine() { added.append(relayhost) }
        let names = value.words.compactMap { TableName($0) }
        var texts: [String] = []
        var fileName = "transport"
        for word in value.words {
            guard let name = TableName(word), name.isIndexed || name.type == "inline" else {
                _ = self.table(word, .transport, of: value)
                continue
            }
            guard name.isIndexed else {
                texts.append(
                    entries.filter { $0.place == self.place(value, word: word) }.map { "\($0.key) \($0.value)\n" }
                        .joined())
                continue
            }
            switch self.find(name.rest) {
            case .missing(let why):
                self.warn(value, word: word, "\(why): put its routes into rules/transport")
                self.list(name, value, word, .missing, becomes: "rules/transport", why)
            case .text(let text, let path, _):
                if texts.isEmpty { fileName = name.fileName }
                texts.append(self.mendedTransport(text, path))
                self.list(
                    name, value, word, texts.last == text && names.count == 1 && added.isEmpty ? .copied : .changed,
                    becomes: "rules/\(fileName)", nil)
            }
        }
        if value.isSet {
            self.mark(value, value.isEmpty ? .default : .converted, key: value.isEmpty ? nil : "transport")
        }
        guard !texts.isEmpty || !added.isEmpty || !value.isEmpty else { return }
        var text = texts.joined(separator: "\n")
        if !added.isEmpty {
            if !text.isEmpty, !text.hasSuffix("\n") { text += "\n" }
            text += added.map { "# \($0.comment)\n\($0.line)\n" }.joined()
        }
        if text.isEmpty { text = "# example.com smtp:[primary.example.com]\n" }
        // Of two lines with one key Postfix takes that of the first table; of our own, that of the original.
        let repair = TableRepair(text) { TableRepair.problems($0, type: .texthash) { _, _ in nil } }
        for problem in repair.removed where texts.count == 1 {
            self.warn(SourcePlace(file: self.fileOfTransport(value), line: problem.line), problem.message)
        }
        let file = self.tables.add(fileName, repair.text)
        self.yaml.set("transport", .scalar("texthash:\(file)"), comments: [self.comment(value)])
    }

    private func fileOfTransport(_ value: Value) -> String {
        for word in value.words {
            guard let name = TableName(word), case .text(_, let path, _) = self.find(name.rest) else { continue }
            return path
        }
        return self.main.file
    }

    // MARK: Routes of classes

    /// Where `example.com` in a transport table also stands for what is below it, a line says so of its own.
    private mutating func parentRoutes(_ entries: [TableEntry]) -> [(line: String, comment: String)] {
        let parents = self.value("parent_domain_matches_subdomains")
        guard parents.words.contains("transport_maps") else { return [] }
        self.mark(parents, .converted, key: "transport")
        let keys = Set(entries.map(\.key))
        return entries.compactMap { entry in
            guard !entry.key.contains("@"), !entry.key.hasPrefix("."), entry.key != "*",
                !keys.contains(".\(entry.key)"),
                DestinationSyntax.problem(entry.value) == nil
            else { return nil }
            return (".\(entry.key) \(entry.value)", "transport_maps is in parent_domain_matches_subdomains")
        }
    }

    private mutating func classRoutes(_ destinations: Destinations) -> [(line: String, comment: String)] {
        var lines = destinations.routes.map { ("\($0.domain) \($0.route)", "named in \(self.short($0.place))") }
        let transport = self.value("relay_transport")
        guard transport.isSet else { return lines }
        guard let route = self.smtpRoute(transport.text) else {
            let (name, nextHop) = Self.split(transport.text)
            if nextHop.isEmpty, ["smtp", "relay"].contains(name) || self.program(of: name) == "smtp" {
                self.mark(transport, .default)
            } else {
                self.mark(transport, .unsupported, why: "Postern hands mail on by SMTP only")
                self.warn(
                    transport, "unsupported: relay_transport = \(transport.text): mail goes by MX records instead")
            }
            return lines
        }
        for domain in destinations.relay { lines.append(("\(domain.name) \(route)", self.comment(transport))) }
        self.mark(transport, .converted, key: "transport")
        self.warnOfBrackets(route, self.place(transport))
        return lines
    }

    private mutating func relayhostLine() -> (line: String, comment: String)? {
        let host = self.value("relayhost")
        let usual = self.value("default_transport")
        if usual.isSet {
            if let route = self.smtpRoute(usual.text) {
                self.mark(usual, .converted, key: "transport")
                self.warnOfBrackets(route, self.place(usual))
                return ("* \(route)", self.comment(usual))
            }
            let isSMTP =
                ["smtp", "smtp:"].contains(usual.text) || self.program(of: Self.split(usual.text).transport) == "smtp"
            let isKnown = ["error", "retry", "discard"].contains(Self.split(usual.text).transport)
            if isKnown {
                self.mark(usual, .converted, key: "transport")
                return ("* \(usual.text)", self.comment(usual))
            }
            self.mark(usual, isSMTP ? .default : .unsupported, why: isSMTP ? nil : "Postern hands mail on by SMTP only")
        }
        guard !host.isEmpty else {
            if host.isSet { self.mark(host, .default) }
            return nil
        }
        // `[host]:port`, `host:port`, `host`; a transport may stand before it since 3.?, but not in 3.7.
        self.mark(host, .converted, key: "transport")
        self.warnOfBrackets("smtp:\(host.text)", self.place(host))
        return ("* smtp:\(host.text)", self.comment(host))
    }

    /// A host in a route whose MX records are asked.
    private mutating func warnOfBrackets(_ route: String, _ place: SourcePlace) {
        for hop in Self.split(route).nextHop.split(separator: ",") {
            let hop = Words.trimmed(hop)
            guard !hop.hasPrefix("["), !hop.isEmpty else { continue }
            let host = hop.split(separator: ":").first.map(String.init) ?? hop
            guard IPAddress(host) == nil, DomainName(host) != nil else { continue }
            let port = hop.dropFirst(host.count)
            self.warn(
                place,
                "'\(hop)' stands for the MX records of \(host), which may lead elsewhere, or back to this server: "
                    + "write [\(host)]\(port) for the host itself")
        }
    }

    // MARK: Lines of the table

    /// Transports that are the SMTP client under another name become `smtp`; lines with others become comments.
    private mutating func mendedTransport(_ text: String, _ path: String) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var problems: [TableProblem] = []
        for logical in TextTable.logicalLines(of: text, problems: &problems) {
            let words = logical.text.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count == 2, lines.indices.contains(logical.line - 1) else { continue }
            let value = Words.trimmed(words[1])
            let (transport, nextHop) = Self.split(value)
            let place = SourcePlace(file: path, line: logical.line)
            // `[host]:port` and `host.example` alone are next hops, for whatever transport there is.
            if let problem = DestinationSyntax.problem(value),
                self.program(of: transport) != "smtp" || transport == "smtp"
            {
                problems.append(TableProblem(line: logical.line, message: problem))
                self.warn(
                    place,
                    "unsupported: '\(words[0])' goes by '\(value)', and Postern hands mail on by SMTP only: the line "
                        + "is a comment in the copy, and its mail goes by MX records")
                continue
            }
            if value.hasPrefix("[") || transport.isEmpty || transport.contains(".") { continue }
            switch transport {
            case "smtp", "relay":
                self.warnOfBrackets(value, place)
            case "error", "retry", "discard": break
            case _ where self.program(of: transport) == "smtp":
                let index = logical.line - 1
                guard logical.continuations.isEmpty, let range = lines[index].firstRange(of: "\(transport):") else {
                    continue
                }
                lines[index].replaceSubrange(range, with: "smtp:")
                self.warn(
                    place,
                    "transport '\(transport)' is the SMTP client under another name: it becomes smtp; "
                        + "settings of its own are under forwarder.destinations, if there are any here")
                self.slowTransports.append((transport, nextHop))
                self.warnOfBrackets("smtp:\(nextHop)", place)
            default: break
            }
        }
        guard !problems.isEmpty else { return lines.joined(separator: "\n") }
        var pending = problems
        return TableRepair(lines.joined(separator: "\n")) { _ in
            defer { pending = [] }
            return pending
        }.text
    }
}
