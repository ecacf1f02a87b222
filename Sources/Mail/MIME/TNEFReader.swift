/// Finds the names of attachments in TNEF (MS-OXTNEF §2.1), which Outlook unpacks from `winmail.dat`.
///
/// Attributes come one behind the other: a level, an identifier, a length, the data and a checksum. Of one that may
/// hold a name, 64 KB are kept; what an attachment holds goes to a scanner of its own.
struct TNEFReader {
    private static let storedBytes = 65_536
    /// Titles and properties together; more are as odd as they are useless.
    private static let names = 256

    private static let attachTitle: UInt32 = 0x0001_8010
    private static let attachment: UInt32 = 0x0006_9005
    private static let attachData: UInt32 = 0x0006_800F
    /// PR_ATTACH_FILENAME, PR_ATTACH_LONG_FILENAME, PR_DISPLAY_NAME.
    private static let nameProperties: Set<UInt32> = [0x3704, 0x3707, 0x3001]

    private enum State {
        /// The signature and a key. Next: `header`.
        case start
        /// Level, identifier and length. Next: `data`.
        case header
        /// Data and checksum. Next: `header`.
        case data(identifier: UInt32, remaining: Int)
        /// What is no attribute has come.
        case broken
    }

    private var state = State.start
    private var buffer: [UInt8] = []
    private(set) var names: [String] = []
    /// What attachments begin with.
    private(set) var contents: [ContentKind] = []

    mutating func take(_ input: UnsafeRawBufferPointer) {
        var index = 0
        while index < input.count {
            switch self.state {
            case .start: index += self.gather(input[index...], until: 6)
            case .header: index += self.gather(input[index...], until: 9)
            case .data(let identifier, let remaining):
                let count = min(remaining, input.count - index)
                self.keep(UnsafeRawBufferPointer(rebasing: input[index..<index + count]), of: identifier)
                index += count
                self.state = .data(identifier: identifier, remaining: remaining - count)
                if remaining == count { self.endAttribute(identifier) }
            case .broken: return
            }
        }
    }

    private mutating func gather(_ input: Slice<UnsafeRawBufferPointer>, until count: Int) -> Int {
        let piece = input.prefix(count - self.buffer.count)
        self.buffer += piece
        guard self.buffer.count == count else { return piece.count }
        if count == 9 {
            let identifier = Self.number(self.buffer[1...])
            let length = Int(Self.number(self.buffer[5...]))
            self.state =
                (1...2).contains(self.buffer[0]) ? .data(identifier: identifier, remaining: length + 2) : .broken
        } else {
            self.state = .header
        }
        self.buffer.removeAll(keepingCapacity: true)
        return piece.count
    }

    private mutating func keep(_ input: UnsafeRawBufferPointer, of identifier: UInt32) {
        switch identifier {
        case Self.attachTitle, Self.attachment: self.buffer += input.prefix(Self.storedBytes - self.buffer.count)
        case Self.attachData: self.buffer += input.prefix(ContentKind.magicBytes - self.buffer.count)
        default: break
        }
    }

    private mutating func endAttribute(_ identifier: UInt32) {
        let data = self.buffer.dropLast(self.buffer.count < Self.storedBytes ? 2 : 0)
        switch identifier {
        case Self.attachTitle: self.add(Charset.text(data.prefix { $0 != 0 }))
        case Self.attachment: self.readProperties(data)
        case Self.attachData: if let kind = ContentKind(magic: self.buffer[...]) { self.contents.append(kind) }
        default: break
        }
        self.buffer.removeAll(keepingCapacity: true)
        self.state = .header
    }

    private mutating func add(_ name: String) {
        guard !name.isEmpty, self.names.count < Self.names, !self.names.contains(name) else { return }
        self.names.append(name)
    }

    /// A count, and that many properties (MS-OXTNEF §2.1.3.4).
    private mutating func readProperties(_ data: ArraySlice<UInt8>) {
        var rest = data.dropFirst(4)
        while rest.count >= 4 {
            let tag = Self.number(rest)
            rest = rest.dropFirst(4)
            if tag >> 16 >= 0x8000 { rest = Self.skipName(rest) }
            guard let values = Self.takeValues(&rest, type: tag & 0xFFFF) else { return }
            guard Self.nameProperties.contains(tag >> 16) else { continue }
            for value in values {
                let text = tag & 0xFFF == 0x1F ? Charset.texts(value, charset: "utf-16le") : [Charset.text(value)]
                for name in text { self.add(String(name.prefix { $0 != "\0" })) }
            }
        }
    }

    /// A property without a fixed number has a GUID, and a number or a name.
    private static func skipName(_ data: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let rest = data.dropFirst(16)
        guard rest.count >= 8, Self.number(rest) == 1 else { return rest.dropFirst(8) }
        return rest.dropFirst(8 + Self.padded(Int(Self.number(rest.dropFirst(4)))))
    }

    /// - Returns: the values of a property with lengths; none for numbers. nil where it cannot go on.
    private static func takeValues(_ rest: inout ArraySlice<UInt8>, type: UInt32) -> [ArraySlice<UInt8>]? {
        let isMultiple = type & 0x1000 != 0
        var count = 1
        let size: Int
        switch type & 0xFFF {
        case 0x02, 0x03, 0x04, 0x0A, 0x0B: size = 4
        case 0x05, 0x06, 0x07, 0x14, 0x40: size = 8
        case 0x48: size = 16
        case 0x0D, 0x1E, 0x1F, 0x102: size = 0
        default: return nil
        }
        if isMultiple || size == 0 {
            guard rest.count >= 4 else { return nil }
            count = Int(Self.number(rest))
            rest = rest.dropFirst(4)
        }
        guard count <= Self.storedBytes else { return nil }
        guard size == 0 else {
            rest = rest.dropFirst(size * count)
            return []
        }
        var values: [ArraySlice<UInt8>] = []
        for _ in 0..<count {
            guard rest.count >= 4 else { return nil }
            let length = Int(Self.number(rest))
            values.append(rest.dropFirst(4).prefix(length))
            rest = rest.dropFirst(4 + Self.padded(length))
        }
        return values
    }

    private static func padded(_ length: Int) -> Int { (length + 3) & ~3 }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
