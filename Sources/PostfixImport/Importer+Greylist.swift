import Mail

/// postgrey's options and lists.
extension Importer {
    mutating func convertGreylist() {
        guard !self.hasGreylist else { return }
        self.hasGreylist = true
        var options: [String: String] = [:]
        var source = "postgrey's default"
        for path in ["/etc/default/postgrey", "/etc/sysconfig/postgrey"] {
            guard case .text(let text, let file, _) = self.find(path) else { continue }
            source = file
            options = Self.options(text)
            break
        }
        // Keys whose defaults differ from Postern's are written, and those that are set.
        if let delay = options["delay"].flatMap({ Int($0) }) { self.setGreylist("delay", "\(delay)s", source) }
        if let days = options["max-age"].flatMap({ Int($0) }) {
            self.setGreylist("expiry", "\(days)d", source)
            self.setGreylist("auto_allow_expiry", "\(days)d", source)
        }
        if let window = options["retry-window"] {
            let isHours = window.lowercased().hasSuffix("h")
            if let count = Int(isHours ? window.dropLast() : window[...]) {
                self.setGreylist("retry_window", "\(count)\(isHours ? "h" : "d")", source)
            }
        }
        if let count = options["auto-whitelist-clients"].flatMap({ Int($0) }) {
            self.setGreylist("auto_allow", "\(count)", source)
        }
        if options["lookup-by-host"] != nil {
            self.setGreylist("ipv4_prefix", "32", source)
            self.setGreylist("ipv6_prefix", "128", source)
        } else {
            if let length = options["ipv4cidr"] { self.setGreylist("ipv4_prefix", length, source) }
            if let length = options["ipv6cidr"] { self.setGreylist("ipv6_prefix", length, source) }
        }
        self.convertGreylistClients()
        self.convertGreylistRecipients()
    }

    private mutating func setGreylist(_ key: String, _ text: String, _ source: String) {
        self.yaml.set("greylist.\(key)", .scalar(text), comments: [source])
    }

    /// `POSTGREY_OPTS="--delay=300 --auto-whitelist-clients"`; options without a value have none.
    private static func options(_ text: String) -> [String: String] {
        var options: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("POSTGREY_OPTS=") {
            let value = line.dropFirst("POSTGREY_OPTS=".count).filter { $0 != "\"" && $0 != "'" }
            for word in Words.split(value, by: LogicalText.isSpace) where word.hasPrefix("--") {
                let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1)
                if let name = parts.first { options[String(name)] = parts.count == 2 ? String(parts[1]) : "" }
            }
        }
        return options
    }

    /// Those of postgrey's package exempt by name mostly, which Postern's greylist has no table for.
    private mutating func convertGreylistClients() {
        let paths = [
            "/etc/postgrey/whitelist_clients", "/etc/postgrey/whitelist_clients.local",
            "/etc/postfix/postgrey_whitelist_clients", "/etc/postfix/postgrey_whitelist_clients.local",
        ]
        var lines: [String] = []
        for path in paths {
            guard case .text(let text, let file, _) = self.find(path) else { continue }
            var names: [Int] = []
            for (line, word) in Self.entries(text) {
                // `192.0.2` is what begins so.
                let octets = word.split(separator: ".")
                let isPrefix = octets.count < 4 && !octets.isEmpty && octets.allSatisfy { UInt8($0) != nil }
                let zeros = String(repeating: ".0", count: max(0, 4 - octets.count))
                let text = isPrefix ? "\(octets.joined(separator: "."))\(zeros)/\(8 * octets.count)" : word
                if let network = MatchList.network(text) {
                    lines.append("\(network) permit")
                } else {
                    names.append(line)
                }
            }
            if let first = names.first {
                self.warn(
                    SourcePlace(file: file, line: first),
                    "\(names.count) clients are exempt from greylisting by name here; Postern exempts by address, and "
                        + "clients for whom its DNS lists speak: they are greylisted once")
            }
        }
        guard !lines.isEmpty else { return }
        let name = self.tables.add("greylist_clients.cidr", "# From postgrey.\n" + lines.map { "\($0)\n" }.joined())
        self.yaml.set(
            "greylist.exempt", .list([.init(text: "cidr:\(name)")]), comments: ["postgrey's list of clients"])
    }

    private mutating func convertGreylistRecipients() {
        var lines: [String] = []
        for path in ["/etc/postgrey/whitelist_recipients", "/etc/postgrey/whitelist_recipients.local"] {
            guard case .text(let text, let file, _) = self.find(path) else { continue }
            for (line, word) in Self.entries(text) {
                if word.hasPrefix("/") {
                    self.warn(
                        SourcePlace(file: file, line: line), "'\(word)': patterns exempt nobody from greylisting here")
                } else if !lines.contains("\(word) permit") {
                    lines.append("\(word) permit")
                }
            }
        }
        guard !lines.isEmpty else { return }
        let name = self.tables.add("greylist_recipients", "# From postgrey.\n" + lines.map { "\($0)\n" }.joined())
        self.yaml.set(
            "greylist.exempt_recipients", .list([.init(text: "texthash:\(name)")]),
            comments: ["postgrey's list of recipients"])
    }

    private static func entries(_ text: String) -> [(line: Int, word: String)] {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            let word = Words.trimmed(line)
            return word.isEmpty || word.hasPrefix("#") ? nil : (index + 1, word)
        }
    }
}
