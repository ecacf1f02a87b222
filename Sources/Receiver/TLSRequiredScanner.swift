import Mail

/// Finds out whether a header says `TLS-Required: No` (RFC 8689 §5), in pieces of any size.
///
/// Costs a look at each line's beginning, and nothing once the body has begun. Keeps no more of a field than it takes
/// to know that it says something else.
package struct TLSRequiredScanner: Sendable {
    private enum Place {
        /// In the name of a field, as far as it could be ours.
        case name(matched: Int)
        case otherField
        case value
        /// At the beginning of a line: the field before it may go on.
        case lineStart(isOurs: Bool)
        /// Behind CR at the beginning of a line.
        case emptyLine
        case body
    }

    private var place = Place.lineStart(isOurs: false)
    private var value: [UInt8] = []
    private var fields = 0

    private static let name = Array("tls-required:".utf8)
    /// What is longer than `No` with a blank before and behind it is something else.
    private static let maximumValueBytes = 5

    package init() {}

    /// At the end of the header: there is one such field, and it says No. What else it could say has no meaning yet.
    package var saysNo: Bool { self.fields == 1 && self.isNo }

    private var isNo: Bool {
        let words = self.value.split(separator: ASCII.space)
        return words.count == 1 && words[0].map(ASCII.lowercased).elementsEqual("no".utf8)
    }

    /// Takes the next octets of the content, whose lines end in CRLF.
    package mutating func scan(_ bytes: ArraySlice<UInt8>) {
        for byte in bytes {
            if case .body = self.place { return }
            self.scan(byte)
        }
    }

    private mutating func scan(_ byte: UInt8) {
        switch self.place {
        case .body: break
        case .lineStart(let isOurs):
            if ASCII.isBlank(byte) {
                self.place = isOurs ? .value : .otherField
                if isOurs { self.keep(byte) }
            } else if byte == ASCII.carriageReturn {
                self.place = .emptyLine
            } else {
                self.place = .name(matched: 0)
                self.matchName(byte, 0)
            }
        case .emptyLine: self.place = byte == ASCII.lineFeed ? .body : .otherField
        case .name(let matched): self.matchName(byte, matched)
        case .otherField: if byte == ASCII.lineFeed { self.place = .lineStart(isOurs: false) }
        case .value:
            if byte == ASCII.lineFeed { self.place = .lineStart(isOurs: true) } else { self.keep(byte) }
        }
    }

    /// A name may be followed by blanks before its colon, in old messages (RFC 5322 §4.5.8).
    private mutating func matchName(_ byte: UInt8, _ matched: Int) {
        if ASCII.isBlank(byte), matched == Self.name.count - 1 { return }
        if byte == ASCII.lineFeed {
            self.place = .lineStart(isOurs: false)
        } else if ASCII.lowercased(byte) != Self.name[matched] {
            self.place = .otherField
        } else if matched + 1 == Self.name.count {
            self.fields += 1
            self.value = []
            self.place = .value
        } else {
            self.place = .name(matched: matched + 1)
        }
    }

    /// Blanks in a row, and ends of folded lines, are one blank.
    private mutating func keep(_ byte: UInt8) {
        let isBlank = ASCII.isBlank(byte) || byte == ASCII.carriageReturn
        guard self.value.count < Self.maximumValueBytes, !isBlank || self.value.last != ASCII.space else { return }
        self.value.append(isBlank ? ASCII.space : byte)
    }
}
