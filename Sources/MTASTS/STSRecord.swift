import Mail

/// The TXT record at `_mta-sts.` and a domain (RFC 8461 §3.1): there is a policy, and which version of it.
package struct STSRecord: Hashable, Sendable {
    /// 1 to 32 letters and digits; another one means another policy.
    package let id: String

    /// Nil for what is no valid record. Of a field that is repeated the first counts (RFC 8461 §3.2).
    ///
    /// - Parameter bytes: the strings of the record, joined without anything between them.
    package init?(_ bytes: [UInt8]) {
        guard Self.isSTS(bytes) else { return nil }
        var fields = bytes.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false).dropFirst()
        // One delimiter may stand at the end.
        if let last = fields.last, STSSyntax.trimmed(last).isEmpty { fields = fields.dropLast() }
        var id: String?
        for field in fields {
            let parts = STSSyntax.trimmed(field).split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, STSSyntax.isName(parts[0]) else { return nil }
            if parts[0].elementsEqual("id".utf8) {
                guard (1...32).contains(parts[1].count), parts[1].allSatisfy(ASCII.isAlphanumeric) else { return nil }
                id = id ?? String(decoding: parts[1], as: UTF8.self)
            } else {
                guard !parts[1].isEmpty, parts[1].allSatisfy(Self.isExtensionValue) else { return nil }
            }
        }
        guard let id else { return nil }
        self.id = id
    }

    /// The one of all TXT records of the name. Those of something else do not count; with two there is none.
    ///
    /// - Parameter records: each with its strings.
    package static func find(in records: [[[UInt8]]]) -> STSRecord? {
        let candidates = records.map { Array($0.joined()) }.filter(Self.isSTS)
        return candidates.count == 1 ? STSRecord(candidates[0]) : nil
    }

    /// Whether it begins with `v=STSv1` and a delimiter.
    private static func isSTS(_ bytes: [UInt8]) -> Bool {
        let version = Array("v=STSv1".utf8)
        return bytes.starts(with: version)
            && bytes.dropFirst(version.count).first { !ASCII.isBlank($0) } == UInt8(ascii: ";")
    }

    /// Printable, without `=`, `;` and blank.
    private static func isExtensionValue(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "=") && byte != UInt8(ascii: ";")
    }
}

enum STSSyntax {
    /// Without blanks around it.
    static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let rest = bytes.drop(while: ASCII.isBlank)
        guard let last = rest.lastIndex(where: { !ASCII.isBlank($0) }) else { return [] }
        return rest[...last]
    }

    /// Of a field: a letter or digit, and up to 31 more with `_`, `-` and `.` (RFC 8461 §3.1, §3.2).
    static func isName(_ bytes: some Collection<UInt8>) -> Bool {
        guard let first = bytes.first, ASCII.isAlphanumeric(first), bytes.count <= 32 else { return false }
        return bytes.allSatisfy { byte in
            ASCII.isAlphanumeric(byte) || [UInt8(ascii: "_"), UInt8(ascii: "-"), ASCII.dot].contains(byte)
        }
    }
}
