import Mail

extension Importer {
    /// - Parameter rules: the folder of tables, as it stands in the result.
    mutating func convert(rules: String) {
        self.convertHostname()
        self.yaml.set(
            "rules", .scalar(rules), comments: ["Take this line out when these files have come to /etc/postern."])
        self.convertServices()
        self.convertRelay()
        self.convertDelimiter()
        self.convertRestrictions()
        self.convertContent()
        self.convertScreener()
        self.convertTLS()
        self.convertLimits()
        self.convertQueue()
        self.warnOfFilters()
    }

    private mutating func convertHostname() {
        let value = self.value("myhostname", in: self.services.smtpd)
        guard let name = DomainName(value.text), name.ascii.contains(".") else {
            self.warn(value, "myhostname = \(value.text) is not a full name: put one into hostname")
            self.set("hostname", .scalar("localhost.localdomain"), from: value)
            return
        }
        self.set("hostname", .scalar(name.ascii), from: value)
        if !value.isSet { self.warn(value, "myhostname is not set: hostname is that of this machine, \(name.ascii)") }
    }

    private mutating func convertDelimiter() {
        let value = self.value("recipient_delimiter")
        guard value.isSet else { return }
        guard let first = value.text.first else { return self.mark(value, .default) }
        if value.text.count > 1 {
            self.warn(value, "recipient_delimiter has several signs, and Postern takes one: \(first)")
        }
        self.set("recipient_delimiter", .scalar(String(first)), from: value)
    }

    /// Mail that was filtered by programs is not filtered here.
    private mutating func warnOfFilters() {
        for service in [nil, self.services.smtpd] {
            for name in ["content_filter", "smtpd_proxy_filter"] {
                let value = self.value(name, in: service)
                guard value.isSet, !value.isEmpty, (value.override == nil) == (service == nil) else { continue }
                self.mark(value, .unsupported)
                self.warn(
                    value,
                    "unsupported, dangerous: \(name) = \(Words.oneLine(value.text)): what it filters is NOT filtered "
                        + "any more; filter at the primary")
            }
        }
        let clients = self.value("smtpd_authorized_xclient_hosts", in: self.services.smtpd)
        if clients.isSet, !clients.isEmpty {
            self.warn(
                clients,
                "unsupported: XCLIENT is not taken from clients: behind a proxy that sends it, every client "
                    + "has the proxy's address here; use the PROXY protocol (proxy.listen)")
        }
        let milters = self.value("smtpd_milters", in: self.services.smtpd)
        for word in milters.words {
            let kind = Self.milterKinds.first { word.lowercased().contains($0.mark) }
            self.warn(
                milters, word: word,
                "unsupported: milter \(word)"
                    + (kind.map { ", as it seems \($0.name): \($0.instead)" }
                        ?? ": if it is opendkim or opendmarc, Postern has that itself (authentication); what else it "
                        + "filters is NOT filtered any more"))
        }
    }

    private static let milterKinds: [(mark: String, name: String, instead: String)] = [
        ("opendkim", "opendkim", "Postern verifies and signs itself: authentication.enabled, authentication.dkim.sign"),
        (":8891", "opendkim", "Postern verifies and signs itself: authentication.enabled, authentication.dkim.sign"),
        ("opendmarc", "opendmarc", "Postern checks DMARC itself: authentication.enabled"),
        (":8893", "opendmarc", "Postern checks DMARC itself: authentication.enabled"),
        ("openarc", "openarc", "Postern seals itself: authentication.arc"),
        ("rspamd", "rspamd", "content is NOT scored any more; run rspamd at the primary"),
        (":11332", "rspamd", "content is NOT scored any more; run rspamd at the primary"),
        ("clamav", "clamav", "viruses are NOT found any more; run it at the primary"),
        ("spamass", "spamassassin", "content is NOT scored any more; run it at the primary"),
    ]

    // MARK: The result

    mutating func result() -> ImportResult {
        self.listParameters()
        let yaml =
            "# Made by 'postern import postfix' from \(self.main.file).\n"
            + "# What became of each of its parameters stands in report.txt.\n" + self.yaml.text(order: Self.order)
        let files =
            [ImportedFile(path: "postern.yaml", text: yaml, isSecret: false)]
            + self.tables.entries.map { ImportedFile(path: "rules/\($0.name)", text: $0.text, isSecret: $0.isSecret) }
        self.report.warnings.sort { ($0.file, $0.line) < ($1.file, $1.line) }
        return ImportResult(files: files, report: self.report)
    }

    private static let order = [
        "hostname", "listen", "state", "control", "rules", "resolver", "relay_networks", "relay_domains",
        "relay_recipients", "accept_unverified", "transport", "recipient_delimiter", "postmaster", "reject_delayed",
        "restrictions", "restriction_classes", "reply_codes", "content", "authentication", "greylist", "screener",
        "tls",
        "limits", "callout", "queue", "forwarder",
    ]

