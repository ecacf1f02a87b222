extension EntityReader {
    /// Of a line that may be a boundary, or the first of something else: longer ones are neither.
    private var candidateBytes: Int { self.limits.boundaryBytes + 8 }

    /// Reads content, and the lines in it that may mean something, which end in LF, CR or both.
    ///
    /// - Returns: where it goes on.
    mutating func readBody(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ context: inout ExaminationContext
    ) -> Int {
        if self.isInCandidate { return self.readCandidate(bytes, from: start, &context) }
        var index = start
        while index < bytes.count {
            if self.isAtLineStart {
                if self.isCandidate(bytes[index]) {
                    self.pass(bytes[start..<index], &context)
                    self.isInCandidate = true
                    self.line.removeAll(keepingCapacity: true)
                    return index
                }
                self.isAtLineStart = false
            }
            index = ByteSearch.lineEnd(in: bytes, from: index)
            guard index < bytes.count else { break }
            index += 1
            self.isAtLineStart = true
        }
        self.pass(bytes[start...], &context)
        return bytes.count
    }

    /// `--`, `begin`, `(This file must be converted with BinHex`; or a Content field behind a suspect.
    private func isCandidate(_ byte: UInt8) -> Bool {
        byte == 0x2D || byte == 0x62 || byte == 0x28 || self.suspect != nil
    }

    private mutating func pass(_ bytes: Slice<UnsafeRawBufferPointer>, _ context: inout ExaminationContext) {
        if self.isBlankSoFar, self.current == 0 { self.isBlankSoFar = bytes.allSatisfy { $0 <= ASCII.space } }
        self.feedContent(UnsafeRawBufferPointer(rebasing: bytes), &context)
    }

    private mutating func readCandidate(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ context: inout ExaminationContext
    ) -> Int {
        let end = ByteSearch.lineEnd(in: bytes, from: start)
        let room = self.candidateBytes - self.line.count
        guard end - start <= room else {
            self.line += bytes[start..<start + room]
            self.releaseCandidate(with: nil, &context)
            return start + room
        }
        self.line += bytes[start..<end]
        guard end < bytes.count else { return end }
        self.endCandidate(with: bytes[end], &context)
        return end + 1
    }

    /// With a whole line there.
    ///
    /// - Parameter terminator: CR or LF; nil at the end of the message.
    mutating func endCandidate(with terminator: UInt8?, _ context: inout ExaminationContext) {
        let parts = self.parts
        if let match = self.boundaries.match(self.line, hasEnded: { parts[$0].hasEnded }) {
            self.clearSuspect(&context)
            self.isInCandidate = false
            self.skipsLineFeed = terminator == ASCII.carriageReturn
            return self.divide(match, &context)
        }
        if let suspect, ContentFields.contentField(self.line[...]) != nil {
            return self.divide(atSuspect: suspect, &context)
        }
        if self.mayBeUndeclared {
            self.clearSuspect(&context)
            self.suspect = self.line + (terminator.map { [$0] } ?? [])
            self.isInCandidate = false
            self.isAtLineStart = true
            // The LF behind a CR is no line of its own.
            self.skipsLineFeed = terminator == ASCII.carriageReturn
            return
        }
        self.beginAttachedFile(&context)
        self.releaseCandidate(with: terminator, &context)
    }

    /// Nobody declared such a boundary, but here one is missing.
    private var mayBeUndeclared: Bool {
        guard self.line.count >= 2, self.line[0] == 0x2D, self.line[1] == 0x2D else { return false }
        let part = self.parts[self.current]
        return part.sniffs && part.depth < self.limits.depth && (part.isMultipart || self.isBlankSoFar)
    }

    /// The line before was a boundary, and this one is the first of the header behind it.
    private mutating func divide(atSuspect suspect: [UInt8], _ context: inout ExaminationContext) {
        let field = self.line
        var boundary = suspect.dropFirst(2)
        while let last = boundary.last, last == ASCII.lineFeed || last == ASCII.carriageReturn { boundary.removeLast() }
        self.note(.undeclaredBoundary)
        self.parts[self.current].isMultipart = true
        let trimmed = ValueReadings.trimmed(boundary)
        let readings = [Array(boundary), Array(trimmed), Array(trimmed.prefix { $0 > ASCII.space })]
        self.declare(readings.filter { !$0.isEmpty }, isCertain: false)
        self.suspect = nil
        self.isInCandidate = false
        self.divide(
            BoundaryTable.Match(owner: self.current, isEnd: false, isExact: true, isCertain: false), &context)
        guard self.state == .header else { return }
        self.line = field
        self.feedContentLine(field, &context)
        self.endHeaderLine(&context)
    }

    private mutating func feedContentLine(_ line: [UInt8], _ context: inout ExaminationContext) {
        (line + [ASCII.lineFeed]).withUnsafeBytes { self.feedContent($0, &context) }
    }

    /// The line was content after all.
    private mutating func releaseCandidate(with terminator: UInt8?, _ context: inout ExaminationContext) {
        self.clearSuspect(&context)
        var line = self.line
        if let terminator { line.append(terminator) }
        self.isInCandidate = false
        self.isAtLineStart = terminator != nil
        self.line.removeAll(keepingCapacity: true)
        line.withUnsafeBytes { self.pass($0[...], &context) }
    }

    mutating func clearSuspect(_ context: inout ExaminationContext) {
        guard let suspect else { return }
        self.suspect = nil
        suspect.withUnsafeBytes { self.pass($0[...], &context) }
    }

    // MARK: Files in text

    /// A file that begins in the middle of a text, as it did before there was MIME.
    private mutating func beginAttachedFile(_ context: inout ExaminationContext) {
        if let name = self.uuencodedName {
            self.attach(name, .uuencode(UUDecoder()), &context)
        } else if self.line.starts(with: "begin-base64 ".utf8), let name = Self.fileName(self.line.dropFirst(13)) {
            self.attach(name, .base64(Base64Decoder(canFork: false)), &context)
        } else if self.line.starts(with: "(This file must be converted with BinHex".utf8) {
            self.attach(nil, .binhex(BinHexDecoder()), &context)
        }
    }

    private mutating func attach(
        _ name: ArraySlice<UInt8>?, _ decoder: ContentReading.Decoder, _ context: inout ExaminationContext
    ) {
        guard let number = self.addPart(below: self.current, type: "application/octet-stream") else { return }
        if let name { self.parts[number].part.names = [Charset.text(name.suffix(self.limits.nameBytes))] }
        self.append(ContentReading(part: number, decoder, ContentSink(context)), &context)
    }

    /// `begin 644 name`.
    private var uuencodedName: ArraySlice<UInt8>? {
        guard self.line.starts(with: "begin ".utf8) else { return nil }
        return Self.fileName(self.line.dropFirst(6))
    }

    /// What stands behind the octal digits of a mode.
    private static func fileName(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let start = text.drop(while: ASCII.isBlank)
        let mode = start.prefix { (0x30...0x37).contains($0) }
        let name = ValueReadings.trimmed(start.dropFirst(mode.count))
        guard mode.count >= 3, !name.isEmpty, ASCII.isBlank(start[mode.endIndex]) else { return nil }
        return name
    }
}
