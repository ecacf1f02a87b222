internal import Mail

/// Writes a field of tags in lines of at most 78 columns (RFC 5322 §2.1.1).
///
/// Between tags stands `; ` or a fold, so that all of them are one space to the relaxed form.
struct FieldFolder {
    static let columns = 78
    /// RFC 5322 §2.1.1 allows no line to be longer.
    static let maximumColumns = 998

    private(set) var text: String
    private var column: Int
    private var isFirst = true
    /// The next tag begins a line: its folds must not depend on base64 before it, since a signature is made over its
    /// own field when there is none yet.
    private var mustFold = false

    init(name: String) {
        self.text = "\(name):"
        self.column = self.text.utf8.count
    }

    /// Appends a tag that is not broken.
    mutating func append(_ tag: String) {
        self.separate()
        self.write(" ", tag)
    }

    /// Appends a list with colons between, which is broken behind colons where it must be.
    mutating func append(_ name: String, list: [String]) {
        self.separate()
        let list = list.isEmpty ? [""] : list
        for (index, item) in list.enumerated() {
            let text = (index == 0 ? "\(name)=" : "") + item + (index + 1 < list.count ? ":" : "")
            self.write(index == 0 ? " " : "", text)
        }
    }

    /// Appends text that is broken between words. Other white space in it than spaces becomes spaces.
    mutating func append(words text: String) {
        self.separate()
        let words = text.split { $0 == " " || $0 == "\t" || $0.isNewline || $0 == "\0" }
        for word in words { self.write(" ", String(word)) }
    }

    /// Appends base64 on lines of its own.
    ///
    /// - Parameter columns: the longest line. Folds in base64 mean something where another signature covers them.
    mutating func append(_ name: String, base64: String, columns: Int = Self.columns - 2) {
        self.separate()
        var rest = "\(name)=\(base64)"[...]
        while !rest.isEmpty {
            self.fold()
            self.text += rest.prefix(columns)
            rest = rest.dropFirst(columns)
        }
        self.mustFold = true
    }

    private mutating func separate() {
        if !self.isFirst {
            self.text += ";"
            self.column += 1
        }
        self.isFirst = false
    }

    private mutating func write(_ blank: String, _ word: String) {
        // One column stays free for a semicolon.
        let length = blank.utf8.count + word.utf8.count
        if self.mustFold || self.column + length + 1 > Self.columns, self.column > 1 {
            self.mustFold = false
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
