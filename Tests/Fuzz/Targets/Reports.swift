import Foundation
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
    try checkTransportRow(bytes)
    guard let result = DMARCObservation.Result(record: bytes) else { return }
    let again = DMARCObservation.Result(record: result.encoded())
    try require(again?.encoded() == result.encoded(), "\(result)")
    let report = AggregateReport(
        reporter: .init(hostname: "mx.test", organization: "mx.test", email: "a@mx.test"), day: ReportDay(number: 1),
        policy: .init(domain: "a.test", policy: .none, destinations: []), rows: [.init(result, count: 1)])
    try checkLines(ofXML: String(decoding: report.text, as: UTF8.self))
}

/// What is counted of TLS sessions, and the document that tells of it.
private func checkTransportRow(_ bytes: [UInt8]) throws(Violation) {
    guard let row = TransportRow(record: bytes) else { return }
    let again = TransportRow(record: row.encoded())
    try require(again?.encoded() == row.encoded(), "\(row)")
    let report = TLSReport(
        reporter: .init(hostname: "mx.test", organization: "mx.test", email: "a@mx.test"), day: ReportDay(number: 1),
        domain: "a.test", rows: [.init(row, count: 1)])
    let document = try? JSONSerialization.jsonObject(with: Data(report.text)) as? [String: Any]
    let policies = document?["policies"] as? [[String: Any]]
    let policy = policies?.first?["policy"] as? [String: Any]
    try require(document?.count == 5 && policies?.count == 1, shown(report.text))
    try require(policy?["policy-type"] as? String == row.policy.type.rawValue, shown(report.text))
}

/// Records of who wants reports on TLS, and what they name: only what can stand in a request as it is.
func checkTLSReportRecord(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    let uris = TLSReportRecord(text)?.uris
    try require(uris?.isEmpty != true, text)
    if uris != nil { try require(TLSReportRecord(among: ["", text, "v=TLSRPTv2; a=b"])?.uris == uris, text) }
    for uri in (uris ?? []) + [ReportURI(text)] {
        guard let destination = HTTPSDestination(uri.text) else { continue }
        let server = destination.server
        try require(HTTPSDestination("\(destination)") == destination, "\(destination)")
        try require(DomainName(server.host)?.ascii == server.host && 1...65_535 ~= server.port, "\(destination)")
        let isPlain = destination.target.utf8.allSatisfy { 0x21...0x7E ~= $0 }
        try require(destination.target.hasPrefix("/") && isPlain, "\(destination)")
        try require(TLSReportDestination(uri) == .server(destination), "\(destination)")
    }
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
