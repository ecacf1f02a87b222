import Mail

/// Policy services: the two that Postern has itself, and others, which go on being asked.
extension Importer {
    mutating func policyService(_ argument: String, _ value: Value, list: String) -> [YAMLWriter.Item] {
        let inside = Words.inside(argument)
        let address = inside.map { Words.split($0).first ?? "" } ?? argument
        switch self.kind(ofService: address) {
        case .spf(let service):
            self.convertSPF(service)
            self.mark(value, .converted, why: "\(address) is policyd-spf: check_spf stands in its place")
            return [.init(text: "check_spf", comment: "In the place of check_policy_service \(address).")]
        case .greylist:
            guard list == "recipient" || self.classNames.contains(list) else {
                self.warn(
                    value, word: address,
                    "\(address) is postgrey, which stands in \(value.name): greylisting goes into "
                        + "restrictions.recipient; it is left out here")
                return []
            }
            self.convertGreylist()
            self.mark(value, .converted, why: "\(address) is postgrey: greylist stands in its place")
            return [.init(text: "greylist", comment: "In the place of check_policy_service \(address).")]
        case .spawned(let service):
            self.warn(
                value, word: address,
                "\(address) is a program that Postfix starts (master.cf:\(service.line)); Postern "
                    + "starts none: left out; run it as a service of its own and name that")
            return []
        case .other:
            return [.init(text: "check_policy_service \(self.serviceText(address, inside))")]
        }
    }

    private enum ServiceKind {
        case spf(MasterFile.Service?)
        case greylist
        case spawned(MasterFile.Service)
        case other
    }

    private func kind(ofService address: String) -> ServiceKind {
        let name = address.split(separator: "/").last.map(String.init) ?? address
        let spawned = self.master.services.first {
            $0.command == "spawn" && $0.type == "unix" && address.hasPrefix("unix:private/") && $0.name == name
        }
        let text = ([address] + (spawned?.arguments ?? [])).joined(separator: " ").lowercased()
        if text.contains("policyd-spf") || text.contains("policyd_spf") || text.contains("spf-policyd") {
            return .spf(spawned)
        }
        if text.contains("postgrey") || Self.isPostgreyPort(address) { return .greylist }
        return spawned.map { .spawned($0) } ?? .other
    }

    /// 10023 is Debian's, 60000 the author's.
    private static func isPostgreyPort(_ address: String) -> Bool {
        address.hasPrefix("inet:") && (address.hasSuffix(":10023") || address.hasSuffix(":60000"))
    }

    private func serviceText(_ address: String, _ inside: String?) -> String {
        var full = address
        if address.hasPrefix("unix:"), !address.hasPrefix("unix:/") {
            full = "unix:\(self.value("queue_directory").text)/\(address.dropFirst("unix:".count))"
        }
        var settings = inside.map { Array(Words.split($0).dropFirst()) } ?? []
        let timeout = self.value("smtpd_policy_service_timeout", in: self.services.smtpd)
        if timeout.isSet, !settings.contains(where: { $0.contains("timeout") }) {
            settings.append("timeout=\(timeout.text)")
        }
        let action = self.value("smtpd_policy_service_default_action", in: self.services.smtpd)
        if action.isSet, !settings.contains(where: { $0.contains("default_action") }) {
            settings.append("{ default_action = \(action.text) }")
        }
        return settings.isEmpty ? full : "{ \(([full] + settings).joined(separator: ", ")) }"
    }

    // MARK: SPF

