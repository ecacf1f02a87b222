/// What must be known of a POSIX pattern before the C library is given it.
///
/// The library copies what is repeated (`a{3}` becomes `aaa`, `a+` becomes `aa*`), so nested repetition takes memory
/// that doubles with each level, and it calls itself for each open group.
struct POSIXPatternSurvey {
    /// Of parts after copying; `Int.max` when groups are nested too deeply.
    private(set) var size = 0
    private(set) var hasBackReference = false

    private static let deepestNesting = 250

    private let bytes: [UInt8]
    private let isExtended: Bool
    private var position = 0
    /// Sizes of the groups that are open, from the outermost; first the pattern's own.
    private var sizes = [0]
    /// The size of what a repetition would repeat.
    private var last = 0

    init(_ text: String, isExtended: Bool) {
        self.bytes = Array(text.utf8)
        self.isExtended = isExtended
        while let byte = self.next() { self.take(byte) }
        while self.sizes.count > 1 { self.endGroup() }
        if self.size != Int.max { self.size = Self.sum(self.sizes[0], self.last) }
    }

    private var peek: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private mutating func next() -> UInt8? {
        guard let byte = self.peek else { return nil }
        self.position += 1
        return byte
    }

    private mutating func take(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\\"): self.takeEscaped()
        case UInt8(ascii: "["): self.takeBracketExpression()
        case UInt8(ascii: "*"): break
        default:
            if self.isExtended { self.takeOperator(byte) } else { self.takePart() }
        }
    }

    private mutating func takeEscaped() {
        guard let byte = self.next() else { return }
        if byte >= UInt8(ascii: "1"), byte <= UInt8(ascii: "9") {
            self.hasBackReference = true
        } else if self.isExtended {
            self.takePart()
        } else {
            self.takeOperator(byte)
        }
    }

    private mutating func takeOperator(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "("): self.beginGroup()
        case UInt8(ascii: ")") where self.sizes.count > 1: self.endGroup()
        case UInt8(ascii: "+"): self.last = Self.product(self.last, 2)
        case UInt8(ascii: "?"): break
        case UInt8(ascii: "{"): self.takeBounds()
        default: self.takePart()
        }
    }

    private mutating func takePart() {
        self.sizes[self.sizes.count - 1] = Self.sum(self.sizes[self.sizes.count - 1], self.last)
        self.last = 1
    }

    private mutating func beginGroup() {
        self.takePart()
        self.last = 0
        self.sizes.append(0)
        if self.sizes.count > Self.deepestNesting { self.size = Int.max }
    }

    private mutating func endGroup() {
        self.last = Self.sum(Self.sum(self.sizes.removeLast(), self.last), 1)
    }

    /// `n}`, `n,}`, `n,m}`, `,m}`.
    private mutating func takeBounds() {
        let low = self.number()
        var most = low ?? 0
        if self.peek == UInt8(ascii: ",") {
            self.position += 1
            most = self.number() ?? Self.sum(most, 1)
        }
        self.last = Self.product(self.last, max(1, most, low ?? 0))
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let byte = self.peek, byte &- 0x30 < 10 {
            value = Self.sum(Self.product(value ?? 0, 10), Int(byte - 0x30))
            self.position += 1
        }
        return value
    }

    /// A backslash means nothing in brackets, and a bracket that comes first does not end them.
    private mutating func takeBracketExpression() {
        self.takePart()
        if self.peek == UInt8(ascii: "^") { self.position += 1 }
        if self.peek == UInt8(ascii: "]") { self.position += 1 }
        while let byte = self.next(), byte != UInt8(ascii: "]") {
            guard byte == UInt8(ascii: "["), let kind = self.peek,
                [UInt8(ascii: ":"), UInt8(ascii: "."), UInt8(ascii: "=")].contains(kind)
            else { continue }
            self.position += 1
            while let inner = self.next(), inner != kind || self.peek != UInt8(ascii: "]") {}
            self.position += 1
        }
    }

    private static func sum(_ one: Int, _ other: Int) -> Int {
        let (sum, overflow) = one.addingReportingOverflow(other)
        return overflow ? Int.max : sum
    }

    private static func product(_ one: Int, _ other: Int) -> Int {
        let (product, overflow) = one.multipliedReportingOverflow(by: other)
        return overflow ? Int.max : product
    }
}
