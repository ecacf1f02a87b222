package typealias DNSResult = Result<DNSAnswer, DNSFailure>

/// What DNSSEC says of an answer, after our own validation; the word of a server is never taken for it.
package enum DNSSecurity: Hashable, Sendable {
    /// Proven from a trust anchor down, CNAME chain included.
    case secure
    /// Not proven: an unsigned zone, or no trust anchor above it.
    case insecure
    /// Should be provable and is not. No answer has it: that is ``DNSFailure/bogus(_:)``.
    case bogus
}

/// The records that were asked for; there is at least one.
package struct DNSAnswer: Hashable, Sendable {
    /// All of the type that was asked for, in the order they came.
    package let records: [DNSRecord]
    /// How long all of it stays true: the smallest of chain and records, less what it has aged in a cache.
    package internal(set) var ttl: Duration
    /// The owner of the records: the name asked for, or where its CNAME chain ends.
    package let canonicalName: DNSName
    package let security: DNSSecurity

    package init(records: [DNSRecord], ttl: Duration, canonicalName: DNSName, security: DNSSecurity) {
        self.records = records
        self.ttl = ttl
        self.canonicalName = canonicalName
        self.security = security
    }
}

/// That there is no such name or no such record, and how long this stays true (RFC 2308 §5).
package struct DNSNegative: Hashable, Sendable {
    /// Zero if the zone did not say; it must then not be kept.
    package internal(set) var ttl: Duration
    /// What does not exist or has no such record: the name asked for, or where its CNAME chain ends.
    package let canonicalName: DNSName
    package let security: DNSSecurity

    package init(ttl: Duration, canonicalName: DNSName, security: DNSSecurity) {
        self.ttl = ttl
        self.canonicalName = canonicalName
        self.security = security
    }
}

/// Why there is no answer.
package enum DNSFailure: Error, Hashable, Sendable {
    /// NXDOMAIN.
    case noSuchName(DNSNegative)
    /// The name exists, but has no record of this type.
    case noData(DNSNegative)
    /// SERVFAIL or another error code, servers out of reach, a malformed answer. The text is for the log.
    case serverFailure(String)
    /// No answer within the time a query is given.
    case timeout
    /// DNSSEC validation failed. The text is for the log.
    case bogus(String)
    case invalidName
    /// As many queries are under way as may be.
    case tooManyQueries
    /// The service has been shut down.
    case closed
    /// The asking task was cancelled. A completion never gets it.
    case cancelled

    /// Of the answers that say "there is none"; nil where nothing is known.
    package var negative: DNSNegative? {
        switch self {
        case .noSuchName(let negative), .noData(let negative): negative
        case .serverFailure, .timeout, .bogus, .invalidName, .tooManyQueries, .closed, .cancelled: nil
        }
    }

    /// Nil where nothing came that could be secure or not.
    package var security: DNSSecurity? {
        switch self {
        case .noSuchName(let negative), .noData(let negative): negative.security
        case .bogus: .bogus
        case .serverFailure, .timeout, .invalidName, .tooManyQueries, .closed, .cancelled: nil
        }
    }
}
