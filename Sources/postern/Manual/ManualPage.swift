import Mail

/// A page of the manual, in the macros of man(7).
struct ManualPage {
    /// As it is called with man(1): `postern-queue`.
    let name: String
    let section: Int
    private(set) var text: String

    /// - Parameters:
    ///   - abstract: what stands behind the name in apropos(1): without a full stop, in one line.
    ///   - day: of the release, `2027-01-15`; may be empty.
    init(_ name: String, section: Int, abstract: String, day: String) {
        self.name = name
        self.section = section
        let title = Self.escaped(name.uppercased())
        self.text = """
            .\\" Made by `postern reference --man`.
            .TH "\(title)" "\(section)" "\(day)" "Postern \(Version.text)" "Postern"
            .\\" Keys and paths are too long for lines of equal length, and no hyphen may get into them.
            .ad l
            .nh
            .SH NAME
            \(Self.escaped(name)) \\- \(Self.escaped(abstract))

            """
    }

    var file: String { "\(self.name).\(self.section)" }

    mutating func section(_ title: String) { self.text += ".SH \(Self.quoted(title.uppercased()))\n" }

    mutating func subsection(_ title: String) { self.text += ".SS \(Self.quoted(title))\n" }

    /// Begins a paragraph; text between backticks is bold.
    mutating func paragraph(_ text: String) { self.text += ".PP\n\(Self.line(text))\n" }

    /// Text right below a title, where an empty line would be too much.
    mutating func body(_ text: String) { self.text += "\(Self.line(text))\n" }

    /// - Parameter tag: pieces that are bold and, if `isVariable`, stand for something.
    mutating func item(_ tag: [(text: String, isVariable: Bool)], _ text: [String]) {
        self.text += ".TP\n\(Self.tagged(tag))\n"
        for (index, paragraph) in text.filter({ !$0.isEmpty }).enumerated() {
            self.text += (index == 0 ? "" : ".IP\n") + "\(Self.line(paragraph))\n"
        }
    }

    /// A line as somebody would type it.
    mutating func synopsis(_ parts: [(text: String, isVariable: Bool)]) {
        self.text += "\(Self.tagged(parts))\n"
    }

    /// Lines of a file, as they are.
    mutating func example(_ lines: String) {
        self.text += ".PP\n.RS 4\n.nf\n"
        for line in lines.split(separator: "\n", omittingEmptySubsequences: false) {
            self.text += "\(Self.protected(Self.escaped(String(line))))\n"
        }
        self.text += ".fi\n.RE\n"
    }

    mutating func lineBreak() { self.text += ".br\n" }

    // MARK: - roff

    private static func tagged(_ parts: [(text: String, isVariable: Bool)]) -> String {
        parts.map { "\\f\($0.isVariable ? "I" : "B")\(self.escaped($0.text))\\fR" }.joined()
    }

    private static func line(_ text: String) -> String {
        let pieces = text.split(separator: "`", omittingEmptySubsequences: false)
        // An odd backtick would have everything behind it bold.
        guard pieces.count % 2 == 1 else { return self.wrapped(self.escaped(text)) }
        return self.wrapped(
            pieces.enumerated().map { index, piece in
                index % 2 == 1 ? "\\fB\(self.escaped(String(piece)))\\fR" : self.escaped(String(piece))
            }.joined())
    }

    private static func quoted(_ text: String) -> String {
        "\"\(self.escaped(text).replacing("\"", with: "\\(dq"))\""
    }

    /// A line that begins with a full stop or an apostrophe would be a macro.
    private static func protected(_ line: String) -> String {
        (line.hasPrefix(".") || line.hasPrefix("'") ? "\\&" : "") + line
    }

    /// In lines that fit into a terminal, for who reads the source.
    private static func wrapped(_ text: String) -> String {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + word.count < Self.width {
                lines[lines.count - 1] = "\(last) \(word)"
            } else {
                lines.append(self.protected(String(word)))
            }
        }
        return lines.joined(separator: "\n")
    }

    private static let width = 78

    /// What roff would take for something else. A hyphen is always the one of the keyboard: most stand in options,
    /// names and values that somebody may copy.
    static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "\\": escaped += "\\e"
            case "-": escaped += "\\-"
            case "'": escaped += "\\(aq"
            case "`": escaped += "\\(ga"
            case "^": escaped += "\\(ha"
            case "~": escaped += "\\(ti"
            case "\n", "\r\n": escaped += " "
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
