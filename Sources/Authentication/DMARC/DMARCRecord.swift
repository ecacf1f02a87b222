/// What is to be done with a message that fails (RFC 7489 §6.3), the mildest first.
package enum DMARCPolicy: String, Hashable, Sendable, CaseIterable, Comparable {
    case none, quarantine, reject

    private var rank: Int {
        switch self {
        case .none: 0
        case .quarantine: 1
        case .reject: 2
        }
    }

    package static func < (left: DMARCPolicy, right: DMARCPolicy) -> Bool { left.rank < right.rank }

    /// What applies to messages that `pct` (RFC 7489 §6.6.4) or `t=y` (RFC 9989 §4.7) take out.
    package var milder: DMARCPolicy {
        switch self {
        case .none, .quarantine: .none
        case .reject: .quarantine
        }
    }
}

/// What a domain owner publishes at `_dmarc` (RFC 7489 §6.3; `np`, `psd` and `t` of RFC 9989 §4.7).
package struct DMARCRecord: Hashable, Sendable {
    package enum AlignmentMode: String, Hashable, Sendable { case relaxed = "r", strict = "s" }

    /// `psd`: whether the domain is a public suffix domain.
    package enum PublicSuffixClaim: String, Hashable, Sendable { case yes = "y", no = "n", unknown = "u" }

    /// `p`, `sp` or `np`. A wrong value is told from a missing one, because both RFCs treat them differently.
    package enum Request: Hashable, Sendable {
        case absent, invalid
        case policy(DMARCPolicy)

        package var policy: DMARCPolicy? {
            if case .policy(let policy) = self { policy } else { nil }
        }
    }

    /// Where reports are to go, and how long they may be.
    package struct ReportURI: Hashable, Sendable {
        package let uri: String
        /// After `!`, in octets.
        package let limitBytes: Int?
    }

    package enum SyntaxError: Error, Hashable {
        /// Not a DMARC record at all; another TXT record at the same name.
        case otherRecord
        /// A piece between semicolons without a name and `=` (RFC 6376 §3.2).
        case noTag(String)
        /// The whole list is invalid then (RFC 6376 §3.2).
        case repeatedTag(String)
    }

    package var policy = Request.absent
    package var subdomainPolicy = Request.absent
    package var nonexistentPolicy = Request.absent
    package var publicSuffix = PublicSuffixClaim.unknown
    /// `t=y`.
    package var isTest = false
    package var dkimMode = AlignmentMode.relaxed
    package var spfMode = AlignmentMode.relaxed
    /// 0...100: to how many of a hundred failing messages the policy applies.
    package var percentage = 100
    package var aggregateReports: [ReportURI] = []
    package var failureReports: [ReportURI] = []
    /// `fo`: any of 0, 1, d, s.
    package var failureOptions: Set<Character> = ["0"]
    /// `rf`.
    package var reportFormats: [String] = ["afrf"]
    /// `ri`.
    package var reportInterval = Duration.seconds(86_400)

    package init() {}
}
