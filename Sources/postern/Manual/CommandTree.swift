import ArgumentParser
import Foundation

/// The commands as ArgumentParser tells other programs about them (`--experimental-dump-help`); what pages of the
/// manual need of it. The library has no type for it that programs may use.
struct CommandTree: Decodable {
    let commandName: String
    let superCommands: [String]?
    let abstract: String?
    let discussion: String?
    let shouldDisplay: Bool?
    let subcommands: [CommandTree]?
    let arguments: [Argument]?

    struct Argument: Decodable {
        let kind: String
        let shouldDisplay: Bool
        let isOptional: Bool
        let isRepeating: Bool
        let names: [Name]?
        let valueName: String?
        let defaultValue: String?
        let abstract: String?
        let discussion: String?
        let allValues: [String]?

        struct Name: Decodable {
            let kind: String
            let name: String
        }
    }

    private struct Document: Decodable {
        let command: CommandTree
    }

    static func all() throws -> CommandTree {
        try JSONDecoder().decode(Document.self, from: Data(Postern._dumpHelp().utf8)).command
    }

    /// `postern queue list`
    var words: [String] { (self.superCommands ?? []) + [self.commandName] }

    /// Those that are shown; `help` explains itself.
    var children: [CommandTree] {
        (self.subcommands ?? []).filter { $0.shouldDisplay != false && $0.commandName != "help" }
    }

    /// Those that are shown; what every command has stands in one place.
    var shownArguments: [Argument] {
        (self.arguments ?? []).filter { argument in
            argument.shouldDisplay && !(argument.names ?? []).contains { ["help", "version"].contains($0.name) }
        }
    }
}

extension CommandTree.Argument {
    var isPositional: Bool { self.kind == "positional" }

    /// What stands for the value: `FILE`.
    var value: String { (self.valueName ?? "value").uppercased() }

    /// `--config FILE`, in pieces.
    var tag: [(text: String, isVariable: Bool)] {
        if self.isPositional { return [(self.value + (self.isRepeating ? "..." : ""), true)] }
        let names = (self.names ?? []).map { ($0.kind == "long" ? "--" : "-") + $0.name }.joined(separator: ", ")
        return self.kind == "flag" ? [(names, false)] : [(names, false), (" ", true), (self.value, true)]
    }
}
