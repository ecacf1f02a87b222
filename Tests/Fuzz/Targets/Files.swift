import Daemon
import Forwarder
import Foundation
import Mail
import Rules

/// A table is read whole, or each problem has its line; and what was read is found.
func checkTable(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    let lineCount = text.utf8.count { $0 == ASCII.lineFeed } + 1
    let table: TextTable
    do {
        table = try TextTable(text)
    } catch {
        try require(!error.list.isEmpty, "an error without a problem")
        for problem in error.list {
            try require((1...lineCount).contains(problem.line), "\(problem) of \(lineCount) lines")
        }
        return
    }
    try require(Set(table.keys) == Set(table.entries.keys) && table.keys.count == table.entries.count, "\(table)")
    try checkPrinting(of: table)
    let transports = TransportTable(table, delimiter: "+")
    for key in table.keys {
        guard let entry = table[key] else { throw Violation(description: "\(key) is not found") }
        try require((1...lineCount).contains(entry.line), "\(entry) of \(lineCount) lines")
        try require(transports.lookup(lane: key)?.value == entry.value, "the transport of \(key) is another")
        if let mailbox = Mailbox(key) { _ = transports.lookup(lane: transports.lane(mailbox)) }
        try checkRoute(Array(entry.value.utf8))
    }
}

/// A table printed with a line for each entry is the same.
private func checkPrinting(of table: TextTable) throws(Violation) {
    let text = table.keys.compactMap { key in table[key].map { "\(key) \($0.value)\n" } }.joined()
    guard let again = try? TextTable(text) else { throw Violation(description: "not read again: \(text)") }
    try require(again.keys == table.keys, "\(table.keys) becomes \(again.keys)")
    try require(
        again.entries.mapValues(\.value) == table.entries.mapValues(\.value),
        "\(table.entries) becomes \(again.entries)")
}

/// A table of networks is read whole, or each problem has its line; and what stands around a line decides if it counts.
func checkCIDRTable(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    let lineCount = text.utf8.count { $0 == ASCII.lineFeed } + 1
    let table: CIDRTable
    do {
        table = try CIDRTable(text: text)
    } catch {
        try require(!error.list.isEmpty, "an error without a problem")
        for problem in error.list {
            try require((1...lineCount).contains(problem.line), "\(problem) of \(lineCount) lines")
        }
        return
    }
    let warnings = Set(table.warnings.map(\.line))
    guard let covered = try? CIDRTable(text: "0.0.0.0/0 first\n::/0 first\n\(text)"),
        let conditional = try? CIDRTable(text: "if 0.0.0.0/0\n\(text)\nendif")
    else { throw Violation(description: "not read with other lines: \(text.debugDescription)") }
    for address in addresses(in: text) {
        let entry = table.lookup(address)
        if let entry {
            try require((1...lineCount).contains(entry.line), "\(entry) of \(lineCount) lines")
            try require(!entry.value.isEmpty && holdsNoLineEnd(entry.value), "\(entry)")
            try require(!warnings.contains(entry.line), "\(entry) is hidden and found for \(address)")
            try require(covered.warnings.contains { $0.line == entry.line + 2 }, "no warning of \(entry)")
        }
        try require(covered.lookup(address)?.value == "first", "\(address) is not found in the first lines")
        let line = address.width == 32 ? entry.map { $0.line + 1 } : nil
        try require(conditional.lookup(address)?.line == line, "\(address) in a block of \(text.debugDescription)")
    }
}

/// Addresses that a table names, their neighbours, and some others.
private func addresses(in text: String) -> [IPAddress] {
    let named = text.utf8.split { !ASCII.isHexDigit($0) && $0 != ASCII.dot && $0 != UInt8(ascii: ":") }
        .compactMap { IPAddress(Substring($0)) }
    let neighbours = named.flatMap { address -> [IPAddress] in
        switch address {
        case .v4(let value): [.v4(value &- 1), .v4(value ^ 0xFF)]
        case .v6(let high, let low): [.v6(high: high, low: low &+ 1), .v6(high: high ^ 0xFFFF, low: low)]
        }
    }
    return named + neighbours + [.v4(0), .v6(high: 0, low: 0)]
}

