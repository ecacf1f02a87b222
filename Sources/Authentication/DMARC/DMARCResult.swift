package import Mail

/// What came of DMARC for one message (RFC 7489 §6.6.2, RFC 9989 §5.3).
package struct DMARCResult: Hashable, Sendable {
    /// The words of the registry (RFC 7489 §11.2).
    package enum Outcome: String, Hashable, Sendable { case none, pass, fail, temperror, permerror }

    /// Whether a mechanism passed for a domain that belongs to the author.
    package struct Alignment: Hashable, Sendable {
        package var isAligned = false
        /// The domain that did; nil if none.
        package var domain: DomainName?

        package init() {}
    }

    package var outcome: Outcome
    /// The author domain; of several, the one that the other fields are about.
    package var fromDomain: DomainName?
    /// Where the record was found.
    package var policyDomain: DomainName?
    package var organizationalDomain: DomainName?
    /// As it is published.
    package var record: DMARCRecord?
    package var spf = Alignment()
    package var dkim = Alignment()
    /// What the domain owner asks for if the message fails, before `pct`; `t=y` is in it. Without a record, `none`.
    package var policy = DMARCPolicy.none
    /// What is asked for this message, after `pct`: `none` unless it fails.
    package var disposition = DMARCPolicy.none
    /// The From field cannot be evaluated; whether such mail is refused is for the receiver to say.
    package var fromFault: FromField.Fault?
    /// For the log.
    package var reasons: [String] = []

    package init(_ outcome: Outcome, from: DomainName? = nil) {
        self.outcome = outcome
        self.fromDomain = from
    }

    /// Several author domains: "apply the most strict policy selected among the checks that fail" (RFC 7489 §6.6.1).
    /// The message passes only if it does for each; otherwise an attacker would add an address of their own.
    package static func combined(_ results: [DMARCResult]) -> DMARCResult {
        for outcome in [Outcome.fail, .temperror, .permerror, .none] {
            let those = results.filter { $0.outcome == outcome }
            let strictest = those.max { ($0.disposition, $0.policy) < ($1.disposition, $1.policy) }
            if let strictest { return strictest }
        }
        return results.first ?? DMARCResult(.none)
    }
}
