/// What the header of a part says, in all its readings.
struct PartHeader {
    /// In small letters; the first is shown.
    let types: [String]
    let disposition: String?
    let names: [String]
    /// Without the `--` in front.
    let boundaries: [[UInt8]]
    let encodings: [TransferEncoding]
    let hasType: Bool
    private(set) var defects: Set<MIMEDefect.Kind> = []

    /// - Parameter defaultType: of a part without Content-Type.
    init(_ fields: ContentFields, defaultType: String, limits: MIMELimits) {
        let types = fields.values(.type)
        let dispositions = fields.values(.disposition)
        self.hasType = !types.isEmpty
        var mediaTypes: [String] = []
        for type in types.map(Self.word) where !type.isEmpty && !mediaTypes.contains(type) { mediaTypes.append(type) }
        self.types = mediaTypes.isEmpty ? [defaultType] : mediaTypes
        self.disposition = dispositions.lazy.map(Self.word).first { !$0.isEmpty }
        var readings = ParameterValues(types + dispositions, limits: limits)
        self.names = readings.names()
        self.boundaries = readings.boundaries()
        let encodings = fields.values(.encoding)
        var found: [TransferEncoding] = []
        for encoding in encodings.flatMap(TransferEncoding.readings) where !found.contains(encoding) {
            found.append(encoding)
        }
        self.encodings = found
        self.defects = readings.defects
        if types.count > 1 || dispositions.count > 1 || encodings.count > 1 { self.defects.insert(.duplicateField) }
        if found.contains(.unknown) { self.defects.insert(.unknownEncoding) }
        if found.count > 1 { self.defects.insert(.severalEncodings) }
        if fields.isTooLong { self.defects.insert(.headerTooLong) }
        if fields.isMalformed { self.defects.insert(.malformedField) }
        if self.isMultipart {
            if self.boundaries.isEmpty { self.defects.insert(.missingBoundary) }
            if readings.declaredBoundaries > 1 { self.defects.insert(.severalBoundaries) }
        }
    }

    /// A container by its type, or because it has a boundary.
    var isMultipart: Bool { !self.boundaries.isEmpty || self.types.contains { $0.hasPrefix("multipart/") } }

    /// Holds a message with a header of its own.
    var isMessage: Bool {
        self.types.contains { type in
            guard type.hasPrefix("message/") else { return false }
            let reports = ["delivery-status", "disposition-notification", "feedback-report", "tracking-status"]
            return !reports.contains { type.hasSuffix($0) }
        }
    }

    var isText: Bool { self.types.contains { $0.hasPrefix("text/") } }

    /// What stands before the parameters, without comments, blanks and what else does not belong there.
    private static func word(_ value: [UInt8]) -> String {
        let plain = ParameterScanner.withoutComments(value) ?? value
        let word = plain.prefix { $0 != UInt8(ascii: ";") }.filter {
            $0 > ASCII.space && $0 < 0x7F && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "\"")
        }
        return String(decoding: word.prefix(127).map(ASCII.lowercased), as: UTF8.self)
    }
}

/// How the content of a part is written (RFC 2045 §6), and what clients know besides.
enum TransferEncoding: Hashable, Sendable {
    case identity
    case base64
    case quotedPrintable
    case uuencode
    case binhex
    case unknown

    /// Every encoding that a client may find in a field.
    static func readings(_ value: [UInt8]) -> [TransferEncoding] {
        let plain = ParameterScanner.withoutComments(value) ?? value
        var text = String(decoding: plain.prefix(4096).filter { $0 > ASCII.space }, as: UTF8.self).asciiLowercased
        guard !text.isEmpty else { return [] }
        text += EncodedWords.texts(value).joined().asciiLowercased
        var found: [TransferEncoding] = []
        if text.utf8.contains("base64") || text.utf8.contains("gzip64") { found.append(.base64) }
        if text.utf8.contains("quoted") { found.append(.quotedPrintable) }
        if text.utf8.contains("uue") || text.utf8.contains("x-uu") { found.append(.uuencode) }
        if text.utf8.contains("binhex") { found.append(.binhex) }
        if found.isEmpty { found = ["7bit", "8bit", "binary"].contains(text) ? [.identity] : [.unknown] }
        return found
    }
}

extension String.UTF8View {
    fileprivate func contains(_ text: String) -> Bool {
        var rest = self[...]
        let wanted = text.utf8
        while !rest.isEmpty {
            if rest.starts(with: wanted) { return true }
            rest = rest.dropFirst()
        }
        return false
    }
}
