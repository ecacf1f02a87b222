import Mail

extension AuthenticationResults {
    /// Which octets the message may have (RFC 8601 §5).
    package enum Encoding: Hashable, Sendable {
        /// Domains become A-labels, local parts that are not ASCII are left out, other text gets question marks.
        case ascii
        /// The message needs SMTPUTF8 in any case, so that U-labels and other text may stay.
        case utf8
    }

    /// Longer properties are left out, and never cut: what is left of an address would be another one. Nothing that could
    /// be trusted is longer (a path has 256 octets, RFC 5321 §4.5.3.1.3).
    private static let maximumValueBytes = 320
    private static let maximumCommentBytes = 200

    /// The whole field with its line ends, folded at 78 characters where it can be.
    ///
    /// - Parameter instance: of an ARC-Authentication-Results field, whose value begins with `i=` (RFC 8617 §4.1.1).
    package func text(
        _ encoding: Encoding, fieldName: String = "Authentication-Results", instance: Int? = nil
    ) -> String {
        var folder = ResultsFolder("\(fieldName):")
        if let instance { folder.add("i=\(instance);") }
        let authservID = Self.quoted(Self.cut(Self.encoded(self.authservID, encoding), Self.maximumValueBytes))
        guard !self.methods.isEmpty else {
            folder.add("\(authservID);")
            folder.add("none")
            return folder.text
        }
        folder.add(authservID + ";")
        for (index, method) in self.methods.enumerated() {
            var pieces = Self.pieces(of: method, encoding)
            if index < self.methods.count - 1 { pieces[pieces.count - 1] += ";" }
            folder.breakLine()
            for piece in pieces { folder.add(piece) }
        }
        return folder.text
    }

    /// What each method says, in a line: for whoever folds them into a field of his own.
    package func statements(_ encoding: Encoding) -> [String] {
        self.methods.map { Self.pieces(of: $0, encoding).joined(separator: " ") }
    }

    /// With no more methods, from the first, than make a field of this length; some less, because folds are counted
    /// everywhere.
    package func shortened(toBytes limit: Int, _ encoding: Encoding) -> Self {
        // The longest name of a field, and what ends a method.
        var bytes = "ARC-Authentication-Results: i=50;".utf8.count + 2 * Self.maximumValueBytes
        let kept = self.methods.prefix { method in
            bytes += Self.pieces(of: method, encoding).reduce(2) { $0 + $1.utf8.count + 3 }
            return bytes <= limit
        }
        return Self(self.authservID, Array(kept))
    }

    /// Between any two of them the line may be folded.
    private static func pieces(of method: Method, _ encoding: Encoding) -> [String] {
        var pieces = ["\(Self.keyword(method.name))=\(Self.keyword(method.result))"]
        if let comment = method.comment, !comment.isEmpty {
            let words = Self.comment(comment, encoding).split(separator: " ").map(String.init)
            if let first = words.first {
                pieces.append("(" + first)
                pieces += words.dropFirst()
                pieces[pieces.count - 1] += ")"
            }
        }
        if let reason = method.reason.flatMap({ Self.value($0, encoding) }) { pieces.append("reason=\(reason)") }
        for property in method.properties {
            guard let value = Self.value(property.value, encoding, allowsAddress: true) else { continue }
            let type = property.type.isEmpty ? "" : Self.keyword(property.type) + "."
            pieces.append("\(type)\(Self.keyword(property.name))=\(value)")
        }
        return pieces
    }

    /// Letters, digits and hyphens (RFC 5321's Keyword); what else there is becomes a hyphen.
    private static func keyword(_ text: String) -> String {
        guard !text.isEmpty else { return "unknown" }
        return String(decoding: text.utf8.map { ASCII.isAlphanumeric($0) ? $0 : UInt8(ascii: "-") }, as: UTF8.self)
    }

    // MARK: Values

    /// - Returns: nil if it is empty or too long.
    private static func value(_ text: String, _ encoding: Encoding, allowsAddress: Bool = false) -> String? {
        let safe = Self.encoded(text, encoding)
        guard (1...Self.maximumValueBytes).contains(safe.utf8.count) else { return nil }
        return Self.quoted(safe, allowsAddress: allowsAddress)
    }

