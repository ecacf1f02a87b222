import Mail
import Rules

/// What a table is asked for, which decides what may stand in it.
enum TableUse: Hashable {
    case access
    case screener
    case recipients
    case transport
    case content(ContentClass)
    case fingerprints
    case tlsPolicy
    case passwords
    case domains

    /// Only text tables may stand there, and `texthash:`.
    var isIndexedOnly: Bool {
        switch self {
        case .recipients, .transport, .domains, .tlsPolicy, .passwords: true
        case .access, .screener, .content, .fingerprints: false
        }
    }
}

/// A table of the result.
struct ImportedTable {
    /// `TYPE:FILE` in postern.yaml.
    let name: String
    /// With what stands in it; nil for a data base.
    let table: RuleTable?
}

extension Importer {
    /// Takes a table along.
    ///
    /// - Parameter text: as it stands in main.cf.
    /// - Returns: nil if Postern cannot have it, which has been said.
    mutating func table(_ text: String, _ use: TableUse, of value: Value) -> ImportedTable? {
        guard let name = TableName(text) else {
            self.warn(value, word: text, "'\(text)' is not a table")
            return nil
        }
        if let known = self.converted[ConvertedKey(name: name, use: use)] { return known }
        let table = self.newTable(name, text, use, value)
        self.converted[ConvertedKey(name: name, use: use)] = .some(table)
        return table
    }

    private mutating func newTable(_ name: TableName, _ text: String, _ use: TableUse, _ value: Value) -> ImportedTable?
    {
        if name.isInline { return self.inlineTable(name, use, value) }
        if name.type == "pgsql", use == .recipients { return self.database(name, text, value) }
        guard let type = name.fileType else { return self.unsupported(name, text, use, value) }
        guard !use.isIndexedOnly || name.isIndexed else { return self.unsupported(name, text, use, value) }
        if use == .screener, name.type == "pcre" || name.type == "regexp" {
            return self.unsupported(name, text, use, value)
        }
        // Clients are looked up there by their whole address, for which networks do as well.
        let outputType = use == .screener ? RuleTable.FileType.cidr : type
        switch self.find(name.rest) {
        case .missing(let why): return self.placeholder(name, outputType, why, text, use, value)
        case .text(let content, let path, let isDecoded):
            self.warnIfOutdated(name, path, value, word: text)
            return self.copy(content, path, isDecoded, name, outputType, text, use, value)
        }
    }

    private mutating func copy(
        _ content: String, _ path: String, _ isDecoded: Bool, _ name: TableName, _ type: RuleTable.FileType,
        _ word: String, _ use: TableUse, _ value: Value
    ) -> ImportedTable? {
        if let mark = TemplateMark.first(in: content) {
            self.warn(
                SourcePlace(file: path, line: mark.line),
                "'\(Words.oneLine(mark.text))' at column \(mark.column): this table is a template that was not rendered"
            )
        }
        let repair = TableRepair(content) { text in
            TableRepair.problems(text, type: type) { value, _ in self.problem(inValue: value, use) }
        }
        for problem in repair.removed {
            self.warn(
                SourcePlace(file: path, line: problem.line),
                "\(problem.message): the line is a comment in the copy, as Postern refuses a table with such a line")
        }
        for problem in repair.remaining {
            self.warn(SourcePlace(file: path, line: problem.line), problem.message)
        }
        let file = self.tables.add(name.fileName, repair.text, isSecret: use == .passwords)
        var why = repair.removed.isEmpty ? nil : "\(repair.removed.count) lines became comments"
        if isDecoded {
            why = [why, "it is not UTF-8 and was read as ISO 8859-1"].compactMap(\.self).joined(separator: "; ")
        }
        self.list(
            name, value, word, repair.removed.isEmpty && !isDecoded ? .copied : .changed, becomes: "rules/\(file)", why)
        // What is still wrong has been told.
        let table = try? RuleTable(name: name.text, file: path, type: type, text: repair.text)
        return ImportedTable(name: "\(type.rawValue):\(file)", table: table)
    }

    /// An empty table in the place of one that is not there, so that it can be put there.
    private mutating func placeholder(
        _ name: TableName, _ type: RuleTable.FileType, _ why: String, _ word: String, _ use: TableUse, _ value: Value
    ) -> ImportedTable? {
        let place = self.place(value, word: word)
        let text = "# \(value.name) names \(name.text) (\(place)), but \(why).\n# Put its text here.\n"
        let file = self.tables.add(name.fileName, text, isSecret: use == .passwords)
        self.warn(value, word: word, "\(why): rules/\(file) is empty; put the text there")
        self.list(name, value, word, .missing, becomes: "rules/\(file)", why)
        return ImportedTable(
            name: "\(type.rawValue):\(file)", table: try? RuleTable(name: "", file: nil, type: type, text: text))
    }

