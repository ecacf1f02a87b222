import Mail
import Rules
import Testing

/// What is said of messages for their attachments.
struct AttachmentRulesTests {
    private static let place = OptionPlace(line: 7, column: 3)

    private func rule(_ change: (inout AttachmentRuleOptions) -> Void) -> AttachmentRule {
        var options = AttachmentRuleOptions()
        change(&options)
        return AttachmentRule(options, at: Self.place)
    }

    private func names(_ patterns: String..., action: AttachmentAction = .reject) throws -> AttachmentRule {
        let patterns = try patterns.map { try #require(NamePattern($0)) }
        return self.rule {
            $0.names = OneOrMore(patterns)
            $0.action = action
        }
    }

    private func verdict(
        _ structure: MIMEStructure, _ rules: [AttachmentRule], defects: DefectAction = .ignore,
        tables: [String: RuleTable] = [:], faults: inout [TableFault]
    ) -> AttachmentVerdict {
        var options = AttachmentOptions()
        options.rules = rules
        options.defects = defects
        return AttachmentRules(options, tables: tables).verdict(on: structure, faults: &faults)
    }

    private func verdict(
        _ structure: MIMEStructure, _ rules: AttachmentRule..., defects: DefectAction = .ignore
    ) -> AttachmentVerdict {
        var faults: [TableFault] = []
        return self.verdict(structure, rules, defects: defects, faults: &faults)
    }

    private func structure(_ names: [String], _ entries: [ArchiveEntry] = []) -> MIMEStructure {
        var part = MIMEPart(path: "1.2", type: "application/octet-stream")
        part.names = names
        if !entries.isEmpty {
            var listing = ArchiveListing()
            listing.entries = entries
            listing.isEncrypted = entries.contains { $0.isEncrypted }
            part.archive = listing
        }
        var structure = MIMEStructure()
        structure.parts = [MIMEPart(path: "1", type: "multipart/mixed"), part]
        return structure
    }

    @Test(arguments: [
        ("*.exe", "a.exe"), ("*.exe", "A.EXE"), ("exe", "a.b.exe"), (".exe", "a.exe"), ("*.e?e", "a.exe"),
        ("*.exe", "a.exe. . "), ("*.exe", "a.\u{202E}exe"), ("*.exe", "a.e\u{200B}xe"), ("*.exe", "a.exe::$DATA"),
        ("setup.*", "C:\\temp\\setup.msi"), ("*.exe", "d/a.exe"), ("*.É", "x.é"), ("a*b*c", "a-b-b-c"), ("*", "x"),
    ])
    func `a pattern matches`(pattern: String, name: String) throws {
        let verdict = self.verdict(self.structure([name]), try self.names(pattern))
        #expect(verdict.action == .reject)
        #expect(verdict.finding?.subject == .name(name))
    }

    @Test(arguments: [
        ("*.exe", "a.exe.txt"), ("exe", "exe"), ("exe", "aexe"), ("a.e?e", "a.ee"), ("setup.*", "xsetup.msi"),
        ("*.e*x", "a.exe"), ("*.exe", ""),
    ])
    func `a pattern does not match`(pattern: String, name: String) throws {
        #expect(self.verdict(self.structure([name]), try self.names(pattern)).action == .accept)
    }

    @Test func `stars do not make matching slow`() throws {
        let pattern = String(repeating: "*a", count: 100) + "b"
        let name = String(repeating: "a", count: 1000)
        #expect(self.verdict(self.structure([name]), try self.names(pattern)).action == .accept)
    }

    @Test func `a verdict says which rule, part and name it is about`() throws {
        let entry = ArchiveEntry(name: "x.exe", containers: ["in.zip"])
        let verdict = self.verdict(
            self.structure(["a.zip"], [entry]), try self.names("*.com"), try self.names("*.exe", "*.scr"))
        let finding = try #require(verdict.finding)
        #expect(finding.source == .rule(2, Self.place))
        #expect(finding.path == "1.2" && finding.containers == ["in.zip"])
        #expect(
            finding.description == "part 1.2, in the archive, in in.zip: 'x.exe' (attachments rule 2, line 7)")
        #expect(verdict.reply == Reply(550, .init(7, 1), AttachmentRules.defaultText))
    }

    @Test func `the first rule that rejects or holds decides`() throws {
        let rules = [
            try self.names("*.exe", action: .warn), try self.names("*.com", action: .hold), try self.names("*.exe"),
        ]
        var faults: [TableFault] = []
        let held = self.verdict(self.structure(["a.exe", "b.com"]), rules, faults: &faults)
        #expect(held.action == .hold && held.reply == nil)
        #expect(held.warnings.map(\.subject) == [.name("a.exe")])
        let rejected = self.verdict(self.structure(["a.exe"]), rules, faults: &faults)
        #expect(rejected.action == .reject && rejected.warnings.count == 1)
    }

