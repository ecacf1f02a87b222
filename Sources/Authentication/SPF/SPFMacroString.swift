import Mail

/// What is wrong with a record or with a string of it.
package struct SPFSyntaxError: Error, Hashable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// `%{l2r+-}`: a macro that takes a value, some of its parts, perhaps in reverse (RFC 7208 §7.1, §7.3).
package struct SPFMacro: Hashable, Sendable {
    package enum Letter: UInt8, Hashable, Sendable {
        case sender = 0x73, localPart = 0x6C, senderDomain = 0x6F, domain = 0x64, address = 0x69, validatedName = 0x70,
            helo = 0x68, readableAddress = 0x63, receiver = 0x72, time = 0x74, family = 0x76

        /// Of the texts that people read, not of names (RFC 7208 §7.2).
        var isForExplanations: Bool {
            switch self {
            case .readableAddress, .receiver, .time: true
            case .sender, .localPart, .senderDomain, .domain, .address, .validatedName, .helo, .family: false
            }
        }
    }

    package let letter: Letter
    /// The letter was a capital: what is not unreserved in a URL is escaped.
    package let isEscaped: Bool
    /// How many parts are taken from the right; nil for all. Names have 127 labels at most, so all above it are 128.
    package let partCount: Int?
    package let isReversed: Bool
    /// Where the value is split; empty for the dot.
    package let delimiters: String

    static let maximumPartCount = 128
}

/// Text with macros in it (RFC 7208 §7.1).
package struct SPFMacroString: Hashable, Sendable {
    package enum Piece: Hashable, Sendable {
        case literal(String)
        case macro(SPFMacro)
        /// `%%`
        case percent
        /// `%_`
        case space
        /// `%-`, which becomes `%20`.
        case escapedSpace
    }

    package enum Use: Sendable {
        /// In a record: no blanks, and no macros that are for people only.
        case record
        /// In the text that `exp` points to.
        case explanation
    }

    package let pieces: [Piece]

    /// - Throws: where it is not what the grammar of RFC 7208 §7.1 allows.
    package init(_ bytes: some Collection<UInt8>, for use: Use) throws(SPFSyntaxError) {
        var scanner = ByteScanner(Array(bytes)[...])
        var pieces: [Piece] = []
        while let byte = scanner.peek {
            if byte == UInt8(ascii: "%") {
                pieces.append(try scanner.readMacro(for: use))
                continue
            }
            let literal = scanner.read {
                0x21...0x7E ~= $0 && $0 != UInt8(ascii: "%") || $0 == ASCII.space && use == .explanation
            }
            guard !literal.isEmpty else { throw SPFSyntaxError("octet \(byte) must not stand in a record") }
            pieces.append(.literal(String(decoding: literal, as: UTF8.self)))
        }
        self.pieces = pieces
    }

    /// Reads a `domain-spec`: a macro string that ends in a macro or in a label that could be a top one.
    package init(domainSpec bytes: some Collection<UInt8>) throws(SPFSyntaxError) {
        guard !bytes.isEmpty else { throw SPFSyntaxError("a domain is missing") }
        try self.init(bytes, for: .record)
        guard self.endsAsDomain else {
            throw SPFSyntaxError("'\(self)' does not end in a dot and a top-level domain, or a macro")
        }
    }

    package func uses(_ letters: SPFMacro.Letter...) -> Bool {
        self.pieces.contains { piece in
            if case .macro(let macro) = piece { letters.contains(macro.letter) } else { false }
        }
    }

    /// `domain-end` of RFC 7208 §7.1. The trailing dot is no label.
    private var endsAsDomain: Bool {
        guard case .literal(let text)? = self.pieces.last else { return true }
        let end = text.utf8.last == ASCII.dot ? text.utf8.dropLast() : text.utf8[...]
        guard let dot = end.lastIndex(of: ASCII.dot) else { return false }
        let label = end[end.index(after: dot)...]
        guard let first = label.first, let last = label.last, ASCII.isAlphanumeric(first), ASCII.isAlphanumeric(last)
        else { return false }
        return label.allSatisfy { ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
            && !label.allSatisfy(ASCII.isDigit)
    }
}

extension ByteScanner {
    /// Reads `macro-expand`, at its percent sign.
    fileprivate mutating func readMacro(for use: SPFMacroString.Use) throws(SPFSyntaxError) -> SPFMacroString.Piece {
        guard self.skip("%"), let kind = self.next() else { throw SPFSyntaxError("a lone % at the end") }
        switch kind {
        case UInt8(ascii: "%"): return .percent
        case UInt8(ascii: "_"): return .space
        case UInt8(ascii: "-"): return .escapedSpace
        case UInt8(ascii: "{"): break
        default: throw SPFSyntaxError("% must be followed by {, %, _ or -")
        }
        guard let byte = self.next(), let letter = SPFMacro.Letter(rawValue: ASCII.lowercased(byte)) else {
            throw SPFSyntaxError("no macro has this letter")
        }
        guard use == .explanation || !letter.isForExplanations else {
            throw SPFSyntaxError("the macros c, r and t are for explanations only")
        }
        let digits = self.read(while: ASCII.isDigit)
        // Saturates: what is more than a name can have is all of it.
        let count = digits.reduce(0) { min($0 * 10 + Int($1 - 0x30), SPFMacro.maximumPartCount) }
        guard digits.isEmpty || count > 0 else { throw SPFSyntaxError("a macro takes no part of its value") }
        let isReversed = self.skip("r") || self.skip("R")
        let delimiters = self.read { ".-+,/_=".utf8.contains($0) }
        guard self.skip("}") else { throw SPFSyntaxError("a macro is not closed by }") }
        return .macro(
            SPFMacro(
                letter: letter, isEscaped: byte != letter.rawValue, partCount: digits.isEmpty ? nil : count,
                isReversed: isReversed, delimiters: String(decoding: delimiters, as: UTF8.self)))
    }
}

extension SPFMacroString: CustomStringConvertible {
    package var description: String { self.pieces.map(\.text).joined() }
}

extension SPFMacroString.Piece {
    fileprivate var text: String {
        switch self {
        case .literal(let text): text
        case .macro(let macro): macro.text
        case .percent: "%%"
        case .space: "%_"
        case .escapedSpace: "%-"
        }
    }
}

extension SPFMacro {
    fileprivate var text: String {
        let letter = self.isEscaped ? ASCII.uppercased(self.letter.rawValue) : self.letter.rawValue
        let count = self.partCount.map { "\($0)" } ?? ""
        return "%{\(UnicodeScalar(letter))\(count)\(self.isReversed ? "r" : "")\(self.delimiters)}"
    }
}
