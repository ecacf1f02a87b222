import Mail

@testable import Rules

/// Content that has gone through rules.
struct CheckedContent: Equatable {
    var text: String
    var outcome: ContentOutcome
}

/// - Parameter cuts: where the content is cut; nil for one octet at a time.
func check(_ rules: ContentRules, _ content: [UInt8], cuts: [Int]? = []) -> CheckedContent {
    var checks = ContentChecks(rules)
    var output: [UInt8] = []
    var start = 0
    for end in (cuts ?? Array(content.indices)) + [content.count] {
        Array(content[start..<end]).withUnsafeBytes { checks.feed($0, into: &output) }
        start = end
    }
    checks.finish(into: &output)
    return CheckedContent(text: String(decoding: output, as: UTF8.self), outcome: checks.outcome)
}

func check(_ rules: ContentRules, _ content: String) -> CheckedContent {
    check(rules, Array(content.utf8))
}

/// A table of whole lines and fields, in any case, with what is to be done about them.
func table(_ lines: KeyValuePairs<String, String>, name: String = "test:checks") -> RuleTable {
    var entries: [String: TextTable.Entry] = [:]
    for (index, (key, value)) in lines.enumerated() {
        entries[key.lowercased()] = TextTable.Entry(value: value, line: index + 1)
    }
    return RuleTable(
        name: name, file: "/etc/checks", content: .text(TextTable(entries: entries, keys: Array(entries.keys))))
}

/// The same for everything.
func always(_ value: String, name: String = "static:") -> RuleTable {
    RuleTable(name: name, file: nil, content: .fixed(value))
}

/// Everything that rules are asked of, as `CLASS: TEXT`, with `?` between the lines of a field; nothing is changed.
func seen(_ content: String, limits: ContentRules.Limits = .init()) -> [String] {
    let all = [always("INFO")]
    let rules = ContentRules(header: all, mimeHeader: all, nestedHeader: all, body: all, limits: limits)
    let checked = check(rules, content)
    precondition(checked.text == content && checked.outcome.matchCount == checked.outcome.matches.count)
    return checked.outcome.matches.map { "\($0.contentClass.rawValue): \($0.text)" }
}

/// Lines with CRLF.
func crlf(_ lines: String...) -> String { lines.map { $0 + "\r\n" }.joined() }
