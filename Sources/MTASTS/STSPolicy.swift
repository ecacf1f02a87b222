package import Mail

/// A domain's policy for mail to it (RFC 8461 §3.2).
package struct STSPolicy: Hashable, Sendable {
    package enum Mode: String, Hashable, Sendable { case enforce, testing, none }

    package let mode: Mode
    /// In lower case, ASCII: `mail.example.com`, or `*.example.net` for one label more.
    package let mxPatterns: [String]
    /// Since it was fetched.
    package let maximumAge: Duration
    /// The lines as they were published, for reports.
    package let lines: [String]

    package init(mode: Mode, mxPatterns: [String], maximumAge: Duration, lines: [String] = []) {
        self.mode = mode
        self.mxPatterns = mxPatterns
        self.maximumAge = maximumAge
        self.lines = lines
    }

    /// Whether a host may take the domain's mail (RFC 8461 §4.1): `*` stands for exactly one label.
    package func allows(_ host: String) -> Bool {
        let host = host.asciiLowercased.hasSuffix(".") ? String(host.asciiLowercased.dropLast()) : host.asciiLowercased
        return self.mxPatterns.contains { pattern in
            guard pattern.hasPrefix("*.") else { return pattern == host }
            guard let dot = host.firstIndex(of: "."), dot > host.startIndex else { return false }
            return host[dot...] == pattern.dropFirst()
        }
    }
}

/// What is known of a domain's policy at a moment.
package enum STSFinding: Hashable, Sendable {
    /// It has none.
    case none
    /// - Parameter fault: why what is in force could not be renewed, if there is a new one; it is reported.
    case policy(STSPolicy, fault: STSFault?)
    /// It announces one that cannot be had, and none is in force: mail goes as without (RFC 8461 §5), and it is
    /// reported.
    case unavailable(STSFault)
    /// Whether it has one cannot be said now, which is no fault that it could be told: DNS fails, or too much is under
    /// way here. None is in force. Mail goes as without; what needs a proof waits. The text is for replies.
    case unknown(String)
}

/// Why a policy could not be had (RFC 8460 §4.3.2.1).
package struct STSFault: Error, Hashable, Sendable {
    /// `stsPolicyFetchError`, `stsPolicyInvalid` or `stsWebPKIInvalid`.
    package let failure: TransportObservation.Failure
    package let reason: String

    package init(_ failure: TransportObservation.Failure, _ reason: String) {
        self.failure = failure
        self.reason = reason
    }
}
