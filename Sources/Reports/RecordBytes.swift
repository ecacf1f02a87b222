import Mail

/// Writes records as they are kept: numbers in network order, texts with their length in front.
struct RecordWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { self.bytes.append(value) }

    mutating func number(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { self.bytes += $0 }
    }

    mutating func address(_ value: IPAddress) {
        switch value {
        case .v4(let value):
            self.byte(4)
            self.number(value)
        case .v6(let high, let low):
            self.byte(6)
            self.number(high)
            self.number(low)
        }
    }

    /// Cut to 65535 octets, which nothing here comes near.
    mutating func text(_ value: String) {
        let octets = Array(value.utf8.prefix(Int(UInt16.max)))
        self.number(UInt16(octets.count))
        self.bytes += octets
    }

    mutating func optional(_ value: String?) {
        self.byte(value == nil ? 0 : 1)
        if let value { self.text(value) }
    }

    /// At most 255 of them.
    mutating func list<Element>(_ elements: [Element], _ write: (Element, inout RecordWriter) -> Void) {
        let elements = elements.prefix(255)
        self.byte(UInt8(elements.count))
        for element in elements { write(element, &self) }
    }
}

/// Reads them; nil for what is damaged.
struct RecordReader {
    var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        self.rest = bytes[...]
    }

    var isAtEnd: Bool { self.rest.isEmpty }

    mutating func byte() -> UInt8? { self.rest.popFirst() }

    mutating func number<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value? {
        let count = MemoryLayout<Value>.size
        guard self.rest.count >= count else { return nil }
        defer { self.rest = self.rest.dropFirst(count) }
        return self.rest.prefix(count).reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
    }

    mutating func address() -> IPAddress? {
        switch self.byte() {
        case 4: return self.number(UInt32.self).map { .v4($0) }
        case 6:
            guard let high = self.number(UInt64.self), let low = self.number(UInt64.self) else { return nil }
            return .v6(high: high, low: low)
        default: return nil
        }
    }

    mutating func text() -> String? {
        guard let count = self.number(UInt16.self).map(Int.init), self.rest.count >= count else { return nil }
        defer { self.rest = self.rest.dropFirst(count) }
        return String(validating: self.rest.prefix(count), as: UTF8.self)
    }

    mutating func optional() -> String?? {
        switch self.byte() {
        case 0: .some(nil)
        case 1: self.text().map { .some($0) }
        default: nil
        }
    }

    mutating func list<Element>(_ read: (inout RecordReader) -> Element?) -> [Element]? {
        guard let count = self.byte() else { return nil }
        var elements: [Element] = []
        for _ in 0..<count {
            guard let element = read(&self) else { return nil }
            elements.append(element)
        }
        return elements
    }
}
