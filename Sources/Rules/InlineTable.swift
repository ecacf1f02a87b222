import Mail

/// What stands in a configuration instead of in a file: `{ … }` behind the type of a table, as Postfix reads it.
///
/// Postfix puts in `$name` before it reads these; what is read here is what comes of that, so a `$` stands alone.
enum InlineTable {
    /// A name may be written in several lines, of which nothing may be left in a value.
    static func oneLine(_ name: String) throws(InlineTableError) -> String {
        let bytes = name.utf8.map { $0 == ASCII.lineFeed || $0 == ASCII.carriageReturn ? ASCII.space : $0 }
        guard !bytes.contains(where: { ASCII.isControl($0) && $0 != ASCII.tab }) else {
            throw InlineTableError("a control character")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The values of `inline:{key=value, {key = value with blanks}}`, in their order.
    static func pairs(_ text: String) throws(InlineTableError) -> [(key: String, value: String)] {
        var pairs: [(key: String, value: String)] = []
        for item in try Self.items(Self.inside(text)) {
            let pair = item.hasPrefix("{") ? try Self.inside(item) : item
            pairs.append(try Self.pair(pair))
        }
        guard !pairs.isEmpty else { throw InlineTableError("'\(text)' holds nothing; write {key=value, …}") }
        return pairs
    }

    /// The rules of `cidr:{ {rule}, {rule} }`, a line each.
    static func rules(_ text: String) throws(InlineTableError) -> [String] {
        var rules: [String] = []
        for item in try Self.items(Self.inside(text)) {
            guard item.hasPrefix("{") else {
                throw InlineTableError("'\(item)' has no braces around it; write {{rule}, {rule}, …}")
            }
            rules.append(try Self.inside(item))
        }
        return rules
    }

    /// What stands between braces, without blanks around it.
    static func inside(_ text: String) throws(InlineTableError) -> String {
        guard text.hasPrefix("{") else { throw InlineTableError("'\(text)' does not begin with '{'") }
        guard let end = Self.endOfBraces(Array(text.utf8)[...]) else {
            throw InlineTableError("'}' is missing in '\(text)'")
        }
        guard end == text.utf8.count else { throw InlineTableError("text behind '}' in '\(text)'") }
        return Self.trimmed(Array(text.utf8)[1..<end - 1])
    }

    /// Splits at commas and blanks that no braces hold.
    private static func items(_ text: String) throws(InlineTableError) -> [String] {
        var rest = Array(text.utf8)[...]
        var items: [String] = []
        while let start = rest.firstIndex(where: { !Self.isSeparator($0) }) {
            var end = start
            while end < rest.endIndex, !Self.isSeparator(rest[end]) {
                if rest[end] == UInt8(ascii: "{") {
                    guard let close = Self.endOfBraces(rest[end...]) else {
                        throw InlineTableError("'}' is missing in '\(text)'")
                    }
                    end = close
                } else {
                    end += 1
                }
            }
            items.append(String(decoding: rest[start..<end], as: UTF8.self))
            rest = rest[end...]
        }
        return items
    }

    private static func pair(_ text: String) throws(InlineTableError) -> (key: String, value: String) {
        var scanner = ByteScanner(text)
        let key: [UInt8]
        if scanner.skip("\"") {
            key = try Self.quoted(&scanner, in: text)
        } else {
            key = Array(scanner.read { !ASCII.isBlank($0) && $0 != UInt8(ascii: "=") })
        }
        _ = scanner.read(while: ASCII.isBlank)
        guard !key.isEmpty else { throw InlineTableError("'\(text)' has no key") }
        guard scanner.skip("=") else { throw InlineTableError("'\(text)' has no '=' behind its key") }
        return (String(decoding: key, as: UTF8.self), Self.trimmed(scanner.rest))
    }

    /// A backslash takes away what the next octet means.
    private static func quoted(_ scanner: inout ByteScanner, in text: String) throws(InlineTableError) -> [UInt8] {
        var key: [UInt8] = []
        while let byte = scanner.next() {
            if byte == UInt8(ascii: "\"") { return key }
            guard let next = byte == UInt8(ascii: "\\") ? scanner.next() : byte else { break }
            key.append(next)
        }
        throw InlineTableError("'\"' is missing in '\(text)'")
    }

    /// The place behind the brace that closes the first octet.
    private static func endOfBraces(_ bytes: ArraySlice<UInt8>) -> Int? {
        var depth = 0
        for (place, byte) in zip(bytes.indices, bytes) {
            if byte == UInt8(ascii: "{") { depth += 1 }
            if byte == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return place + 1 }
        }
        return nil
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
        var bytes = bytes.drop(while: ASCII.isBlank)
        while let last = bytes.last, ASCII.isBlank(last) { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isSeparator(_ byte: UInt8) -> Bool { ASCII.isBlank(byte) || byte == UInt8(ascii: ",") }
}

/// What is wrong in a table that stands in a configuration.
package struct InlineTableError: Error, Hashable, Sendable {
    package let message: String

    init(_ message: String) {
        self.message = message
    }
}
