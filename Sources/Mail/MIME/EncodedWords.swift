/// Decodes encoded words (RFC 2047 §2), also where they must not stand, such as in parameters, and with parts missing.
enum EncodedWords {
    /// - Returns: every text that a client may make of it; empty if there is no encoded word.
    static func texts(_ bytes: [UInt8]) -> [String] {
        guard let pieces = Self.pieces(of: bytes) else { return [] }
        var results: [String] = [""]
        for piece in pieces {
            let texts =
                piece.charset.map { Charset.texts(piece.bytes[...], charset: $0) } ?? [Charset.text(piece.bytes[...])]
            // Only UTF-16 without a mark has two; of many such words, those that agree are read as one.
            results = results.enumerated().flatMap { index, result in
                results.count == 1 ? texts.map { result + $0 } : [result + texts[min(index, texts.count - 1)]]
            }
        }
        return results
    }

    private struct Piece {
        /// nil for what is no encoded word.
        let charset: String?
        var bytes: [UInt8]
    }

    private static func pieces(of bytes: [UInt8]) -> [Piece]? {
        var pieces: [Piece] = []
        var rest = bytes[...]
        var hasWord = false
        while !rest.isEmpty {
            if let (word, behind) = Self.word(rest) {
                // Blanks between two words are not shown, and a character may be cut in two.
                if pieces.last?.charset == nil, pieces.last?.bytes.allSatisfy(Self.isBlank) ?? false, pieces.count > 1 {
                    pieces.removeLast()
                }
                if let last = pieces.last, last.charset == word.charset {
                    pieces[pieces.count - 1].bytes += word.bytes
                } else {
                    pieces.append(word)
                }
                hasWord = true
                rest = behind
                continue
            }
            let plain = rest.prefix(1) + rest.dropFirst().prefix { $0 != UInt8(ascii: "=") }
            if pieces.last.map({ $0.charset == nil }) ?? false {
                pieces[pieces.count - 1].bytes += plain
            } else {
                pieces.append(Piece(charset: nil, bytes: Array(plain)))
            }
            rest = rest.dropFirst(plain.count)
        }
        return hasWord ? pieces : nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        ASCII.isBlank(byte) || byte == ASCII.carriageReturn || byte == ASCII.lineFeed
    }

    /// Reads one, whose end may be missing.
    private static func word(_ bytes: ArraySlice<UInt8>) -> (Piece, behind: ArraySlice<UInt8>)? {
        var scanner = ByteScanner(bytes)
        guard scanner.skip("="), scanner.skip("?") else { return nil }
        let charset = scanner.read { $0 > ASCII.space && $0 != UInt8(ascii: "?") }
        guard !charset.isEmpty, scanner.skip("?"), let letter = scanner.next(), scanner.skip("?") else { return nil }
        let isBase64 = ASCII.lowercased(letter) == UInt8(ascii: "b")
        guard isBase64 || ASCII.lowercased(letter) == UInt8(ascii: "q") else { return nil }
        let text = Self.encodedText(scanner.rest)
        let behind = scanner.rest.dropFirst(text.count + 2)
        let decoded = isBase64 ? Base64Text.decode(text) : Self.decodeQ(text)
        return (Piece(charset: String(decoding: charset, as: UTF8.self).asciiLowercased, bytes: decoded), behind)
    }

    /// What stands before `?=`; that may also begin with the first `=` of a `=20`, which then belongs to the text.
    private static func encodedText(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if bytes[index] == UInt8(ascii: "?"), bytes[(index + 1)...].first == UInt8(ascii: "=") {
                return bytes[..<index]
            }
            index += 1
        }
        return bytes
    }

    private static func decodeQ(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        PercentText.decode(bytes, escape: UInt8(ascii: "=")).map { $0 == UInt8(ascii: "_") ? ASCII.space : $0 }
    }
}

/// Octets written with an escape and two hexadecimal digits.
enum PercentText {
    static func decode(_ bytes: ArraySlice<UInt8>, escape: UInt8 = UInt8(ascii: "%")) -> [UInt8] {
        var result: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            if byte == escape, let high = Self.value(rest.first), let low = Self.value(rest.dropFirst().first) {
                result.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                result.append(byte)
            }
        }
        return result
    }

    private static func value(_ digit: UInt8?) -> UInt8? {
        guard let digit, ASCII.isHexDigit(digit) else { return nil }
        return ASCII.isDigit(digit) ? digit & 15 : (digit & 15) + 9
    }
}
