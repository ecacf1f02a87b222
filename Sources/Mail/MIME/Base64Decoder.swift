/// Decodes base64 (RFC 2045 §6.8) as clients do where it is not well-formed.
///
/// Well-formed content has one reading. At the first octet where clients differ, ``decode(_:_:)`` hands over decoders
/// that read on in the other ways, each way once.
struct Base64Decoder {
    enum Style: CaseIterable {
        /// What is no letter of the alphabet is skipped, `=` ends a group and data goes on behind it.
        case plain
        /// A group ends with its line.
        case lines
        /// `=` is a letter with the value 0.
        case zero
        /// `=` takes a place in its group, anywhere, and has no value.
        case grouped
        /// `=` is skipped.
        case skipping
        /// What is no letter ends the line.
        case stopping
    }

    private let style: Style
    /// The styles that others read in by now.
    private var forked: Set<Style> = Set(Style.allCases)
    /// Bits of the letters of the present group, and how many letters and `=` it has.
    private var bits: UInt32 = 0
    private var letters = 0
    private var pads = 0
    /// `=` seen since the last letter; what they mean depends on what comes next.
    private var padding = 0
    /// `=` that were seen before this decoder began.
    private var replayedPads = 0
    private var skipsLine = false
    /// Anything but letters, blanks and an end was seen.
    private(set) var isMalformed = false

    /// - Parameter canFork: whether other readings are wanted.
    init(canFork: Bool) {
        self.style = .plain
        if canFork { self.forked = [.plain] }
    }

    private init(_ style: Style, from other: Base64Decoder) {
        self.style = style
        self.bits = other.bits
        self.letters = other.letters
    }

    private static let invalid: UInt32 = 0x8000_0000

    /// Values by octet, moved to their place among 24 bits.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: Self.invalid, count: 1024)
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for (value, letter) in alphabet.enumerated() {
            for place in 0..<4 { tables[place * 256 + Int(letter)] = UInt32(value) << UInt32(18 - 6 * place) }
        }
        return tables
    }()

    /// Decodes until the input ends or others must read on in other ways.
    mutating func decode(_ input: UnsafeRawBufferPointer, _ output: inout DecodedBytes) -> (
        used: Int, forks: [Base64Decoder]
    ) {
        Self.tables.withUnsafeBufferPointer { tables in
            while self.replayedPads > 0 {
                self.replayedPads -= 1
                self.takePad(&output)
            }
            var index = 0
            while index < input.count {
                if self.letters == 0, self.padding == 0, self.pads == 0, !self.skipsLine {
                    index = Self.decodeGroups(input, from: index, tables, &output)
                    guard index < input.count else { break }
                }
                let byte = input[index]
                let forks = self.forks(before: byte, tables[Int(byte) + 768])
                if !forks.isEmpty { return (index, forks) }
                self.take(byte, tables[Int(byte) + 768], &output)
                index += 1
            }
            return (index, [])
        }
    }

    /// Whole groups of letters, the fast way.
    @inline(__always)
    private static func decodeGroups(
        _ input: UnsafeRawBufferPointer, from start: Int, _ tables: UnsafeBufferPointer<UInt32>,
        _ output: inout DecodedBytes
    ) -> Int {
        var index = start
        while index &+ 4 <= input.count {
            let bits =
                tables[Int(input[index])] | tables[256 &+ Int(input[index &+ 1])]
                | tables[512 &+ Int(input[index &+ 2])] | tables[768 &+ Int(input[index &+ 3])]
            guard bits & Self.invalid == 0 else { break }
            output.append(bits)
            index &+= 4
        }
        return index
    }

    private mutating func take(_ byte: UInt8, _ value: UInt32, _ output: inout DecodedBytes) {
        let endsLine = byte == ASCII.lineFeed || byte == ASCII.carriageReturn
        if self.skipsLine, !endsLine { return }
        if endsLine {
            self.skipsLine = false
            if self.style == .lines, self.padding == 0 { self.reset() }
        } else if byte == UInt8(ascii: "=") {
            self.takePad(&output)
        } else if value != Self.invalid {
            if self.padding > 0 { self.flush(&output) }
            self.bits = self.bits << 6 | value
            self.letters += 1
            if self.letters + self.pads == 4 { self.flush(&output) }
        } else if byte > ASCII.space {
            self.isMalformed = true
            self.skipsLine = self.style == .stopping
        }
    }

    private mutating func takePad(_ output: inout DecodedBytes) {
        switch self.style {
        case .plain, .lines, .stopping: self.padding = self.padding < 64 ? self.padding + 1 : 61
        case .zero:
            self.bits <<= 6
            self.letters += 1
            if self.letters == 4 { self.flush(&output) }
        case .grouped:
            self.pads += 1
            if self.letters + self.pads == 4 { self.flush(&output) }
        case .skipping: break
        }
    }

    /// Decoders that read on in other ways from here, with `byte` not read yet.
    private mutating func forks(before byte: UInt8, _ value: UInt32) -> [Base64Decoder] {
        guard self.forked.count < Style.allCases.count else { return [] }
        if byte == ASCII.lineFeed || byte == ASCII.carriageReturn {
            return self.letters > 0 && self.padding == 0 ? self.fork([.lines]) : []
        }
        if value != Self.invalid { return self.padding > 0 ? self.fork([.zero, .grouped, .skipping]) : [] }
        return byte > ASCII.space && byte != UInt8(ascii: "=") ? self.fork([.stopping]) : []
    }

    private mutating func fork(_ styles: [Style]) -> [Base64Decoder] {
        let new = styles.filter { !self.forked.contains($0) }
        if !new.isEmpty { self.isMalformed = self.isMalformed || new != [.lines] }
        self.forked.formUnion(new)
        return new.map { style in
            var other = Base64Decoder(style, from: self)
            other.replayedPads = self.padding
            return other
        }
    }

    mutating func finish(_ output: inout DecodedBytes) { self.flush(&output) }

    /// Ends a group: 8 bits for every 6 that are whole.
    private mutating func flush(_ output: inout DecodedBytes) {
        let count = self.letters * 6 / 8
        var bits = self.bits << UInt32(24 - 6 * self.letters)
        for _ in 0..<count {
            output.append(UInt8(truncatingIfNeeded: bits >> 16))
            bits <<= 8
        }
        self.reset()
    }

    private mutating func reset() {
        self.bits = 0
        self.letters = 0
        self.pads = 0
        self.padding = 0
    }
}
