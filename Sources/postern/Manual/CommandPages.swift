import Foundation

/// postern(1), and a page for each of its commands.
struct CommandPages {
    let day: String

    func pages() throws -> [ManualPage] {
        let tree = try CommandTree.all()
        return [self.overview(tree)] + tree.children.map { self.page($0, of: tree) }
    }

    private func overview(_ tree: CommandTree) -> ManualPage {
        var page = ManualPage(
            tree.commandName, section: 1, abstract: Self.phrase(tree.abstract ?? ""), day: self.day)
        page.section("Synopsis")
        page.synopsis([("postern ", false), ("COMMAND", true), (" [", true), ("--help", false), ("] ...", true)])
        page.section("Description")
        page.body(
            "Postern takes mail for the domains that it is the MX of, turns spam away, keeps what it took through "
                + "crashes and outages of the primary, and hands it on. `postern run` is the daemon; the other commands "
                + "look at it, at its queue and at its rules, or try out what it would do.")
        page.section("Commands")
        for command in tree.children {
            page.item(
                [("postern-\(command.commandName)(1)", false)],
                [command.abstract ?? "", Self.list(command.children.map(\.commandName))])
        }
        page.section("Options")
        page.item([("--help", false)], ["Of every command: what it does, and its options."])
        page.item([("--version", false)], ["Which version this is."])
        self.appendEnd(
            to: &page,
            see: tree.children.map { "postern-\($0.commandName)(1)" } + ["postern.yaml(5)", "postern-rules(5)"])
        return page
    }

    private static func list(_ names: [String]) -> String {
        names.isEmpty ? "" : "Commands below it: " + names.map { "`\($0)`" }.joined(separator: ", ") + "."
    }

    private func page(_ command: CommandTree, of tree: CommandTree) -> ManualPage {
        let name = "\(tree.commandName)-\(command.commandName)"
        var page = ManualPage(name, section: 1, abstract: Self.phrase(command.abstract ?? ""), day: self.day)
        let leaves = Self.leaves(command)
        page.section("Synopsis")
        for (index, leaf) in leaves.enumerated() {
            if index > 0 { page.lineBreak() }
            page.synopsis(Self.synopsis(leaf))
        }
        page.section("Description")
        page.body(command.abstract ?? "")
        if let discussion = command.discussion { page.paragraph(discussion) }
        if command.children.isEmpty {
            if !command.shownArguments.isEmpty {
                page.section("Options")
                Self.append(command.shownArguments, to: &page)
            }
        } else {
            page.section("Commands")
            for leaf in leaves {
                page.subsection(leaf.words.joined(separator: " "))
                page.body(leaf.abstract ?? "")
                if let discussion = leaf.discussion { page.paragraph(discussion) }
                Self.append(leaf.shownArguments, to: &page)
            }
        }
        let others = tree.children.map { "postern-\($0.commandName)(1)" }.filter { $0 != "\(name)(1)" }
        self.appendEnd(to: &page, see: ["postern(1)", "postern.yaml(5)", "postern-rules(5)"] + others)
        return page
    }

    /// The commands that do something.
    private static func leaves(_ command: CommandTree) -> [CommandTree] {
        command.children.isEmpty ? [command] : command.children.flatMap(self.leaves)
    }

    private static func synopsis(_ command: CommandTree) -> [(text: String, isVariable: Bool)] {
        var parts: [(text: String, isVariable: Bool)] = [(command.words.joined(separator: " "), false)]
        for argument in command.shownArguments {
            parts.append((argument.isOptional ? " [" : " ", true))
            // The short forms stand below.
            let long = argument.names?.last { $0.kind == "long" }
            if let long, !argument.isPositional {
                parts.append(("--\(long.name)", false))
                if argument.kind == "option" { parts.append((" \(argument.value)", true)) }
            } else {
                parts += argument.tag
            }
            if argument.isOptional { parts.append(("]", true)) }
        }
        return parts
    }

    private static func append(_ arguments: [CommandTree.Argument], to page: inout ManualPage) {
        for argument in arguments {
            var text = [argument.abstract ?? ""]
            if let values = argument.allValues, !values.isEmpty {
                text.append("One of \(values.map { "`\($0)`" }.joined(separator: ", ")).")
            }
            if let value = argument.defaultValue { text.append("By default `\(value)`.") }
            page.item(argument.tag, [text.filter { !$0.isEmpty }.joined(separator: " "), argument.discussion ?? ""])
        }
    }

    private func appendEnd(to page: inout ManualPage, see others: [String]) {
        page.section("Exit status")
        for (status, meaning) in [
            ("0", "Done, or yes."), ("1", "No: not found, refused, or a check that failed."),
            ("2", "Wrong usage or bad input."), ("3", "The daemon cannot be reached."),
        ] {
            page.item([(status, false)], [meaning])
        }
        page.section("Files")
        for (path, meaning) in [
            ("/etc/postern/postern.yaml", "The configuration: postern.yaml(5)."),
            (
                "/etc/postern/rules",
                "Tables and rules that it names, and cases to try them, `*.case`: postern-rules(5)."
            ),
            ("/var/lib/postern", "The queue, and what is remembered."),
            (
                "/run/postern/control",
                "The socket on which commands reach the daemon: root's and the group's `postern`."
            ),
        ] {
            page.item([(path, true)], [meaning])
        }
        page.section("See also")
        page.body(others.map { "`\($0.prefix { $0 != "(" })`\($0.drop { $0 != "(" })" }.joined(separator: ", "))
    }

    /// The abstract as apropos(1) has it: no full stop, and small unless it begins with a name.
    static func phrase(_ abstract: String) -> String {
        let text = abstract.hasSuffix(".") ? String(abstract.dropLast()) : abstract
        let second = text.dropFirst().first
        return second?.isUppercase == true ? text : text.prefix(1).lowercased() + text.dropFirst()
    }
}