    private mutating func listParameters() {
        var last: [String: Int] = [:]
        for setting in self.main.settings { last[setting.name] = setting.line }
        for line in self.main.strayLines {
            self.warn(
                SourcePlace(file: self.main.file, line: line),
                "the line begins with a blank and continues nothing: Postfix passes over it, and so does the import")
        }
        for setting in self.main.settings {
            var parameter = ImportReport.Parameter(
                name: setting.name, value: Words.oneLine(setting.value), file: self.main.file, line: setting.line,
                status: .ignored, key: nil, why: nil)
            if let line = last[setting.name], line != setting.line {
                parameter.why = "it is set again in line \(line), which counts"
                self.warn(setting, "\(setting.name) is set again in line \(line), which counts: this line does nothing")
            } else {
                self.fill(&parameter, setting)
            }
            self.report.parameters.append(parameter)
        }
        self.listOverrides()
    }

    private mutating func fill(_ parameter: inout ImportReport.Parameter, _ setting: MainFile.Setting) {
        let name = setting.name
        if let fate = self.fate(name) {
            (parameter.status, parameter.why) = (fate.status, fate.why)
            parameter.key = fate.keys.isEmpty ? nil : fate.keys.joined(separator: ", ")
            if fate.status == .unsupported, fate.why == nil {
                parameter.why = ParameterFates.fate(name, value: setting.value)?.why
            }
            return
        }
        let value = Words.oneLine(setting.value)
        if let standard = ParameterCatalog.defaultValue(name),
            value == standard || self.expand(value) == self.expand(standard), standard != "*"
        {
            (parameter.status, parameter.why) = (.default, "it is Postfix's default")
        } else if let fate = ParameterFates.fate(name, value: value) {
            (parameter.status, parameter.why) = (fate.status, fate.why.isEmpty ? "it is set otherwise" : fate.why)
        } else if ParameterCatalog.transport(of: name) != nil {
            (parameter.status, parameter.why) = (.unsupported, "single transports have no settings of their own here")
        } else if ParameterCatalog.defaultValue(name) != nil {
            (parameter.status, parameter.why) = (.unsupported, "Postern has nothing like it")
        } else {
            self.fillUnknown(&parameter, setting)
        }
        if parameter.status == .unsupported, setting.value.isEmpty { parameter.status = .default }
    }

    /// A name that is none of Postfix's: one of the administrator's own, or a wrong one.
    private mutating func fillUnknown(_ parameter: inout ImportReport.Parameter, _ setting: MainFile.Setting) {
        let name = setting.name
        let isUsed = self.main.settings.contains { other in
            ["$\(name)", "${\(name)", "$(\(name)"].contains { other.value.contains($0) }
        }
        let isUsedInMaster = self.master.services.contains { service in
            service.overrides.contains { $0.value.contains("$\(name)") || $0.value.contains("{\(name)") }
        }
        if isUsed || isUsedInMaster {
            parameter.why = "a name of your own: what uses it has it put in"
            return
        }
        let known = ParameterCatalog.resembling(name).map { ", did you mean \($0)?" } ?? ""
        parameter.why = "Postfix has no parameter of this name, and nothing uses it\(known)"
        self.warn(setting, "Postfix has no parameter '\(name)', and nothing uses it\(known)")
    }

    private mutating func listOverrides() {
        let own = Set(
            [self.services.smtpd, self.services.postscreen, self.services.cleanup, self.services.client]
                .compactMap(\.self))
        for service in self.master.services {
            for override in service.overrides {
                var parameter = ImportReport.Parameter(
                    name: override.name, value: Words.oneLine(override.value), file: self.master.file,
                    line: override.line, status: .ignored, key: nil, why: nil)
                if own.contains(service) {
                    let fate = self.fate(override.name)
                    let isStandard = override.value.isEmpty && ParameterCatalog.defaultValue(override.name) == ""
                    let other =
                        isStandard
                        ? (.default, "it is Postfix's default")
                        : ParameterFates.fate(override.name, value: override.value)
                    parameter.status = fate?.status ?? other?.status ?? .unsupported
                    parameter.why = fate?.why ?? other?.why ?? "Postern has nothing like it"
                    if fate?.status == .converted { parameter.why = fate?.why }
                    parameter.key = fate.flatMap { $0.keys.isEmpty ? nil : $0.keys.joined(separator: ", ") }
                } else {
                    if service.type == "inet" { parameter.status = .unsupported }
                    parameter.why = "it holds for the service \(service.name)/\(service.type), which is not imported"
                }
                self.report.parameters.append(parameter)
            }
        }
    }
}
