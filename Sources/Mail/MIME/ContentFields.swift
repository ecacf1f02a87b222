/// The Content fields of a header (RFC 2045, RFC 2183), each as often as it comes.
struct ContentFields {
    enum Kind: CaseIterable {
        case type
        case disposition
        case encoding

        var name: String {
            switch self {
            case .type: "content-type"
            case .disposition: "content-disposition"
            case .encoding: "content-transfer-encoding"
            }
        }
    }

    private(set) var list: [(kind: Kind, value: [UInt8])] = []
    /// Whether a folded line goes on in the last of the list.
    private var isOpen = false
    private var bytes = 0
    private(set) var isTooLong = false
    private(set) var isMalformed = false
    private let limits: MIMELimits

    init(limits: MIMELimits) {
        self.limits = limits
    }

    func values(_ kind: Kind) -> [[UInt8]] { self.list.filter { $0.kind == kind }.map(\.value) }

    /// Takes a line without its end.
    ///
    /// - Returns: whether the line belongs to a header.
    mutating func take(_ line: ArraySlice<UInt8>) -> Bool {
        guard let first = line.first else { return true }
        if line.count > 12, line.contains(ASCII.carriageReturn) { self.takeBehindCarriageReturns(line) }
        if let (kind, value) = Self.contentField(line) {
            if ASCII.isBlank(first) {
                self.isMalformed = true
                self.append(line)
            }
            self.open(kind, value)
            return true
        }
        if ASCII.isBlank(first) {
            self.append(line)
            return true
        }
        self.isOpen = false
        return line.contains(UInt8(ascii: ":"))
    }

    /// A client may take a CR alone for the end of a line.
    private mutating func takeBehindCarriageReturns(_ line: ArraySlice<UInt8>) {
        for piece in line.split(separator: ASCII.carriageReturn).dropFirst() {
            guard let (kind, value) = Self.contentField(piece) else { continue }
            self.isMalformed = true
            self.open(kind, value)
        }
    }

    private mutating func open(_ kind: Kind, _ value: ArraySlice<UInt8>) {
        guard self.list.count < self.limits.fields else {
            self.isTooLong = true
            self.isOpen = false
            return
        }
        self.list.append((kind, []))
        self.isOpen = true
        self.append(value)
    }

    private mutating func append(_ piece: ArraySlice<UInt8>) {
        guard self.isOpen, !self.list.isEmpty else { return }
        let room = max(self.limits.headerBytes - self.bytes, 0)
        if piece.count > room { self.isTooLong = true }
        self.list[self.list.count - 1].value += piece.prefix(room)
        self.bytes += min(piece.count, room)
    }

    /// Reads a line that begins a Content field, with blanks before its name, control characters in it, and more colons
    /// than one.
    static func contentField(_ line: ArraySlice<UInt8>) -> (Kind, value: ArraySlice<UInt8>)? {
        let start = line.drop { $0 <= ASCII.space }
        guard let first = start.first, first | 0x20 == UInt8(ascii: "c") else { return nil }
        guard let colon = start.prefix(80).firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let name = start[..<colon].filter { $0 > ASCII.space }.map(ASCII.lowercased)
        guard let kind = Kind.allCases.first(where: { name.elementsEqual($0.name.utf8) }) else { return nil }
        return (kind, start[colon...].drop { $0 == UInt8(ascii: ":") })
    }
}
