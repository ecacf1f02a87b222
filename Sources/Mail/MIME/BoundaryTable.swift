/// The boundaries that are looked for, with the parts that they divide.
///
/// Every boundary that was declared counts to the end of the message: clients do not agree on where a multipart ends
/// whose end is broken.
struct BoundaryTable {
    struct Match: Equatable {
        /// The number of the part that declared the boundary.
        let owner: Int
        /// `--` stands behind it.
        let isEnd: Bool
        /// The line is this boundary and nothing more.
        let isExact: Bool
        /// It is the only boundary of its part, read by the standard.
        let isCertain: Bool
    }

    private struct Entry {
        let bytes: [UInt8]
        let owner: Int
        let isCertain: Bool
    }

    private var entries: [Entry] = []
    /// Places in the list, in order.
    private var places: [[UInt8]: [Int]] = [:]
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    private static let dashes: [UInt8] = [0x2D, 0x2D]

    /// - Returns: whether there was room.
    mutating func add(_ boundary: [UInt8], owner: Int, isCertain: Bool) -> Bool {
        if self.places[boundary]?.contains(where: { self.entries[$0].owner == owner }) ?? false { return true }
        guard self.entries.count < self.limit else { return false }
        self.places[boundary, default: []].append(self.entries.count)
        self.entries.append(Entry(bytes: boundary, owner: owner, isCertain: isCertain))
        return true
    }

    /// Makes room by forgetting the boundaries of parts that are done with.
    mutating func remove(where isObsolete: (_ owner: Int) -> Bool) {
        self.entries.removeAll { isObsolete($0.owner) }
        self.places = [:]
        for (place, entry) in self.entries.enumerated() { self.places[entry.bytes, default: []].append(place) }
    }

    var isFull: Bool { self.entries.count >= self.limit }

    /// What a line says, that begins with `--` and has no end any more.
    ///
    /// - Parameter hasEnded: whether the end of a part's multipart was seen; of two with the same boundary, the other
    ///   one is meant.
    func match(_ line: [UInt8], hasEnded: (_ owner: Int) -> Bool) -> Match? {
        guard line.starts(with: Self.dashes), !self.entries.isEmpty else { return nil }
        let text = line.dropFirst(2)
        var trimmed = text
        while let last = trimmed.last, last <= ASCII.space { trimmed.removeLast() }
        for (candidate, isEnd) in [
            (text, false), (trimmed, false), (text.dropLast(2), true), (trimmed.dropLast(2), true),
        ] {
            if isEnd, !trimmed.suffix(2).elementsEqual(Self.dashes) { break }
            if let match = self.exact(Array(candidate), isEnd: isEnd, hasEnded: hasEnded) { return match }
        }
        return self.inexact(text, hasEnded: hasEnded)
    }

    private func exact(_ text: [UInt8], isEnd: Bool, hasEnded: (Int) -> Bool) -> Match? {
        guard let found = self.places[text] else { return nil }
        guard let place = found.last(where: { !hasEnded(self.entries[$0].owner) }) ?? found.last else { return nil }
        let entry = self.entries[place]
        return Match(owner: entry.owner, isEnd: isEnd, isExact: true, isCertain: entry.isCertain)
    }

    /// Many clients only ask whether a line begins with the boundary. The longest that does counts.
    private func inexact(_ text: ArraySlice<UInt8>, hasEnded: (Int) -> Bool) -> Match? {
        var best: Entry?
        for entry in self.entries where text.starts(with: entry.bytes) {
            if let best, best.bytes.count > entry.bytes.count || hasEnded(entry.owner) { continue }
            best = entry
        }
        guard let best else { return nil }
        let isEnd = text.dropFirst(best.bytes.count).starts(with: Self.dashes)
        return Match(owner: best.owner, isEnd: isEnd, isExact: false, isCertain: false)
    }
}
