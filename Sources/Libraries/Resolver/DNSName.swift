/// A domain name in lower case: DNS compares names without regard to the case of A to Z (RFC 4343).
package struct DNSName: Hashable, Sendable {
    /// Presentation form without the trailing dot; the root is `.`.
    ///
    /// A dot or backslash inside a label has a backslash in front of it, and an octet that is no printable ASCII
    /// character is written `\DDD` (RFC 1035 §5.1), so that the text is always printable.
    package let text: String

    package static let root = DNSName(checked: ".")

    fileprivate init(checked text: String) { self.text = text }

    /// Reads presentation form, with or without the trailing dot; nil if it is no domain name. Anything printable
    /// may stand in a label, not only what a host name may hold. Other alphabets must come as A-labels.
    package init?(_ text: some StringProtocol) {
        guard !text.utf8.elementsEqual(".".utf8) else {
            self = .root
            return
        }
        var builder = Builder()
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            switch byte {
            case UInt8(ascii: "."):
                guard builder.endLabel() else { return nil }
            case UInt8(ascii: "\\"):
                guard let octet = Self.escapedOctet(&bytes), builder.append(octet) else { return nil }
            case 0x21...0x7E:
                guard builder.append(byte) else { return nil }
            default: return nil
            }
        }
        guard let name = builder.finish() else { return nil }
        self = name
    }

    /// What stands behind a backslash: three decimal digits or the character itself.
    private static func escapedOctet(_ bytes: inout some IteratorProtocol<UInt8>) -> UInt8? {
        guard let first = bytes.next(), 0x20...0x7E ~= first else { return nil }
        guard Self.isDigit(first) else { return first }
        guard let second = bytes.next(), let third = bytes.next(), Self.isDigit(second), Self.isDigit(third) else {
            return nil
        }
        let value = Int(first - 0x30) * 100 + Int(second - 0x30) * 10 + Int(third - 0x30)
        return UInt8(exactly: value)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
}

extension DNSName: CustomStringConvertible {
    package var description: String { self.text }
}

extension DNSName {
    /// Puts a name together octet by octet and keeps to the limits of RFC 1035 §2.3.4.
    struct Builder {
        static let maximumLabelBytes = 63
        /// On the wire: each label with its length octet, and the root label.
        static let maximumWireBytes = 255

        private var text: [UInt8] = []
        private var labelBytes = 0
        private var wireBytes = 1

        /// - Returns: false if the label or the name becomes too long; the builder is then useless.
        mutating func append(_ octet: UInt8) -> Bool {
            if self.labelBytes == 0 {
                if !self.text.isEmpty { self.text.append(UInt8(ascii: ".")) }
                self.wireBytes += 1
            }
            self.labelBytes += 1
            self.wireBytes += 1
            switch octet {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): self.text.append(octet | 0x20)
            case UInt8(ascii: "."), UInt8(ascii: "\\"): self.text += [UInt8(ascii: "\\"), octet]
            case 0x21...0x7E: self.text.append(octet)
            default: self.text += [UInt8(ascii: "\\"), 0x30 + octet / 100, 0x30 + octet / 10 % 10, 0x30 + octet % 10]
            }
            return self.labelBytes <= Self.maximumLabelBytes && self.wireBytes <= Self.maximumWireBytes
        }

        /// - Returns: false if the label is empty.
        mutating func endLabel() -> Bool {
            defer { self.labelBytes = 0 }
            return self.labelBytes > 0
        }

        /// The name; nil if it has no label.
        func finish() -> DNSName? {
            self.text.isEmpty ? nil : DNSName(checked: String(decoding: self.text, as: UTF8.self))
        }
    }
}
