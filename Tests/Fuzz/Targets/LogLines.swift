import Daemon
import Mail
import MailLog

/// A line is read or not; what was read is written as JSON and read again. And what our formats write of any text is
/// read as what it was.
func checkLogLine(_ bytes: [UInt8]) throws(Violation) {
    if let line = LogLine(bytes) {
        let again = LogLine(line.json)
        // JSON has milliseconds; the journal has microseconds.
        try require(again?.event == line.event && again?.fields == line.fields, "\(line) is read as \(again as Any)")
        try require(again?.time.rfc3339 == line.time.rfc3339, "another time: \(line)")
        try require(!line.display(.utc).utf8.contains { $0 < 0x20 }, "control characters: \(line.display(.utc))")
        try checkSieve(line, bytes)
        var tally = ReportTally(zone: .utc, capacity: 2)
        for _ in 0..<3 { tally.add(line) }
        try checkReport(tally)
    }
    try checkWrittenLine(String(decoding: bytes.prefix(300), as: UTF8.self))
}

/// Whatever finds a line finds it also before it is taken apart.
private func checkSieve(_ line: LogLine, _ bytes: [UInt8]) throws(Violation) {
    guard !LogSieve.isEncoded(bytes[...]) else { return }
    var terms: [LogTerm] = []
    for address in line.addresses { terms += [.address(named: address, .either), .domain(named: address)] }
    if let destination = line["destination"] { terms.append(.domain(named: destination)) }
    // Addresses can be written in many ways, of which the log has one.
    if let client = line.client, line["client"]?.contains("\(client)") == true {
        let prefixes = client.width == 32 ? [0, 9, 24, 32] : [64, 128]
        terms += prefixes.map { .client(client.network(prefixLength: $0)) }
    }
    for key in ["id", "about", "notice"] { line[key].map { terms.append(.id($0)) } }
    if let session = line["session"] { terms += [.session(session), .idOrSession(session)] }
    if let reference = line["ref"] { terms.append(.reference(reference)) }
    for term in terms where term.matches(line) {
        var query = LogQuery()
        query.terms = [term]
        try require(LogSieve(query).passes(bytes[...]), "\(term) is not seen in \(shown(bytes))")
    }
    var story = LogStory()
    story.take(line)
    if story.follow(line) { try require(story.mayFollow(bytes[...]), "its own story is not seen: \(shown(bytes))") }
}

private func checkWrittenLine(_ text: String) throws(Violation) {
    let clock = WallClock { Timestamp(microseconds: 1_795_236_600_123_000) }
    let expected = text.printable(maximumBytes: MailEvent.Fields.maximumBytes)
    for format in [LogOptions.Format.text, .json] {
        let written = LogFormat(format, clock: clock).line(.alarm(text, isRaised: true))
        let line = LogLine(written.dropLast())
        try require(line?.event == "alarm" && line?["state"] == "raised", "not read: \(shown(written))")
        try require(line?["text"] == expected, "another text: \(shown(written))")
        try require(line?.time == clock.now(), "another time: \(shown(written))")
        // What is not an event may have any character, and keeps it.
        let other = LogFormat(format, clock: clock).line(level: "info", message: text, [(key: "k", value: text)])
        let read = LogLine(other.dropLast())
        try require(read?["message"] == text && read?["k"] == text, "another text: \(shown(other))")
    }
}

private func checkReport(_ tally: ReportTally) throws(Violation) {
    let start = Timestamp(seconds: 0)
    let report = MailReport(
        hostname: "mx.example", period: start..<start + .seconds(1), zone: .utc, sections: tally.sections(top: 3))
    for line in report.text.split(separator: "\n") { try require(line.count <= 80, "too long: \(line)") }
    try require(!report.html.contains("<script"), report.html)
}
