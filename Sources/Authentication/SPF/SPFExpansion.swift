import Mail

/// What macros stand for (RFC 7208 §7.2).
struct SPFMacroValues {
    let localPart: String
    let senderDomain: String
    let client: IPAddress
    let helo: String
    let receiver: String
    let time: Timestamp
    /// The domain whose record is evaluated.
    var domain: String
    /// Nil: not asked, not found.
    var validatedName: String?

    private func value(of letter: SPFMacro.Letter) -> String {
        switch letter {
        case .sender: "\(self.localPart)@\(self.senderDomain)"
        case .localPart: self.localPart
        case .senderDomain: self.senderDomain
        case .domain: self.domain
        case .address: SPFName.parts(of: self.client).joined(separator: ".")
        case .validatedName: self.validatedName ?? "unknown"
        case .helo: self.helo
        case .readableAddress: "\(self.client)"
        case .receiver: self.receiver
        case .time: "\(self.time.seconds)"
        case .family: SPFName.family(of: self.client)
        }
    }

    /// The value of a macro after its transformers (RFC 7208 §7.3).
    func text(of macro: SPFMacro) -> String {
        var text = self.value(of: macro.letter)
        if macro.partCount != nil || macro.isReversed || !macro.delimiters.isEmpty {
            let delimiters = macro.delimiters.isEmpty ? "." : macro.delimiters
            // Leading, trailing and neighbouring delimiters make empty parts.
            var parts = Array(text.utf8).split(omittingEmptySubsequences: false) { delimiters.utf8.contains($0) }
            if macro.isReversed { parts.reverse() }
            if let count = macro.partCount { parts = parts.suffix(count) }
            text = String(decoding: Array(parts.joined(separator: [ASCII.dot])), as: UTF8.self)
        }
        return macro.isEscaped ? Self.escaped(text) : text
    }

    /// What is not unreserved is escaped (RFC 3986 §2.3).
    private static func escaped(_ text: String) -> String {
        var output: [UInt8] = []
        for byte in text.utf8 {
            if ASCII.isAlphanumeric(byte) || "-._~".utf8.contains(byte) {
                output.append(byte)
            } else {
                output += "%".utf8
                output += [byte >> 4, byte & 15].map { $0 < 10 ? $0 + 0x30 : $0 + 0x37 }
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}

extension SPFMacroString {
    private static func text(of piece: Piece, _ values: SPFMacroValues) -> String {
        switch piece {
        case .literal(let text): text
        case .macro(let macro): values.text(of: macro)
        case .percent: "%"
        case .space: " "
        case .escapedSpace: "%20"
        }
    }

    /// The name that the string stands for, without trailing dot: of a long one, as many labels from the right as are
    /// a name (RFC 7208 §7.3). It may still be no name that DNS could have.
    func name(_ values: SPFMacroValues) -> String {
        // From the right, so that a string of a thousand macros costs no more than a name.
        var pieces: [String] = []
        var count = 0
        for piece in self.pieces.reversed() where count <= SPFName.maximumBytes + 1 {
            pieces.append(Self.text(of: piece, values))
            count += pieces.last?.utf8.count ?? 0
        }
        let text = SPFName.withoutTrailingDot(pieces.reversed().joined())
        var bytes = Array(text.utf8)[...]
        while bytes.count > SPFName.maximumBytes {
            guard let dot = bytes.firstIndex(of: ASCII.dot) else { break }
            bytes = bytes[(dot + 1)...]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The text that the string stands for, as one line of printable ASCII; octets of anything else become `?`.
    func explanation(_ values: SPFMacroValues, limitBytes: Int) -> String {
        var bytes: [UInt8] = []
        for piece in self.pieces where bytes.count < limitBytes {
            bytes += Self.text(of: piece, values).utf8.prefix(limitBytes - bytes.count)
        }
        return String(decoding: bytes.map { 0x20...0x7E ~= $0 ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}