    @Test(arguments: AttachmentScope.allCases)
    func `a rule is about the message, archives or both`(scope: AttachmentScope) throws {
        let pattern = try #require(NamePattern("*.exe"))
        let rule = self.rule {
            $0.names = OneOrMore([pattern])
            $0.action = .reject
            $0.scope = scope
        }
        let inside = self.verdict(self.structure(["a.zip"], [ArchiveEntry(name: "x.exe")]), rule)
        let outside = self.verdict(self.structure(["x.exe"]), rule)
        #expect((inside.action == .reject) == (scope != .message))
        #expect((outside.action == .reject) == (scope != .archive))
    }

    @Test func `content and encryption are rules of their own`() {
        let content = self.rule {
            $0.content = OneOrMore([.exe])
            $0.action = .hold
            $0.text = "no programs"
        }
        let program = self.structure([], [ArchiveEntry(name: "x.txt", content: .exe)])
        #expect(self.verdict(program, content).finding?.subject == .content(.exe, name: "x.txt"))
        #expect(self.verdict(self.structure(["a.exe"]), content).action == .accept)
        let encrypted = self.rule {
            $0.encrypted = true
            $0.action = .reject
            $0.text = "no secrets"
        }
        let secret = self.structure(["a.zip"], [ArchiveEntry(name: "x.txt", isEncrypted: true)])
        #expect(self.verdict(secret, encrypted).finding?.subject == .encrypted(name: "x.txt"))
        #expect(self.verdict(secret, encrypted).reply == Reply(550, .init(7, 1), "no secrets"))
        #expect(self.verdict(program, encrypted).action == .accept)
    }

    @Test func `a table is asked for names and extensions`() throws {
        let table = RuleTable(
            name: "texthash:a", file: "/a",
            content: .text(try TextTable("good.exe DUNNO\n.exe REJECT no programs\n.gz WARN\n.com HOLD\n.bat 550 x\n")))
        let rule = self.rule { $0.table = "texthash:a" }
        var faults: [TableFault] = []
        func ask(_ name: String) -> AttachmentVerdict {
            self.verdict(self.structure([name]), [rule], tables: ["texthash:a": table], faults: &faults)
        }
        let rejected = ask("X.EXE")
        #expect(
            rejected.finding?.source
                == .table(1, Self.place, name: "texthash:a", file: "/a", line: 2))
        #expect(rejected.reply == Reply(550, .init(7, 1), "no programs"))
        let others = ["good.exe", "a.tar.gz", "a.com", "a.txt"].map { ask($0).action }
        #expect(others == [.accept, .accept, .hold, .accept])
        #expect(faults.isEmpty)
        let unknown = ask("a.bat").action
        #expect(unknown == .accept)
        #expect(faults.map(\.line) == [5])
    }

    @Test func `defects and archives beyond the limits are what the setting says`() {
        var structure = self.structure(["a.zip"], [ArchiveEntry(name: "x")])
        #expect(self.verdict(structure, defects: .reject).action == .accept)
        structure.defects = [MIMEDefect(.missingTerminator, path: "1")]
        #expect(self.verdict(structure).action == .accept)
        #expect(self.verdict(structure, defects: .hold).finding?.subject == .defect(.missingTerminator))
        #expect(self.verdict(structure, defects: .warn).warnings.count == 1)
        structure.defects = []
        structure.parts[1].archive?.isTruncated = true
        #expect(self.verdict(structure, defects: .reject).finding?.subject == .unseenArchive)
    }

    private static func node(_ entries: [(String, OptionNode.Content)]) -> OptionNode {
        let place = OptionPlace(line: 1, column: 1)
        return OptionNode(.map(entries.map { ($0.0, place, OptionNode($0.1, at: place)) }), at: place)
    }

    @Test func `a rule needs one condition and an action`() throws {
        let right = try AttachmentRule(option: Self.node([("names", .scalar("exe")), ("action", .scalar("reject"))]))
        #expect(right.settings.names.values.map(\.text) == ["exe"])
        #expect(right.settings.action == .reject && right.place == OptionPlace(line: 1, column: 1))
        for entries: [(String, OptionNode.Content)] in [
            [("names", .scalar("exe"))], [("action", .scalar("reject"))],
            [("names", .scalar("exe")), ("encrypted", .scalar("true")), ("action", .scalar("reject"))],
            [("table", .scalar("texthash:a")), ("action", .scalar("reject"))],
            [("names", .scalar("exe")), ("action", .scalar("discard"))],
        ] {
            #expect(throws: OptionError.self) { () throws in
                _ = try AttachmentRule(option: Self.node(entries))
            }
        }
    }
}
