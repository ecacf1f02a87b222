/// Charsets that names come in. Others are read as what they have in common, ASCII.
enum Charset {
    /// What a client may make of octets that are said to be in a charset; more than one text if clients differ.
    static func texts(_ bytes: ArraySlice<UInt8>, charset: String) -> [String] {
        switch Self.folded(charset) {
        case "utf16", "ucs2", "iso10646ucs2", "unicode": Self.utf16(bytes)
        case "utf16le": [Self.utf16(bytes, isLittleEndian: true)]
        case "utf16be": [Self.utf16(bytes, isLittleEndian: false)]
        case "utf32", "utf32le", "utf32be", "ucs4": [Self.text(bytes.filter { $0 != 0 }[...])]
        case "utf7", "unicode11utf7": [Self.utf7(bytes), Self.text(bytes)]
        case "iso88591", "latin1", "l1", "iso885915", "windows1252", "cp1252": [Self.windows1252(bytes)]
        default: [Self.text(bytes)]
        }
    }

    /// Letters and digits, small, without a language (RFC 2231 §5).
    private static func folded(_ name: String) -> String {
        let base = name.utf8.prefix { $0 != UInt8(ascii: "*") }
        return String(decoding: base.map(ASCII.lowercased).filter(ASCII.isAlphanumeric), as: UTF8.self)
    }

    /// UTF-8, and what is none as Windows-1252, as most clients guess.
    static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(validatingUTF8: bytes) ?? Self.windows1252(bytes)
    }

    private static let high: [UInt16] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
        0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x9D, 0x017E, 0x0178,
    ]

    /// ISO 8859-1 differs only where it has control characters, and clients take it for Windows-1252 there.
    private static func windows1252(_ bytes: ArraySlice<UInt8>) -> String {
        let units = bytes.map { (0x80..<0xA0).contains($0) ? Self.high[Int($0) - 0x80] : UInt16($0) }
        return String(decoding: units, as: UTF16.self)
    }

    /// With a mark in front its order is known; else by where the zeros stand, and both if that does not tell.
    private static func utf16(_ bytes: ArraySlice<UInt8>) -> [String] {
        if bytes.starts(with: [0xFF, 0xFE]) { return [Self.utf16(bytes.dropFirst(2), isLittleEndian: true)] }
        if bytes.starts(with: [0xFE, 0xFF]) { return [Self.utf16(bytes.dropFirst(2), isLittleEndian: false)] }
        let zeros = bytes.indices.filter { bytes[$0] == 0 }
        let even = zeros.count { ($0 - bytes.startIndex) % 2 == 0 }
        let order = even == zeros.count - even ? [false, true] : [even < zeros.count - even]
        return order.map { Self.utf16(bytes, isLittleEndian: $0) }
    }

    private static func utf16(_ bytes: ArraySlice<UInt8>, isLittleEndian: Bool) -> String {
        let list = Array(bytes)
        let units = stride(from: 0, to: list.count - list.count % 2, by: 2).map { index in
            isLittleEndian
                ? UInt16(list[index]) | UInt16(list[index + 1]) << 8
                : UInt16(list[index]) << 8 | UInt16(list[index + 1])
        }
        return String(decoding: units, as: UTF16.self)
    }

    /// RFC 2152.
    private static func utf7(_ bytes: ArraySlice<UInt8>) -> String {
        var text = ""
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "+") else {
                text.unicodeScalars.append(Unicode.Scalar(byte))
                continue
            }
            let letters = rest.prefix { ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "+") }
            rest = rest.dropFirst(letters.count)
            if letters.isEmpty { text += "+" }
            text += Self.utf16(Base64Text.decode(letters)[...], isLittleEndian: false)
            if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        }
        return text
    }
}

/// Base64 of a few octets.
enum Base64Text {
    static func decode(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var decoder = Base64Decoder(canFork: false)
        var result: [UInt8] = []
        var rest = bytes
        repeat {
            let piece = rest.prefix(DecodedBytes.inputBytes)
            rest = rest.dropFirst(piece.count)
            withUnsafeTemporaryAllocation(byteCount: piece.count + 64, alignment: 1) { room in
                var output = DecodedBytes(room)
                piece.withUnsafeBytes { _ = decoder.decode($0, &output) }
                if rest.isEmpty { decoder.finish(&output) }
                result += output.bytes
            }
        } while !rest.isEmpty
        return result
    }
}
