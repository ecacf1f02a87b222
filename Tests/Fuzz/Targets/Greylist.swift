import Greylist
import Mail

/// Records of who came when are read as they were written or not at all, and of a sender never more is made than it is.
func checkGreylist(_ bytes: [UInt8]) throws(Violation) {
    if let entry = decodeGreylistEntry(bytes) {
        try require(entry.encoded() == bytes, "\(entry) is written otherwise")
        try require(decodeGreylistEntry(entry.encoded()) == entry, "\(entry) is not read again")
    }
    guard let mailbox = Mailbox(String(decoding: bytes, as: UTF8.self)) else { return }
    let key = GreylistSender.key(.mailbox(mailbox))
    let suffix = "@\(mailbox.domain.key)"
    try require(key.hasSuffix(suffix), "\(mailbox) becomes \(key.debugDescription)")
    try require(holdsNoLineEnd(key), "\(mailbox) becomes \(key.debugDescription)")
    let whole = mailbox.localPart.unquoted.lowercased()
    try require(
        key.utf8.count - suffix.utf8.count <= whole.utf8.count, "\(mailbox) becomes longer: \(key.debugDescription)")
    try require(whole.isEmpty || key.utf8.count > suffix.utf8.count, "nothing is left of \(mailbox)")
    try require(key != GreylistSender.key(.null), "\(mailbox) is the null reverse-path")
}

private func decodeGreylistEntry(_ bytes: [UInt8]) -> GreylistEntry? {
    bytes.withUnsafeBytes { GreylistEntry(record: $0) }
}
