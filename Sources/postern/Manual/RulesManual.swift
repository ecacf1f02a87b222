import Daemon
import Rules

/// postern-rules(5), made from the rules themselves.
struct RulesManual {
    let day: String

    func page() -> ManualPage {
        var page = ManualPage(
            "postern-rules", section: 5, abstract: "restrictions, tables and actions of Postern", day: self.day)
        page.section("Description")
        page.body(RulesReferencePage.introduction)
        for chapter in RulesReferencePage.chapters {
            page.section(chapter.title)
            var isBelowTitle = true
            for block in chapter.blocks {
                Self.append(block, isBelowTitle: isBelowTitle, to: &page)
                if case .title = block { isBelowTitle = true } else { isBelowTitle = false }
            }
        }
        page.section("Files")
        for (path, meaning) in [
            ("/etc/postern/postern.yaml", "The configuration, which names the tables."),
            ("/etc/postern/rules", "The tables and cases."),
            ("/usr/share/doc/postern/examples", "Both as they were installed."),
        ] {
            page.item([(path, true)], [meaning])
        }
        page.section("See also")
        page.body(
            "`postern.yaml`(5), `postern`(1), `postern-check`(1), `postern-explain`(1), `postern-message`(1), "
                + "`postern-reload`(1), `postern-table`(1), `pcre2pattern`(3), `regex`(7)")
        return page
    }

    private static func append(_ block: ReferenceChapter.Block, isBelowTitle: Bool, to page: inout ManualPage) {
        switch block {
        case .text(let text) where isBelowTitle: page.body(text.inOneLine)
        case .text(let text): page.paragraph(text.inOneLine)
        case .title(let title): page.subsection(title.filter { $0 != "`" })
        case .example(let lines): page.example(lines)
        case .entries(let entries):
            for entry in entries { page.item(Self.tag(entry), entry.paragraphs) }
        }
    }

    private static func tag(_ entry: ReferenceEntry) -> [(text: String, isVariable: Bool)] {
        guard !entry.names.isEmpty else { return [(entry.argument ?? "", true)] }
        let argument = entry.argument.map { [(text: " \($0)", isVariable: true)] } ?? []
        let names = entry.names.map { [(text: $0, isVariable: false)] + argument }
        return Array(names.joined(separator: [(text: ", ", isVariable: true)]))
    }
}
