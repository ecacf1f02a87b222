/// Reads a message line by line: headers, boundaries, and the content between them.
///
/// Where clients differ it goes every way at once: a part is read as content and as a container, content in every
/// transfer encoding that is named, and what may or may not be a boundary begins a part without ending the one before.
/// So each part of the state belongs to one of the ways, and none of them can hide what another finds.
struct EntityReader {
    struct Result {
        /// The first is the message, or the container, that was read.
        var parts: [MIMEPart] = []
        var defects: [MIMEDefect] = []
        /// The first is a message of its own, not the container whose content was read.
        var isMessage = true
    }

    enum State {
        /// Next: `body`; `header` of the message that the part holds.
        case header
        /// Next: `header`, `ignored`.
        case body
        /// There are too many parts.
        case ignored
    }

    struct Part {
        var part: MIMEPart
        let depth: Int
        let parent: Int?
        var children = 0
        var isMultipart = false
        var isDigest = false
        /// Boundaries in it that nobody declared are looked for.
        var sniffs = false
        /// The end of the multipart was seen.
        var hasEnded = false
    }

    let limits: MIMELimits
    /// Transfer-encoded messages around this one.
    let encodedDepth: Int
    var canFork = true
    let isMessage: Bool

    var state = State.header
    var parts: [Part] = []
    /// By their paths.
    private var numbers: [String: Int] = [:]
    /// The number of the part whose lines come in.
    var current = 0
    var boundaries: BoundaryTable
    var readings: [ContentReading] = []
    var defects: [MIMEDefect] = []
    private var knownDefects: Set<MIMEDefect> = []

    /// A line of a header, or one of a body that may mean something.
    var line: [UInt8] = []
    var isLineCut = false
    /// Of the header that comes in.
    var fields: ContentFields
    /// How many fields the content was opened with, before the header had ended.
    var openedFields: Int?

    var isAtLineStart = true
    var isInCandidate = false
    /// The boundary before it ended in CR.
    var skipsLineFeed = false
    /// A line that is a boundary if a Content field follows.
    var suspect: [UInt8]?
    /// Nothing but blanks has come in the body so far.
    var isBlankSoFar = true

    /// - Parameter encodedDepth: messages around this one, in whose encoded content it lies.
    init(message limits: MIMELimits, encodedDepth: Int) {
        self.limits = limits
        self.encodedDepth = encodedDepth
        self.isMessage = true
        self.boundaries = BoundaryTable(limit: limits.boundaries)
        self.fields = ContentFields(limits: limits)
        self.parts = [Part(part: MIMEPart(path: "1", type: "text/plain"), depth: 0, parent: nil)]
    }

    /// For the content of a container that is encoded as a whole.
    init(container header: PartHeader, limits: MIMELimits, encodedDepth: Int) {
        self.limits = limits
        self.encodedDepth = encodedDepth
        self.isMessage = false
        self.boundaries = BoundaryTable(limit: limits.boundaries)
        self.fields = ContentFields(limits: limits)
        self.state = .body
        var part = Part(part: MIMEPart(path: "1", type: header.types[0]), depth: 0, parent: nil)
        part.isMultipart = true
        part.sniffs = true
        self.parts = [part]
        for boundary in header.boundaries { _ = self.boundaries.add(boundary, owner: 0, isCertain: false) }
    }

    mutating func feed(_ bytes: UnsafeRawBufferPointer, _ context: inout ExaminationContext) {
        context.examinedBytes += bytes.count
        var index = 0
        while index < bytes.count {
            if self.skipsLineFeed {
                self.skipsLineFeed = false
                if bytes[index] == ASCII.lineFeed {
                    index += 1
                    continue
                }
            }
            switch self.state {
            case .header: index = self.readHeader(bytes, from: index, &context)
            case .body: index = self.readBody(bytes, from: index, &context)
            case .ignored: return
            }
        }
    }

    mutating func finish(_ context: inout ExaminationContext) -> Result {
        switch self.state {
        case .header:
            if !self.line.isEmpty { self.endHeaderLine(&context) }
            if case .header = self.state { self.endHeader(&context) }
        case .body:
            if self.isInCandidate { self.endCandidate(with: nil, &context) }
            self.clearSuspect(&context)
        case .ignored: break
        }
        self.closeReadings(&context)
        for part in self.parts where part.isMultipart && self.state != .ignored {
            if part.children == 0 {
                self.note(.missingParts, part.part.path)
            } else if !part.hasEnded {
                self.note(.missingTerminator, part.part.path)
            }
        }
        return Result(parts: self.parts.map(\.part), defects: self.defects, isMessage: self.isMessage)
    }

    /// At most one of a kind and part, and no more than there may be parts.
    mutating func note(_ kind: MIMEDefect.Kind, _ path: String) {
        let defect = MIMEDefect(kind, path: path)
        guard self.defects.count < self.limits.parts, self.knownDefects.insert(defect).inserted else { return }
        self.defects.append(defect)
    }

    mutating func note(_ kind: MIMEDefect.Kind) { self.note(kind, self.parts[self.current].part.path) }

    // MARK: Parts

    /// Begins a part below another.
    ///
    /// - Returns: its number; nil if there are too many.
    mutating func addPart(below parent: Int, type: String) -> Int? {
        guard self.parts.count < self.limits.parts else {
            self.note(.tooManyParts, "1")
            return nil
        }
        self.parts[parent].children += 1
        let path = "\(self.parts[parent].part.path).\(self.parts[parent].children)"
        self.numbers[path] = self.parts.count
        self.parts.append(
            Part(part: MIMEPart(path: path, type: type), depth: self.parts[parent].depth + 1, parent: parent))
        return self.parts.count - 1
    }

