import Mail

/// A JSON object whose members are told apart no deeper than a log needs: texts, numbers and lists of octets. What lies
/// deeper is read over.
enum FlatJSON {
    enum Value: Hashable {
        case text(String)
        /// As it is written.
        case number(String)
        /// How journalctl writes what is not UTF-8.
        case octets([UInt8])
        case other

        /// What a field holds; nil for what cannot stand in a line.
        var text: String? {
            switch self {
            case .text(let text), .number(let text): text
            case .octets(let bytes): String(decoding: bytes, as: UTF8.self)
            case .other: nil
            }
        }
    }

    struct Member: Hashable {
        let key: String
        let value: Value
    }

    /// Levels of nesting that are read over.
    private static let maximumDepth = 32

    static func object(_ bytes: [UInt8]) -> [Member]? {
        var position = 0
        Self.skipBlanks(bytes, &position)
        guard Self.take("{", bytes, &position) else { return nil }
        var members: [Member] = []
        Self.skipBlanks(bytes, &position)
        if !Self.take("}", bytes, &position) {
            repeat {
                guard let member = Self.member(bytes, &position) else { return nil }
                members.append(member)
                Self.skipBlanks(bytes, &position)
            } while Self.take(",", bytes, &position)
            guard Self.take("}", bytes, &position) else { return nil }
        }
        Self.skipBlanks(bytes, &position)
        return position == bytes.count ? members : nil
    }

    private static func member(_ bytes: [UInt8], _ position: inout Int) -> Member? {
        Self.skipBlanks(bytes, &position)
        guard Self.take("\"", bytes, &position), let key = Self.string(bytes, &position) else { return nil }
        Self.skipBlanks(bytes, &position)
        guard Self.take(":", bytes, &position), let value = Self.value(bytes, &position, depth: 0) else { return nil }
        return Member(key: key, value: value)
    }

    private static func value(_ bytes: [UInt8], _ position: inout Int, depth: Int) -> Value? {
        Self.skipBlanks(bytes, &position)
        guard position < bytes.count, depth < Self.maximumDepth else { return nil }
        switch bytes[position] {
        case UInt8(ascii: "\""):
            position += 1
            return Self.string(bytes, &position).map { .text($0) }
        case UInt8(ascii: "["):
            position += 1
            return Self.list(bytes, &position, depth: depth + 1)
        case UInt8(ascii: "{"):
            position += 1
            return Self.nested(bytes, &position, depth: depth + 1)
        case _:
            let start = position
            while position < bytes.count, ASCII.isAlphanumeric(bytes[position]) || "+-.".utf8.contains(bytes[position])
            {
                position += 1
            }
            let word = String(decoding: bytes[start..<position], as: UTF8.self)
            if ["true", "false", "null"].contains(word) { return .other }
            guard let first = word.utf8.first, ASCII.isDigit(first) || first == UInt8(ascii: "-"), Double(word) != nil
            else { return nil }
            return .number(word)
        }
    }

    /// The first text of a list of texts, as journalctl writes a field that was given twice; or octets.
    private static func list(_ bytes: [UInt8], _ position: inout Int, depth: Int) -> Value? {
        Self.skipBlanks(bytes, &position)
        guard !Self.take("]", bytes, &position) else { return .other }
        var values: [Value] = []
        repeat {
            guard let value = Self.value(bytes, &position, depth: depth) else { return nil }
            values.append(value)
            Self.skipBlanks(bytes, &position)
        } while Self.take(",", bytes, &position)
        guard Self.take("]", bytes, &position) else { return nil }
        if case .text = values.first { return values.first }
        let octets = values.compactMap { value -> UInt8? in
            if case .number(let text) = value { UInt8(text) } else { nil }
        }
        return octets.count == values.count ? .octets(octets) : .other
    }

    private static func nested(_ bytes: [UInt8], _ position: inout Int, depth: Int) -> Value? {
        Self.skipBlanks(bytes, &position)
        guard !Self.take("}", bytes, &position) else { return .other }
        repeat {
            Self.skipBlanks(bytes, &position)
            guard Self.take("\"", bytes, &position), Self.string(bytes, &position) != nil else { return nil }
            Self.skipBlanks(bytes, &position)
            guard Self.take(":", bytes, &position), Self.value(bytes, &position, depth: depth) != nil else {
                return nil
            }
            Self.skipBlanks(bytes, &position)
        } while Self.take(",", bytes, &position)
        return Self.take("}", bytes, &position) ? .other : nil
    }

    private static func skipBlanks(_ bytes: [UInt8], _ position: inout Int) {
        while position < bytes.count, ASCII.isBlank(bytes[position]) || [13, 10].contains(bytes[position]) {
            position += 1
        }
    }

    private static func take(_ character: Unicode.Scalar, _ bytes: [UInt8], _ position: inout Int) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    // MARK: Strings

    /// Reads what follows a quotation mark, and the mark that ends it. The text format quotes in the same way.
    static func string(_ bytes: [UInt8], _ position: inout Int) -> String? {
        var output: [UInt8] = []
        var start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                defer { position += 1 }
                guard !output.isEmpty else { return String(decoding: bytes[start..<position], as: UTF8.self) }
                return String(decoding: output + bytes[start..<position], as: UTF8.self)
            case UInt8(ascii: "\\"):
                output += bytes[start..<position]
                position += 1
                guard let scalar = Self.escaped(bytes, &position) else { return nil }
                output += Array(String(scalar).utf8)
                start = position
            case ..<0x20: return nil
            case _: position += 1
            }
        }
        return nil
    }

    private static func escaped(_ bytes: [UInt8], _ position: inout Int) -> Unicode.Scalar? {
        guard position < bytes.count else { return nil }
        defer { position += 1 }
        switch bytes[position] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(bytes[position])
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard let first = Self.hexadecimal(bytes, &position) else { return nil }
            guard (0xD800..<0xE000).contains(first) else { return Unicode.Scalar(first) }
            // The other half of a pair; alone they are no character.
            guard first < 0xDC00, position + 2 < bytes.count, bytes[position + 1] == UInt8(ascii: "\\"),
                bytes[position + 2] == UInt8(ascii: "u")
            else { return "\u{FFFD}" }
            var ahead = position + 2
            guard let second = Self.hexadecimal(bytes, &ahead), (0xDC00..<0xE000).contains(second) else {
                return "\u{FFFD}"
            }
            position = ahead
            return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        case _: return nil
        }
    }

    /// Four digits behind the position, which goes to the last of them.
    private static func hexadecimal(_ bytes: [UInt8], _ position: inout Int) -> UInt32? {
        guard position + 4 < bytes.count else { return nil }
        let digits = bytes[position + 1...position + 4]
        guard digits.allSatisfy(ASCII.isHexDigit) else { return nil }
        position += 4
        return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