    /// A token or a quoted string; of a property also a mailbox or domain as it is (RFC 8601 §2.2).
    private static func quoted(_ safe: String, allowsAddress: Bool = false) -> String {
        let isToken = !safe.isEmpty && safe.unicodeScalars.allSatisfy(Self.isTokenCharacter)
        if isToken || allowsAddress && Self.isAddress(safe) { return safe }
        var quoted = "\""
        for scalar in safe.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted.unicodeScalars.append("\\") }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }

    /// Without line ends and other controls; and what is not ASCII only where it may be.
    private static func encoded(_ text: String, _ encoding: Encoding) -> String {
        var text = text
        if encoding == .ascii, !text.isASCII {
            if let mailbox = Mailbox(text), let name = mailbox.domain.name {
                let local = mailbox.localPart.description
                text = local.isASCII ? "\(local)@\(name.ascii)" : name.ascii
            } else if text.hasPrefix("@"), let name = DomainName(text.dropFirst()) {
                text = "@" + name.ascii
            } else if let name = DomainName(text) {
                text = name.ascii
            }
        }
        return Self.printable(text, encoding)
    }

    private static func printable(_ text: String, _ encoding: Encoding) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isShown = scalar.isASCII ? scalar.value >= 0x20 && scalar.value != 0x7F : encoding == .utf8
            // Line and paragraph separators, and controls of the upper half.
            let isControl = (0x80...0x9F).contains(scalar.value) || (0x2028...0x2029).contains(scalar.value)
            result.append(isShown && !isControl ? scalar : "?")
        }
        return String(result)
    }

    private static func cut(_ text: String, _ limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        var result = String.UnicodeScalarView()
        var bytes = 0
        for scalar in text.unicodeScalars {
            bytes += UTF8.width(scalar)
            if bytes > limit { break }
            result.append(scalar)
        }
        return String(result)
    }

    /// RFC 2045 §5.1.
    private static func isTokenCharacter(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.isASCII else { return false }
        return scalar.value > 0x20 && scalar.value != 0x7F && !"()<>@,;:\\\"/[]?=".unicodeScalars.contains(scalar)
    }

    /// `[local-part]@domain`, its local part without quotation, or a domain.
    private static func isAddress(_ text: String) -> Bool {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let last = parts.last, let name = DomainName(last), name.text == last else { return false }
        guard parts.count == 2 else { return true }
        let atoms = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        return parts[0].isEmpty
            || atoms.allSatisfy { atom in
                !atom.isEmpty && atom.utf8.allSatisfy { $0 >= 0x80 || Self.isAtomText($0) }
            }
    }

    /// RFC 5322 §3.2.3.
    private static func isAtomText(_ byte: UInt8) -> Bool {
        ASCII.isAlphanumeric(byte) || "!#$%&'*+-/=?^_`{|}~".utf8.contains(byte)
    }

    /// Escaped parentheses would be right, but not every reader knows them; and nobody needs them.
    private static func comment(_ text: String, _ encoding: Encoding) -> String {
        let safe = Self.printable(Self.cut(text, Self.maximumCommentBytes), encoding)
        return String(
            decoding: safe.utf8.map { "()\\".utf8.contains($0) ? UInt8(ascii: "?") : $0 }, as: UTF8.self)
    }
}

/// Writes a field whose lines are folded between pieces (RFC 5322 §2.2.3).
private struct ResultsFolder {
    private var lines: String
    private var column: Int
    private var breaks = false

    init(_ start: String) {
        self.lines = start
        self.column = start.utf8.count
    }

    var text: String { self.lines + "\r\n" }

    /// The next piece begins a line.
    mutating func breakLine() { self.breaks = true }

    mutating func add(_ piece: String) {
        let width = piece.utf8.count
        if self.breaks || self.column + 1 + width > 78 {
            // A tab is eight columns to a reader, but one character to the limit.
            self.lines += "\r\n\t" + piece
            self.column = 1 + width
        } else {
            self.lines += " " + piece
            self.column += 1 + width
        }
        self.breaks = false
    }
}
