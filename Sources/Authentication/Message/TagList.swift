internal import Mail

/// A list of `tag=value` with semicolons between (RFC 6376 §3.2), of a signature or a key record.
package struct TagList: Hashable, Sendable {
    package struct Tag: Hashable, Sendable {
        /// Case matters.
        package let name: String
        /// Without white space around it; inside it stays.
        package let value: String
        /// From behind the `=` to the semicolon or the end, white space included.
        package let range: Range<Int>
    }

    package enum Problem: Error, Hashable, Sendable {
        case malformed
        case duplicate(String)
    }

    package let tags: [Tag]

    /// - Parameter bytes: ranges of tags are in its indices. CR and LF count as white space, wherever they stand: a
    ///   field has them in folds only, and in a key record they do no harm.
    package init(_ bytes: ArraySlice<UInt8>) throws(Problem) {
        var tags: [Tag] = []
        var start = bytes.startIndex
        while true {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: ";")) ?? bytes.endIndex
            let isLast = end == bytes.endIndex
            // A semicolon may follow the last tag.
            if isLast, !tags.isEmpty, bytes[start...].allSatisfy(Self.isSpace) { break }
            let tag = try Self.tag(bytes[start..<end])
            guard !tags.contains(where: { $0.name == tag.name }) else { throw .duplicate(tag.name) }
            guard tags.count < Self.maximumTags else { throw .malformed }
            tags.append(tag)
            if isLast { break }
            start = end + 1
        }
        self.tags = tags
    }

    /// No standard has half as many.
    private static let maximumTags = 64

    private static func tag(_ bytes: ArraySlice<UInt8>) throws(Problem) -> Tag {
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else { throw .malformed }
        let name = Self.trimmed(bytes[..<equals])
        let value = Self.trimmed(bytes[(equals + 1)...])
        guard let first = name.first, ASCII.isLetter(first), name.allSatisfy(Self.isNameByte),
            value.allSatisfy({ !ASCII.isControl($0) || Self.isSpace($0) }),
            let text = String(validating: value, as: UTF8.self)
        else { throw .malformed }
        return Tag(
            name: String(decoding: name, as: UTF8.self), value: text, range: (equals + 1)..<bytes.endIndex)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool { ASCII.isAlphanumeric(byte) || byte == UInt8(ascii: "_") }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var bytes = bytes
        while let first = bytes.first, Self.isSpace(first) { bytes.removeFirst() }
        while let last = bytes.last, Self.isSpace(last) { bytes.removeLast() }
        return bytes
    }

    fileprivate static func isSpace(_ byte: UInt8) -> Bool {
        ASCII.isBlank(byte) || byte == ASCII.carriageReturn || byte == ASCII.lineFeed
    }

    package func tag(_ name: String) -> Tag? { self.tags.first { $0.name == name } }

    package subscript(name: String) -> String? { self.tag(name)?.value }

    /// A value that means the same with white space in it: base64, or a list.
    package func compact(_ name: String) -> String? {
        self[name].map { value in
            String(decoding: value.utf8.filter { !Self.isSpace($0) }, as: UTF8.self)
        }
    }

    /// The items of a list with colons between; nil if there is no such tag.
    package func list(_ name: String) -> [String]? {
        self.compact(name)?.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    }

    /// A decimal number, saturating; `.some(nil)` is none, or too long to be one.
    package func number(_ name: String, maximumDigits: Int) -> Int64?? {
        guard let value = self[name] else { return nil }
        guard (1...maximumDigits).contains(value.utf8.count), value.utf8.allSatisfy(ASCII.isDigit) else {
            return .some(nil)
        }
        return .some(Int64(value) ?? .max)
    }
}
