/// Decodes quoted-printable (RFC 2045 §6.7) as clients do where it is not well-formed.
///
/// Like ``Base64Decoder``, it hands over decoders for the other ways when it comes to an octet where clients differ.
struct QuotedPrintableDecoder {
    enum Style: CaseIterable {
        /// What is no escape stands for itself.
        case plain
        /// `=` and the octet behind it are dropped if they begin no escape, and so are blanks behind it.
        case dropping
        /// Digits are large letters; `=` with a small letter is dropped wherever it stands.
        case large
    }

    private enum State {
        case text
        case equals
        case digit(UInt8)
        /// `=` and blanks, which may be the end of a line.
        case blank
        /// `=` and CR.
        case softBreak
    }

    private let style: Style
    private var forked: Set<Style> = Set(Style.allCases)
    private var state = State.text
    /// `=` before the one that the state is about, for ``Style/large``.
    private var earlierEquals = 0
    private(set) var isMalformed = false

    init(canFork: Bool) {
        self.style = .plain
        if canFork { self.forked = [.plain] }
    }

    private init(_ style: Style, state: State) {
        self.style = style
        self.state = state
    }

    mutating func decode(_ input: UnsafeRawBufferPointer, _ output: inout DecodedBytes) -> (
        used: Int, forks: [QuotedPrintableDecoder]
    ) {
        var index = 0
        while index < input.count {
            if case .text = self.state {
                let end = ByteSearch.first(of: UInt8(ascii: "="), in: input, from: index)
                output.append(input[index..<end])
                guard end < input.count else { break }
                self.state = .equals
                index = end + 1
                continue
            }
            let forks = self.forks(before: input[index])
            if !forks.isEmpty { return (index, forks) }
            if self.take(input[index], &output) { index += 1 }
        }
        return (input.count, [])
    }

    /// - Returns: whether the octet is done with; if not, it is taken again in the new state.
    private mutating func take(_ byte: UInt8, _ output: inout DecodedBytes) -> Bool {
        switch self.state {
        case .text:
            output.append(byte)
            return true
        case .equals: return self.takeBehindEquals(byte, &output)
        case .digit(let first):
            self.state = .text
            guard let high = Self.value(first), let low = Self.value(byte) else {
                return self.takeWrong([first], &output, isDone: false)
            }
            output.append(high << 4 | low)
            return true
        case .blank:
            if ASCII.isBlank(byte) { return true }
            self.state = byte == ASCII.carriageReturn ? .softBreak : .text
            if byte == ASCII.carriageReturn || byte == ASCII.lineFeed { return true }
            return self.takeWrong([ASCII.space], &output, isDone: false)
        case .softBreak:
            self.state = .text
            return byte == ASCII.lineFeed
        }
    }

    private mutating func takeBehindEquals(_ byte: UInt8, _ output: inout DecodedBytes) -> Bool {
        if self.style == .large, Self.isSmallLetter(byte) {
            self.state = self.earlierEquals > 0 ? .equals : .text
            self.earlierEquals = max(self.earlierEquals - 1, 0)
            return true
        }
        if ASCII.isHexDigit(byte) {
            self.state = .digit(byte)
        } else if byte == ASCII.carriageReturn {
            self.state = .softBreak
        } else if byte == ASCII.lineFeed {
            self.state = .text
        } else if ASCII.isBlank(byte) {
            self.state = .blank
        } else if byte == UInt8(ascii: "=") {
            if self.style == .plain { output.append(byte) }
            if self.style == .large { self.earlierEquals = min(self.earlierEquals + 1, 64) }
        } else {
            self.state = .text
            return self.takeWrong([byte], &output, isDone: true)
        }
        self.earlierEquals = byte == UInt8(ascii: "=") ? self.earlierEquals : 0
        return true
    }

    /// `=` and octets that are no escape.
    private mutating func takeWrong(_ bytes: [UInt8], _ output: inout DecodedBytes, isDone: Bool) -> Bool {
        guard self.style != .dropping else { return isDone }
        output.append(UInt8(ascii: "="))
        for byte in bytes { output.append(byte) }
        return isDone
    }

    private mutating func forks(before byte: UInt8) -> [QuotedPrintableDecoder] {
        guard self.forked.count < Style.allCases.count, self.differs(byte) else { return [] }
        self.forked = Set(Style.allCases)
        return [Style.dropping, .large].map { QuotedPrintableDecoder($0, state: self.state) }
    }

    /// Whether clients read this octet in different ways.
    private mutating func differs(_ byte: UInt8) -> Bool {
        let isLineEnd = byte == ASCII.carriageReturn || byte == ASCII.lineFeed
        let isWrong =
            switch self.state {
            case .text, .softBreak: false
            case .equals: !ASCII.isHexDigit(byte) && !ASCII.isBlank(byte) && !isLineEnd
            case .digit: !ASCII.isHexDigit(byte)
            case .blank: !ASCII.isBlank(byte) && !isLineEnd
            }
        self.isMalformed = self.isMalformed || isWrong
        guard case .equals = self.state else { return isWrong }
        return isWrong || Self.isSmallLetter(byte)
    }

    private static func isSmallLetter(_ byte: UInt8) -> Bool { byte &- 0x61 < 26 }

    private static func value(_ digit: UInt8) -> UInt8? {
        guard ASCII.isHexDigit(digit) else { return nil }
        return ASCII.isDigit(digit) ? digit & 15 : (digit & 15) + 9
    }
}
