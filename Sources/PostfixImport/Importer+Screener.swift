import Mail
import Rules

/// postscreen.
extension Importer {
    mutating func convertScreener() {
        guard let service = self.services.postscreen else {
            self.yaml.set("screener.enabled", .scalar("false"), comments: ["smtpd listens itself, without postscreen."])
            for setting in self.main.settings where setting.name.hasPrefix("postscreen_") {
                self.mark(setting.name, .ignored, why: "postscreen does not listen on port 25 (master.cf)")
            }
            return
        }
        self.convertScreenerAccess(service)
        self.convertAction("postscreen_denylist_action", "postscreen_blacklist_action", "access_action", service)
        self.convertAction("postscreen_greet_action", nil, "pregreet", service)
        self.convertTime("postscreen_greet_ttl", "screener.pregreet_ttl", unit: "d", standard: 86_400, service)
        self.convertTime("postscreen_greet_wait", "screener.greet_wait", unit: "s", standard: 6, least: 1, service)
        self.convertLists(service)
        self.convertTest("pipelining", "pipelining", service)
        self.convertTest("non_smtp_command", "non_smtp", service)
        self.convertTest("bare_newline", "bare_newline", service)
        self.convertTime(
            "postscreen_cache_retention_time", "screener.cache_retention", unit: "d", standard: 7 * 86_400, service)
        self.convertTime(
            "postscreen_cache_cleanup_interval", "screener.cache_cleanup", unit: "h", standard: 12 * 3600, service)
        self.convertInterfaces(service)
    }

    private mutating func convertScreenerAccess(_ service: MasterFile.Service) {
        let value = self.value("postscreen_access_list", in: service)
        var items: [YAMLWriter.Item] = []
        for word in value.words {
            switch word.lowercased() {
            case "permit_mynetworks", "permit", "reject", "dunno": items.append(.init(text: word.lowercased()))
            default:
                guard let table = self.table(word, .screener, of: value) else { continue }
                items.append(.init(text: table.name))
            }
        }
        guard items.map(\.text) != ["permit_mynetworks"] else {
            if value.isSet { self.mark(value, .default) }
            return
        }
        self.set("screener.access", .list(items), from: value)
    }

    private mutating func convertAction(
        _ name: String, _ oldName: String?, _ key: String, _ service: MasterFile.Service
    ) {
        let value = self.value(name, in: service)
        if let oldName, self.isSet(oldName) { self.mark(oldName, .converted, key: "screener.\(key)") }
        let action = value.text.lowercased()
        guard ["ignore", "enforce", "drop"].contains(action) else {
            self.warn(value, "\(name) = \(value.text) is not ignore, enforce or drop; it is taken for ignore")
            self.yaml.set("screener.\(key)", .scalar("ignore"), comments: [self.comment(value)])
            return
        }
        guard action != "enforce" else {
            if value.isSet { self.mark(value, .default) }
            return
        }
        self.set("screener.\(key)", .scalar(action), from: value)
    }

    private mutating func convertTest(_ name: String, _ key: String, _ service: MasterFile.Service) {
        let enable = self.value("postscreen_\(name)_enable", in: service)
        let action = self.value("postscreen_\(name)_action", in: service)
        guard enable.isYes else {
            if enable.isSet { self.mark(enable, .default) }
            if action.isSet { self.mark(action, .ignored, why: "postscreen_\(name)_enable is not yes") }
            return
        }
        self.set("screener.\(key)", .scalar(action.text.lowercased()), from: action)
        self.mark(enable, .converted, key: "screener.\(key)")
        self.convertTime("postscreen_\(name)_ttl", "screener.\(key)_ttl", unit: "d", standard: 30 * 86_400, service)
    }

    private mutating func convertInterfaces(_ service: MasterFile.Service) {
        let value = self.value("postscreen_allowlist_interfaces", in: service)
        if self.isSet("postscreen_whitelist_interfaces") {
            self.mark("postscreen_whitelist_interfaces", .converted, key: "screener.allowlist_veto")
        }
        guard value.text != "static:all", !value.isEmpty else {
            if value.isSet { self.mark(value, .default) }
            return
        }
        // `!192.0.2.1, static:all`: at the address with the mark nobody is let in for good.
        var networks: [YAMLWriter.Item] = []
        for word in value.words where word != "static:all" {
            guard word.hasPrefix("!"), let network = MatchList.network(String(word.dropFirst())) else {
                self.warn(value, word: word, "postscreen_allowlist_interfaces: '\(word)' is left out")
                continue
            }
            networks.append(.init(text: network.description))
        }
        self.set("screener.allowlist_veto", .list(networks), from: value)
    }

    // MARK: DNS lists

