import Mail
package import Rules

/// The reference of restrictions, tables and actions, made from the rules themselves.
package enum RulesReferencePage {
    package static let introduction = """
        What stands in the lists of restrictions, in the tables that they and other keys of `postern.yaml` name, and in
        the other files of `/etc/postern/rules`. The names are those of Postfix wherever there is such a thing there;
        what is otherwise than in Postfix stands behind "Postfix:".
        """.inOneLine

    package static let chapters: [ReferenceChapter] = [
        .lists, .restrictions, .tables, .keys, .accessActions, .content, .attachments, RuleCase.chapter,
    ]

    package static var text: String {
        var text = """
            # Restrictions, tables and actions

            Made by `postern reference --rules` from the rules in the source. The keys of the configuration are in
            [CONFIGURATION.md](CONFIGURATION.md).

            \(self.introduction)

            """
        for chapter in self.chapters {
            text += "\n## \(chapter.title)\n"
            for block in chapter.blocks { text += "\n\(self.markdown(block))\n" }
        }
        return text
    }

    private static func markdown(_ block: ReferenceChapter.Block) -> String {
        switch block {
        case .text(let text): text.inOneLine
        case .title(let title): "### \(title)"
        case .example(let lines): "```\n\(lines)\n```"
        case .entries(let entries):
            "| | What it does |\n|---|---|\n"
                + entries.map { "| \(self.tag($0)) | \(ReferencePage.escaped($0.paragraphs.joined(separator: " "))) |" }
                .joined(separator: "\n")
        }
    }

    private static func tag(_ entry: ReferenceEntry) -> String {
        let argument = entry.argument.map { "*\($0)*" }
        let names = entry.names.map { ([("`\($0)`")] + [argument].compactMap(\.self)).joined(separator: " ") }
        return ReferencePage.escaped(entry.names.isEmpty ? argument ?? "" : names.joined(separator: ", "))
    }
}
