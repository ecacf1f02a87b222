import Mail
import Receiver
import SMTP

/// What became of content that was read.
struct ReadContent: Equatable {
    var content: [UInt8] = []
    /// How many octets belonged to it; nil if it has not ended.
    var consumedBytes: Int?
    var contentBytes = 0
    var sawBareLineEnding = false
    var isTooLarge = false
}

/// Content ends at CRLF.CRLF and nowhere else, and what is kept of it can end nowhere else on its further way.
func checkData(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let result = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in readData(pieces, limit: 256) }
    let all = readData([bytes[...]], limit: .max)
    try require(result.consumedBytes == all.consumedBytes, "the limit moves the end of \(shown(bytes))")
    try require(result.contentBytes == all.content.count, "miscounted \(shown(bytes))")
    try require(result.isTooLarge == (all.content.count > 256), "the limit of \(shown(bytes))")
    try require(result.isTooLarge || result.content == all.content, "the limit changes \(shown(bytes))")
    guard let end = all.consumedBytes else { return }
    let marker = Array("\r\n.\r\n".utf8)
    try require(Array((marker[..<2] + bytes[..<end]).suffix(5)) == marker, "\(shown(bytes)) ends at \(end)")
    try require(hasOnlyWholeLineEnds(all.content), "bare line ends in \(shown(all.content))")
    try require(all.content.isEmpty || all.content.last == ASCII.lineFeed, "a piece of a line in \(shown(all.content))")
    try checkStuffing(all.content, arrivals)
}

private func readData(_ pieces: [ArraySlice<UInt8>], limit: Int) -> ReadContent {
    var reader = ContentReader(.data, limitBytes: limit)
    var result = ReadContent()
    var consumed = 0
    for piece in pieces where result.consumedBytes == nil {
        let (bytes, isAtEnd) = Array(piece).withUnsafeBytes { reader.read($0, into: &result.content) }
        consumed += bytes
        if isAtEnd { result.consumedBytes = consumed }
    }
    result.contentBytes = reader.contentBytes
    result.sawBareLineEnding = reader.sawBareLineEnding
    result.isTooLarge = reader.isTooLarge
    if result.isTooLarge { result.content = [] }  // It is dropped; how much has come out by now may differ.
    return result
}

/// One message in, the same one message out at the next hop.
private func checkStuffing(_ content: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let stuffed = try readEveryWay(content, arrivals) { (pieces) throws(Violation) in
        var stuffer = DotStuffer()
        return pieces.flatMap { stuffer.stuff(Array($0)) }
    }
    let sent = stuffed + Array(".\r\n".utf8)
    let again = readData([sent[...]], limit: .max)
    try require(again.consumedBytes == sent.count, "\(shown(sent)) ends at \(String(describing: again.consumedBytes))")
    try require(again.content == content, "\(shown(content)) arrives as \(shown(again.content))")
    try require(!again.sawBareLineEnding, "bare line ends in \(shown(sent))")
}

/// Counted octets come out as they are, but for line ends, whatever the chunks.
func checkChunks(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    var generator = SeededGenerator(seed: fingerprint(of: bytes))
    let cuts = (0..<2).map { _ in Int.random(in: 0...bytes.count, using: &generator) }.sorted()
    let sizes = [cuts[0], cuts[1] - cuts[0], bytes.count - cuts[1]]
    let result = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in
        try readChunks(pieces, sizes: sizes)
    }
    let atOnce = try readChunks([bytes[...]], sizes: [bytes.count])
    try require(result == atOnce, "chunks of \(sizes) in \(shown(bytes)) give \(result), one gives \(atOnce)")
    try require(hasOnlyWholeLineEnds(result.content), "bare line ends in \(shown(result.content))")
    try require(
        result.sawBareLineEnding == !hasOnlyWholeLineEnds(bytes), "bare line ends not told apart in \(shown(bytes))")
    guard !result.sawBareLineEnding else { return }
    let isEnded = bytes.isEmpty || bytes.last == ASCII.lineFeed
    try require(
        result.content == bytes + (isEnded ? [] : Array("\r\n".utf8)),
        "\(shown(bytes)) becomes \(shown(result.content))")
}

private func readChunks(_ pieces: [ArraySlice<UInt8>], sizes: [Int]) throws(Violation) -> ReadContent {
    var limits = SessionLimits()
    limits.lineEndings = .reject
    var input = ServerInput(limits: limits)
    var result = ReadContent()
    var held: [UInt8] = []
    var chunk = 0
    var consumed = 0
    for piece in pieces + [[]] {
        held += piece
        while chunk < sizes.count {
            let (bytes, event) = held.withUnsafeBytes {
                input.next(
                    $0, expecting: .chunk(bytes: sizes[chunk], isLast: chunk == sizes.count - 1),
                    content: &result.content)
            }
            held.removeFirst(bytes)
            consumed += bytes
            guard let event else { break }
            guard case .chunkEnded(let fault) = event else { throw Violation(description: "\(event) in a chunk") }
            result.sawBareLineEnding = fault == .bareLineEnding
            chunk += 1
        }
    }
    try require(chunk == sizes.count && held.isEmpty, "chunk \(chunk) of \(sizes) does not end")
    result.consumedBytes = consumed
    return result
}

/// The scanner finds what splitting the header into lines finds.
func checkHeader(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let content = try readChunks([bytes[...]], sizes: [bytes.count]).content
    let found = try readEveryWay(content, arrivals) { (pieces) throws(Violation) in
        var scanner = HeaderScanner()
        var tlsRequired = TLSRequiredScanner()
        for piece in pieces {
            Array(piece).withUnsafeBytes { scanner.scan($0) }
            tlsRequired.scan(piece)
        }
        return HeaderFindings(
            received: scanner.receivedCount, hasEightBit: scanner.hasEightBit, isComplete: scanner.isComplete,
            declinesTLS: tlsRequired.saysNo)
    }
    var expected = HeaderFindings(
        received: 0, hasEightBit: false, isComplete: false, declinesTLS: declinesTLS(content))
    for line in content.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false).dropLast() {
        let line = line.dropLast()
        if line.isEmpty {
            expected.isComplete = true
            break
        }
        if line.contains(where: { $0 >= 0x80 }) { expected.hasEightBit = true }
        if line.map(ASCII.lowercased).starts(with: "received:".utf8) { expected.received += 1 }
    }
    try require(found == expected, "\(shown(content)) has \(expected), found \(found)")
}

private struct HeaderFindings: Equatable {
    var received: Int
    var hasEightBit: Bool
    var isComplete: Bool
    var declinesTLS: Bool
}

/// By unfolding all of the header first.
private func declinesTLS(_ content: [UInt8]) -> Bool {
    var fields: [[UInt8]] = []
    for line in content.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false) {
        guard line != [ASCII.carriageReturn] else { break }
        if let first = line.first, ASCII.isBlank(first), let last = fields.indices.last {
            fields[last] += line
        } else {
            fields.append(Array(line))
        }
    }
    let values = fields.compactMap { field -> ArraySlice<UInt8>? in
        guard let colon = field.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let name = field[..<colon].reversed().drop(while: ASCII.isBlank).reversed().map(ASCII.lowercased)
        return name.elementsEqual("tls-required".utf8) ? field[(colon + 1)...] : nil
    }
    guard values.count == 1 else { return false }
    let words = values[0].split { ASCII.isBlank($0) || $0 == ASCII.carriageReturn }
    return words.count == 1 && words[0].map(ASCII.lowercased).elementsEqual("no".utf8)
}
