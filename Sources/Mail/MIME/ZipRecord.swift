/// A header in a zip archive (APPNOTE.TXT 4.3.7, 4.3.12), as it comes in octet by octet.
struct ZipRecord {
    enum Kind {
        case localHeader
        case centralHeader
    }

    /// Longer names are cut.
    private static let storedBytes = 8192
    /// Octets behind the signature with a fixed place.
    private static let localBytes = 26
    private static let centralBytes = 42

    let kind: Kind
    private var bytes: [UInt8] = []
    private var count = 0

    init(_ kind: Kind) {
        self.kind = kind
    }

    private var fixedBytes: Int {
        switch self.kind {
        case .localHeader: Self.localBytes
        case .centralHeader: Self.centralBytes
        }
    }

    /// - Returns: how many octets the record still takes.
    mutating func take(_ input: UnsafeRawBufferPointer) -> Int {
        var index = 0
        while index < input.count {
            let need = self.neededBytes - self.count
            guard need > 0 else { break }
            let piece = input[index..<min(index + need, input.count)]
            if self.bytes.count < Self.storedBytes { self.bytes += piece.prefix(Self.storedBytes - self.bytes.count) }
            self.count += piece.count
            index += piece.count
        }
        return index
    }

    private var neededBytes: Int {
        guard self.count >= self.fixedBytes else { return self.fixedBytes }
        return self.fixedBytes + self.nameBytes + self.extraBytes
    }

    var isComplete: Bool { self.count >= self.fixedBytes && self.count >= self.neededBytes }

    /// Whether the fixed part is there and cannot be one: the signature stood there by chance.
    var isImpossible: Bool {
        guard self.count >= self.fixedBytes else { return false }
        return self.nameBytes == 0 || self.versionNeeded > 99 || !(0...99).contains(self.method)
    }

    private func number(_ offset: Int) -> Int {
        let place = self.kind == .localHeader ? offset : offset + 2
        return Int(self.bytes[place]) | Int(self.bytes[place + 1]) << 8
    }

    // Offsets are those of a local header behind its signature; the central one has two octets more in front.
    private var versionNeeded: Int { self.number(0) & 0xFF }
    private var flags: Int { self.number(2) }
    var method: Int { self.number(4) }
    private var nameBytes: Int { self.number(22) }
    private var extraBytes: Int { self.number(24) }

    var isEncrypted: Bool { self.flags & 1 != 0 || self.method == 99 }

    /// The list of entries is encrypted, and what local headers say is masked.
    var hidesNames: Bool { self.flags & 0x2000 != 0 }

    /// The name, and the one in the Unicode path field (APPNOTE.TXT 4.6.9).
    var names: [String] {
        let end = min(self.fixedBytes + self.nameBytes, self.bytes.count)
        let name = self.bytes[self.fixedBytes..<end]
        return [Charset.text(name)] + (self.unicodePath(self.bytes[end...]).map { [$0] } ?? [])
    }

    private func unicodePath(_ extra: ArraySlice<UInt8>) -> String? {
        var rest = extra
        while rest.count >= 4 {
            let start = rest.startIndex
            let identifier = Int(rest[start]) | Int(rest[start + 1]) << 8
            let length = Int(rest[start + 2]) | Int(rest[start + 3]) << 8
            let field = rest.dropFirst(4).prefix(length)
            if identifier == 0x7075, field.count > 5 { return Charset.text(field.dropFirst(5)) }
            rest = rest.dropFirst(4 + length)
        }
        return nil
    }
}
