/// A pattern in which `*` stands for any text; the case of A to Z does not matter.
package struct Wildcard: Hashable, Sendable {
    /// What stands between the asterisks, in small letters.
    private let parts: [[UInt8]]

    package init(_ pattern: some StringProtocol) {
        self.parts = Self.lowercased(pattern).split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
            .map(Array.init)
    }

    /// The longest text without asterisks, in small letters: whatever matches contains it.
    package var longestPart: [UInt8] { self.parts.max { $0.count < $1.count } ?? [] }

    package func matches(_ text: some StringProtocol) -> Bool {
        var rest = Self.lowercased(text)[...]
        guard let first = self.parts.first, let last = self.parts.last, rest.starts(with: first) else { return false }
        guard self.parts.count > 1 else { return rest.count == first.count }
        rest = rest.dropFirst(first.count)
        for part in self.parts.dropFirst().dropLast() where !part.isEmpty {
            guard let start = rest.indices.first(where: { rest[$0...].starts(with: part) }) else { return false }
            rest = rest[(start + part.count)...]
        }
        return rest.count >= last.count && rest.suffix(last.count).elementsEqual(last)
    }

    private static func lowercased(_ text: some StringProtocol) -> [UInt8] {
        var bytes = Array(text.utf8)
        for index in bytes.indices { bytes[index] = ASCII.lowercased(bytes[index]) }
        return bytes
    }
}
