import Daemon
import Mail

/// postern.yaml(5), made from the options themselves.
struct ConfigurationManual {
    let day: String

    func page() -> ManualPage {
        var page = ManualPage(
            "postern.yaml", section: 5, abstract: "the configuration of Postern", day: self.day)
        page.section("Description")
        page.body(
            "The file `/etc/postern/postern.yaml` is YAML: keys with values, some of which are groups of keys again. "
                + "A key that is not known, or that is repeated, is an error with its line. Durations and sizes have a "
                + "unit: `10d`, `4h`, `5m`, `300s`, `500ms`; `25MB`, `512KiB`.")
        page.paragraph(
            "`postern check` says what is wrong, `postern reload` brings a change into force, all of it or nothing. A "
                + "key is written here with those that it stands below: `queue.lifetime` is `lifetime` in the group "
                + "`queue`.")
        self.append(OptionReference(Configuration.self), name: nil, to: &page)
        page.section("Files")
        page.item([("/usr/share/doc/postern/examples/postern.yaml", true)], ["The file as it was installed."])
        page.section("See also")
        page.body("`postern-rules`(5), `postern`(1), `postern-check`(1), `postern-reload`(1), `postern-reference`(1)")
        return page
    }

    private func append(_ group: OptionReference, name: String?, to page: inout ManualPage) {
        page.section(name.map { "The group \($0)" } ?? "Keys")
        if name != nil { page.body(group.summary) }
        for line in group.lines {
            let key = name.map { "\($0).\(line.key)" } ?? line.key
            var text = [line.explanation]
            if line.nested != nil {
                text.append("A group of keys: see below.")
            } else {
                let isPlain = line.defaultText.isEmpty
                text.append("Value: \(line.syntax)." + (isPlain ? "" : " Default: `\(line.defaultText)`."))
            }
            page.item([(key, false)], text)
        }
        for line in group.lines {
            if let nested = line.nested {
                self.append(nested, name: name.map { "\($0).\(line.key)" } ?? line.key, to: &page)
            }
        }
    }
}
