/// What came of a message's ARC chain (RFC 8617 §5.2).
package struct ARCResult: Hashable, Sendable {
    package enum Outcome: String, CaseIterable, Hashable, Sendable { case none, pass, fail }

    package var outcome: Outcome
    /// Why it failed. For people.
    package var reason = ""
    /// It failed because nobody knew a key just now. RFC 8617 knows no such result; whoever seals should know better
    /// than to break the chain for good.
    package var isTemporary = false
    /// From the first one on; empty if the chain is not made as it must be.
    package var sets: [ARCSet] = []
    /// The oldest instance from which on nobody changed what is signed; 0 if nobody ever did (§4.1.2, `oldest-pass`).
    package var oldestPass: Int?
    /// Octets behind the part of the body that the last message signature covers (`l=`).
    package var unsignedBodyBytes = 0

    package init(_ outcome: Outcome, reason: String = "") {
        self.outcome = outcome
        self.reason = reason
    }
}

/// What one server on the way said and signed.
package struct ARCSet: Hashable, Sendable {
    package let instance: Int
    /// `cv=`: what it found the chain before to be.
    package let chainValidation: ARCResult.Outcome
    /// `d=` of its seal, which answers for what it says.
    package let domain: String
    /// `s=` of its seal.
    package let selector: String
    /// `d=` of its message signature, which need not be the same.
    package let messageDomain: String
    /// Whether its message signature covers From, which RFC 8617 leaves open.
    package let signsFrom: Bool
    /// The value of ARC-Authentication-Results behind `i=`, unfolded.
    package let results: String
}
