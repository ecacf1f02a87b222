/// What became of one attempt at a TLS session with a server of a domain, for the reports of RFC 8460.
package struct TransportObservation: Hashable, Sendable {
    /// RFC 8460 §4.2 `policy-type`.
    package enum PolicyType: String, Hashable, Sendable {
        case sts, tlsa
        case none = "no-policy-found"
    }

    /// The policy that was in force for the domain.
    package struct Policy: Hashable, Sendable {
        package var type: PolicyType
        /// The lines of the STS policy, or the TLSA records as in a zone file; empty without a policy.
        package var strings: [String]
        /// The next-hop domain for STS and without a policy, the TLSA base domain for TLSA (RFC 8460 §4.2).
        package var domain: String
        /// MX patterns of an STS policy.
        package var mxPatterns: [String]

        package init(type: PolicyType, strings: [String] = [], domain: String, mxPatterns: [String] = []) {
            self.type = type
            self.strings = strings
            self.domain = domain
            self.mxPatterns = mxPatterns
        }
    }

    /// RFC 8460 §4.3 `result-type`.
    package enum Failure: String, CaseIterable, Hashable, Sendable {
        case startTLSNotSupported = "starttls-not-supported"
        case certificateHostMismatch = "certificate-host-mismatch"
        case certificateExpired = "certificate-expired"
        case certificateNotTrusted = "certificate-not-trusted"
        case validationFailure = "validation-failure"
        case tlsaInvalid = "tlsa-invalid"
        case dnssecInvalid = "dnssec-invalid"
        case daneRequired = "dane-required"
        case stsPolicyFetchError = "sts-policy-fetch-error"
        case stsPolicyInvalid = "sts-policy-invalid"
        case stsWebPKIInvalid = "sts-webpki-invalid"
    }

    package enum Result: Hashable, Sendable {
        case success
        /// - Parameter reason: more about it, for people; RFC 8460 `failure-reason-code`.
        case failure(Failure, reason: String?)
    }

    /// The domain the mail is for: reports go where its `_smtp._tls` record says. ASCII, lower case.
    package var domain: String
    package var policy: Policy
    package var result: Result
    /// The host from the MX record; nil where it did not come to a server, as with a policy that cannot be fetched.
    package var receivingHost: String?
    package var receivingAddress: IPAddress?
    package var sendingAddress: IPAddress?

    package init(
        domain: String, policy: Policy, result: Result, receivingHost: String? = nil,
        receivingAddress: IPAddress? = nil, sendingAddress: IPAddress? = nil
    ) {
        self.domain = domain
        self.policy = policy
        self.result = result
        self.receivingHost = receivingHost
        self.receivingAddress = receivingAddress
        self.sendingAddress = sendingAddress
    }
}
