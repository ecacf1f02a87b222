package import Mail

/// What was found out about one message whose author's domain publishes a DMARC policy.
///
/// Who observes decides what is not: reports themselves, and other mail with the null reverse-path of which the domain
/// should not be told, or two hosts report for ever about each other's reports.
package struct DMARCObservation: Hashable, Sendable {
    package let time: Timestamp
    package let policy: PublishedPolicy
    package let result: Result

    package init(time: Timestamp, policy: PublishedPolicy, result: Result) {
        self.time = time
        self.policy = policy
        self.result = result
    }

    /// A policy as its domain publishes it (RFC 7489 §6.3).
    package struct PublishedPolicy: Hashable, Sendable {
        package enum Alignment: UInt8, Sendable { case relaxed, strict }
        package enum Action: UInt8, Sendable { case none, quarantine, reject }

        /// Where the record was found: the author's domain or the organizational one above it. A-labels, lower case.
        package var domain: String
        package var dkimAlignment = Alignment.relaxed
        package var spfAlignment = Alignment.relaxed
        package var policy: Action
        package var subdomainPolicy: Action
        /// Of domains that do not exist (RFC 9091); nil if the record says nothing of them.
        package var nonexistentPolicy: Action?
        package var percent = 100
        package var failureOptions = "0"
        package var destinations: [ReportURI]
        /// Whom the domain belongs to: one of them can have as many names below it as they like, but not as many reports.
        /// It is not kept.
        package var organization: String

        package init(
            domain: String, policy: Action, subdomainPolicy: Action? = nil, destinations: [ReportURI],
            organization: String? = nil
        ) {
            self.organization = organization ?? domain
            self.domain = domain
            self.policy = policy
            self.subdomainPolicy = subdomainPolicy ?? policy
            self.destinations = destinations
        }
    }

    /// What is counted: messages of which all of this is the same are one row of a report.
    package struct Result: Hashable, Sendable {
        package var source: IPAddress
        package var disposition: PublishedPolicy.Action
        /// Whether the domain of a valid signature, or of a passing SPF check, is aligned.
        package var isDKIMAligned: Bool
        package var isSPFAligned: Bool
        /// Why something else was done than the policy says.
        package var overrides: [Override] = []
        /// The author's domain.
        package var headerFrom: String
        /// The domain of the reverse-path; empty for the null reverse-path.
        package var envelopeFrom: String
        /// The domain of a forward-path.
        package var envelopeTo: String?
        package var dkim: [DKIM] = []
        package var spf: [SPF] = []

        package init(
            source: IPAddress, disposition: PublishedPolicy.Action, isDKIMAligned: Bool, isSPFAligned: Bool,
            headerFrom: String, envelopeFrom: String
        ) {
            self.source = source
            self.disposition = disposition
            self.isDKIMAligned = isDKIMAligned
            self.isSPFAligned = isSPFAligned
            self.headerFrom = headerFrom
            self.envelopeFrom = envelopeFrom
        }
    }

    /// RFC 7489 §7.2, Appendix C: PolicyOverrideReason.
    package struct Override: Hashable, Sendable {
        package enum Kind: UInt8, Sendable {
            case forwarded, sampledOut, trustedForwarder, mailingList, localPolicy, other
        }

        package let kind: Kind
        package let comment: String?

        package init(_ kind: Kind, comment: String? = nil) {
            self.kind = kind
            self.comment = comment
        }
    }

    package struct DKIM: Hashable, Sendable {
        package enum Outcome: UInt8, Sendable { case none, pass, fail, policy, neutral, temperror, permerror }

        package let domain: String
        package let selector: String?
        package let outcome: Outcome
        package let human: String?

        package init(domain: String, selector: String?, outcome: Outcome, human: String? = nil) {
            self.domain = domain
            self.selector = selector
            self.outcome = outcome
            self.human = human
        }
    }

    package struct SPF: Hashable, Sendable {
        package enum Scope: UInt8, Sendable { case helo, mailFrom }
        package enum Outcome: UInt8, Sendable { case none, neutral, pass, fail, softfail, temperror, permerror }

        package let domain: String
        package let scope: Scope
        package let outcome: Outcome

        package init(domain: String, scope: Scope, outcome: Outcome) {
            self.domain = domain
            self.scope = scope
            self.outcome = outcome
        }
    }
}

/// Where a domain wants its reports, as `rua` says it (RFC 7489 §6.2).
package struct ReportURI: Hashable, Sendable {
    /// Without the size limit.
    package let text: String
    /// The largest report that is wanted there, in octets.
    package let limitBytes: Int?

    package init(_ text: String, limitBytes: Int? = nil) {
        self.text = text
        self.limitBytes = limitBytes
    }
}
