import Mail

/// One record on the disk, numbers in network order: format number, kind, passes in four octets, and two times in
/// microseconds. Of a triplet (kind 1) the times are those when it was first and last seen, of a client network (kind 2)
/// those when it was last counted and last seen.
package enum GreylistEntry: Hashable, Sendable {
    case triplet(GreylistRecord)
    case client(GreylistClient)

    private static let format: UInt8 = 1
    private static let tripletKind: UInt8 = 1
    private static let clientKind: UInt8 = 2
    private static let bytes = 22

    package func encoded() -> [UInt8] {
        switch self {
        case .triplet(let record):
            Self.encoded(Self.tripletKind, record.passes, record.firstSeen, record.lastSeen)
        case .client(let client):
            Self.encoded(Self.clientKind, client.passes, client.lastCounted, client.lastSeen)
        }
    }

    private static func encoded(_ kind: UInt8, _ passes: Int, _ first: Timestamp, _ last: Timestamp) -> [UInt8] {
        var bytes = [Self.format, kind]
        bytes.reserveCapacity(Self.bytes)
        withUnsafeBytes(of: UInt32(clamping: passes).bigEndian) { bytes += $0 }
        for time in [first, last] { withUnsafeBytes(of: time.microseconds.bigEndian) { bytes += $0 } }
        return bytes
    }

    /// Nil for another format and for what is damaged: whoever it was is only delayed once more.
    package init?(record bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.bytes, bytes[0] == Self.format else { return nil }
        let passes = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt32.self)))
        let times = [6, 14].map {
            Timestamp(microseconds: Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0, as: Int64.self)))
        }
        switch bytes[1] {
        case Self.tripletKind: self = .triplet(.init(firstSeen: times[0], lastSeen: times[1], passes: passes))
        case Self.clientKind: self = .client(.init(passes: passes, lastCounted: times[0], lastSeen: times[1]))
        default: return nil
        }
    }

    var record: GreylistRecord? {
        if case .triplet(let record) = self { record } else { nil }
    }

    var client: GreylistClient? {
        if case .client(let client) = self { client } else { nil }
    }

    /// When it need not be kept any more.
    func end(_ options: GreylistOptions) -> Timestamp {
        switch self {
        case .triplet(let record): record.end(options)
        case .client(let client): client.end(options)
        }
    }

    /// Whether it is of somebody who came again.
    var hasPassed: Bool {
        switch self {
        case .triplet(let record): record.passes > 0
        case .client: true
        }
    }
}
