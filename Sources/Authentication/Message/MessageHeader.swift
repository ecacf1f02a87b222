internal import Mail

/// A field of a header as it came, without the CRLF at its end.
package struct HeaderField: Hashable, Sendable {
    /// In lower case; empty for a line that is no field, which no signature can name.
    package let name: String
    package let bytes: [UInt8]
    /// Where the value begins, behind the colon.
    package let valueStart: Int

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? 0
        // Blanks before the colon are obsolete syntax (RFC 5322 §4.5), and signatures are made over such fields too.
        var end = colon
        while end > 0, ASCII.isBlank(bytes[end - 1]) { end -= 1 }
        let name = bytes[..<end]
        let isField = !name.isEmpty && name.allSatisfy { (33...126).contains($0) }
        self.name = isField ? String(decoding: name.map(ASCII.lowercased), as: UTF8.self) : ""
        self.valueStart = isField ? colon + 1 : bytes.count
    }

    /// What stands behind the colon, folds and blanks included.
    package var value: ArraySlice<UInt8> { self.bytes[self.valueStart...] }
}

/// The fields of a message's header, from the top.
package struct MessageHeader: Hashable, Sendable {
    package let fields: [HeaderField]
    private let places: [String: [Int]]

    package init(_ fields: [HeaderField] = []) {
        self.fields = fields
        self.places = Dictionary(grouping: fields.indices) { fields[$0].name }
    }

    /// Splits a header at its lines, which end in CRLF.
    ///
    /// - Parameter limit: how many fields there may be; nil comes back where there are more.
    init?(_ bytes: [UInt8], limit: Int) {
        var fields: [HeaderField] = []
        var start = 0
        for end in Self.fieldEnds(of: bytes) {
            guard fields.count < limit else { return nil }
            fields.append(HeaderField(Array(bytes[start..<end])))
            start = end + 2
        }
        self.init(fields)
    }

    /// Where the CRLF of each field's last line stands, or the end.
    private static func fieldEnds(of bytes: [UInt8]) -> [Int] {
        var ends: [Int] = []
        for (index, byte) in bytes.enumerated() where byte == ASCII.lineFeed {
            guard index > 0, bytes[index - 1] == ASCII.carriageReturn else { continue }
            let isFolded = index + 1 < bytes.count && ASCII.isBlank(bytes[index + 1])
            if !isFolded { ends.append(index - 1) }
        }
        if let last = ends.last.map({ $0 + 2 }) ?? (bytes.isEmpty ? nil : 0), last < bytes.count {
            ends.append(bytes.count)
        }
        return ends
    }

    /// Places of the fields with a name in lower case, from the top.
    package func indices(of name: String) -> [Int] { name.isEmpty ? [] : self.places[name] ?? [] }

    package func fields(named name: String) -> [HeaderField] { self.indices(of: name).map { self.fields[$0] } }
}

/// Gathers a header out of pieces of a message.
struct HeaderCollector {
    private let limits: MessageLimits
    /// As they came, until they have been split into fields.
    private(set) var bytes: [UInt8] = []
    /// Everything before is known to hold no empty line.
    private var lineStart = 0
    /// Everything before is known to hold no line end but those before `lineStart`.
    private var scanned = 0
    private(set) var isComplete = false
    private(set) var isTooLarge = false

    init(limits: MessageLimits) {
        self.limits = limits
    }

    /// - Returns: how many octets of the piece belong to the header, the empty line included.
    mutating func feed(_ piece: UnsafeRawBufferPointer) -> Int {
        let before = self.bytes.count
        let room = self.limits.headerBytes + 2 - before
        self.bytes += piece.prefix(room)
        while let end = self.nextLineEnd() {
            let isEmpty = end == self.lineStart + 1
            self.lineStart = end + 1
            guard isEmpty else { continue }
            let consumed = self.lineStart - before
            self.bytes.removeSubrange((end - 1)...)
            self.isComplete = true
            return consumed
        }
        if piece.count > room {
            self.isTooLarge = true
            self.isComplete = true
        }
        return piece.count
    }

    /// The place of the next LF that ends a line.
    private mutating func nextLineEnd() -> Int? {
        var position = max(self.lineStart, self.scanned)
        defer { self.scanned = position }
        while position < self.bytes.count {
            defer { position += 1 }
            let isEnd =
                self.bytes[position] == ASCII.lineFeed && position > self.lineStart
                && self.bytes[position - 1] == ASCII.carriageReturn
            if isEnd { return position }
        }
        return nil
    }

    /// The header, also where the message ended in it. It holds nothing if it was too large. To be called once.
    mutating func finish() -> MessageHeader {
        defer { self.bytes = [] }
        guard !self.isTooLarge, let header = MessageHeader(self.bytes, limit: self.limits.fields) else {
            self.isTooLarge = true
            return MessageHeader()
        }
        return header
    }
}

/// What of a message is looked at. Beyond it signatures are not verified.
package struct MessageLimits: Hashable, Sendable {
    /// Each message that comes in holds so many. Postfix's `header_size_limit` is 102,400 a field, which fits with all
    /// that others add; whole headers of real mail stay below 64 KB.
    package var headerBytes = 131_072
    package var fields = 1000
    /// DKIM signatures that are verified, from the top. Each costs a question to DNS and a verification for each record
    /// that answers it: 25 microseconds for usual keys of 2,048 bits, 700 for the dearest that ``KeyRecord`` takes.
    package var signatures = 8
    /// Verifications for DKIM, and as many for ARC: a chain of fifty needs 51, and each key may have several records.
    package var verifications: Int { max(64, self.signatures) }
    /// Body hashes over bodies cut at different lengths (`l=`), each of which costs as much as the whole. Every DKIM
    /// signature may want one of its own; the rest is for ARC, where only the newest set needs one for the chain to pass.
    package var bodyHashes: Int { self.signatures + 4 }

    package init() {}
}
