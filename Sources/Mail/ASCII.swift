/// Classes of octets, for parsers that work on bytes. Nothing here depends on a locale or on Unicode.
package enum ASCII {
    package static let carriageReturn = UInt8(ascii: "\r")
    package static let lineFeed = UInt8(ascii: "\n")
    package static let space = UInt8(ascii: " ")
    package static let tab = UInt8(ascii: "\t")
    package static let dot = UInt8(ascii: ".")

    @inlinable package static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    @inlinable package static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    @inlinable package static func isAlphanumeric(_ byte: UInt8) -> Bool { Self.isDigit(byte) || Self.isLetter(byte) }

    @inlinable package static func isHexDigit(_ byte: UInt8) -> Bool {
        Self.isDigit(byte) || (byte | 0x20) &- 0x61 < 6
    }

    /// 0 to 15; nil for what is not a hexadecimal digit.
    @inlinable package static func hexValue(_ byte: UInt8) -> UInt8? {
        Self.isDigit(byte) ? byte &- 0x30 : (byte | 0x20) &- 0x61 < 6 ? (byte | 0x20) &- 0x57 : nil
    }

    /// Space or tab.
    @inlinable package static func isBlank(_ byte: UInt8) -> Bool { byte == Self.space || byte == Self.tab }

    /// Control characters, DEL included.
    @inlinable package static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x7F }

    @inlinable package static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    @inlinable package static func uppercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x61 < 26 ? byte & 0xDF : byte
    }
}

extension StringProtocol {
    /// A to Z made small; everything else, other alphabets included, stays as it is.
    package var asciiLowercased: String {
        guard self.utf8.contains(where: { $0 &- 0x41 < 26 }) else { return String(self) }
        return String(decoding: self.utf8.map(ASCII.lowercased), as: UTF8.self)
    }

    /// Equal but for the case of A to Z.
    package func equalsIgnoringCase(_ other: some StringProtocol) -> Bool {
        self.utf8.elementsEqual(other.utf8) { ASCII.lowercased($0) == ASCII.lowercased($1) }
    }

    package var isASCII: Bool { self.utf8.allSatisfy { $0 < 0x80 } }
}
