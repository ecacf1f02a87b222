/// Reads octets from left to right; what every hand-written parser here starts from.
package struct ByteScanner: Sendable {
    package let bytes: ArraySlice<UInt8>
    package private(set) var position: Int

    package init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        self.position = bytes.startIndex
    }

    package init(_ text: some StringProtocol) {
        self.init(Array(text.utf8)[...])
    }

    package var isAtEnd: Bool { self.position == self.bytes.endIndex }

    /// The octet that is read next; nil at the end.
    package var peek: UInt8? { self.isAtEnd ? nil : self.bytes[self.position] }

    package var rest: ArraySlice<UInt8> { self.bytes[self.position...] }

    package mutating func next() -> UInt8? {
        guard let byte = self.peek else { return nil }
        self.position += 1
        return byte
    }

    /// Reads this octet if it is the next one.
    package mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard self.peek == UInt8(ascii: character) else { return false }
        self.position += 1
        return true
    }

    /// Reads these octets, case of A to Z aside, if they come next.
    package mutating func skip(ignoringCase text: StaticString) -> Bool {
        let end = self.position + text.utf8CodeUnitCount
        guard end <= self.bytes.endIndex else { return false }
        let matches = text.withUTF8Buffer { expected in
            expected.indices.allSatisfy {
                ASCII.lowercased(self.bytes[self.position + $0]) == ASCII.lowercased(expected[$0])
            }
        }
        if matches { self.position = end }
        return matches
    }

    package mutating func read(while matches: (UInt8) -> Bool) -> ArraySlice<UInt8> {
        let start = self.position
        while self.position < self.bytes.endIndex, matches(self.bytes[self.position]) { self.position += 1 }
        return self.bytes[start..<self.position]
    }

    /// Everything that is left.
    package mutating func readAll() -> ArraySlice<UInt8> {
        defer { self.position = self.bytes.endIndex }
        return self.rest
    }
}

extension String {
    /// Octets that are valid UTF-8; nil for others.
    package init?(validatingUTF8 bytes: ArraySlice<UInt8>) {
        self.init(validating: bytes, as: UTF8.self)
    }
}
