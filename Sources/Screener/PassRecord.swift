package import Mail

/// What a client has passed, and until when (SEMANTICS §1, cache record).
package struct PassRecord: Hashable, Sendable {
    package enum Entry: Hashable, Sendable {
        /// Never passed.
        case new
        /// The test was off when the record was written: switching it on later does not make the client new.
        case disabled
        /// Passed, good until then.
        case passed(until: Timestamp)
    }

    private var entries: [Entry]
    /// Until when what DNS lists said for the client counts; nil if they said nothing.
    package var allowlistedUntil: Timestamp?

    package init() {
        self.entries = Array(repeating: .new, count: ScreeningTest.allCases.count)
    }

    package subscript(test: ScreeningTest) -> Entry {
        get { self.entries[test.index] }
        set { self.entries[test.index] = newValue }
    }

    /// Whether a test need not be passed again yet.
    package func isUnexpired(_ test: ScreeningTest, at now: Timestamp) -> Bool {
        if case .passed(let end) = self[test] { end > now } else { false }
    }

    package func isAllowlisted(at now: Timestamp) -> Bool { self.allowlistedUntil.map { $0 > now } ?? false }

    /// When the last of its tests expires; nil if there is none.
    package var lastExpiry: Timestamp? {
        self.entries.compactMap { if case .passed(let end) = $0 { end } else { nil } }.max()
    }
}

extension ScreeningTest {
    /// The place in a record: the order is that of the format on the disk and never changes. 5 is that of
    /// ``PassRecord/allowlistedUntil``.
    package var index: Int {
        switch self {
        case .pregreet: 0
        case .dnsbl: 1
        case .pipelining: 2
        case .nonSMTP: 3
        case .bareNewline: 4
        }
    }
}
