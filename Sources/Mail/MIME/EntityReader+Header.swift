extension EntityReader {
    /// Reads to the end of a line, which is LF here: a CR alone is read as a blank and as a line's end both.
    ///
    /// - Returns: where it goes on.
    mutating func readHeader(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ context: inout ExaminationContext
    ) -> Int {
        let end = ByteSearch.first(of: ASCII.lineFeed, in: bytes, from: start)
        let room = self.limits.headerBytes - self.line.count
        if end - start > room { self.isLineCut = true }
        self.line += bytes[start..<min(end, start + max(room, 0))]
        let next = min(end + 1, bytes.count)
        self.feedContent(UnsafeRawBufferPointer(rebasing: bytes[start..<next]), &context)
        if end < bytes.count { self.endHeaderLine(&context) }
        return next
    }

    /// With a whole line there.
    mutating func endHeaderLine(_ context: inout ExaminationContext) {
        var line = self.line
        self.line.removeAll(keepingCapacity: true)
        if self.isLineCut { self.note(.headerTooLong) }
        self.isLineCut = false
        if line.last == ASCII.carriageReturn { line.removeLast() }
        if line.isEmpty { return self.endHeader(&context) }
        if line.contains(ASCII.carriageReturn) { self.note(.bareCarriageReturn) }
        let parts = self.parts
        if let match = self.boundaries.match(line, hasEnded: { parts[$0].hasEnded }), !match.isEnd || match.isExact {
            self.note(.missingSeparator)
            self.openContent(&context)
            return self.divide(match, &context)
        }
        guard !self.fields.take(line[...]), self.openedFields == nil else { return }
        // Some clients skip such a line, for others the body begins with it.
        self.note(.missingSeparator)
        self.openContent(&context)
        self.openedFields = self.fields.list.count
        self.feedOwn(line + [ASCII.lineFeed], &context)
    }

    /// To the content of the current part alone: other readings have seen it.
    private mutating func feedOwn(_ bytes: [UInt8], _ context: inout ExaminationContext) {
        bytes.withUnsafeBytes { bytes in
            for index in self.readings.indices where self.readings[index].part == self.current {
                self.readings[index].consume(bytes, &context)
            }
        }
    }

    /// At the empty line.
    mutating func endHeader(_ context: inout ExaminationContext) {
        if let openedFields {
            self.openedFields = nil
            guard self.fields.list.count > openedFields else { return self.beginBody() }
        }
        self.openContent(&context)
    }

    private mutating func beginBody() {
        self.state = .body
        self.isAtLineStart = true
        self.isInCandidate = false
        self.isBlankSoFar = true
        self.suspect = nil
    }

    /// Begins to read content as the header says.
    private mutating func openContent(_ context: inout ExaminationContext) {
        let number = self.current
        let header = PartHeader(self.fields, defaultType: self.parts[number].part.type, limits: self.limits)
        self.take(header)
        let wasHeader = self.openedFields == nil
        self.beginBody()
        let isEncoded = header.encodings.contains { $0 != .identity }
        if header.isMessage, !isEncoded, self.parts[number].depth < self.limits.depth {
            if wasHeader { self.beginPart(below: number, &context) }
            return
        }
        if isEncoded, header.isMessage || header.isMultipart { self.note(.encodedContainer) }
        for decoder in self.decoders(header) {
            let sink = ContentSink(context, nested: self.nestedReader(header, decoder, isEncoded: isEncoded))
            self.append(ContentReading(part: number, decoder, sink), &context)
        }
        if header.isMessage, !isEncoded { self.note(.tooDeep) }
    }

    private mutating func take(_ header: PartHeader) {
        let number = self.current
        self.parts[number].part.type = header.types[0]
        self.parts[number].part.disposition = header.disposition
        for name in header.names where !self.parts[number].part.names.contains(name) {
            self.parts[number].part.names.append(name)
        }
        for kind in MIMEDefect.Kind.allCases where header.defects.contains(kind) { self.note(kind) }
        let isRoot = number == 0 && self.isMessage
        self.parts[number].sniffs = header.isMultipart || isRoot && !header.hasType
        guard header.isMultipart else { return }
        self.parts[number].isMultipart = true
        self.parts[number].isDigest = header.types.contains("multipart/digest")
        self.declare(header.boundaries, isCertain: !header.defects.contains(.severalBoundaries))
    }

    private func decoders(_ header: PartHeader) -> [ContentReading.Decoder] {
        var encodings = header.encodings
        if encodings.isEmpty { encodings = [.identity] }
        let isDoubtful = encodings.count > 1 || encodings.contains(.unknown) || header.isMessage
        var decoders: [ContentReading.Decoder] = []
        if isDoubtful || encodings.contains(.identity) { decoders.append(.identity) }
        if encodings.contains(.base64) || encodings.contains(.unknown) {
            decoders.append(.base64(Base64Decoder(canFork: self.canFork)))
        }
        if encodings.contains(.quotedPrintable) || encodings.contains(.unknown) {
            decoders.append(.quotedPrintable(QuotedPrintableDecoder(canFork: self.canFork)))
        }
        if encodings.contains(.uuencode) { decoders.append(.uuencode(UUDecoder())) }
        if encodings.contains(.binhex) { decoders.append(.binhex(BinHexDecoder())) }
        return decoders
    }

    /// For content that holds parts of its own once it is decoded.
    private func nestedReader(
        _ header: PartHeader, _ decoder: ContentReading.Decoder, isEncoded: Bool
    ) -> EntityReader? {
        guard isEncoded, self.encodedDepth < self.limits.encodedDepth else { return nil }
        var isIdentity = false
        if case .identity = decoder { isIdentity = true }
        if header.isMessage {
            var reader = EntityReader(message: self.limits, encodedDepth: self.encodedDepth + 1)
            reader.canFork = self.canFork
            return reader
        }
        guard header.isMultipart, !isIdentity else { return nil }
        var reader = EntityReader(container: header, limits: self.limits, encodedDepth: self.encodedDepth + 1)
        reader.canFork = self.canFork
        return reader
    }
}
