import Mail

/// The encoding of RFC 3461 §4: printable ASCII, others and `+` and `=` as `+` with two hexadecimal digits.
package enum XText {
    package static func encode(_ text: some StringProtocol) -> String {
        var output: [UInt8] = []
        for byte in text.utf8 {
            if byte > ASCII.space, byte < 0x7F, byte != UInt8(ascii: "+"), byte != UInt8(ascii: "=") {
                output.append(byte)
            } else {
                output.append(UInt8(ascii: "+"))
                output += Self.hexadecimal(byte)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// The octets encoded; nil if the text is not xtext.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var scanner = ByteScanner(text)
        var output: [UInt8] = []
        while let byte = scanner.next() {
            guard byte > ASCII.space, byte < 0x7F, byte != UInt8(ascii: "=") else { return nil }
            guard byte == UInt8(ascii: "+") else {
                output.append(byte)
                continue
            }
            guard let high = scanner.next(), let low = scanner.next(), let octet = Self.octet(high, low) else {
                return nil
            }
            output.append(octet)
        }
        return output
    }

    private static func hexadecimal(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    /// RFC 3461 wants capital letters; small ones are read too.
    private static func octet(_ high: UInt8, _ low: UInt8) -> UInt8? {
        guard ASCII.isHexDigit(high), ASCII.isHexDigit(low) else { return nil }
        return UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16)
    }
}

/// The value of ORCPT: whom the sender meant (RFC 3461 §4.2, RFC 6533 §3).
package struct OriginalRecipient: Hashable, Sendable {
    /// `rfc822`, `utf-8` or another registered type, as sent.
    package let addressType: String
    /// The address, decoded.
    package let address: String

    /// Reads the value of the parameter; nil if it cannot be understood or would not be printable.
    package init?(_ text: String) {
        guard let separator = text.utf8.firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let type = text[..<separator]
        let encoded = text[text.index(after: separator)...]
        guard (1...64).contains(type.utf8.count), !encoded.isEmpty,
            type.utf8.allSatisfy({ ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "-") })
        else { return nil }
        self.addressType = String(type)
        let decoded = type.equalsIgnoringCase("utf-8") ? Self.decodeUTF8Address(encoded) : Self.decodeXText(encoded)
        guard let decoded, decoded == decoded.printable(maximumBytes: 1000) else { return nil }
        self.address = decoded
    }

    /// A value of the type `utf-8` as every server can take it, whether or not it offers SMTPUTF8 (RFC 6533 §3).
    package static func asciiForm(of text: String) -> String {
        guard !text.isASCII else { return text }
        return text.unicodeScalars.map {
            $0.isASCII ? String($0) : "\\x{\(String($0.value, radix: 16, uppercase: true))}"
        }
        .joined()
    }

    private static func decodeXText(_ text: Substring) -> String? {
        XText.decode(text).flatMap { String(validatingUTF8: $0[...]) }
    }

    /// RFC 6533 §3: `\x{20AC}` stands for a code point; UTF-8 may also be there as it is.
    private static func decodeUTF8Address(_ text: Substring) -> String? {
        var result = ""
        var rest = text
        while let backslash = rest.firstIndex(of: "\\") {
            result += rest[..<backslash]
            let escape = rest[backslash...]
            guard escape.hasPrefix("\\x{"), let end = escape.firstIndex(of: "}"),
                let code = UInt32(escape[escape.index(escape.startIndex, offsetBy: 3)..<end], radix: 16),
                let scalar = Unicode.Scalar(code)
            else { return nil }
            result.unicodeScalars.append(scalar)
            rest = escape[escape.index(after: end)...]
        }
        // An xtext address under the type `utf-8` occurs as well.
        result += rest
        return result
    }
}
