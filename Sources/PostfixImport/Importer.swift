import Mail

/// An import under way.
struct Importer {
    let folder: String
    let files: PostfixFiles
    let main: MainFile
    let master: MasterFile
    private let machineName: String
    /// The setting that counts of each name.
    private let settings: [String: MainFile.Setting]

    var yaml = YAMLWriter()
    var report = ImportReport()
    var tables = TableShelf()
    var hasGreylist = false
    /// Whether addresses are verified by asking.
    var usesVerification = false
    /// Transports of other names for the SMTP client, with the next hops that they are used for.
    var slowTransports: [(transport: String, nextHop: String)] = []
    /// Tables by what they are used for; nil for those that cannot be had.
    var converted: [ConvertedKey: ImportedTable?] = [:]
    /// Names of mydestination below a relay domain that stands for all below it.
    var ownRelayedNames: [String] = []
    let services: ListeningServices
    /// What became of parameters.
    private var fates: [String: Fate] = [:]

    struct Fate {
        var status: ImportReport.Status
        var keys: [String]
        var why: String?
    }

    /// A parameter as it holds.
    struct Value {
        let name: String
        /// With everything put in.
        let text: String
        /// Where it is set; nil for Postfix's default.
        let setting: MainFile.Setting?
        /// Where it is set for one service.
        let override: MasterFile.Service.Override?
        /// A default that is not known here.
        var isUnknown = false

        var isSet: Bool { self.setting != nil || self.override != nil }
        var words: [String] { Words.split(self.text) }
        var isYes: Bool { self.text.lowercased() == "yes" }
        var isEmpty: Bool { self.text.isEmpty }
    }

    init(folder: String, files: PostfixFiles, main: MainFile, master: MasterFile, machineName: String) {
        self.folder = folder
        self.files = files
        self.main = main
        self.master = master
        self.services = ListeningServices(master)
        self.machineName = machineName.contains(".") ? machineName : "\(machineName).localdomain"
        self.settings = Dictionary(main.settings.map { ($0.name, $0) }) { $1 }
    }

    // MARK: Values

    /// - Parameter service: whose own settings count before those of main.cf.
    func value(_ name: String, in service: MasterFile.Service? = nil) -> Value {
        let override = service?.override(name)
        let setting = override == nil ? self.settings[name] : nil
        let raw = override?.value ?? setting?.value ?? ParameterCatalog.defaultValue(name) ?? ""
        let text = self.expand(raw == "*" && setting == nil ? self.computed(name) : raw, service)
        return Value(
            name: name, text: Words.trimmed(text), setting: setting, override: override,
            isUnknown: override == nil && setting == nil && raw == "*")
    }

    func isSet(_ name: String) -> Bool { self.settings[name] != nil }

    func isDefined(_ name: String) -> Bool {
        self.settings[name] != nil || ParameterCatalog.defaultValue(name) != nil || Self.runtimeNames.contains(name)
    }

    /// What cannot be put in has been found before (``checkExpansions()``).
    func expand(_ text: String, _ service: MasterFile.Service? = nil) -> String {
        var expansion = MacroExpansion { self.rawValue($0, service) }
        return (try? expansion.expand(text)) ?? text
    }

    private func rawValue(_ name: String, _ service: MasterFile.Service?) -> String? {
        if let override = service?.override(name) { return override.value }
        if let setting = self.settings[name] { return setting.value }
        switch name {
        case "config_directory": return self.folder
        case "service_name": return service?.name ?? ""
        case "process_name": return service?.command ?? ""
        default: break
        }
        if let value = ParameterCatalog.defaultValue(name) { return value == "*" ? self.computed(name) : value }
        return Self.runtimeNames.contains(name) ? "" : nil
    }

