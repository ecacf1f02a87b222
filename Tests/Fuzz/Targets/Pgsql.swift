import Mail
import Recipients
import Rules

/// A file of pgsql_table(5) is read whole, or each problem has its line; and no key ever gets into a statement.
func checkPgsqlFile(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    let lineCount = text.utf8.count { $0 == ASCII.lineFeed } + 1
    // The text as a query, too: few inputs are whole files.
    if let query = try? PgsqlQuery(template: text) { try checkQuery(query) }
    let file: PgsqlFile
    do {
        file = try PgsqlFile(text)
    } catch {
        try require(!error.list.isEmpty, "an error without a problem")
        for problem in error.list {
            try require((1...lineCount).contains(problem.line), "\(problem) of \(lineCount) lines")
        }
        return
    }
    try checkQuery(file.query)
    try require(file.listQuery?.parameters.isEmpty ?? true, "\(file)")
    for key in ["user@mail.example.com", "a'b@example.com", "@example.com", "user@", "user", "", "a@b..c", "@"] {
        if let values = file.values(for: key) {
            try require(values.count == file.query.parameters.count, "\(values) for \(file.query)")
            try require(!values.contains { $0.isEmpty }, "\(values) for \(key)")
        }
        _ = try? file.result([[key, nil], ["x@y"]], key: key)
    }
    _ = file.targets
}

/// Every parameter stands in the statement once, by its number, outside of quotes.
private func checkQuery(_ query: PgsqlQuery) throws(Violation) {
    var numbers: [Int] = []
    var rest = Array(query.statement.utf8)[...]
    var quote: UInt8?
    var last: UInt8 = 0
    while let byte = rest.popFirst() {
        defer { last = byte }
        if let open = quote {
            if byte == open { quote = nil }
            if byte == UInt8(ascii: "\\"), open == UInt8(ascii: "'") { return }  // Perhaps E'…\'…': not followed here.
        } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
            quote = byte
        } else if byte == UInt8(ascii: "$"), !isOfName(last) {
            let digits = rest.prefix(while: ASCII.isDigit)
            numbers.append(Int(String(decoding: digits, as: UTF8.self)) ?? 0)
        }
    }
    try require(quote == nil, "a quote is left open: \(query.statement)")
    try require(numbers == Array(1..<(query.parameters.count + 1)), "\(numbers) in \(query)")
}

private func isOfName(_ byte: UInt8) -> Bool {
    ASCII.isAlphanumeric(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "$") || byte == UInt8(ascii: "&")
        || byte >= 0x80
}

/// Records of verified addresses are read or refused; what is read is written and read as the same.
func checkVerifyRecord(_ bytes: [UInt8]) throws(Violation) {
    guard let record = decodeVerifyRecord(bytes) else { return }
    let again = decodeVerifyRecord(record.encoded())
    try require(again == record, "\(record) becomes \(String(describing: again))")
    let policy = VerifyPolicy()
    for now in [record.nextProbe, record.accepted, record.refused?.time, Timestamp(seconds: 0)].compactMap({ $0 }) {
        let standing = policy.standing(of: record, at: now)
        for verdict in [ProbeResult.Verdict.unknown, .blocked, .temporary, .unreachable] {
            let later = policy.updated(record, with: ProbeResult(verdict, Reply(550, nil, "no")), at: now)
            guard case .accepted = standing else { continue }
            try require(policy.standing(of: later, at: now) == standing, "\(verdict) takes away \(record)")
        }
    }
}

private func decodeVerifyRecord(_ bytes: [UInt8]) -> VerifyRecord? {
    bytes.withUnsafeBytes { VerifyRecord(record: $0) }
}
