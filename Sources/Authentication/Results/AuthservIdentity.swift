import Mail

/// Our authserv-id, and whether a field claims to have it.
struct AuthservIdentity: Sendable {
    /// In lower case, with A-labels if it is a domain.
    private let key: String

    init(_ authservID: String) {
        self.key = Self.key(authservID)
    }

    private static func key(_ text: String) -> String {
        let name = text.hasSuffix(".") ? text.dropLast() : text[...]
        return DomainName(name)?.ascii ?? name.asciiLowercased
    }

    /// Whether any reader could take the field for ours.
    ///
    /// Readers differ in what they do with comments, quotation marks and what is broken. To take out a field of nobody
    /// costs nothing, to leave one that a reader believes is what this is for. So our name may not stand anywhere before
    /// the first result, comments and quotations included.
    ///
    /// - Parameter rest: of the field, from behind its name.
    func isClaimed(by rest: ArraySlice<UInt8>) -> Bool {
        let value = rest.drop { $0 != UInt8(ascii: ":") }
        let isBlank = { (byte: UInt8) in ASCII.isBlank(byte) || byte == ASCII.carriageReturn || byte == ASCII.lineFeed }
        guard !value.isEmpty, rest[..<value.startIndex].allSatisfy(isBlank) else { return false }
        var reader = ResultsReader(Array(value.dropFirst()))
        if let text = reader.readValue(), Self.key(text) == self.key { return true }
        let beginning = Self.beforeResults(value.dropFirst())
        return self.isNamed(in: beginning) || self.isNamed(in: Self.withoutComments(beginning))
    }

    private enum Quotations: CaseIterable { case ignored, outsideComments, everywhere }

    /// What stands before the first equals sign that no reader takes for a part of a comment or quotation.
    private static func beforeResults(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let ends = Quotations.allCases.map { Self.endOfBeginning(bytes, $0) }
        return bytes[..<(ends.max() ?? bytes.endIndex)]
    }

    /// A parenthesis opens a comment in a comment even behind a backslash, and ends one only without: comments are never
    /// shorter to a reader.
    private static func endOfBeginning(_ bytes: ArraySlice<UInt8>, _ quotations: Quotations) -> Int {
        var (depth, isQuoted, isEscaped) = (0, false, false)
        for (place, byte) in zip(bytes.indices, bytes) {
            let wasEscaped = isEscaped
            isEscaped = byte == UInt8(ascii: "\\") && !wasEscaped
            switch byte {
            case UInt8(ascii: "\""):
                switch quotations {
                case .ignored: break
                case .outsideComments: if depth == 0, !wasEscaped || !isQuoted { isQuoted.toggle() }
                case .everywhere: if !wasEscaped { isQuoted.toggle() }
                }
            case UInt8(ascii: "(") where !isQuoted: depth += 1
            case UInt8(ascii: ")") where !isQuoted && !wasEscaped && depth > 0: depth -= 1
            case UInt8(ascii: "=") where !isQuoted && depth == 0: return place
            default: break
            }
        }
        return bytes.endIndex
    }

    /// Without each parenthesis that is closed and what stands between; one that is not closed is left.
    private static func withoutComments(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var rest: [UInt8] = []
        var starts: [Int] = []
        for byte in bytes {
            if byte == UInt8(ascii: "(") { starts.append(rest.count) }
            if byte == UInt8(ascii: ")"), let start = starts.popLast() {
                rest.removeSubrange(start...)
            } else {
                rest.append(byte)
            }
        }
        return rest[...]
    }

    /// Whether one of the runs of octets that a domain may have is our name. Quotation marks and backslashes stand in no
    /// such run, and part none.
    private func isNamed(in bytes: ArraySlice<UInt8>) -> Bool {
        let words = bytes.filter { $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }.split { byte in
            !ASCII.isAlphanumeric(byte) && byte < 0x80 && !"-._".utf8.contains(byte)
        }
        return words.contains { self.isNamed(by: $0) }
    }

    /// Most words are told by their length: a field has thousands, if a sender likes.
    private func isNamed(by word: ArraySlice<UInt8>) -> Bool {
        guard word.allSatisfy({ $0 < 0x80 }) else {
            return word.count <= 1024 && Self.key(String(decoding: word, as: UTF8.self)) == self.key
        }
        let name = word.last == ASCII.dot ? word.dropLast() : word
        return name.count == self.key.utf8.count && name.map(ASCII.lowercased).elementsEqual(self.key.utf8)
    }
}
