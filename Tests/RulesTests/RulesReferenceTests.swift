import Mail
import Rules
import Testing

/// postern-rules(5) says of each restriction, action and type of table what it is, and of nothing else.
struct RulesReferenceTests {
    private static let restrictions = RestrictionReference.groups.flatMap(\.restrictions)

    @Test func `each restriction is described exactly once`() {
        let described = Self.restrictions.flatMap(\.names).sorted()
        #expect(described == RestrictionReader.names.sorted())
        #expect(Set(described).count == described.count)
    }

    @Test func `an argument is described where one is taken`() {
        for restriction in Self.restrictions {
            for name in restriction.names {
                #expect(RestrictionReader.takesArgument(name) == (restriction.argument != nil), "\(name)")
            }
        }
    }

    @Test func `each code of a reply is one that is configured, and none is left out`() {
        let named: [String] = Self.restrictions.compactMap {
            if case .code(let option, _) = $0.refusal { option } else { nil }
        }
        for option in named { #expect(RestrictionReference.Refusal.usualCode(option) != nil, "\(option)") }
        let codes = OptionReference(RestrictionOptions.self).lines.map(\.key).filter { $0 != "soft_bounce" }
        let actions = AccessAction.reference.flatMap(\.paragraphs).joined()
        for code in codes where !actions.contains("reply_codes.\(code)") {
            #expect(named.contains(code), "\(code)")
        }
    }

    /// A session of which everything is wrong that a restriction could look at.
    private static func session(_ restriction: String, _ argument: String?) -> RestrictionFixture {
        let line = argument.map { "\(restriction) \($0)" } ?? restriction
        var fixture = RestrictionFixture([.recipient: [line, "reject"]])
        if restriction != "defer_if_reject" { fixture.lists = [.recipient: [line]] }
        let isUnlisted = restriction.contains("unlisted") || restriction == "check_recipient_maps"
        let mailbox = Mailbox(isUnlisted ? "nobody@example.test" : "a@x")
        fixture.facts.givenName = ClientName(nil)
        fixture.facts.helo = "-"
        fixture.facts.hasPipelined = true
        fixture.facts.reversePath = restriction.contains("bounce") ? .null : mailbox.map { .mailbox($0) }
        fixture.facts.forwardPath = mailbox.map { .mailbox($0) }
        fixture.facts.recipientCount = 1
        for type in [Lookup.NameType.a, .aaaa, .mx] { fixture.answers[.names("x", type)] = .names(.none) }
        for name in ["99.2.0.192.bl.example", "x.bl.example"] {
            fixture.answers[.names(name, .a)] = .names(.addresses([.v4(0x7F00_0002)]))
            fixture.answers[.names(name, .txt)] = .names(.none)
        }
        return fixture
    }

    @Test func `what is refused is refused with the code that is described`() throws {
        var count = 0
        for restriction in Self.restrictions {
            // What greylisting says is not said here.
            guard let refusal = restriction.refusal, let name = restriction.names.last, name != "greylist" else {
                continue
            }
            count += 1
            let reply = try Self.session(name, restriction.argument.map { _ in "bl.example" }).reply()
            #expect(reply.hasPrefix("\(refusal.usualReply) "), "\(name): \(reply)")
        }
        #expect(count > 20)
    }

    /// With what each action needs.
    private static func line(_ entry: ReferenceEntry, _ name: String) -> String {
        switch entry.argument {
        case "ADDRESS": "\(name) user@example.com"
        case "TRANSPORT:NEXTHOP": "\(name) smtp:[mail.example.com]"
        case "NAME: TEXT", "TEXT": "\(name) X-Spam: yes"
        case "[TEXT]", nil, _: name
        }
    }

    @Test func `each action of an access table is described as it is read`() throws {
        let entries = AccessAction.reference
        let names = entries.flatMap(\.names).filter { !["4NN", "5NN"].contains($0) }
        #expect(names.sorted() == AccessAction.Name.allCases.map(\.rawValue).sorted())
        for entry in entries {
            for name in entry.names where names.contains(name) {
                let action = try AccessAction(Self.line(entry, name))
                if case .restrictions = action { Issue.record("\(name) is taken for a restriction") }
                guard let argument = entry.argument, !argument.hasPrefix("[") else { continue }
                #expect(throws: OptionProblem.self, "\(name)") { () throws in _ = try AccessAction(name) }
            }
        }
        #expect(try AccessAction("450 4.7.1 Later") == .reply(code: 450, .init("4.7.1 Later")))
        #expect(try AccessAction("1234567") == .permit)
        #expect(try AccessAction("reject_non_fqdn_sender, mine") == .restrictions(["reject_non_fqdn_sender", "mine"]))
    }

    @Test func `each action of a check of content is described as it is read`() {
        let entries = ContentAction.reference
        #expect(entries.flatMap(\.names).sorted() == ContentAction.Name.allCases.map(\.rawValue).sorted())
        for entry in entries {
            for name in entry.names {
                let line = Self.line(entry, name)
                #expect(ContentRules.problem(inValue: line, for: .header) == nil, "\(line)")
                guard let argument = entry.argument, !argument.hasPrefix("[") else { continue }
                #expect(ContentRules.problem(inValue: name, for: .header) != nil, "\(name)")
            }
        }
    }

    @Test func `each type of table is described with an example that can be read`() throws {
        for type in RuleTable.FileType.allCases {
            let kind = TableKind(type)
            #expect(kind.names.contains(type.rawValue))
            for example in kind.examples {
                let table = try RuleTable(name: "t", file: nil, type: type, text: example)
                #expect(table.warnings.isEmpty && !table.values.isEmpty, "\(table.warnings)")
                for (value, _) in table.values { #expect(throws: Never.self) { _ = try AccessAction(value) } }
            }
        }
        for example in TableKind.inline.examples + TableKind.fixed.examples {
            let table = try #require(try RuleTable(inConfiguration: example))
            for (value, _) in table.values { #expect(throws: Never.self) { _ = try AccessAction(value) } }
        }
        for example in TableKind.database.examples { #expect(try PgsqlFile(example).listQuery != nil) }
        let checks = try RuleTable(name: "t", file: nil, type: .pcre, text: ReferenceChapter.contentExample)
        #expect(checks.warnings.isEmpty)
        for (value, _) in checks.values {
            #expect(ContentRules.problem(inValue: value, for: .header) == nil, "\(value)")
        }
    }

    @Test func `no text of the page has an odd backtick`() {
        let chapters: [ReferenceChapter] = [
            .lists, .restrictions, .tables, .keys, .accessActions, .content, .attachments,
        ]
        for block in chapters.flatMap(\.blocks) {
            let texts: [String] =
                switch block {
                case .text(let text), .title(let text): [text]
                case .example: []
                case .entries(let entries): entries.flatMap(\.paragraphs)
                }
            for text in texts { #expect(text.count { $0 == "`" }.isMultiple(of: 2), "\(text)") }
        }
    }
}
