/// One way to read the content of a part.
struct ContentReading {
    enum Decoder {
        case identity
        case base64(Base64Decoder)
        case quotedPrintable(QuotedPrintableDecoder)
        case uuencode(UUDecoder)
        case binhex(BinHexDecoder)
    }

    /// The number of the part.
    let part: Int
    private var decoder: Decoder
    private var sink: ContentSink
    /// Readings that began on the way, where clients differ.
    private var forks: [ContentReading] = []

    init(part: Int, _ decoder: Decoder, _ sink: ContentSink) {
        self.part = part
        self.decoder = decoder
        self.sink = sink
    }

    /// The rest of the part's lines are not for this reading.
    var hasEnded: Bool {
        switch self.decoder {
        case .uuencode(let decoder): decoder.hasEnded
        case .identity, .base64, .quotedPrintable, .binhex: false
        }
    }

    /// Whether the content does not follow the encoding, so that others may read it differently.
    var isMalformed: Bool {
        switch self.decoder {
        case .base64(let decoder): decoder.isMalformed
        case .quotedPrintable(let decoder): decoder.isMalformed
        case .identity, .uuencode, .binhex: false
        }
    }

    mutating func consume(_ input: UnsafeRawBufferPointer, _ context: inout ExaminationContext) {
        for index in self.forks.indices { self.forks[index].consume(input, &context) }
        if case .identity = self.decoder { return self.sink.consume(input, &context) }
        var index = 0
        while index < input.count {
            let end = min(index + DecodedBytes.inputBytes, input.count)
            let piece = UnsafeRawBufferPointer(rebasing: input[index..<end])
            let (used, decoders) = self.decode(piece, &context)
            index += used
            for decoder in decoders {
                var fork = ContentReading(part: self.part, decoder, self.sink)
                fork.sink.detach()
                fork.consume(UnsafeRawBufferPointer(rebasing: input[index...]), &context)
                self.forks.append(fork)
            }
        }
    }

    private mutating func decode(_ piece: UnsafeRawBufferPointer, _ context: inout ExaminationContext) -> (
        used: Int, forks: [Decoder]
    ) {
        context.examinedBytes += piece.count
        return withUnsafeTemporaryAllocation(byteCount: DecodedBytes.roomBytes, alignment: 8) { room in
            var output = DecodedBytes(room)
            let result = self.decode(piece, &output)
            self.sink.consume(output.bytes, &context)
            return result
        }
    }

    private mutating func decode(_ piece: UnsafeRawBufferPointer, _ output: inout DecodedBytes) -> (
        used: Int, forks: [Decoder]
    ) {
        // The payload is taken out, so that it is not copied when it changes.
        let decoder = self.decoder
        self.decoder = .identity
        switch decoder {
        case .identity: return (piece.count, [])
        case .base64(var decoder):
            let (used, forks) = decoder.decode(piece, &output)
            self.decoder = .base64(decoder)
            return (used, forks.map { .base64($0) })
        case .quotedPrintable(var decoder):
            let (used, forks) = decoder.decode(piece, &output)
            self.decoder = .quotedPrintable(decoder)
            return (used, forks.map { .quotedPrintable($0) })
        case .uuencode(var decoder):
            let used = decoder.decode(piece, &output)
            self.decoder = .uuencode(decoder)
            return (used, [])
        case .binhex(var decoder):
            let used = decoder.decode(piece, &output)
            self.decoder = .binhex(decoder)
            return (used, [])
        }
    }

    /// - Returns: what each way to read the content has found.
    mutating func finish(_ context: inout ExaminationContext) -> [ContentSink.Findings] {
        withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) { room in
            var output = DecodedBytes(room)
            switch self.decoder {
            case .base64(var decoder): decoder.finish(&output)
            case .uuencode(var decoder): decoder.finish(&output)
            case .identity, .quotedPrintable, .binhex: break
            }
            self.sink.consume(output.bytes, &context)
        }
        var findings = self.sink.finish(&context)
        if case .binhex(let decoder) = self.decoder, let name = decoder.name {
            findings.names.insert(Charset.text(name[...]), at: 0)
        }
        return [findings] + self.forks.indices.flatMap { self.forks[$0].finish(&context) }
    }

    mutating func detach() {
        self.sink.detach()
        for index in self.forks.indices { self.forks[index].detach() }
    }
}