    private mutating func convertSPF(_ service: MasterFile.Service?) {
        let given = service?.arguments.first { $0.hasSuffix(".conf") }
        let paths =
            [given].compactMap(\.self) + [
                "/etc/postfix-policyd-spf-python/policyd-spf.conf", "/etc/python-policyd-spf/policyd-spf.conf",
            ]
        var settings: [String: String] = [:]
        var place = service.map { self.place($0) } ?? SourcePlace(file: self.main.file, line: 1)
        var isFound = false
        for path in paths {
            guard !isFound, case .text(let text, let file, _) = self.find(path) else { continue }
            isFound = true
            place = SourcePlace(file: file, line: 1)
            if let mark = TemplateMark.first(in: text) {
                self.warn(SourcePlace(file: file, line: mark.line), "'\(mark.text)': a template that was not rendered")
            }
            settings = Self.pairs(text)
        }
        if !isFound {
            self.warn(place, "policyd-spf.conf is not here: it is taken that it has policyd-spf's defaults")
        }
        self.setSPF(settings, isFound ? self.short(place.file) : "policyd-spf's defaults", place)
    }

    /// `name = value` lines, as policyd-spf reads them.
    static func pairs(_ text: String) -> [String: String] {
        var pairs: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.prefix { $0 != "#" }
            guard let equals = line.firstIndex(of: "=") else { continue }
            pairs[Words.trimmed(line[..<equals])] = Words.trimmed(line[line.index(after: equals)...])
        }
        return pairs
    }

    private mutating func setSPF(_ settings: [String: String], _ source: String, _ place: SourcePlace) {
        let testsOnly = (settings["TestOnly"] ?? settings["defaultSeedOnly"] ?? "1") == "0"
        for (key, name) in [("helo", "HELO_reject"), ("mail_from", "Mail_From_reject")] {
            let setting = testsOnly ? "False" : settings[name] ?? "Fail"
            let rejected: Set<String>
            switch setting.lowercased() {
            case "spf_not_pass": rejected = ["fail", "softfail", "neutral"]
            case "softfail": rejected = ["fail", "softfail"]
            case "fail": rejected = ["fail"]
            default: rejected = []
            }
            if setting.lowercased() == "null" {
                self.warn(place, "\(name) = Null: Postern has no SPF check of HELO for the null sender only: it marks")
            }
            for result in ["fail", "softfail", "neutral"] {
                let action = rejected.contains(result) ? "reject" : "mark"
                guard (result == "fail") != (action == "reject") || result == "fail" else { continue }
                self.yaml.set(
                    "authentication.spf.\(key).\(result)", .scalar(action),
                    comments: ["\(name) = \(setting), \(source)"])
            }
            let isTrue = ["true", "yes"]
            if !testsOnly, isTrue.contains(settings["PermError_reject"]?.lowercased() ?? "") {
                self.yaml.set(
                    "authentication.spf.\(key).permerror", .scalar("reject"), comments: ["PermError_reject, \(source)"])
            }
            if !testsOnly, isTrue.contains(settings["TempError_Defer"]?.lowercased() ?? "") {
                self.yaml.set(
                    "authentication.spf.\(key).temperror", .scalar("defer"), comments: ["TempError_Defer, \(source)"])
            }
        }
        self.setSPFExemptions(settings, source, place)
    }

    private mutating func setSPFExemptions(_ settings: [String: String], _ source: String, _ place: SourcePlace) {
        var networks: [String] = []
        for name in ["skip_addresses", "Whitelist", "IP_Whitelist"] {
            for word in Words.split(settings[name] ?? "") {
                guard let network = MatchList.network(word) else {
                    self.warn(place, "\(name): '\(word)' is not a network, and is left out")
                    continue
                }
                // Nobody there is checked anyway, or comes from outside.
                if !network.base.isLoopback, !networks.contains(network.description) {
                    networks.append(network.description)
                }
            }
        }
        for name in ["Domain_Whitelist", "Domain_Whitelist_PTR", "HELO_Whitelist"]
        where settings[name]?.isEmpty == false {
            self.warn(place, "\(name): Postern exempts clients from SPF by address only: it is left out")
        }
        guard !networks.isEmpty else { return }
        let text = "# From \(source).\n" + networks.map { "\($0) permit\n" }.joined()
        let file = self.tables.add("spf_exempt.cidr", text)
        self.yaml.set("authentication.exempt", .list([.init(text: "cidr:\(file)")]), comments: [source])
    }
}
