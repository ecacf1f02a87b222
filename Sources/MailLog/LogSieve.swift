import Mail

/// Says of a line, before it is taken apart, whether it may be one that is searched for: most of a log is read over.
///
/// It only looks for texts that such a line contains in whatever format, so what it lets pass is looked at again. Of
/// what ``isEncoded(_:)`` it knows nothing.
package struct LogSieve: Sendable {
    /// All of them have to be there; in the form in which octets are compared.
    private let texts: [[UInt8]]

    package init(_ query: LogQuery) {
        self.texts = query.terms.map { $0.necessaryText.map(Self.folded) }.filter { !$0.isEmpty }
    }

    package func passes(_ line: ArraySlice<UInt8>) -> Bool {
        self.texts.allSatisfy { Self.contains($0, in: line) }
    }

    /// Letters without their case; what else becomes the same is told apart later.
    private static func folded(_ byte: UInt8) -> UInt8 { byte | 0x20 }

    private static func contains(_ text: [UInt8], in line: ArraySlice<UInt8>) -> Bool {
        let (text, line) = (text.span, line.span)
        guard line.count >= text.count else { return false }
        for start in 0...(line.count - text.count) where Self.folded(line[start]) == text[0] {
            var length = 1
            while length < text.count, Self.folded(line[start + length]) == text[length] { length += 1 }
            if length == text.count { return true }
        }
        return false
    }

    /// Whether there is something in a line that is written by numbers: a list of octets in a record of the journal, a
    /// character in a quoted text. What that contains is seen only when it is taken apart.
    package static func isEncoded(_ line: ArraySlice<UInt8>) -> Bool {
        let isObject = line.first == UInt8(ascii: "{")
        let line = line.span
        var before: UInt8 = 0
        for place in 0..<line.count {
            let byte = line[place]
            if byte == UInt8(ascii: "u"), before == UInt8(ascii: "\\") { return true }
            if isObject, byte == UInt8(ascii: "["), before == UInt8(ascii: ":") { return true }
            before = byte
        }
        return false
    }
}

extension LogTerm {
    /// What each line that matches contains, the case of letters aside; empty if there is no such text.
    fileprivate var necessaryText: [UInt8] {
        switch self {
        case .address(let pattern, _), .domain(let pattern): Self.longestPlain(pattern.longestPart)
        case .client(let network): Array(Self.text(of: network).utf8)
        case .id(let text), .reference(let text), .session(let text), .idOrSession(let text):
            Self.longestPlain(Array(text.utf8))
        }
    }

    /// The longest run of octets that no format writes in another way.
    private static func longestPlain(_ text: [UInt8]) -> [UInt8] {
        let runs = text.split { byte in
            !ASCII.isAlphanumeric(byte) && !"@.-_+=".utf8.contains(byte)
        }
        return runs.max { $0.count < $1.count }.map(Array.init) ?? []
    }

    /// What all addresses of a network begin with.
    private static func text(of network: IPNetwork) -> String {
        let text = "\(network.base)"
        if network.prefixLength == network.base.width { return text }
        guard case .v4 = network.base else { return "" }
        return text.split(separator: ".").prefix(network.prefixLength / 8).map { "\($0)." }.joined()
    }
}
