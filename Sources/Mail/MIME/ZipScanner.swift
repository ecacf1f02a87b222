/// Finds the names in a zip archive while its octets go by.
///
/// Programs start from the end of an archive, from its beginning or from anything between, and an archive may lie behind
/// another file. So every signature of a header counts, wherever it stands; what is wrong about the lengths in one hides
/// no other. Memory: 16 headers of 8 KB, 4 inflaters, the entries up to the limit.
struct ZipScanner {
    private static let activeRecords = 16
    private static let activeEntries = 4

    private let limits: MIMELimits
    private let makeInflater: InflaterMaker?
    /// Names of the archives around this one.
    private let containers: [String]

    /// Octets of a signature that have come.
    private var matched = 0
    private var third: UInt8 = 0
    private var records: [ZipRecord] = []
    private var streams: [EntryStream] = []
    private var known: [ArchiveEntry: Int] = [:]
    private(set) var listing = ArchiveListing()
    private(set) var hasRecords = false

    init(limits: MIMELimits, makeInflater: InflaterMaker?, containers: [String]) {
        self.limits = limits
        self.makeInflater = makeInflater
        self.containers = containers
    }

    /// - Parameter budget: octets that may still be inflated.
    mutating func scan(_ input: UnsafeRawBufferPointer, budget: inout Int) {
        var start = 0
        var index = 0
        while index < input.count {
            if self.matched == 0 {
                index = ByteSearch.pair(0x50, 0x4B, in: input, from: index)
                guard index < input.count else { break }
            }
            if let signature = self.match(input[index]) {
                self.pass(UnsafeRawBufferPointer(rebasing: input[start...index]), budget: &budget)
                start = index + 1
                self.begin(signature)
            }
            index += 1
        }
        self.pass(UnsafeRawBufferPointer(rebasing: input[start...]), budget: &budget)
    }

    /// - Returns: the last two octets of a signature that is now complete.
    private mutating func match(_ byte: UInt8) -> UInt16? {
        switch self.matched {
        case 1 where byte == 0x4B: self.matched = 2
        case 2 where byte == 1 || byte == 3 || byte == 6:
            self.matched = 3
            self.third = byte
        case 3 where byte == self.third + 1 || byte == 8 && self.third == 6:
            self.matched = 0
            return UInt16(self.third) << 8 | UInt16(byte)
        default: self.matched = byte == 0x50 ? 1 : 0
        }
        return nil
    }

    private mutating func begin(_ signature: UInt16) {
        switch signature {
        case 0x0304: self.begin(ZipRecord(.localHeader))
        case 0x0102: self.begin(ZipRecord(.centralHeader))
        // Archive extra data stands only before an encrypted list of entries (APPNOTE.TXT 4.3.11).
        case 0x0608: if self.hasRecords { self.listing.isEncrypted = true }
        default: break
        }
    }

    private mutating func begin(_ record: ZipRecord) {
        guard self.records.count < Self.activeRecords else {
            self.listing.isTruncated = true
            return
        }
        self.records.append(record)
    }

    /// Hands octets to the headers and entries that are coming in.
    private mutating func pass(_ input: UnsafeRawBufferPointer, budget: inout Int) {
        guard !input.isEmpty else { return }
        self.passToStreams(input, budget: &budget)
        guard !self.records.isEmpty else { return }
        var records: [ZipRecord] = []
        var complete: [(used: Int, record: ZipRecord)] = []
        for var record in self.records {
            let used = record.take(input)
            if record.isImpossible { continue }
            if record.isComplete { complete.append((used, record)) } else { records.append(record) }
        }
        self.records = records
        // In the order in which they end, so that pieces make no difference.
        for (_, entry) in complete.enumerated().sorted(by: { ($0.1.used, $0.0) < ($1.1.used, $1.0) }) {
            self.note(entry.record, rest: UnsafeRawBufferPointer(rebasing: input[entry.used...]), budget: &budget)
        }
    }

    private mutating func passToStreams(_ input: UnsafeRawBufferPointer, budget: inout Int) {
        guard !self.streams.isEmpty else { return }
        for index in self.streams.indices {
            self.streams[index].take(input, budget: &budget)
            self.collect(self.streams[index])
        }
        self.streams.removeAll(where: \.isDone)
    }

    /// - Parameter rest: what has come behind the header by now.
    private mutating func note(_ record: ZipRecord, rest: UnsafeRawBufferPointer, budget: inout Int) {
        self.hasRecords = true
        if record.isEncrypted || record.hidesNames { self.listing.isEncrypted = true }
        var place: Int?
        for name in record.names {
            place = self.add(ArchiveEntry(name: name, containers: self.containers, isEncrypted: record.isEncrypted))
        }
        guard let place, record.kind == .localHeader, !record.isEncrypted else { return }
        guard self.streams.count < Self.activeEntries else { return }
        guard
            let stream = EntryStream(
                entry: place, name: self.listing.entries[place].name, method: record.method,
                containers: self.containers,
                limits: self.limits, makeInflater: self.makeInflater)
        else { return }
        self.streams.append(stream)
        let last = self.streams.count - 1
        self.streams[last].take(rest, budget: &budget)
        self.collect(self.streams[last])
        if self.streams[last].isDone { self.streams.removeLast() }
    }

    /// - Returns: where the entry stands; nil if there are too many.
    private mutating func add(_ entry: ArchiveEntry) -> Int? {
        if let place = self.known[entry] { return place }
        guard self.listing.entries.count < self.limits.archiveEntries else {
            self.listing.isTruncated = true
            return nil
        }
        self.known[entry] = self.listing.entries.count
        self.listing.entries.append(entry)
        return self.listing.entries.count - 1
    }

