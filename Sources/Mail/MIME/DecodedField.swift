/// A header field as mail clients show it, for rules that are to see what people will see.
package enum DecodedField {
    /// Decodes encoded words (RFC 2047), and puts behind a field with file names every name that a client might show
    /// (RFC 2231), each as `; filename="..."`.
    ///
    /// - Parameter field: unfolded, `Name: value`.
    /// - Returns: nil if there is nothing to decode.
    package static func decode(_ field: [UInt8]) -> [UInt8]? {
        guard let colon = field.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let name = String(decoding: field[..<colon], as: UTF8.self)
        let value = Array(field[(colon + 1)...])
        let text = self.text(of: value)
        let names = self.hasFileNames(name) ? self.names(in: value, known: text ?? value) : []
        guard text != nil || !names.isEmpty else { return nil }
        let parameters = names.map { "; filename=\"\($0)\"" }.joined()
        return Array("\(name):".utf8) + (text ?? value) + Array(parameters.utf8)
    }

    private static func text(of value: [UInt8]) -> [UInt8]? {
        guard let text = EncodedWords.texts(value).first.map({ Array($0.utf8) }), text != value else { return nil }
        return text
    }

    private static func hasFileNames(_ name: String) -> Bool {
        name.equalsIgnoringCase("Content-Type") || name.equalsIgnoringCase("Content-Disposition")
    }

    /// Names that do not stand in the field as they are.
    private static func names(in value: [UInt8], known: [UInt8]) -> [String] {
        var values = ParameterValues([value], limits: MIMELimits())
        let text = String(decoding: known, as: UTF8.self)
        return values.names().filter { !text.contains($0) }
    }
}
