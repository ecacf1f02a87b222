/// What came of one DKIM signature.
package struct DKIMResult: Hashable, Sendable {
    /// RFC 8601 §2.7.1. A message without signatures has no results, which is that section's `none`.
    package enum Outcome: String, CaseIterable, Hashable, Sendable {
        case pass, fail, policy, neutral, temperror, permerror
    }

    package var outcome: Outcome
    /// Why it is not a pass, or what is to be known of one. For people.
    package var reason = ""
    /// `d=`, lower case with A-labels. It is known also of most signatures that are not valid, and is then a claim.
    package var domain: String?
    /// `s=`.
    package var selector: String?
    /// `i=`, or its default.
    package var identity: String?
    package var algorithm: SignatureAlgorithm?
    package var keyBits: Int?
    /// `h=`, lower case.
    package var signedFields: [String] = []
    /// The beginning of `b=`, which tells signatures of one domain apart (RFC 6008).
    package var signaturePrefix: String?
    /// The key's domain tries DKIM out (`t=y`).
    package var isTesting = false
    /// Octets behind the signed part of the body (`l=`), which anybody could have added.
    package var unsignedBodyBytes = 0

    /// Whether the domain answers for the message as it is.
    ///
    /// A signature over a part of the body is valid by RFC 6376, so it passes; §8.2 says why nobody should trust the
    /// rest. It must not align for DMARC, so ask this and not the outcome.
    package var isTrustworthy: Bool { self.outcome == .pass && self.unsignedBodyBytes == 0 }
}
