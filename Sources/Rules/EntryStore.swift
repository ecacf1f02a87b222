import Mail

/// Keys with their values and lines in one piece of memory, found by the hash of the key.
///
/// An entry takes about twenty octets beyond its text, for which a dictionary of strings takes some two hundred.
struct EntryStore: Sendable {
    /// Where an entry stands: its key up to its value, and that up to the next entry.
    private struct Place: Sendable {
        let start: UInt32
        let valueStart: UInt32
        let line: UInt32
    }

    /// Octets that a table may have, so that places have room in 32 bits even after folding has made keys longer.
    static let largestBytes = Int(UInt32.max / 4)

    private var octets: [UInt8] = []
    private var places: [Place] = []
    /// By the hash of the key, the number of the place from 1, or 0; the next free one if it is taken. At most half of
    /// them are.
    private var slots = [UInt32](repeating: 0, count: 16)

    /// - Parameters:
    ///   - octets: about how many there will be.
    ///   - entries: the same.
    init(octets: Int = 0, entries: Int = 0) {
        self.octets.reserveCapacity(octets)
        self.places.reserveCapacity(entries)
        while self.slots.count < entries * 2 { self.slots += self.slots }
    }

    var count: Int { self.places.count }

    /// - Returns: the line of the entry that has the key already; nil if it is new.
    mutating func insert(_ key: some Collection<UInt8>, _ value: some Collection<UInt8>, line: Int) -> Int? {
        if self.places.count * 2 >= self.slots.count { self.grow() }
        let start = self.octets.count
        self.octets += key
        let valueStart = self.octets.count
        let slot = self.octets.withUnsafeBufferPointer { self.slot(of: UnsafeBufferPointer(rebasing: $0[start...])) }
        if self.slots[slot] > 0 {
            self.octets.removeSubrange(start...)
            return Int(self.places[Int(self.slots[slot]) - 1].line)
        }
        self.octets += value
        self.places.append(
            Place(start: UInt32(start), valueStart: UInt32(valueStart), line: UInt32(clamping: line)))
        self.slots[slot] = UInt32(self.places.count)
        return nil
    }

    /// The number of the entry with this key, from 0.
    func find(_ key: String) -> Int? {
        var key = key
        let slot = key.withUTF8 { self.slot(of: $0) }
        return self.slots[slot] > 0 ? Int(self.slots[slot]) - 1 : nil
    }

    func key(_ number: Int) -> String { String(decoding: self.octets[self.keyRange(number)], as: UTF8.self) }

    /// What stands behind the last `@` of a key; nil without one.
    func domain(_ number: Int) -> ArraySlice<UInt8>? {
        let key = self.octets[self.keyRange(number)]
        return key.lastIndex(of: UInt8(ascii: "@")).map { key[($0 + 1)...] }
    }

    /// Whether a key is `@domain`.
    func isCatchAll(_ number: Int) -> Bool { self.octets[self.keyRange(number)].first == UInt8(ascii: "@") }

    func value(_ number: Int) -> String {
        let end = number + 1 < self.places.count ? Int(self.places[number + 1].start) : self.octets.count
        return String(decoding: self.octets[Int(self.places[number].valueStart)..<end], as: UTF8.self)
    }

    func line(_ number: Int) -> Int { Int(self.places[number].line) }

    private func keyRange(_ number: Int) -> Range<Int> {
        Int(self.places[number].start)..<Int(self.places[number].valueStart)
    }

    /// Where the key is, or would be put.
    private func slot(of key: UnsafeBufferPointer<UInt8>) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(key))
        let mask = self.slots.count - 1
        var slot = hasher.finalize() & mask
        while self.slots[slot] > 0, !self.has(key, Int(self.slots[slot]) - 1) { slot = (slot + 1) & mask }
        return slot
    }

    private func has(_ key: UnsafeBufferPointer<UInt8>, _ number: Int) -> Bool {
        let range = self.keyRange(number)
        return range.count == key.count && self.octets.withUnsafeBufferPointer { $0[range].elementsEqual(key) }
    }

    private mutating func grow() {
        self.slots = [UInt32](repeating: 0, count: self.slots.count * 2)
        for number in self.places.indices {
            let range = self.keyRange(number)
            let slot = self.octets.withUnsafeBufferPointer { self.slot(of: UnsafeBufferPointer(rebasing: $0[range])) }
            self.slots[slot] = UInt32(number + 1)
        }
    }
}
