import Daemon
import Mail

/// What is asked of the queue over HTTP: whatever it is, it is refused or a filter within its bounds, and the same in
/// a longer spelling.
func checkQueueQuery(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    let route = MetricsRoute(method: "GET", target: "/queue.json?\(text)", host: nil)
    guard let filter = try? QueueQuery.filter(text) else {
        guard case .refused(400, _) = route else { throw Violation(description: "\(shown(bytes)) is not refused") }
        return
    }
    try require(route == .queue(filter), "\(shown(bytes)) is another route")
    try require((0...QueueQuery.maximumLimit).contains(filter.limit ?? -1), "\(shown(bytes)) has no limit")
    for field in [filter.from, filter.to, filter.domain, filter.reason, filter.client] {
        try require(holdsNoLineEnd(field ?? ""), "\(shown(bytes)) holds a line end")
    }
    let longer = bytes.flatMap { byte -> [UInt8] in
        guard ![UInt8(ascii: "&"), UInt8(ascii: "="), UInt8(ascii: "%"), UInt8(ascii: "+")].contains(byte) else {
            return [byte]
        }
        return byte < 0x80 && !ASCII.isHexDigit(byte) ? Array("%".utf8) + hexadecimal(byte) : [byte]
    }
    let again = try? QueueQuery.filter(String(decoding: longer, as: UTF8.self))
    try require(again == filter, "\(shown(bytes)) and \(shown(longer))")
}

private func hexadecimal(_ byte: UInt8) -> [UInt8] {
    let text = String(byte, radix: 16)
    return Array((text.utf8.count == 1 ? "0\(text)" : text).utf8)
}
