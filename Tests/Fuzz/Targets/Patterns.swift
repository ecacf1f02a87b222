import Mail
import Rules

/// The last line is a key, those before it a table of patterns, of either kind.
func checkPatternTable(_ bytes: [UInt8]) throws(Violation) {
    let end = bytes.lastIndex(of: ASCII.lineFeed) ?? 0
    let key = Array(bytes[end...].drop { $0 == ASCII.lineFeed })
    for kind in [PatternTable.Kind.pcre, .regexp] {
        try checkPatternTable(String(decoding: bytes[..<end], as: UTF8.self), kind, key)
    }
}

/// A table is read whole, or each problem has its line; and what stands around a line decides if it counts.
private func checkPatternTable(
    _ text: String, _ kind: PatternTable.Kind, _ key: [UInt8]
) throws(Violation) {
    let lines = 1...text.utf8.count { $0 == ASCII.lineFeed } + 1
    let table: PatternTable
    do {
        table = try PatternTable(text: text, kind: kind)
    } catch {
        try require(!error.list.isEmpty, "an error without a problem")
        for problem in error.list { try require(lines.contains(problem.line), "\(problem) of \(lines)") }
        return
    }
    for warning in table.warnings { try require(lines.contains(warning.line), "\(warning) of \(lines)") }
    let (match, faults) = lookup(key, table)
    for fault in faults { try require(lines.contains(fault.line) && !fault.message.isEmpty, "\(fault) of \(lines)") }
    if let match {
        let entry = table.entries.first { $0.line == match.line }
        try require(entry?.rule == match.rule, "\(match) is no entry of \(text.debugDescription)")
        if !key.contains(where: ASCII.isControl) { try require(holdsNoLineEnd(match.value), "\(match)") }
    }
    let rule = RuleTable(name: "", file: nil, content: .pattern(table))
    var other: [TableFault] = []
    if let key = String(validatingUTF8: key[...]) {
        try require(rule.lookup(key, faults: &other) == match, "\(key.debugDescription) as text")
    }
    guard let covered = try? PatternTable(text: "/^/ first\n\(text)", kind: kind),
        let conditional = try? PatternTable(text: "if /^/\n\(text)\nendif", kind: kind),
        let skipped = try? PatternTable(text: "if !/^/\n\(text)\nendif", kind: kind)
    else { throw Violation(description: "not read with other lines: \(text.debugDescription)") }
    try require(lookup(key, covered).match?.value == "first", "not found in the first line")
    try require(lookup(key, conditional).match?.line == match.map { $0.line + 1 }, "in a block: \(shown(key))")
    try require(lookup(key, skipped).match == nil, "in a block that is skipped: \(shown(key))")
}

private func lookup(_ key: [UInt8], _ table: PatternTable) -> (match: TableMatch?, faults: [TableFault]) {
    var faults: [TableFault] = []
    let match = key.withUnsafeBytes { table.lookup($0, faults: &faults) }
    return (match, faults)
}

/// A table that stands in the configuration is read whole or is an error, and what was read is found.
func checkInlineTable(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    for name in [text] + ["static", "cidr", "pcre", "regexp"].map({ "\($0):\(text)" }) {
        guard let table = try? RuleTable(inConfiguration: name) else { continue }
        for (value, _) in table.values { try require(holdsNoLineEnd(value), "\(value.debugDescription)") }
        var faults: [TableFault] = []
        _ = table.lookup(text, faults: &faults)
    }
    guard let table = try? RuleTable(inConfiguration: "inline:\(text)"), case .text(let entries) = table.content else {
        return
    }
    try require(!entries.keys.isEmpty, "a table without entries")
    for key in entries.keys {
        var faults: [TableFault] = []
        let match = table.lookup(key, faults: &faults)
        try require(match != nil && match?.value == entries[key]?.value, "\(key) is not found")
        try require(match.map { holdsNoLineEnd($0.value) } == true, "\(key)")
    }
    try checkPrinting(of: entries)
}

/// A table printed with braces and quotes everywhere is the same, unless it holds braces of its own.
private func checkPrinting(of table: TextTable) throws(Violation) {
    let pairs = table.keys.compactMap { key in table[key].map { (key, $0.value) } }
    guard !pairs.contains(where: { ($0 + $1).utf8.contains { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") } })
    else { return }
    let text = pairs.map { key, value in
        let escaped = key.utf8.flatMap { [UInt8(ascii: "\\"), $0] }
        return "{\"\(String(decoding: escaped, as: UTF8.self))\" = \(value)}"
    }
    guard let again = try? RuleTable(inConfiguration: "inline:{\(text.joined(separator: ", "))}"),
        case .text(let other) = again.content
    else { throw Violation(description: "not read again: \(text)") }
    try require(other.keys == table.keys && other.entries == table.entries, "\(text) is another table")
}
