import Mail
import Rules

/// What content rules made of content.
private struct Checked: Equatable {
    var output: [UInt8] = []
    var outcome = ContentOutcome()
}

/// Rules that match nothing change nothing, and those that match everything change no more than they should, in
/// whatever pieces content comes.
func checkContentRules(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    var limits = ContentRules.Limits()
    // Low, so that short inputs get there.
    limits.headerBytes = 60
    limits.bodyBytes = 80
    limits.nesting = 1
    limits.boundaryBytes = 8
    limits.lineBytes = 32
    for limits in [limits, ContentRules.Limits()] {
        for rules in [
            ContentRules(header: [nothing], limits: limits), ContentRules(body: [nothing], limits: limits),
            ContentRules(header: [nothing], body: [nothing], limits: limits),
            ContentRules(header: [nothing], mimeHeader: [], nestedHeader: [], limits: limits),
        ] {
            let checked = try run(rules, bytes, arrivals)
            try require(checked.output == bytes, "\(shown(bytes)) is stored as \(shown(checked.output))")
            try require(!checked.outcome.isChanged && checked.outcome.matches.isEmpty, "\(checked.outcome)")
        }
        try checkInserting(bytes, limits, arrivals)
        try checkRemoving(bytes, limits, arrivals)
    }
    try checkActions(bytes, arrivals)
}

/// A table in which nothing is found.
private let nothing = always("")

private func always(_ value: String) -> RuleTable {
    guard value.isEmpty, let table = try? TextTable("") else {
        return RuleTable(name: "static:", file: nil, content: .fixed(value))
    }
    return RuleTable(name: "texthash:", file: nil, content: .text(table))
}

private func run(
    _ rules: ContentRules, _ bytes: [UInt8], _ arrivals: [Arrival]
) throws(Violation) -> Checked {
    try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in
        var checks = ContentChecks(rules)
        var result = Checked()
        for piece in pieces { Array(piece).withUnsafeBytes { checks.feed($0, into: &result.output) } }
        checks.finish(into: &result.output)
        result.outcome = checks.outcome
        return result
    }
}

/// What is put in can be taken out, and leaves what was there; once for each rule that matched.
private func checkInserting(
    _ bytes: [UInt8], _ limits: ContentRules.Limits, _ arrivals: [Arrival]
) throws(Violation) {
    guard !shown(bytes).contains("Mark-7d1f") else { return }
    let line = Array("Mark-7d1f: x\r\n".utf8)
    let insert = [always("PREPEND Mark-7d1f: x")]
    let rules = ContentRules(header: insert, body: insert, limits: limits)
    let checked = try run(rules, bytes, arrivals)
    var rest: [UInt8] = []
    var count = 0
    var index = 0
    while index < checked.output.count {
        if checked.output[index...].starts(with: line) {
            count += 1
            index += line.count
        } else {
            rest.append(checked.output[index])
            index += 1
        }
    }
    try require(rest == bytes, "\(shown(bytes)) is stored as \(shown(checked.output))")
    try require(count == checked.outcome.matchCount, "\(count) lines for \(checked.outcome.matchCount) rules")
}

/// Of content all of whose lines are removed only line ends are left.
private func checkRemoving(
    _ bytes: [UInt8], _ limits: ContentRules.Limits, _ arrivals: [Arrival]
) throws(Violation) {
    var limits = limits
    limits.bodyBytes = nil
    let rules = ContentRules(header: [always("STRIP")], body: [always("STRIP")], limits: limits)
    let checked = try run(rules, bytes, arrivals)
    try require(
        checked.output.allSatisfy { $0 == ASCII.carriageReturn || $0 == ASCII.lineFeed },
        "\(shown(bytes)) leaves \(shown(checked.output))")
    try require(checked.outcome.isChanged == (checked.outcome.matchCount > 0), "\(checked.outcome)")
}

/// The content itself as an action: it is a problem, or it can be followed.
private func checkActions(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let value = String(decoding: bytes.prefix { $0 != ASCII.carriageReturn && $0 != ASCII.lineFeed }, as: UTF8.self)
    guard !value.isEmpty else { return }
    let content = Array("A: b\r\n c\r\nD: e\r\n\r\nf\r\n".utf8)
    for contentClass in [ContentClass.header, .body] {
        let rules =
            contentClass == .body
            ? ContentRules(body: [always(value)]) : ContentRules(header: [always(value)])
        let checked = try run(rules, content, arrivals)
        let problem = ContentRules.problem(inValue: value, for: contentClass)
        try require(
            problem == nil || !checked.outcome.faults.isEmpty || problem?.contains("enhanced code") == true,
            "\(problem ?? "") in \(value.debugDescription), and no fault")
        try require(hasOnlyWholeLineEnds(checked.output), "\(value.debugDescription) gives \(shown(checked.output))")
        guard case .reject(let reply) = checked.outcome.verdict else { continue }
        try require(reply.lines.allSatisfy(holdsNoLineEnd), "\(reply)")
    }
}