    private func computed(_ name: String) -> String {
        switch name {
        case "myhostname": return self.machineName
        case "mydomain":
            let host = self.settings["myhostname"].map { self.expand($0.value) } ?? self.machineName
            let rest = host.split(separator: ".", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
            return rest.isEmpty ? "localdomain" : rest
        case "mail_version": return "3.7"
        default: return ""
        }
    }

    /// Names that have a value only while Postfix runs.
    private static let runtimeNames: Set<String> = ["stress", "process_id", "multi_instance_name", "config_directory"]

    /// Values that Postfix expands when it uses them, with names of other kinds.
    private static let rawNames: Set<String> = [
        "debugger_command", "mailbox_command", "forward_path", "luser_relay", "default_rbl_reply",
        "mail_spool_directory",
        "command_execution_directory", "smtpd_reject_footer", "export_environment", "import_environment",
        "smtpd_expansion_filter", "command_expansion_filter", "fallback_transport", "lmtp_reply_filter",
    ]

    /// Finds what Postfix would not start with, and names that have no value.
    mutating func checkExpansions() throws(FileError) {
        let importer = self
        for setting in self.main.settings where !Self.rawNames.contains(setting.name) {
            var expansion = MacroExpansion { importer.rawValue($0, nil) }
            do {
                _ = try expansion.expand(setting.value)
            } catch {
                throw FileError(
                    file: self.main.file, line: setting.line, message: "\(setting.name): \(error.message)")
            }
            for name in expansion.undefined {
                if name.utf8.allSatisfy({ !(0x61...0x7A).contains($0) }) {
                    throw FileError(
                        file: self.main.file, line: setting.line(of: name),
                        message: "'$\(name)' has no value: this looks like a template: render it first")
                }
                self.warn(setting, word: name, "$\(name) has no value in \(setting.name): nothing is put in for it")
            }
        }
    }

    // MARK: Saying what became of it

    mutating func mark(_ value: Value, _ status: ImportReport.Status, key: String? = nil, why: String? = nil) {
        self.mark(value.name, status, key: key, why: why)
    }

    /// What is converted stays so; reasons and keys are gathered.
    mutating func mark(_ name: String, _ status: ImportReport.Status, key: String? = nil, why: String? = nil) {
        var fate = self.fates[name] ?? Fate(status: status, keys: [], why: nil)
        if status == .converted || fate.status == .default { fate.status = status }
        if let key, !fate.keys.contains(key) { fate.keys.append(key) }
        if let why, fate.why?.contains(why) != true { fate.why = fate.why.map { "\($0); \(why)" } ?? why }
        self.fates[name] = fate
    }

    func fate(_ name: String) -> Fate? { self.fates[name] }

    mutating func warn(_ place: SourcePlace, _ text: String) {
        let warning = ImportReport.Warning(file: place.file, line: place.line, text: text)
        if !self.report.warnings.contains(warning) { self.report.warnings.append(warning) }
    }

    mutating func warn(_ setting: MainFile.Setting, word: String = "", _ text: String) {
        self.warn(SourcePlace(file: self.main.file, line: setting.line(of: word)), text)
    }

    mutating func warn(_ value: Value, word: String = "", _ text: String) {
        self.warn(self.place(value, word: word), text)
    }

    /// Where a value, or a word of it, is written; for a default, the first line of main.cf.
    func place(_ value: Value, word: String = "") -> SourcePlace {
        if let override = value.override { return SourcePlace(file: self.master.file, line: override.line) }
        guard let setting = value.setting else { return SourcePlace(file: self.main.file, line: 1) }
        return SourcePlace(file: self.main.file, line: setting.line(of: word))
    }

    /// `smtpd_recipient_limit, main.cf:12`, or that it is Postfix's default.
    func comment(_ value: Value) -> String {
        if let override = value.override { return "\(value.name), master.cf:\(override.line)" }
        guard let setting = value.setting else {
            return "\(value.name): Postfix's default, which is not set in main.cf"
        }
        return "\(value.name), main.cf:\(setting.line)"
    }

    /// A place as people of the folder call it.
    func short(_ place: SourcePlace) -> String { "\(self.short(place.file)):\(place.line)" }

    func short(_ file: String) -> String {
        file.hasPrefix("\(self.folder)/") ? String(file.dropFirst(self.folder.utf8.count + 1)) : file
    }

    /// Puts a value into the configuration, with where it comes from.
    mutating func set(_ key: String, _ setting: YAMLWriter.Value, from value: Value, note: String? = nil) {
        self.yaml.set(key, setting, comments: [self.comment(value)] + (note.map { [$0] } ?? []))
        self.mark(value, .converted, key: key)
    }
}
