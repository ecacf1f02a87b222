import Mail

/// The reference of the configuration, made from the options themselves.
package enum ReferencePage {
    package static var text: String {
        var text = """
            # Configuration

            Made by `postern reference` from the options in the source. Durations and sizes have a unit: `10d`, `25MB`.
            \(Configuration.summary)

            """
        self.append(OptionReference(Configuration.self), name: nil, to: &text)
        return text
    }

    private static func append(_ group: OptionReference, name: String?, to text: inout String) {
        if let name { text += "\n## `\(name)`\n\n\(group.summary)\n" }
        text += "\n| Key | Default | Value | What it does |\n|---|---|---|---|\n"
        for line in group.lines {
            let value = line.nested == nil ? line.syntax : "[below](#\(self.path(name, line.key)))"
            let defaultText = line.defaultText.isEmpty ? "" : "`\(line.defaultText)`"
            text += "| `\(line.key)` | \(defaultText) | \(self.escaped(value)) | \(self.escaped(line.explanation)) |\n"
        }
        for line in group.lines {
            if let nested = line.nested { self.append(nested, name: self.path(name, line.key), to: &text) }
        }
    }

    private static func path(_ name: String?, _ key: String) -> String { name.map { "\($0).\(key)" } ?? key }

    static func escaped(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }
}
