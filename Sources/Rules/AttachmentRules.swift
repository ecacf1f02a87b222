package import Mail

/// What is said of a message for its attachments.
package struct AttachmentVerdict: Hashable, Sendable {
    package enum Action: String, Sendable {
        case accept
        case hold
        case reject
    }

    package var action = Action.accept
    /// What decided; nil if the message is accepted.
    package var finding: AttachmentFinding?
    /// What is only to be logged, in the order of the rules.
    package var warnings: [AttachmentFinding] = []

    package init() {}

    /// What a client is told of a message that is rejected; nil for others.
    package var reply: Reply? {
        guard self.action == .reject, let finding else { return nil }
        return Reply(550, .init(7, 1), finding.text)
    }
}

/// A rule and what it was about.
package struct AttachmentFinding: Hashable, Sendable {
    package enum Source: Hashable, Sendable {
        /// The number of the rule in its list, from 1, and its place in the configuration.
        case rule(Int, OptionPlace)
        /// A line of the table that the rule names.
        case table(Int, OptionPlace, name: String, file: String?, line: Int)
        /// The setting `defects`.
        case defects
    }

    package enum Subject: Hashable, Sendable {
        /// As it is shown.
        case name(String)
        case content(ContentKind, name: String?)
        case encrypted(name: String?)
        case defect(MIMEDefect.Kind)
        case unseenArchive
    }

    package let source: Source
    package let subject: Subject
    /// The part of the message: `1.2`.
    package let path: String
    /// The archives in the part that it lies in, from the outermost; nil if it is the part itself.
    package let containers: [String]?
    /// For the reply.
    package let text: String

    /// For a log: `1.2, in a.zip: 'b.exe' (attachments.rules 1, line 12)`.
    package var description: String {
        var place = "part \(self.path)"
        if let containers { place += ", in \((["the archive"] + containers).joined(separator: ", in "))" }
        return "\(place): \(self.subjectText) (\(self.sourceText))"
    }

    private var subjectText: String {
        switch self.subject {
        case .name(let name): "'\(name)'"
        case .content(let kind, let name): "content is \(kind.rawValue)" + (name.map { ", '\($0)'" } ?? "")
        case .encrypted(let name): "encrypted archive" + (name.map { ", '\($0)'" } ?? "")
        case .defect(let kind): kind.rawValue
        case .unseenArchive: "archive beyond the limits"
        }
    }

    private var sourceText: String {
        switch self.source {
        case .rule(let number, let place): "attachments rule \(number), line \(place.line)"
        case .table(let number, let place, let name, let file, let line):
            "attachments rule \(number), line \(place.line): \(file ?? name):\(line)"
        case .defects: "attachments defects"
        }
    }
}

