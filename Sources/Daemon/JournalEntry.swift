import Mail

/// An entry of systemd's journal in its native protocol: a field after the other, as one datagram
/// (systemd.io/JOURNAL_NATIVE_PROTOCOL).
package struct JournalEntry: Sendable {
    /// How urgent it is, as in syslog(3).
    enum Priority: Int, Sendable {
        case error = 3, warning, notice, info, debug
    }

    private(set) var bytes: [UInt8] = []

    /// The message is the first field, and has no line end: ``message(of:)`` relies on that.
    init(message: some Collection<UInt8>, priority: Priority) {
        self.bytes.reserveCapacity(1000)
        self.add("MESSAGE", message)
        self.add("PRIORITY", "\(priority.rawValue)".utf8)
        self.add("SYSLOG_IDENTIFIER", "postern".utf8)
    }

    /// A value with a line end goes with its length in front, eight octets with the lowest first.
    mutating func add(_ name: String, _ value: some Collection<UInt8>) {
        self.bytes += name.utf8
        if value.contains(ASCII.lineFeed) {
            self.bytes.append(ASCII.lineFeed)
            for shift in stride(from: 0, to: 64, by: 8) {
                self.bytes.append(UInt8(truncatingIfNeeded: UInt64(value.count) >> UInt64(shift)))
            }
        } else {
            self.bytes.append(UInt8(ascii: "="))
        }
        self.bytes += value
        self.bytes.append(ASCII.lineFeed)
    }

    /// A key of a line, as ``field(of:)`` calls it.
    mutating func add(key: String, _ value: some Collection<UInt8>) { self.add(Self.field(of: key), value) }

    /// One of ours: `POSTERN_FROM` for `from`. What cannot stand in a name of the journal becomes an underscore.
    package static func field(of key: String) -> String {
        let name = key.utf8.prefix(Self.maximumKeyBytes).map { byte in
            ASCII.isAlphanumeric(byte) ? ASCII.uppercased(byte) : UInt8(ascii: "_")
        }
        return "POSTERN_" + String(decoding: name, as: UTF8.self)
    }

    /// Names of the journal have at most 64 octets.
    private static let maximumKeyBytes = 56

    /// The message of an entry, for where the journal cannot be reached.
    static func message(of bytes: [UInt8]) -> ArraySlice<UInt8> {
        let end = bytes.firstIndex(of: ASCII.lineFeed) ?? bytes.endIndex
        return bytes[min("MESSAGE=".utf8.count, end)..<end]
    }

    /// The entry with nothing but the beginning of its message, for where it is too long for a datagram.
    static func cut(_ bytes: [UInt8]) -> [UInt8] {
        var entry = JournalEntry(message: Self.message(of: bytes).prefix(Self.cutBytes), priority: .info)
        entry.add(Self.cutField, "1".utf8)
        return entry.bytes
    }

    /// An entry with this one is not found by fields of its own.
    package static let cutField = "POSTERN_CUT"

    private static let cutBytes = 4096
}
