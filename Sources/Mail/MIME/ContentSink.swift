/// What all readers of one message share.
struct ExaminationContext {
    let limits: MIMELimits
    let makeInflater: InflaterMaker?
    /// Octets that may still be inflated.
    var inflatableBytes: Int
    /// Octets that were looked at, in all readings: what the time is linear in.
    var examinedBytes = 0

    init(limits: MIMELimits, makeInflater: InflaterMaker?) {
        self.limits = limits
        self.makeInflater = makeInflater
        self.inflatableBytes = limits.inflatedBytes
    }
}

/// Recognizes what decoded content is, and takes out of it what it holds.
struct ContentSink {
    /// What was found when the content has ended.
    struct Findings {
        var contents: [ContentKind] = []
        var archive: ArchiveListing?
        var names: [String] = []
        /// Of a message or of parts that were encoded.
        var nested: EntityReader.Result?
    }

    /// "CD001" stands in the first volume descriptor (ECMA-119 §8).
    private static let isoMark: (offset: Int, bytes: [UInt8]) = (32_769, Array("CD001".utf8))

    private var head: [UInt8] = []
    private var isHeadKnown = false
    private var count = 0
    private var isoMark: [UInt8] = []
    private var zip: ZipScanner
    private var tnef: TNEFReader?
    private var gzip: GzipReader?
    /// What gzip holds; of one element, as a value cannot hold itself.
    private var inflated: [ContentSink] = []
    private var nested: [EntityReader]
    private let containers: [String]

    init(_ context: ExaminationContext, nested: EntityReader? = nil, containers: [String] = []) {
        self.zip = ZipScanner(limits: context.limits, makeInflater: context.makeInflater, containers: containers)
        self.nested = nested.map { [$0] } ?? []
        self.containers = containers
    }

    mutating func consume(_ input: UnsafeRawBufferPointer, _ context: inout ExaminationContext) {
        guard !input.isEmpty else { return }
        context.examinedBytes += input.count
        self.zip.scan(input, budget: &context.inflatableBytes)
        if !self.nested.isEmpty { self.nested[0].feed(input, &context) }
        self.keepISOMark(input)
        self.count += input.count
        var rest = input
        if !self.isHeadKnown {
            let taken = input.prefix(ContentKind.magicBytes - self.head.count)
            self.head += taken
            guard self.head.count == ContentKind.magicBytes else { return }
            self.begin(&context)
            rest = UnsafeRawBufferPointer(rebasing: input[taken.count...])
        }
        self.unpack(rest, &context)
    }

    private mutating func begin(_ context: inout ExaminationContext) {
        self.isHeadKnown = true
        switch ContentKind(magic: self.head[...]) {
        case .tnef: self.tnef = TNEFReader()
        case .gzip where self.containers.count < context.limits.archiveDepth:
            self.gzip = GzipReader(makeInflater: context.makeInflater)
            self.inflated = [ContentSink(context, containers: self.containers + ["gzip"])]
        case nil, .gzip, .exe, .elf, .macho, .lnk, .zip, .rar, .sevenZip, .bzip2, .xz, .cab, .ace, .arj, .iso, .ole,
            .pdf, .rtf, .chm, .onenote:
            return
        }
        let head = self.head
        head.withUnsafeBytes { self.unpack($0, &context) }
    }

    private mutating func unpack(_ input: UnsafeRawBufferPointer, _ context: inout ExaminationContext) {
        self.tnef?.take(input)
        guard var gzip = self.gzip else { return }
        self.gzip = nil
        gzip.take(input) { output in
            guard context.inflatableBytes > 0 else { return false }
            context.inflatableBytes -= output.count
            self.inflated[0].consume(output, &context)
            return true
        }
        self.gzip = gzip
    }

    private mutating func keepISOMark(_ input: UnsafeRawBufferPointer) {
        let offset = Self.isoMark.offset
        guard self.count < offset + 5, self.count + input.count > offset else { return }
        self.isoMark += input.dropFirst(max(offset - self.count, 0)).prefix(5 - self.isoMark.count)
    }

    mutating func finish(_ context: inout ExaminationContext) -> Findings {
        if !self.isHeadKnown { self.begin(&context) }
        var findings = Findings()
        if let kind = ContentKind(magic: self.head[...]) { findings.contents.append(kind) }
        if self.isoMark == Self.isoMark.bytes { findings.contents.append(.iso) }
        self.zip.finish(budget: &context.inflatableBytes)
        if self.zip.hasRecords {
            // Behind something else a zip archive is one as well.
            if !findings.contents.contains(.zip) { findings.contents.append(.zip) }
            findings.archive = self.zip.listing
        }
        if let tnef {
            findings.names += tnef.names
            findings.contents += tnef.contents
        }
        if let gzip { self.add(gzip, &findings, &context) }
        if !self.nested.isEmpty { findings.nested = self.nested[0].finish(&context) }
        return findings
    }

    private mutating func add(_ gzip: GzipReader, _ findings: inout Findings, _ context: inout ExaminationContext) {
        let inner = self.inflated[0].finish(&context)
        var listing = findings.archive ?? ArchiveListing()
        let name = Charset.text(gzip.name[...])
        if !name.isEmpty || !inner.contents.isEmpty {
            listing.entries.append(ArchiveEntry(name: name, containers: self.containers, content: inner.contents.first))
        }
        if let archive = inner.archive { listing.merge(archive) }
        if context.inflatableBytes <= 0 { listing.isTruncated = true }
        findings.archive = listing
    }

    /// Gives a copy inflaters of its own; what lies encoded in it is read in one way only.
    mutating func detach() {
        self.zip.detach()
        self.gzip?.detach()
        for index in self.inflated.indices { self.inflated[index].detach() }
        for index in self.nested.indices { self.nested[index].detach() }
    }
}
