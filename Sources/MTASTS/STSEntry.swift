package import Mail

/// A policy that is kept, with the record that announced it.
///
/// On the disk, numbers in network order: format number; time of the fetch in microseconds; greatest age in seconds, four
/// octets; mode; then texts, each behind its length in two octets: id, and behind a number in two octets each the patterns
/// and the lines.
package struct STSEntry: Hashable, Sendable {
    package let id: String
    package let policy: STSPolicy
    package let fetched: Timestamp

    package init(id: String, policy: STSPolicy, fetched: Timestamp) {
        self.id = id
        self.policy = policy
        self.fetched = fetched
    }

    package var expires: Timestamp { self.fetched + self.policy.maximumAge }

    func isCurrent(at now: Timestamp) -> Bool { now < self.expires }

    private static let format: UInt8 = 1
    private static let modes: [STSPolicy.Mode] = [.none, .testing, .enforce]

    package func encoded() -> [UInt8] {
        var bytes = [Self.format]
        func append(_ number: some FixedWidthInteger) {
            withUnsafeBytes(of: number.bigEndian) { bytes += $0 }
        }
        func append(_ text: String) {
            let octets = text.utf8.prefix(Int(UInt16.max))
            append(UInt16(octets.count))
            bytes += octets
        }
        append(self.fetched.microseconds)
        append(UInt32(clamping: self.policy.maximumAge.components.seconds))
        append(UInt8(clamping: Self.modes.firstIndex(of: self.policy.mode) ?? 0))
        append(self.id)
        for list in [self.policy.mxPatterns, self.policy.lines] {
            append(UInt16(clamping: list.count))
            for text in list.prefix(Int(UInt16.max)) { append(text) }
        }
        return bytes
    }

    /// Nil for another format and for what is damaged: the policy is then fetched anew.
    package init?(record bytes: UnsafeRawBufferPointer) {
        var reader = Reader(rest: bytes[...])
        guard reader.number(UInt8.self) == Self.format, let fetched = reader.number(Int64.self),
            let age = reader.number(UInt32.self), let mode = reader.number(UInt8.self), mode < Self.modes.count,
            let id = reader.text(), let patterns = reader.list(), let lines = reader.list(), reader.rest.isEmpty,
            mode == 0 || !patterns.isEmpty
        else { return nil }
        let policy = STSPolicy(
            mode: Self.modes[Int(mode)], mxPatterns: patterns, maximumAge: .seconds(Int64(age)), lines: lines)
        self.init(id: id, policy: policy, fetched: Timestamp(microseconds: fetched))
    }

    private struct Reader {
        var rest: Slice<UnsafeRawBufferPointer>

        mutating func number<Value: FixedWidthInteger>(_ type: Value.Type) -> Value? {
            let count = MemoryLayout<Value>.size
            guard self.rest.count >= count else { return nil }
            defer { self.rest = self.rest.dropFirst(count) }
            return self.rest.prefix(count).reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
        }

        mutating func text() -> String? {
            guard let count = self.number(UInt16.self), self.rest.count >= count else { return nil }
            defer { self.rest = self.rest.dropFirst(Int(count)) }
            return String(validating: self.rest.prefix(Int(count)), as: UTF8.self)
        }

        mutating func list() -> [String]? {
            guard let count = self.number(UInt16.self) else { return nil }
            var texts: [String] = []
            for _ in 0..<count {
                guard let text = self.text() else { return nil }
                texts.append(text)
            }
            return texts
        }
    }
}
