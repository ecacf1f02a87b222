import Mail
import Reports

/// Lists of report URIs and records of those who want other people's reports: what is read of them can be written to
/// and counted with.
func checkReportURIs(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    let list = ReportURIList(text).uris
    for uri in list + (ExternalReportRecord(text)?.uris ?? []) {
        try require(uri.limitBytes ?? 0 >= 0, "\(uri)")
        try require(!uri.text.contains(",") && !uri.text.contains("!"), "\(uri)")
        guard let destination = ReportDestination(uri) else { continue }
        try require(destination.mailbox.isASCII && holdsNoLineEnd("\(destination.mailbox)"), "\(destination)")
        try require(Mailbox("\(destination.mailbox)") == destination.mailbox, "\(destination)")
    }
}

/// Records of what was observed are read or refused; what is read is written and read as the same, and stands in a
/// report as what it is.
func checkObservations(_ bytes: [UInt8]) throws(Violation) {
    if let record = DailyRecord(record: bytes) {
        try require(record.encoded() == bytes, "\(record)")
    }
    if let policy = DMARCObservation.PublishedPolicy(record: bytes) {
        let again = DMARCObservation.PublishedPolicy(record: policy.encoded())
        try require(again?.encoded() == policy.encoded(), "\(policy)")
    }
    guard let result = DMARCObservation.Result(record: bytes) else { return }
    let again = DMARCObservation.Result(record: result.encoded())
    try require(again?.encoded() == result.encoded(), "\(result)")
    let report = AggregateReport(
        reporter: .init(hostname: "mx.test", organization: "mx.test", email: "a@mx.test"), day: ReportDay(number: 1),
        policy: .init(domain: "a.test", policy: .none, destinations: []), rows: [.init(result, count: 1)])
    try checkLines(ofXML: String(decoding: report.text, as: UTF8.self))
}

/// Each line begins an element, ends one, or is a whole one, which is text and nothing else.
private func checkLines(ofXML text: String) throws(Violation) {
    var open: [Substring] = []
    for line in text.split(separator: "\n").dropFirst() {
        try require(!line.utf8.contains(where: ASCII.isControl), shown(Array(line.utf8)))
        let element = line.drop { $0 == " " }
        let name = element.dropFirst().prefix { $0 != ">" }
        if name.hasPrefix("/") {
            try require(open.popLast() == name.dropFirst() && element == "<\(name)>", "\(line)")
        } else if element == "<\(name)>" {
            open.append(name)
        } else {
            let inner = element.dropFirst(name.count + 2).dropLast(name.count + 3)
            let isWhole = element == "<\(name)>\(inner)</\(name)>"
            try require(isWhole && !inner.contains { $0 == "<" || $0 == ">" }, "\(line)")
        }
    }
    try require(open.isEmpty, text)
}
