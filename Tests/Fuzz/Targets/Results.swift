import Authentication
import Mail

/// A message keeps everything but the fields in our name, in any pieces; and what is read of a field is written so that
/// it is read again.
func checkAuthenticationResults(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let id = "mx.example.test"
    let kept = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in filtered(pieces, id) }
    let again = filtered([kept.bytes[...]], id)
    try require(again.bytes == kept.bytes && again.removed == 0, "\(shown(bytes)): some are left")
    try require(kept.removed > 0 || kept.bytes == bytes, "\(shown(bytes)) changes")
    try require(kept.bytes.count + 22 * kept.removed <= bytes.count, "\(shown(bytes)): more than were removed")

    _ = AuthenticationResults(bytes, isARC: true)
    guard let results = AuthenticationResults(bytes) else { return }
    for encoding in [AuthenticationResults.Encoding.ascii, .utf8] { try checkText(results, encoding) }
}

private struct Kept: Equatable {
    var bytes: [UInt8] = []
    var removed = 0
}

private func filtered(_ pieces: [ArraySlice<UInt8>], _ id: String) -> Kept {
    var filter = ForgedResultsFilter(authservID: id)
    var kept = Kept()
    for piece in pieces { piece.withUnsafeBytes { filter.filter($0, into: &kept.bytes) } }
    filter.finish(into: &kept.bytes)
    kept.removed = filter.removed
    return kept
}

private func checkText(
    _ results: AuthenticationResults, _ encoding: AuthenticationResults.Encoding
) throws(Violation) {
    let text = results.text(encoding)
    let bytes = Array(text.utf8)
    try require(hasOnlyWholeLineEnds(bytes) && text.hasSuffix("\r\n"), "line ends of \(text)")
    try require(encoding == .utf8 || text.isASCII, "not ASCII: \(text)")
    let lines = bytes.dropLast(2).split(separator: ASCII.lineFeed, omittingEmptySubsequences: false)
    for line in lines.dropFirst() {
        try require(line.first == ASCII.tab && line.count > 2 && line.count < 998, "a line of \(text)")
    }
    let value = Array(bytes.drop { $0 != UInt8(ascii: ":") }.dropFirst())
    guard let read = AuthenticationResults(value) else { throw Violation(description: "not read: \(text)") }
    try require(read.methods.count == results.methods.count, "\(results.methods.count) methods in \(text)")
    for (method, other) in zip(results.methods, read.methods) {
        let keyword = { (text: String) in text.replacing("_", with: "-") }
        try require(other.name == keyword(method.name) && other.result == keyword(method.result), text)
    }
    try require(read.text(encoding) == text, "\(text) becomes \(read.text(encoding))")
    if encoding == .utf8, read.authservID == results.authservID {
        let kept = filtered([bytes[...]], results.authservID)
        try require(kept == Kept(bytes: [], removed: 1), "not ours: \(text)")
    }
}
