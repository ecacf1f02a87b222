internal import Mail

/// What servers of one name found out, from the Authentication-Results fields of a header (RFC 8601 §2.2).
///
/// It is for what this administration wrote itself: fields that claim its name must have been taken out where the
/// message came in.
package enum AuthenticationResultsText {
    /// The results of all fields of a server, such as `spf=pass smtp.mailfrom=a@b`, from the top.
    ///
    /// - Parameter authservID: compared without regard to case.
    package static func results(in header: MessageHeader, of authservID: String) -> [String] {
        header.fields(named: "authentication-results").flatMap { field -> [String] in
            let parts = Self.parts(field.value)
            guard let first = parts.first, Self.authservID(first).equalsIgnoringCase(authservID) else { return [] }
            return parts.dropFirst().filter { !$0.isEmpty && !$0.equalsIgnoringCase("none") }
        }
    }

    /// The identifier, without comments before it and a version behind it.
    private static func authservID(_ text: String) -> Substring {
        var rest = text.utf8[...]
        var depth = 0
        while let byte = rest.first, depth > 0 || byte == UInt8(ascii: "(") || ASCII.isBlank(byte) {
            if byte == UInt8(ascii: "(") { depth += 1 }
            if byte == UInt8(ascii: ")") { depth -= 1 }
            rest.removeFirst()
        }
        let word = rest.prefix { !ASCII.isBlank($0) && $0 != UInt8(ascii: "(") }
        return Substring(word).trimmingQuotes
    }

    /// Pieces between semicolons that stand in neither comments nor quoted strings, unfolded.
    private static func parts(_ value: ArraySlice<UInt8>) -> [String] {
        var parts: [[UInt8]] = [[]]
        var (depth, isQuoted, isEscaped) = (0, false, false)
        for byte in value where byte != ASCII.carriageReturn && byte != ASCII.lineFeed {
            let isSeparator = byte == UInt8(ascii: ";") && depth == 0 && !isQuoted
            if isSeparator {
                parts.append([])
                continue
            }
            if isEscaped {
                isEscaped = false
            } else {
                switch byte {
                case UInt8(ascii: "\\"): isEscaped = isQuoted || depth > 0
                case UInt8(ascii: "\"") where depth == 0: isQuoted.toggle()
                case UInt8(ascii: "(") where !isQuoted: depth += 1
                case UInt8(ascii: ")") where !isQuoted && depth > 0: depth -= 1
                default: break
                }
            }
            parts[parts.count - 1].append(byte)
        }
        return parts.map { part in
            part.split(whereSeparator: ASCII.isBlank).map { String(decoding: $0, as: UTF8.self) }
                .joined(separator: " ")
        }
    }
}

extension Substring {
    fileprivate var trimmingQuotes: Substring {
        self.count >= 2 && self.first == "\"" && self.last == "\"" ? self.dropFirst().dropLast() : self
    }
}
