import Mail
import Queue
import Resolver

/// Records are read or found damaged; what is read is written and read as the same.
///
/// The input is a record without its checksum, which chance would never find.
func checkRecord(_ bytes: [UInt8]) throws(Violation) {
    let checksum = bytes.withUnsafeBytes { Checksum.of($0) }
    let record = bytes + withUnsafeBytes(of: checksum.bigEndian) { Array($0) }
    for record in [bytes, record] {
        if let progress = decodeProgress(record) {
            let again = decodeProgress(progress.encoded())
            try require(again == progress, "\(progress) becomes \(String(describing: again))")
        }
        if let message = decodeMessage(record) {
            let again = decodeMessage(message.encoded())
            try require(again == message, "\(message) becomes \(String(describing: again))")
            try require(message.envelope.recipients.count == message.progress.recipients.count, "\(message)")
            let lanes = message.progress.lanes.indices
            try require(message.progress.recipients.allSatisfy { lanes.contains($0.lane) }, "lanes of \(message)")
        }
    }
}

private func decodeProgress(_ record: [UInt8]) -> Progress? {
    record.withUnsafeBytes { try? Progress(record: $0) }
}

private func decodeMessage(_ record: [UInt8]) -> QueuedMessage? {
    record.withUnsafeBytes { try? QueuedMessage(id: QueueID(value: 1), record: $0, progress: nil) }
}

/// Messages of name servers are read or refused; names have one text.
func checkDNSMessage(_ bytes: [UInt8]) throws(Violation) {
    if let name = DNSName(String(decoding: bytes, as: UTF8.self)) { try checkName(name) }
    guard let message = try? DNSMessage(parsing: bytes) else { return }
    try checkName(message.question.name)
    for record in message.answers + message.authority {
        try checkName(record.owner)
        try require(record.ttl >= .zero, "\(record)")
        switch record.data {
        case .mx(_, let name), .ptr(let name), .ns(let name), .cname(let name): try checkName(name)
        case .soa(let authority):
            try checkName(authority.primary)
            try checkName(authority.mailbox)
        case .txt(let strings): try require(strings.allSatisfy { $0.count <= 255 }, "\(record)")
        case .a, .aaaa, .tlsa, .other: break
        }
    }
    switch message.result(security: .insecure) {
    case .success(let answer):
        try require(!answer.records.isEmpty, "an answer without records")
        try require(answer.records.allSatisfy { $0.type == message.question.type }, "\(answer)")
        try require(answer.ttl >= .zero, "\(answer)")
    case .failure: break
    }
}

private func checkName(_ name: DNSName) throws(Violation) {
    try require(DNSName(name.text) == name, "\(name) is not read again")
    try require(name.text.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "\(name)")
}
