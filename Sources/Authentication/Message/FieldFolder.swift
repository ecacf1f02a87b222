internal import Mail

/// Writes a field of tags in lines of at most 78 columns (RFC 5322 §2.1.1).
///
/// Between tags stands `; ` or a fold, so that all of them are one space to the relaxed form.
struct FieldFolder {
    private static let columns = 78

    private(set) var text: String
    private var column: Int
    private var isFirst = true

    init(name: String) {
        self.text = "\(name):"
        self.column = self.text.utf8.count
    }

    /// Appends a tag that is not broken.
    mutating func append(_ tag: String) {
        self.separate()
        self.write(" ", tag, spare: 1)
    }

    /// Appends a list with colons between, which is broken behind colons where it must be.
    mutating func append(_ name: String, list: [String]) {
        self.separate()
        for (index, item) in list.enumerated() {
            let text = (index == 0 ? "\(name)=" : "") + item + (index + 1 < list.count ? ":" : "")
            self.write(index == 0 ? " " : "", text, spare: 1)
        }
    }

    /// Appends base64, which is broken where lines end.
    mutating func append(_ name: String, base64: String) {
        self.separate()
        self.write(" ", "\(name)=", spare: 2)
        var rest = base64[...]
        while !rest.isEmpty {
            if self.column >= Self.columns - 1 { self.fold() }
            let piece = rest.prefix(Self.columns - 1 - self.column)
            self.text += piece
            self.column += piece.utf8.count
            rest = rest.dropFirst(piece.count)
        }
    }

    private mutating func separate() {
        if !self.isFirst {
            self.text += ";"
            self.column += 1
        }
        self.isFirst = false
    }

    private mutating func write(_ blank: String, _ word: String, spare: Int) {
        let length = blank.utf8.count + word.utf8.count
        if self.column + length + spare > Self.columns, self.column > 1 {
            self.fold()
            self.text += word
            self.column += word.utf8.count
        } else {
            self.text += blank + word
            self.column += length
        }
    }

    private mutating func fold() {
        self.text += "\r\n\t"
        self.column = 1
    }
}