    private mutating func collect(_ stream: EntryStream) {
        if let kind = stream.content { self.listing.entries[stream.entry].content = kind }
        guard stream.isDone else { return }
        if stream.isTruncated { self.listing.isTruncated = true }
        for nested in stream.nested { self.merge(nested.listing) }
    }

    private mutating func merge(_ other: ArchiveListing) {
        if other.isEncrypted { self.listing.isEncrypted = true }
        if other.isTruncated { self.listing.isTruncated = true }
        for entry in other.entries {
            var plain = entry
            plain.content = nil
            if let place = self.add(plain), let kind = entry.content { self.listing.entries[place].content = kind }
        }
    }

    /// At the end of the content.
    mutating func finish(budget: inout Int) {
        for var stream in self.streams {
            stream.finish(budget: &budget)
            self.collect(stream)
        }
        self.streams = []
        // Entries of archives in this one come in as these end, which depends on the pieces.
        let own = self.listing.entries.filter { $0.containers == self.containers }
        let nested = self.listing.entries.filter { $0.containers != self.containers }.sorted {
            ($0.containers.joined(separator: "\0"), $0.name, $0.isEncrypted ? 1 : 0)
                < ($1.containers.joined(separator: "\0"), $1.name, $1.isEncrypted ? 1 : 0)
        }
        self.listing.entries = own + nested
    }

    /// Gives a copy inflaters of its own.
    mutating func detach() {
        for index in self.streams.indices { self.streams[index].detach() }
    }
}

/// The content of an entry, as far as it must be known: the first octets, all if it is an archive itself.
struct EntryStream {
    /// How an entry is kept (APPNOTE.TXT 4.4.5).
    private enum Method {
        case stored
        case deflated(any StreamInflater)
    }

    /// Suffixes of archives that may have something in front.
    private static let archiveSuffixes = [".zip", ".jar", ".exe", ".docx", ".xlsx", ".pptx", ".docm", ".xlsm", ".apk"]

    /// Where the entry stands in its listing.
    let entry: Int
    private let name: String
    private var method: Method
    private var head: [UInt8] = []
    /// The scanner of the content; empty if it is no archive.
    private(set) var nested: [ZipScanner] = []
    private(set) var content: ContentKind?
    private(set) var isDone = false
    private(set) var isTruncated = false
    private let canNest: Bool

    /// - Returns: nil if nothing can be known of the content.
    init?(
        entry: Int, name: String, method: Int, containers: [String], limits: MIMELimits, makeInflater: InflaterMaker?
    ) {
        self.entry = entry
        self.name = name.asciiLowercased
        switch method {
        case 0: self.method = .stored
        case 8, 9:
            guard let inflater = makeInflater?() else { return nil }
            self.method = .deflated(inflater)
        default: return nil
        }
        self.canNest = containers.count < limits.archiveDepth
        self.nested = [ZipScanner(limits: limits, makeInflater: makeInflater, containers: containers + [name])]
    }

    mutating func take(_ input: UnsafeRawBufferPointer, budget: inout Int) {
        guard !self.isDone, !input.isEmpty else { return }
        switch self.method {
        case .stored:
            // The scanner around sees what a stored archive holds.
            self.head += input.prefix(ContentKind.magicBytes - self.head.count)
            if self.head.count == ContentKind.magicBytes { self.end() }
        case .deflated(let inflater): self.take(input, inflater, budget: &budget)
        }
    }

    private mutating func take(_ input: UnsafeRawBufferPointer, _ inflater: any StreamInflater, budget: inout Int) {
        let (status, _) = inflater.inflate(input) { output in
            guard budget > 0 else {
                self.isTruncated = true
                return false
            }
            budget -= output.count
            return self.takeInflated(output, budget: &budget)
        }
        switch status {
        case .more: break
        case .ended, .failed: self.finish(budget: &budget)
        }
    }

    /// - Returns: whether more is wanted.
    private mutating func takeInflated(_ output: UnsafeRawBufferPointer, budget: inout Int) -> Bool {
        var output = output
        if self.head.count < ContentKind.magicBytes {
            let count = min(ContentKind.magicBytes - self.head.count, output.count)
            self.head += output.prefix(count)
            output = UnsafeRawBufferPointer(rebasing: output.dropFirst(count))
            guard self.head.count == ContentKind.magicBytes else { return true }
            guard self.begin(budget: &budget) else { return false }
        }
        if !self.nested.isEmpty { self.nested[0].scan(output, budget: &budget) }
        return true
    }

    /// With the first octets known.
    ///
    /// - Returns: whether the content may be an archive.
    private mutating func begin(budget: inout Int) -> Bool {
        self.content = ContentKind(magic: self.head[...])
        let isArchive =
            self.content?.mayHoldArchive ?? false || Self.archiveSuffixes.contains { self.name.hasSuffix($0) }
        guard isArchive, !self.nested.isEmpty else {
            self.nested = []
            return false
        }
        guard self.canNest else {
            self.nested = []
            self.isTruncated = true
            return false
        }
        self.head.withUnsafeBytes { self.nested[0].scan($0, budget: &budget) }
        return true
    }

    mutating func finish(budget: inout Int) {
        guard !self.isDone else { return }
        if self.head.count < ContentKind.magicBytes {
            self.nested = []
        } else if !self.nested.isEmpty {
            self.nested[0].finish(budget: &budget)
        }
        self.end()
    }

    private mutating func end() {
        self.isDone = true
        if self.content == nil { self.content = ContentKind(magic: self.head[...]) }
        if case .stored = self.method { self.nested = [] }
    }

    mutating func detach() {
        for index in self.nested.indices { self.nested[index].detach() }
        guard case .deflated(let inflater) = self.method else { return }
        guard let copy = inflater.copy() else {
            self.isTruncated = true
            self.isDone = true
            return
        }
        self.method = .deflated(copy)
    }
}