/// Rules for attachments with the tables they name.
package struct AttachmentRules: Sendable {
    package static let defaultText = "This type of attachment is not accepted"

    private let options: AttachmentOptions
    private let tables: [String: RuleTable]

    /// - Parameter tables: by the names that rules give them. A rule whose table is not here finds nothing.
    package init(_ options: AttachmentOptions, tables: [String: RuleTable] = [:]) {
        self.options = options
        self.tables = tables
    }

    /// Whether there is anything to look for.
    package var isEmpty: Bool { self.options.rules.isEmpty && self.options.defects == .ignore }

    /// The rules in their order, then what is wrong with the message.
    ///
    /// - Parameter faults: gets what is wrong in a table: patterns that reached a limit, values that mean nothing.
    package func verdict(on structure: MIMEStructure, faults: inout [TableFault]) -> AttachmentVerdict {
        var verdict = AttachmentVerdict()
        let subjects = Self.subjects(of: structure)
        for (index, rule) in self.options.rules.enumerated() {
            for (action, finding) in self.findings(of: rule, number: index + 1, subjects, structure, &faults) {
                if verdict.take(action, finding) { return verdict }
            }
        }
        guard let action = self.options.defects.action else { return verdict }
        for finding in Self.defects(of: structure) where verdict.take(action, finding) { return verdict }
        return verdict
    }

    /// A name or content, in the message or in an archive.
    private struct Subject {
        let path: String
        let name: String?
        let contents: [ContentKind]
        /// nil for the part itself.
        let containers: [String]?

        func isIn(_ scope: AttachmentScope) -> Bool {
            switch scope {
            case .message: self.containers == nil
            case .archive: self.containers != nil
            case .both: true
            }
        }
    }

    private static func subjects(of structure: MIMEStructure) -> [Subject] {
        structure.parts.flatMap { part in
            let names: [String?] = part.names.isEmpty ? [nil] : part.names
            let own = names.map { Subject(path: part.path, name: $0, contents: part.contents, containers: nil) }
            let entries = (part.archive?.entries ?? []).map { entry in
                Subject(
                    path: part.path, name: entry.name, contents: entry.content.map { [$0] } ?? [],
                    containers: entry.containers)
            }
            return own + entries
        }
    }

    private func findings(
        of rule: AttachmentRule, number: Int, _ subjects: [Subject], _ structure: MIMEStructure,
        _ faults: inout [TableFault]
    ) -> [(AttachmentAction, AttachmentFinding)] {
        let settings = rule.settings
        if let name = settings.table { return self.findings(of: rule, number: number, table: name, subjects, &faults) }
        guard let action = settings.action else { return [] }
        let text = settings.text ?? Self.defaultText
        let source = AttachmentFinding.Source.rule(number, rule.place)
        if settings.encrypted {
            return Self.encrypted(structure, settings.scope).map { path, name in
                let finding = AttachmentFinding(
                    source: source, subject: .encrypted(name: name), path: path, containers: nil, text: text)
                return (action, finding)
            }
        }
        return subjects.filter { $0.isIn(settings.scope) }.compactMap { subject in
            guard let match = Self.match(settings, subject) else { return nil }
            let finding = AttachmentFinding(
                source: source, subject: match, path: subject.path, containers: subject.containers, text: text)
            return (action, finding)
        }
    }

    private static func match(_ settings: AttachmentRuleOptions, _ subject: Subject) -> AttachmentFinding.Subject? {
        if let name = subject.name {
            let fileName = FileName(name)
            if settings.names.values.contains(where: { $0.matches(fileName) }) { return .name(name) }
        }
        let kind = subject.contents.first { settings.content.values.contains($0) }
        return kind.map { .content($0, name: subject.name) }
    }

    /// Of each part with an encrypted archive, its path and an encrypted entry.
    private static func encrypted(_ structure: MIMEStructure, _ scope: AttachmentScope) -> [(String, String?)] {
        structure.parts.compactMap { part in
            guard let archive = part.archive, archive.isEncrypted else { return nil }
            let entry = archive.entries.first { entry in
                guard entry.isEncrypted else { return false }
                switch scope {
                case .message: return entry.containers.isEmpty
                case .archive: return !entry.containers.isEmpty
                case .both: return true
                }
            }
            // An encrypted list of entries names none; whose it is, is not known.
            guard entry != nil || !archive.entries.contains(where: \.isEncrypted) else { return nil }
            return (part.path, entry?.name)
        }
    }

    private static func defects(of structure: MIMEStructure) -> [AttachmentFinding] {
        let text = "The structure of this message is defective"
        let unseen = structure.parts.filter { $0.archive?.isTruncated ?? false }.map {
            AttachmentFinding(source: .defects, subject: .unseenArchive, path: $0.path, containers: nil, text: text)
        }
        return unseen
            + structure.defects.map {
                AttachmentFinding(
                    source: .defects, subject: .defect($0.kind), path: $0.path, containers: nil, text: text)
            }
    }

    // MARK: Tables

    private func findings(
        of rule: AttachmentRule, number: Int, table name: String, _ subjects: [Subject], _ faults: inout [TableFault]
    ) -> [(AttachmentAction, AttachmentFinding)] {
        guard let table = self.tables[name] else { return [] }
        var findings: [(AttachmentAction, AttachmentFinding)] = []
        for subject in subjects where subject.isIn(rule.settings.scope) {
            guard let shown = subject.name, let match = Self.lookup(FileName(shown), table, &faults) else { continue }
            guard let (action, text) = Self.action(match, &faults) else { continue }
            let source = AttachmentFinding.Source.table(
                number, rule.place, name: table.name, file: table.file, line: match.line)
            findings.append(
                (
                    action,
                    AttachmentFinding(
                        source: source, subject: .name(shown), path: subject.path, containers: subject.containers,
                        text: text ?? rule.settings.text ?? Self.defaultText)
                ))
        }
        return findings
    }

    private static func lookup(_ name: FileName, _ table: RuleTable, _ faults: inout [TableFault]) -> TableMatch? {
        for text in name.texts {
            if let match = table.lookup(text, faults: &faults) { return match }
            guard table.isIndexed else { continue }
            for dot in text.indices.filter({ text[$0] == "." }).prefix(64) {
                if let match = table.lookup(String(text[dot...]), faults: &faults) { return match }
            }
        }
        return nil
    }

    /// - Returns: nil for DUNNO, and for what means nothing.
    private static func action(_ match: TableMatch, _ faults: inout [TableFault]) -> (AttachmentAction, String?)? {
        let words = match.value.split(separator: " ", maxSplits: 1)
        let text = words.count > 1 ? String(words[1].drop { $0 == " " }) : nil
        switch words.first?.asciiLowercased {
        case "reject": return (.reject, text)
        case "hold": return (.hold, text)
        case "warn": return (.warn, text)
        case "dunno", "ok": return nil
        default:
            faults.append(TableFault(line: match.line, message: "'\(match.value)' is not REJECT, HOLD, WARN or DUNNO"))
            return nil
        }
    }
}

extension DefectAction {
    fileprivate var action: AttachmentAction? {
        switch self {
        case .ignore: nil
        case .warn: .warn
        case .hold: .hold
        case .reject: .reject
        }
    }
}

extension AttachmentVerdict {
    /// The most warnings that are kept of one message.
    private static let maximumWarnings = 20

    /// - Returns: whether that decides.
    fileprivate mutating func take(_ action: AttachmentAction, _ finding: AttachmentFinding) -> Bool {
        switch action {
        case .warn:
            if self.warnings.count < Self.maximumWarnings { self.warnings.append(finding) }
            return false
        case .hold: self.action = .hold
        case .reject: self.action = .reject
        }
        self.finding = finding
        return true
    }
}
