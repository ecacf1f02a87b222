import Authentication
import Mail

/// A record is one or it is not; what is read of it is in its bounds, and a tag that nobody knows changes nothing.
func checkDMARCRecord(_ bytes: [UInt8]) throws(Violation) {
    let claims = DMARCRecord.claims(bytes)
    let record: DMARCRecord
    do throws(DMARCRecord.SyntaxError) {
        record = try DMARCRecord(bytes)
    } catch {
        try require((error == .otherRecord) == !claims, "\(shown(bytes)): \(error)")
        return
    }
    try require(claims, "\(shown(bytes)) is a record by mistake")
    try require(0...100 ~= record.percentage, "pct of \(shown(bytes))")
    for report in record.aggregateReports + record.failureReports {
        try require(report.uri.isASCII && report.uri.isPrintable && !report.uri.contains(" "), "\(report)")
        try require(report.limitBytes ?? 0 >= 0, "\(report)")
    }
    let more = try? DMARCRecord(bytes + Array(";not-known=1".utf8))
    try require(more == nil, "a hyphen in a name: \(shown(bytes))")
    let unknown = try? DMARCRecord(bytes + Array("; unknown_to_all = p=reject ;;".utf8))
    if !bytes.map(ASCII.lowercased).containsText("unknown") {
        try require(unknown == record, "\(shown(bytes)) with another tag")
    }
}

/// The same domains however the field is found; one mailbox has its domain, and another one behind it is not missed.
func checkFromField(_ bytes: [UInt8]) throws(Violation) {
    let field = FromField(fields: [bytes])
    try require(field.domains.count <= FromField.maximumDomains + 1, "\(field.domains)")
    try require(Set(field.domains).count == field.domains.count, "\(field.domains)")
    _ = FromField(header: bytes)
    guard !bytes.contains(where: { $0 == ASCII.carriageReturn || $0 == ASCII.lineFeed }) else { return }
    let header = Array("A: 1\r\nFrom:".utf8) + bytes + Array("\r\nB: 2\r\n\r\nFrom: a@b.example\r\n".utf8)
    try require(FromField(header: header) == field, "\(shown(bytes)) in a header")
    if let text = String(validatingUTF8: bytes[...]), let mailbox = Mailbox(text), let name = mailbox.domain.name {
        try require(field.domains == [name], "\(mailbox) is of \(field.domains)")
        let shownAs = Array("\"A, B\" (c <d@e.example>) <".utf8) + bytes + Array(">".utf8)
        try require(FromField(fields: [shownAs]).domains == [name], "\(shown(shownAs))")
    }
    let more = FromField(fields: [bytes + Array(", A <a@added.example>".utf8)])
    if !field.isMalformed, field.domains.count < FromField.maximumDomains {
        let missing = field.domains.filter { !more.domains.contains($0) }
        try require(missing.isEmpty, "\(missing) of \(shown(bytes))")
        try require(more.domains.contains { $0.ascii == "added.example" }, "not seen behind \(shown(bytes))")
    }
}

extension [UInt8] {
    fileprivate func containsText(_ text: String) -> Bool {
        let text = Array(text.utf8)
        return self.indices.contains { self[$0...].starts(with: text) }
    }
}
