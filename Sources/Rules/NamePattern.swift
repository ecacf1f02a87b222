package import Mail

/// A pattern for names of files: `*.exe`, `invoice-??.zip`; `exe` or `.exe` is any name with that extension.
///
/// Case does not matter. `*` is any number of characters, `?` one.
package struct NamePattern: Hashable, Sendable, OptionValue {
    /// Longer ones are refused, as the time to match is that of the name times this.
    private static let maximumScalars = 256

    package let text: String
    private let scalars: [Unicode.Scalar]

    /// - Returns: nil if it is empty or too long.
    package init?(_ text: String) {
        let isExtension = !text.contains("*") && !text.contains("?") && (!text.contains(".") || text.hasPrefix("."))
        let pattern = isExtension ? "*.\(text.hasPrefix(".") ? String(text.dropFirst()) : text)" : text
        self.text = text
        self.scalars = Array(pattern.lowercased().unicodeScalars)
        guard !text.isEmpty, text != ".", self.scalars.count <= Self.maximumScalars else { return nil }
    }

    package static var optionSyntax: String { "an extension such as exe, or a pattern such as \"*.exe\"" }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let pattern = NamePattern(text) else { throw node.error("'\(text)' is not \(Self.optionSyntax)") }
        self = pattern
    }

    package var optionText: String { self.text }

    package func matches(_ name: FileName) -> Bool { name.forms.contains(where: self.matches) }

    /// Goes back at most once for each character, to the last `*`.
    private func matches(_ name: [Unicode.Scalar]) -> Bool {
        var (place, index) = (0, 0)
        var star: (place: Int, index: Int)?
        while index < name.count {
            if place < self.scalars.count, self.scalars[place] == "*" {
                star = (place, index)
                place += 1
            } else if place < self.scalars.count, self.scalars[place] == "?" || self.scalars[place] == name[index] {
                place += 1
                index += 1
            } else if let last = star {
                star = (last.place, last.index + 1)
                place = last.place + 1
                index = last.index + 1
            } else {
                return false
            }
        }
        return self.scalars[place...].allSatisfy { $0 == "*" }
    }
}

/// A name as the system of a recipient takes it: what Windows drops is dropped, what turns letters around is gone, and
/// folders in front do not count.
package struct FileName: Sendable {
    /// In small letters, each once; the whole name first.
    let forms: [[Unicode.Scalar]]

    package init(_ name: String) {
        let visible = name.unicodeScalars.filter { !Self.isInvisible($0) }
        let whole = Self.trimmed(Array(String(String.UnicodeScalarView(visible)).lowercased().unicodeScalars)[...])
        let file = Self.trimmed(
            whole[(whole.lastIndex { $0 == "/" || $0 == "\\" }.map { $0 + 1 } ?? whole.startIndex)...])
        // `a.exe::$DATA` and `a.exe:b` are written to a.exe.
        let plain = Self.trimmed(file.prefix { $0 != ":" })
        var forms: [[Unicode.Scalar]] = []
        for form in [whole, file, plain].map(Array.init) where !form.isEmpty && !forms.contains(form) {
            forms.append(form)
        }
        self.forms = forms
    }

    /// As tables are asked for it.
    package var texts: [String] {
        self.forms.map { form in String(String.UnicodeScalarView(form)) }
    }

    /// Windows ignores dots and blanks at the end.
    private static func trimmed(_ name: ArraySlice<Unicode.Scalar>) -> ArraySlice<Unicode.Scalar> {
        var rest = name.drop { $0.properties.isWhitespace }
        while let last = rest.last, last == "." || last.properties.isWhitespace { rest.removeLast() }
        return rest
    }

    /// Control characters, marks for the direction of writing, and what has no width.
    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0xAD, 0x61C, 0x180E, 0x200B...0x200F, 0x202A...0x202E, 0x2060...0x206F, 0xFEFF: true
        default: false
        }
    }
}
