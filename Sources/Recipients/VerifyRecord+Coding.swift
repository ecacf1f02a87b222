import Mail

/// A record as it is kept, numbers in network order: format number, which parts follow (1 accepted, 2 refused,
/// 4 undecided), the microsecond of the next probe, that of acceptance, and for each failure its microsecond, verdict,
/// length of the text and text.
extension VerifyRecord {
    static let format: UInt8 = 1

    package func encoded() -> [UInt8] {
        var bytes = [Self.format]
        bytes.append(
            (self.accepted == nil ? 0 : 1) | (self.refused == nil ? 0 : 2) | (self.undecided == nil ? 0 : 4))
        bytes.append(self.nextProbe)
        if let accepted { bytes.append(accepted) }
        for failure in [self.refused, self.undecided].compactMap({ $0 }) { bytes.append(failure) }
        return bytes
    }

    /// Nil for another format and for what is damaged: the address is only asked about once more.
    package init?(record bytes: UnsafeRawBufferPointer) {
        var reader = RecordReader(rest: bytes[...])
        guard reader.byte() == Self.format, let parts = reader.byte(), parts < 8, let next = reader.time() else {
            return nil
        }
        self.init(nextProbe: next)
        if parts & 1 != 0 {
            guard let time = reader.time() else { return nil }
            self.accepted = time
        }
        if parts & 2 != 0 {
            guard let failure = reader.failure(), failure.verdict == .unknown else { return nil }
            self.refused = failure
        }
        if parts & 4 != 0 {
            guard let failure = reader.failure(), failure.verdict != .unknown else { return nil }
            self.undecided = failure
        }
        guard reader.rest.isEmpty else { return nil }
    }
}

private struct RecordReader {
    var rest: Slice<UnsafeRawBufferPointer>

    mutating func byte() -> UInt8? { self.rest.popFirst() }

    mutating func number(octets: Int) -> UInt64? {
        guard self.rest.count >= octets else { return nil }
        defer { self.rest = self.rest.dropFirst(octets) }
        return self.rest.prefix(octets).reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func time() -> Timestamp? {
        self.number(octets: 8).map { Timestamp(microseconds: Int64(bitPattern: $0)) }
    }

    mutating func failure() -> VerifyRecord.Failure? {
        guard let time = self.time(), let verdict = self.byte().flatMap(ProbeResult.Verdict.init(code:)),
            let count = self.number(octets: 2).map({ Int($0) }), count <= VerifyRecord.Failure.maximumTextBytes,
            self.rest.count >= count
        else { return nil }
        defer { self.rest = self.rest.dropFirst(count) }
        return VerifyRecord.Failure(
            time: time, verdict: verdict, text: String(decoding: self.rest.prefix(count), as: UTF8.self))
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ time: Timestamp) {
        Swift.withUnsafeBytes(of: time.microseconds.bigEndian) { self += $0 }
    }

    fileprivate mutating func append(_ failure: VerifyRecord.Failure) {
        self.append(failure.time)
        self.append(failure.verdict.code)
        Swift.withUnsafeBytes(of: UInt16(clamping: failure.text.utf8.count).bigEndian) { self += $0 }
        self += failure.text.utf8
    }
}

extension ProbeResult.Verdict {
    /// On the disk; of failures only.
    fileprivate var code: UInt8 {
        switch self {
        case .accepted: 0
        case .unknown: 1
        case .blocked: 2
        case .temporary: 3
        case .unreachable: 4
        }
    }

    fileprivate init?(code: UInt8) {
        switch code {
        case 1: self = .unknown
        case 2: self = .blocked
        case 3: self = .temporary
        case 4: self = .unreachable
        default: return nil
        }
    }
}
