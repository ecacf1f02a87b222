package import Mail
import Queue

/// Reads the parameters of `/queue.json`: the filters of `postern queue list` by their names.
///
/// - Throws: ``OptionProblem`` for a parameter that is unknown, repeated or not readable: nobody gets the whole queue
///   because of a wrong letter.
package struct QueueQuery {
    /// Messages shown where nothing else is said, and the most that may be asked for.
    package static let defaultLimit = 1000
    package static let maximumLimit = 100_000

    /// - Parameter text: what follows the question mark (application/x-www-form-urlencoded).
    package static func filter(_ text: some StringProtocol) throws(OptionProblem) -> QueueFilter {
        var filter = QueueFilter()
        var seen: Set<String> = []
        for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(parts[0]), parts.count == 2, let value = Self.decoded(parts[1]) else {
                throw OptionProblem("a parameter is NAME=VALUE, with % before two hexadecimal digits")
            }
            guard seen.insert(name).inserted else {
                throw OptionProblem("'\(name.printable(maximumBytes: 80))' is repeated")
            }
            try filter.set(name, to: value)
            if let limit = filter.limit, limit > Self.maximumLimit {
                throw OptionProblem("limit: \(limit) is above \(Self.maximumLimit)")
            }
        }
        if filter.limit == nil { filter.limit = Self.defaultLimit }
        return filter
    }

    /// Nil for what is no text in UTF-8, or has a control character.
    private static func decoded(_ text: some Collection<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(ASCII.space)
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(ASCII.hexValue),
                    let low = rest.popFirst().flatMap(ASCII.hexValue)
                else { return nil }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        guard bytes.allSatisfy({ $0 >= ASCII.space && $0 != 0x7F }) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}
