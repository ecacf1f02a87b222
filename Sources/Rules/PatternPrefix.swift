import Mail

/// With what a key must begin for a pattern such as `^Subject:` to match; most rules for header fields are of this kind,
/// and most lines are of another field. Of up to eight octets, so that one comparison tells.
struct PatternPrefix: Sendable {
    private var value: UInt64 = 0
    private var mask: UInt64 = 0
    private let isCaseless: Bool

    /// The beginning of a key.
    struct Key {
        fileprivate var word: UInt64 = 0
        fileprivate var lowercased: UInt64 = 0

        init(_ octets: UnsafeRawBufferPointer) {
            for (place, octet) in octets.prefix(8).enumerated() {
                self.word |= UInt64(octet) << UInt64(8 * place)
                self.lowercased |= UInt64(ASCII.lowercased(octet)) << UInt64(8 * place)
            }
        }
    }

    /// A prefix that every key has unless it is certain that the pattern asks for more.
    init(_ text: PatternText, _ kind: PatternTable.Kind) {
        self.isCaseless = !text.has("i")
        // With these flags other signs mean something, or `^` means another place.
        guard !text.has("x"), !text.has("m"), text.pattern.utf8.first == UInt8(ascii: "^"),
            !Self.hasAlternatives(text.pattern)
        else { return }
        for (place, octet) in Self.literal(text.pattern.utf8.dropFirst()).prefix(8).enumerated() {
            self.value |= UInt64(self.isCaseless ? ASCII.lowercased(octet) : octet) << UInt64(8 * place)
            self.mask |= 0xFF << UInt64(8 * place)
        }
    }

    @inline(__always)
    func allows(_ key: Key) -> Bool {
        (self.isCaseless ? key.lowercased : key.word) & self.mask == self.value
    }

    /// What a pattern begins with that stands for itself in either kind of pattern, and is there exactly once.
    private static func literal(_ pattern: Substring.UTF8View) -> [UInt8] {
        var scanner = ByteScanner(Substring(pattern))
        var literal: [UInt8] = []
        while var octet = scanner.next() {
            if octet == UInt8(ascii: "\\") {
                guard let escaped = scanner.next(), "./-[]()*+?$^{}|\\".utf8.contains(escaped) else { break }
                octet = escaped
            } else {
                guard ASCII.isAlphanumeric(octet) || "-_:@,;=~%&<>/ \"'".utf8.contains(octet) else { break }
            }
            // What may be missing or come again is no part of it.
            if let next = scanner.peek, "*?+{".utf8.contains(next) { break }
            literal.append(octet)
        }
        return literal
    }

    /// Whether there is a `|` that no group surely holds.
    private static func hasAlternatives(_ pattern: String) -> Bool {
        var scanner = ByteScanner(pattern)
        var depth = 0
        while let octet = scanner.next() {
            switch octet {
            case UInt8(ascii: "\\"): if scanner.next() == UInt8(ascii: "Q") { return true }
            // Brackets can hold signs that look like groups: where there are both, this does not go into it.
            case UInt8(ascii: "["): if pattern.utf8.contains(UInt8(ascii: "|")) { return true }
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"): depth -= 1
            case UInt8(ascii: "|") where depth <= 0: return true
            default: break
            }
        }
        return false
    }
}