    /// Begins a part with a header.
    mutating func beginPart(below parent: Int, _ context: inout ExaminationContext) {
        let type = self.parts[parent].isDigest ? "message/rfc822" : "text/plain"
        guard let number = self.addPart(below: parent, type: type) else {
            self.closeReadings(&context)
            self.state = .ignored
            return
        }
        self.current = number
        self.state = .header
        self.fields = ContentFields(limits: self.limits)
        self.openedFields = nil
        self.line.removeAll(keepingCapacity: true)
        self.isLineCut = false
    }

    /// A boundary, whose line has ended.
    mutating func divide(_ match: BoundaryTable.Match, _ context: inout ExaminationContext) {
        let owner = match.owner
        if !match.isExact { self.note(.inexactBoundary, self.parts[owner].part.path) }
        // Whoever reads the boundary in another way goes on with the content.
        if match.isExact, match.isCertain, self.isInside(owner) { self.closeReadings(&context) }
        self.suspect = nil
        self.parts[owner].sniffs = false
        if match.isEnd {
            self.parts[owner].hasEnded = true
            self.current = owner
            self.state = .body
            self.isAtLineStart = true
            return
        }
        if self.parts[owner].hasEnded { self.note(.partAfterEnd, self.parts[owner].part.path) }
        self.beginPart(below: owner, &context)
    }

    /// Whether the current part is this one or lies in it.
    func isInside(_ owner: Int) -> Bool {
        var place: Int? = self.current
        while let number = place {
            if number == owner { return true }
            place = self.parts[number].parent
        }
        return false
    }

    /// Learns the boundaries of the current part.
    mutating func declare(_ boundaries: [[UInt8]], isCertain: Bool) {
        guard self.parts[self.current].depth < self.limits.depth else { return self.note(.tooDeep) }
        for (index, boundary) in boundaries.enumerated() {
            if self.boundaries.isFull { self.forgetBoundaries() }
            guard self.boundaries.add(boundary, owner: self.current, isCertain: isCertain && index == 0) else {
                return self.note(.tooManyBoundaries)
            }
        }
    }

    /// Those of the parts around the current one are kept.
    private mutating func forgetBoundaries() {
        var kept: Set<Int> = []
        var place: Int? = self.current
        while let number = place {
            kept.insert(number)
            place = self.parts[number].parent
        }
        self.boundaries.remove { !kept.contains($0) }
    }

    // MARK: Content

    mutating func feedContent(_ bytes: UnsafeRawBufferPointer, _ context: inout ExaminationContext) {
        guard !bytes.isEmpty, !self.readings.isEmpty else { return }
        for index in self.readings.indices { self.readings[index].consume(bytes, &context) }
    }

    mutating func append(_ reading: ContentReading, _ context: inout ExaminationContext) {
        if self.readings.count >= self.limits.readings, let ended = self.readings.firstIndex(where: \.hasEnded) {
            self.close(self.readings.remove(at: ended), &context)
        }
        if self.readings.count >= self.limits.readings {
            self.note(.tooManyReadings, self.parts[reading.part].part.path)
            guard let other = self.readings.firstIndex(where: { $0.part != self.current }) else { return }
            self.close(self.readings.remove(at: other), &context)
        }
        self.readings.append(reading)
    }

    mutating func closeReadings(_ context: inout ExaminationContext) {
        let readings = self.readings
        self.readings = []
        for reading in readings { self.close(reading, &context) }
    }

    private mutating func close(_ reading: ContentReading, _ context: inout ExaminationContext) {
        var reading = reading
        if reading.isMalformed { self.note(.malformedEncoding, self.parts[reading.part].part.path) }
        for findings in reading.finish(&context) {
            self.parts[reading.part].part.take(findings, limits: self.limits)
            if let nested = findings.nested { self.merge(nested, into: reading.part) }
        }
    }

    /// Takes over what lay encoded in a part; another reading may have found the same parts.
    private mutating func merge(_ nested: Result, into number: Int) {
        let base = self.parts[number].part.path
        func path(_ inner: String) -> String { nested.isMessage ? "\(base).\(inner)" : "\(base)\(inner.dropFirst())" }
        for var part in nested.parts {
            part.path = path(part.path)
            if part.path == base {
                self.parts[number].part.merge(part)
            } else if let known = self.numbers[part.path] {
                self.parts[known].part.merge(part)
            } else if self.parts.count < self.limits.parts {
                self.numbers[part.path] = self.parts.count
                self.parts.append(Part(part: part, depth: self.parts[number].depth + 1, parent: number))
                self.parts[number].children += 1
            } else {
                self.note(.tooManyParts, "1")
            }
        }
        for defect in nested.defects { self.note(defect.kind, path(defect.path)) }
    }

    mutating func detach() {
        self.canFork = false
        for index in self.readings.indices { self.readings[index].detach() }
    }
}

extension MIMEPart {
    mutating func take(_ findings: ContentSink.Findings, limits: MIMELimits) {
        let new = findings.names.filter { !$0.isEmpty && !self.names.contains($0) }
        for name in new where self.names.count < limits.names {
            self.names.append(name)
        }
        for kind in findings.contents where !self.contents.contains(kind) { self.contents.append(kind) }
        if let archive = findings.archive { self.add(archive) }
    }
}