    private mutating func inlineTable(_ name: TableName, _ use: TableUse, _ value: Value) -> ImportedTable? {
        guard !use.isIndexedOnly, use != .screener else {
            guard name.type == "inline", let table = try? RuleTable(inConfiguration: name.text) else {
                return self.unsupported(name, name.text, use, value)
            }
            guard case .text(let entries) = table.content else { return self.unsupported(name, name.text, use, value) }
            let lines = entries.keys.compactMap { key in entries[key].map { "\(key) \($0.value)" } }
            let text = "# From \(value.name).\n" + lines.joined(separator: "\n") + "\n"
            let file = self.tables.add(value.name, text, isSecret: use == .passwords)
            let type = use == .screener ? "cidr" : "texthash"
            self.list(name, value, name.text, .made, becomes: "rules/\(file)", nil)
            return ImportedTable(name: "\(type):\(file)", table: table)
        }
        do {
            guard let table = try RuleTable(inConfiguration: name.text) else { return nil }
            let problems = table.values.compactMap { text, _ in
                table.hasCaptures(in: text) ? nil : self.problem(inValue: text, use)
            }
            guard problems.isEmpty else {
                return self.unsupported(name, name.text, use, value, why: problems.joined(separator: "; "))
            }
            self.list(name, value, name.text, .inline, becomes: name.text, nil)
            return ImportedTable(name: name.text, table: table)
        } catch {
            return self.unsupported(name, name.text, use, value, why: error.message)
        }
    }

    private mutating func database(_ name: TableName, _ word: String, _ value: Value) -> ImportedTable? {
        guard case .text(let text, let path, _) = self.find(name.rest) else {
            return self.unsupported(name, word, .recipients, value, why: "\(name.rest) is not there")
        }
        do {
            _ = try PgsqlFile(text)
        } catch {
            let problems = error.list.map { "line \($0.line): \($0.message)" }
            return self.unsupported(name, word, .recipients, value, why: "\(path): \(problems.joined(separator: "; "))")
        }
        let file = self.tables.add(name.fileName, text, isSecret: true)
        self.list(name, value, word, .copied, becomes: "rules/\(file)", nil)
        return ImportedTable(name: "pgsql:\(file)", table: nil)
    }

    private mutating func unsupported(
        _ name: TableName, _ word: String, _ use: TableUse, _ value: Value, why: String? = nil
    ) -> ImportedTable? {
        let why = why ?? "Postern has no \(name.type): tables for \(use.text)"
        self.warn(value, word: word, "\(name.text): \(why); \(use.consequence)")
        self.list(name, value, word, .unsupported, becomes: nil, why)
        return nil
    }

    /// A table as it is, which is not taken along; lines that cannot be read are left out.
    func reading(_ name: TableName) -> RuleTable? {
        if name.isInline { return (try? RuleTable(inConfiguration: name.text)).flatMap(\.self) }
        guard let type = name.fileType, case .text(let text, let path, _) = self.find(name.rest) else { return nil }
        let repair = TableRepair(text) { TableRepair.problems($0, type: type) { _, _ in nil } }
        return try? RuleTable(name: name.text, file: path, type: type, text: repair.text)
    }

    mutating func list(
        _ name: TableName, _ value: Value, _ word: String, _ status: ImportReport.Table.Status, becomes: String?,
        _ why: String?
    ) {
        let place = self.place(value, word: word)
        let table = ImportReport.Table(
            name: name.text, file: place.file, line: place.line, status: status, becomes: becomes, why: why)
        if !self.report.tables.contains(table) { self.report.tables.append(table) }
    }

    // MARK: Right-hand sides

    /// What is wrong with a right-hand side; nil if nothing is.
    private func problem(inValue value: String, _ use: TableUse) -> String? {
        switch use {
        case .access: return self.problem(inAction: value)
        case .screener:
            return ["permit", "reject", "dunno", "ok"].contains(value.lowercased())
                ? nil : "'\(value)' is not permit, reject or dunno"
        case .content(let contentClass):
            if let problem = ContentRules.problem(inValue: value, for: contentClass) { return problem }
            let words = value.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count == 2, words[0].equalsIgnoringCase("FILTER"), !words[1].contains("$") else { return nil }
            return DestinationSyntax.problem(Words.trimmed(words[1]))
        case .recipients, .domains, .fingerprints, .tlsPolicy, .passwords: return nil
        // Those of transport tables are mended, not left out.
        case .transport: return nil
        }
    }

    private func problem(inAction value: String) -> String? {
        do throws(OptionProblem) {
            let action = try AccessAction(value)
            if case .filter(let destination) = action { return DestinationSyntax.problem(destination) }
            guard case .restrictions(let names) = action else { return nil }
            let classes = Dictionary(
                uniqueKeysWithValues: Set(self.classNames).map { ($0, RestrictionList(name: $0, items: [])) })
            _ = try RestrictionReader(classes: classes).list("", words: names, file: nil, line: nil)
            return nil
        } catch {
            return error.message
        }
    }
}

extension TableUse {
    fileprivate var text: String {
        switch self {
        case .access: "access"
        case .screener: "clients at the gate"
        case .recipients: "recipients"
        case .transport: "routes"
        case .content: "content"
        case .fingerprints: "certificates"
        case .tlsPolicy: "levels of TLS"
        case .passwords: "passwords"
        case .domains: "domains"
        }
    }

    fileprivate var consequence: String {
        switch self {
        case .access: "the restriction is left out: nobody is permitted or refused by it"
        case .screener: "nobody is let in or refused by it before the tests"
        case .recipients: "addresses that only it has are not known, and refused"
        case .transport: "mail that it routes goes by the MX records of its domain"
        case .content: "nothing is refused or changed by it"
        case .fingerprints: "certificates that it has permit nothing"
        case .tlsPolicy: "next hops that it has get the usual level"
        case .passwords: "next hops that it has are not logged in to"
        case .domains: "mail for domains that only it has is refused"
        }
    }
}

struct ConvertedKey: Hashable {
    let name: TableName
    let use: TableUse
}
