/// What libspf2 asks of DNS.
package struct PolicyQuestion: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case a, aaaa, mx, ptr, txt
    }

    /// As libspf2 has it: whatever its macros made.
    package let name: String
    package let kind: Kind
}

/// What it is told.
package enum PolicyAnswer: Hashable, Sendable {
    /// Of A, in host order.
    case v4([UInt32])
    /// Of AAAA, sixteen octets each.
    case v6([[UInt8]])
    /// Of MX in the order of preference, or PTR.
    case names([String])
    case texts([[UInt8]])
    case noSuchName
    case noRecords
    case failed
}

/// The address that is compared with a policy.
package enum PolicyClient: Hashable, Sendable {
    /// In host order. For the loopback network libspf2 says pass and asks nothing.
    case v4(UInt32)
    /// Sixteen octets. The same holds for `::1`.
    case v6([UInt8])
}

/// What libspf2 says.
package struct PolicyVerdict: Hashable, Sendable {
    package enum Result: Hashable, Sendable {
        case none, neutral, pass, fail, softfail, temporaryError, permanentError
    }

    package let result: Result
    /// Nothing matched: the result is the one for that.
    package let isDefault: Bool
    /// Its own code for what went wrong; 0 for nothing.
    package let code: Int
}

/// What one evaluation may cost. libspf2 itself only ends where includes are more than twenty deep.
package struct PolicyLimits: Sendable {
    /// Everything after that is answered ``PolicyAnswer/failed``.
    package var questions = 150
    /// Longer texts are answered ``PolicyAnswer/failed``: libspf2 loses the end of long ones.
    package var textBytes = 8192
    /// Records of one answer; the others are left out.
    package var records = 512
    /// Of the whole evaluation, from its start on a thread.
    package var time = Duration.seconds(20)

    package init() {}
}