    private mutating func convertLists(_ service: MasterFile.Service) {
        let sites = self.value("postscreen_dnsbl_sites", in: service)
        var items: [YAMLWriter.Item] = []
        var zones: [String] = []
        for word in sites.words {
            let zone = word.prefix { $0 != "=" && $0 != "*" }.lowercased()
            if let problem = Self.problem(inSite: word) ?? DNSListWarnings.closed(zone) {
                self.warn(sites, word: word, problem)
                continue
            }
            if !word.contains("="), !word.contains("*-") {
                self.warn(sites, word: word, DNSListWarnings.unfiltered(zone))
            }
            items.append(.init(text: word))
            if !zones.contains(zone) { zones.append(zone) }
        }
        guard !items.isEmpty else {
            if sites.isEmpty {
                self.mark(sites, .default)
            } else {
                self.mark(sites, .unsupported, why: "none of its lists can be asked")
            }
            return self.skipLists()
        }
        self.set("screener.dnsbl", .list(items), from: sites)
        self.convertAction("postscreen_dnsbl_action", nil, "dnsbl_action", service)
        self.convertNumber("postscreen_dnsbl_threshold", "screener.dnsbl_threshold", standard: 1, in: 1...1000, service)
        self.convertNumber(
            "postscreen_dnsbl_allowlist_threshold", "screener.dnsbl_allow_threshold", standard: 0, in: -1000...0,
            service)
        if self.isSet("postscreen_dnsbl_whitelist_threshold") {
            self.mark("postscreen_dnsbl_whitelist_threshold", .converted, key: "screener.dnsbl_allow_threshold")
        }
        self.convertTime("postscreen_dnsbl_min_ttl", "screener.dnsbl_min_ttl", unit: "s", standard: 60, service)
        self.convertListTime(service)
        self.convertReplyMap(zones, service)
    }

    /// What is wrong with `zone=filter*weight`.
    private static func problem(inSite text: String) -> String? {
        let parts = text.split(separator: "*", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, Int(parts[1]) == nil { return "'\(text)': '\(parts[1])' is no weight: left out" }
        let last = parts[0].prefix { $0 != "=" }.split(separator: ".").last ?? ""
        if last.utf8.allSatisfy(ASCII.isDigit) { return "'\(text)' does not begin with the domain of a list: left out" }
        do throws(OptionProblem) { _ = try DNSList(String(parts[0])) } catch { return "\(error.message): left out" }
        return nil
    }

    private mutating func skipLists() {
        for name in ["action", "threshold", "allowlist_threshold", "reply_map", "ttl", "min_ttl", "max_ttl"] {
            let value = self.value("postscreen_dnsbl_\(name)")
            if value.isSet { self.mark(value, .ignored, why: "postscreen_dnsbl_sites is empty") }
        }
    }

    /// `${postscreen_dnsbl_ttl?{5m}:{1}}h` is how Postfix 3.7 writes its default: what is set may have a unit.
    private mutating func convertListTime(_ service: MasterFile.Service) {
        let old = self.value("postscreen_dnsbl_ttl", in: service)
        let least = Quantities.seconds(self.value("postscreen_dnsbl_min_ttl", in: service).text, unit: "s") ?? 60
        let value = self.value("postscreen_dnsbl_max_ttl", in: service)
        guard !value.isSet, old.isSet else {
            return self.convertTime(
                "postscreen_dnsbl_max_ttl", "screener.dnsbl_max_ttl", unit: "h", standard: 3600, least: least, service)
        }
        self.convertTime(
            "postscreen_dnsbl_ttl", "screener.dnsbl_max_ttl", unit: "h", standard: 3600, least: least, service)
    }

    /// What the table says of each zone.
    private mutating func convertReplyMap(_ zones: [String], _ service: MasterFile.Service) {
        let value = self.value("postscreen_dnsbl_reply_map", in: service)
        guard let word = value.words.first else { return }
        guard let name = TableName(word), let table = self.reading(name) else {
            self.warn(value, word: word, "\(word) cannot be read: replies name the zones of DNS lists")
            return self.mark(value, .unsupported, why: "its table cannot be read: replies name the zones")
        }
        var count = 0
        for zone in zones {
            var faults: [TableFault] = []
            guard let match = table.lookup(zone, faults: &faults), match.value.lowercased() != zone else { continue }
            count += 1
            self.yaml.set(
                path: ["screener", "dnsbl_names", zone], .scalar(match.value),
                comments: count == 1 ? [self.comment(value)] : [])
        }
        self.list(name, value, word, .made, becomes: nil, "what it says of each list stands in postern.yaml")
        self.mark(
            value, .converted, key: "screener.dnsbl_names", why: count == 0 ? "names are those of the zones" : nil)
    }
}
