package import Mail

/// What is remembered of asking about an address (SEMANTICS §9).
package struct VerifyRecord: Hashable, Sendable {
    /// A probe that brought no good answer.
    package struct Failure: Hashable, Sendable {
        package let time: Timestamp
        package let verdict: ProbeResult.Verdict
        /// What was said, for the log; printable, cut.
        package let text: String

        package static let maximumTextBytes = 300

        package init(time: Timestamp, verdict: ProbeResult.Verdict, text: String) {
            self.time = time
            self.verdict = verdict
            self.text = text.printable(maximumBytes: Self.maximumTextBytes)
        }
    }

    /// When a server last accepted it.
    package var accepted: Timestamp?
    /// When a server last said that it does not exist, if that was since it was accepted.
    package var refused: Failure?
    /// The last probe that said nothing of the address, if nothing was said since.
    package var undecided: Failure?
    /// No probe begins before. While one is under way this is when it counts as lost.
    package var nextProbe: Timestamp

    package init(nextProbe: Timestamp) {
        self.nextProbe = nextProbe
    }
}

/// Whose record it is.
package struct VerifyKey: Hashable, Sendable {
    package enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// A domain, of which an address was asked that cannot exist.
        case domain = 0x64
        case recipient = 0x72
        case sender = 0x73
    }

    package let kind: Kind
    package let text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    /// The local part is folded, as it is for tables.
    package init(_ kind: Kind, _ mailbox: Mailbox) {
        self.init(kind, "\(mailbox.localPart.unquoted.lowercased())@\(mailbox.domain.key)")
    }

    /// Nil for one that is longer than LMDB allows keys to be, which no server would take either (RFC 5321 §4.5.3.1).
    package var bytes: [UInt8]? {
        let bytes = [self.kind.rawValue] + self.text.utf8
        return bytes.count <= 511 ? bytes : nil
    }

    package init?(bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first, let kind = Kind(rawValue: first) else { return nil }
        self.init(kind, String(decoding: bytes.dropFirst(), as: UTF8.self))
    }
}
