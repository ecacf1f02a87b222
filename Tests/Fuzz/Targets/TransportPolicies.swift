import MTASTS
import Mail

/// Records of MTA-STS are read or not; what is read is a name for a version, and nothing else.
func checkSTSRecord(_ bytes: [UInt8]) throws(Violation) {
    guard let record = STSRecord(bytes) else {
        try require(STSRecord.find(in: [[bytes]]) == nil, "\(shown(bytes)) is found and not read")
        return
    }
    try require((1...32).contains(record.id.utf8.count), "\(record)")
    try require(record.id.utf8.allSatisfy(ASCII.isAlphanumeric), "\(record)")
    try require(STSRecord(Array("v=STSv1; id=\(record.id);".utf8)) == record, "\(record) is not read again")
    // However it is cut into strings, and whatever else is there.
    let half = bytes.count / 2
    let strings = [Array(bytes[..<half]), Array(bytes[half...])]
    try require(STSRecord.find(in: [[Array("v=spf1 -all".utf8)], strings]) == record, "\(record) is not found")
    try require(STSRecord.find(in: [strings, [bytes]]) == nil, "two of \(record) are one")
}

/// Policies are read or refused; what is read has names in it that can be compared, and is read from its own lines as the
/// same.
func checkSTSPolicy(_ bytes: [UInt8]) throws(Violation) {
    guard let policy = try? STSPolicy(published: bytes) else { return }
    try require(policy.mode == .none || !policy.mxPatterns.isEmpty, "\(policy)")
    try require((.zero...STSPolicy.longestAge).contains(policy.maximumAge), "\(policy)")
    try require(policy.lines.allSatisfy(holdsNoLineEnd), "\(policy.lines)")
    for pattern in policy.mxPatterns {
        let name = pattern.hasPrefix("*.") ? "a\(pattern.dropFirst())" : pattern
        try require(DomainName(name)?.ascii == name, "\(pattern)")
        try require(policy.allows(name), "\(pattern) does not allow \(name)")
        try require(!pattern.hasPrefix("*.") || !policy.allows("*"), "\(pattern)")
    }
    guard bytes.count <= STSPolicy.longestReport else { return }
    let again = try? STSPolicy(published: Array(policy.lines.joined(separator: "\r\n").utf8))
    try require(again == policy, "\(policy) is read as \(String(describing: again))")
    let entry = STSEntry(id: "1", policy: policy, fetched: Timestamp(seconds: 1))
    try require(decodeSTSEntry(entry.encoded()) == entry, "\(entry) is not kept")
}

/// Entries of the cache are read as they were written or not at all.
func checkSTSEntry(_ bytes: [UInt8]) throws(Violation) {
    guard let entry = decodeSTSEntry(bytes) else { return }
    try require(entry.encoded() == bytes, "\(entry) is written otherwise")
}

private func decodeSTSEntry(_ bytes: [UInt8]) -> STSEntry? { bytes.withUnsafeBytes { STSEntry(record: $0) } }
