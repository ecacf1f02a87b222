import Mail

/// What a line must look like to begin a field of a header, as Postfix sees it.
enum FieldSyntax {
    /// How many octets of the line are the field's name; nil if no field begins here.
    ///
    /// Any ASCII character that can be seen may be in a name, and blanks may follow it (RFC 5322 §4.5).
    static func nameLength(in line: some Collection<UInt8>) -> Int? {
        var length = 0
        var hasBlank = false
        for byte in line {
            switch byte {
            case UInt8(ascii: ":"): return length > 0 ? length : nil
            case ASCII.space, ASCII.tab:
                guard length > 0 else { return nil }
                hasBlank = true
            default:
                guard !hasBlank, byte < 0x80, !ASCII.isControl(byte) else { return nil }
                length += 1
            }
        }
        return nil
    }

    /// The name of an unfolded field in lower case.
    static func name(of field: [UInt8]) -> [UInt8] {
        guard let length = self.nameLength(in: field) else { return [] }
        return field[..<length].map(ASCII.lowercased)
    }

    /// Of these the rules for MIME headers are asked, wherever they stand.
    private static let mimeNames: Set<[UInt8]> = Set(
        [
            "content-description", "content-disposition", "content-id", "content-transfer-encoding", "content-type",
            "mime-version",
        ].map { Array($0.utf8) })

    static func isMIME(_ field: [UInt8]) -> Bool { self.mimeNames.contains(self.name(of: field)) }
}
