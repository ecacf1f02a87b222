/// The values of all parameters of a header, with continuations put together (RFC 2231 §3) as clients do: in the order
/// of their numbers, in the order in which they stand, up to a gap or over it.
struct ParameterValues {
    private let limits: MIMELimits
    private var occurrences: [ParameterOccurrence] = []
    private(set) var defects: Set<MIMEDefect.Kind> = []
    /// How many boundaries the header names, whatever their readings.
    private(set) var declaredBoundaries = 0

    init(_ fields: [[UInt8]], limits: MIMELimits) {
        self.limits = limits
        for field in fields {
            for text in [field] + (ParameterScanner.withoutComments(field).map { [$0] } ?? []) {
                let scanner = ParameterScanner(text, limit: limits.parameters)
                self.note(scanner, isOriginal: text == field)
                self.occurrences += scanner.occurrences.prefix(limits.parameters - self.occurrences.count)
            }
        }
    }

    private mutating func note(_ scanner: ParameterScanner, isOriginal: Bool) {
        let all = scanner.occurrences
        if scanner.hasTooMany || self.occurrences.count + all.count > self.limits.parameters {
            self.defects.insert(.headerTooLong)
        }
        if scanner.isCut { self.defects.insert(.nameTooLong) }
        guard isOriginal else { return }
        if scanner.isMalformed { self.defects.insert(.malformedParameter) }
        for key in ParameterKey.allCases {
            let plain = all.count { $0.key == key && $0.section == nil && !$0.isExtended }
            let extended = all.count { $0.key == key && $0.section == nil && $0.isExtended }
            let first = all.count { $0.key == key && $0.section == 0 }
            if plain > 1 || extended > 1 || first > 1 { self.defects.insert(.duplicateParameter) }
            if key == .boundary { self.declaredBoundaries += plain + extended + first }
        }
    }

    /// Every name, the one by the standard first: extended, then plain.
    mutating func names() -> [String] {
        var names: [String] = []
        for key in ParameterKey.allCases where key.isName {
            for text in self.texts(of: key).flatMap(Self.shown) {
                let name = Self.cut(text, to: self.limits.nameBytes)
                if name.utf8.count < text.utf8.count { self.defects.insert(.nameTooLong) }
                guard !name.isEmpty, !names.contains(name) else { continue }
                guard names.count < self.limits.names else {
                    self.defects.insert(.tooManyNames)
                    return names
                }
                names.append(name)
            }
        }
        return names
    }

    mutating func boundaries() -> [[UInt8]] {
        var found: [[UInt8]] = []
        let plain = self.occurrences.filter { $0.key == .boundary }.flatMap(\.values)
        for text in self.texts(of: .boundary).map({ Array($0.utf8) }) + plain {
            let trimmed = ValueReadings.trimmed(text[...])
            let word = trimmed.prefix { $0 > ASCII.space }
            for reading in [text[...], trimmed, word] where !reading.isEmpty && !found.contains(Array(reading)) {
                guard reading.count <= self.limits.boundaryBytes, found.count < 24 else {
                    self.defects.insert(.tooManyBoundaries)
                    continue
                }
                found.append(Array(reading))
            }
        }
        return found
    }

    /// What is shown of a text: up to a NUL, or without control characters.
    private static func shown(_ text: String) -> [String] {
        guard text.utf8.contains(where: ASCII.isControl) else { return [text] }
        let scalars = text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }
        let beginning = text.unicodeScalars.prefix { $0.value != 0 }.filter { $0.value >= 0x20 && $0.value != 0x7F }
        return [String(String.UnicodeScalarView(scalars)), String(String.UnicodeScalarView(beginning))]
    }

    /// The end of a name tells what a file is.
    private static func cut(_ text: String, to limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        return String(decoding: text.utf8.suffix(limit).drop { $0 & 0xC0 == 0x80 }, as: UTF8.self)
    }

    private func texts(of key: ParameterKey) -> [String] {
        let all = self.occurrences.filter { $0.key == key }
        var texts: [String] = []
        for value in all where value.section == nil && value.isExtended {
            for bytes in value.values { texts += Self.decoded([(bytes, true)]) }
        }
        let sections = all.filter { $0.section != nil }
        for order in Self.orders(of: sections) {
            let pieces = order.compactMap { section in section.values.first.map { ($0, section.isExtended) } }
            texts += Self.decoded(pieces)
        }
        for section in sections where sections.count == 1 {
            for bytes in section.values { texts += Self.decoded([(bytes, section.isExtended)]) }
        }
        for value in all where value.section == nil && !value.isExtended {
            for bytes in value.values { texts += EncodedWords.texts(bytes) + [Charset.text(bytes[...])] }
        }
        return texts
    }

    /// The ways in which sections may follow each other.
    private static func orders(of sections: [ParameterOccurrence]) -> [[ParameterOccurrence]] {
        guard sections.count > 1 else { return [sections] }
        let sorted = sections.enumerated().sorted { left, right in
            (left.element.section ?? 0, left.offset) < (right.element.section ?? 0, right.offset)
        }.map(\.element)
        var first: [ParameterOccurrence] = []
        var last: [ParameterOccurrence] = []
        for section in sorted {
            if first.last?.section != section.section { first.append(section) }
            if last.last?.section == section.section { last.removeLast() }
            last.append(section)
        }
        var unbroken: [ParameterOccurrence] = []
        for section in first {
            if let before = unbroken.last?.section, section.section != before + 1 { break }
            unbroken.append(section)
        }
        return [unbroken, first, last, sections]
    }

    /// Decodes the pieces of a value: those that are extended, all of them, or none.
    private static func decoded(_ pieces: [(bytes: [UInt8], isExtended: Bool)]) -> [String] {
        guard let head = pieces.first else { return [] }
        let all = pieces.flatMap(\.bytes)
        let (charset, start) = Self.charset(head.bytes)
        var texts: [String] = []
        let selective = pieces.enumerated().flatMap { index, piece in
            let bytes = index == 0 && piece.isExtended ? head.bytes[start...] : piece.bytes[...]
            return piece.isExtended ? PercentText.decode(bytes) : Array(bytes)
        }
        texts += Charset.texts(selective[...], charset: charset)
        texts += Charset.texts(PercentText.decode(all.dropFirst(start))[...], charset: charset)
        texts += EncodedWords.texts(all)
        // Clients that know nothing of this show it as it is.
        texts.append(Charset.text(all.dropFirst(start)))
        texts.append(Charset.text(all[...]))
        var unique: [String] = []
        for text in texts where !unique.contains(text) { unique.append(text) }
        return unique
    }

    /// `utf-8'en'` in front of a value; the value begins at `start`.
    private static func charset(_ bytes: [UInt8]) -> (name: String, start: Int) {
        let apostrophe = UInt8(ascii: "'")
        guard let first = bytes.prefix(64).firstIndex(of: apostrophe),
            let second = bytes[(first + 1)...].prefix(64).firstIndex(of: apostrophe)
        else { return ("", 0) }
        return (String(decoding: bytes[..<first], as: UTF8.self), second + 1)
    }
}