/// The next hops of a route are printed so that they can be read again.
func checkRoute(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let domain = Domain("example.com"), let route = try? Route(text, recipientDomain: domain) else { return }
    switch route {
    case .nextHops(let hops):
        try require(!hops.isEmpty, "no next hop in \(text)")
        for hop in hops {
            try require((try? NextHop(text: hop.text)) == hop, "\(text.debugDescription) is printed as \(hop.text)")
            try require(hop.text.isASCII && holdsNoLineEnd(hop.text), "\(hop.text.debugDescription)")
        }
    case .fail(let reply): try require(reply.outcome == .permanent, "\(text) is \(reply)")
    case .retry(let reply): try require(reply.outcome == .temporary, "\(text) is \(reply)")
    case .discard: break
    }
}

/// A configuration is read whole, or each error has its place.
func checkConfiguration(_ bytes: [UInt8]) throws(Violation) {
    guard let text = String(validatingUTF8: bytes[...]) else { return }
    // YAML knows more line ends than LF.
    let lineCount = text.unicodeScalars.count { [0x0A, 0x0D, 0x85, 0x2028, 0x2029].contains($0.value) } + 1
    let errors: FileErrors
    do throws(FileErrors) {
        _ = try Configuration(yaml: text, file: "postern.yaml")
        return
    } catch { errors = error }
    try require(!errors.list.isEmpty, "an error without one")
    for error in errors.list {
        guard let line = error.line else { throw Violation(description: "an error without a line: \(error)") }
        try require((1...lineCount + 1).contains(line), "\(error) of \(lineCount) lines")
        try require((error.column ?? 1) >= 1, "\(error)")
        try checkRepetition(error, text)
    }
}

/// A key that is repeated stands in the line that is named, or the group ends there.
private func checkRepetition(_ error: FileError, _ text: String) throws(Violation) {
    let key = "hostname"
    guard error.message == "key '\(key)' is repeated", let line = error.line else { return }
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    guard lines.count(where: { $0.hasPrefix("\(key):") }) > 1 else { return }
    try require(line <= lines.count && lines[line - 1].hasPrefix("\(key):"), "\(error) of \(text.debugDescription)")
}

/// Requests are read as they are written.
func checkControl(_ bytes: [UInt8]) throws(Violation) {
    try checkJSON(bytes, ControlRequest.self)
    try checkJSON(bytes, ControlEnd.self)
    try checkJSON(bytes, QueueEntry.self)
    try checkJSON(bytes, StatusReport.self)
    let line = bytes.prefix { $0 != ASCII.lineFeed }
    if let (kind, count) = ControlFrame.header(line) {
        try require(count >= 0, "a frame of \(count) octets")
        let frame = ControlFrame.encode(kind, [UInt8](repeating: 0, count: min(count, 1000)))
        let again = ControlFrame.header(frame.prefix { $0 != ASCII.lineFeed })
        try require(again?.kind == kind && again?.count == min(count, 1000), "\(shown(line)) is not read again")
    }
}

private func checkJSON<Value: Codable>(_ bytes: [UInt8], _ type: Value.Type) throws(Violation) {
    guard let value = try? ControlJSON.decode(type, from: bytes) else { return }
    guard let text = try? ControlJSON.encode(value), let again = try? ControlJSON.decode(type, from: text),
        let other = try? ControlJSON.encode(again)
    else { throw Violation(description: "not written or read again: \(value)") }
    try require(!text.contains(ASCII.lineFeed), "more than a line: \(shown(text))")
    try require(text == other, "\(shown(text)) is read as \(shown(other))")
}

/// Whatever an event holds, it is one line that a program can take apart.
func checkLog(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    var refusal = MailEvent.Refusal(
        session: "1", client: Endpoint(.v4(0x7F00_0001), port: 25), command: text, reply: Reply(550, nil, text))
    refusal.helo = text
    refusal.forwardPath = text
    let clock = WallClock { Timestamp(seconds: 0) }
    for format in [LogOptions.Format.text, .json] {
        let log = LogFormat(format, clock: clock)
        for line in [
            log.line(.refused(refusal)),
            log.line(.destinationDown(text, reply: Reply(451, nil, text), due: clock.now())),
            log.line(level: "error", message: text, [(key: "detail", value: text)]),
        ] {
            try require(line.last == ASCII.lineFeed, "no line: \(shown(line))")
            try require(!line.dropLast().contains { $0 < 0x20 }, "control characters: \(shown(line))")
            guard format == .json else { continue }
            try require((try? JSONSerialization.jsonObject(with: Data(line))) != nil, "no JSON: \(shown(line))")
        }
    }
}
