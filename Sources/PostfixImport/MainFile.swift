package import Mail

/// The settings of a main.cf (postconf(5)), and of what `postconf -n` prints.
package struct MainFile: Sendable {
    package struct Setting: Hashable, Sendable {
        package let name: String
        /// As it is written: nothing is put in yet.
        package let value: String
        package let line: Int
        /// The logical line, to find the physical line of a word.
        package let source: LogicalText.Line
        /// Where the value begins in the logical line, in octets.
        let valueOffset: Int

        /// The physical line in which a word of the value stands first; that of the name if it is not found.
        package func line(of word: String) -> Int {
            guard !word.isEmpty else { return self.line }
            let text = Array(self.source.text.utf8)
            let word = Array(word.utf8)
            guard text.count >= word.count + self.valueOffset else { return self.line }
            for start in self.valueOffset...(text.count - word.count)
            where text[start..<start + word.count].elementsEqual(word) {
                let before = start == 0 ? nil : text[start - 1]
                let behind = start + word.count < text.count ? text[start + word.count] : nil
                if Self.isEdge(before), Self.isEdge(behind) { return self.source.number(at: start) }
            }
            return self.line
        }

        private static func isEdge(_ byte: UInt8?) -> Bool {
            byte.map { !ASCII.isAlphanumeric($0) && $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") } ?? true
        }
    }

    package let file: String
    /// In the order of the file; of settings with one name the last counts.
    package let settings: [Setting]
    package let strayLines: [Int]

    /// - Throws: what makes Postfix refuse the file: a line without `=`.
    package init(_ text: String, file: String) throws(FileError) {
        let logical = LogicalText(text)
        var settings: [Setting] = []
        for line in logical.lines { settings.append(try Self.setting(line, file)) }
        self.file = file
        self.settings = settings
        self.strayLines = logical.strayLines
    }

    private static func setting(_ line: LogicalText.Line, _ file: String) throws(FileError) -> Setting {
        let bytes = Array(line.text.utf8)
        let nameEnd = bytes.firstIndex { LogicalText.isSpace($0) || $0 == UInt8(ascii: "=") } ?? bytes.count
        guard nameEnd > 0 else { throw FileError(file: file, line: line.number, message: "'=' without a name") }
        var place = nameEnd
        while place < bytes.count, LogicalText.isSpace(bytes[place]) { place += 1 }
        guard place < bytes.count, bytes[place] == UInt8(ascii: "=") else {
            let shown = String(decoding: bytes.prefix(40), as: UTF8.self)
            throw FileError(file: file, line: line.number, message: "no '=' behind the name: '\(shown)'")
        }
        place += 1
        while place < bytes.count, LogicalText.isSpace(bytes[place]) { place += 1 }
        var end = bytes.count
        while end > place, LogicalText.isSpace(bytes[end - 1]) { end -= 1 }
        return Setting(
            name: String(decoding: bytes[..<nameEnd], as: UTF8.self),
            value: String(decoding: bytes[place..<end], as: UTF8.self), line: line.number, source: line,
            valueOffset: place)
    }
}
