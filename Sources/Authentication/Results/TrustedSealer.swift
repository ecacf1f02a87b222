package import Mail

/// One set of an ARC chain (RFC 8617 §4), as far as trust in it is concerned.
package struct SealedResults: Hashable, Sendable {
    /// `i=`, from 1.
    package let instance: Int
    /// `d=` of its seal.
    package let sealer: DomainName
    /// The value of its ARC-Authentication-Results field, with `i=`.
    package let results: [UInt8]
    /// Nobody behind it can have changed the author.
    package let signsFrom: Bool

    package init(instance: Int, sealer: DomainName, results: [UInt8], signsFrom: Bool) {
        self.signsFrom = signsFrom
        self.instance = instance
        self.sealer = sealer
        self.results = results
    }
}

/// A sealer whose word stands for a message that fails DMARC here (RFC 8617 §7.2.1): a mailing list, a forwarder.
package struct TrustedSealer: Hashable, Sendable {
    package let domain: DomainName
    /// Whose results count.
    package let instance: Int

    /// Whether a chain saves a message from the author's policy.
    ///
    /// Everybody can seal anything, so that a chain is worth what its sealers are. From the newest instance downwards,
    /// all sealers must be trusted without a gap: each of them says truly from whom it had the message. The oldest of
    /// that run had it from somebody who is not trusted, so that what it saw is what the author sent, as far as can be
    /// known. It must have seen DMARC pass for the same author domain; or, where it did not evaluate DMARC or does not say
    /// for whom, SPF or DKIM for a domain that is aligned with it. What newer instances found does not matter: they saw
    /// what was changed. A set that does not sign From ends the run, for somebody behind it may have written another.
    ///
    /// - Parameters:
    ///   - sets: all of a chain that was found to pass; of others there is nothing to ask.
    ///   - trusted: exactly these, not what is below them.
    ///   - isAligned: whether a domain belongs to the author, as DMARC compares them.
    package init?(
        _ sets: [SealedResults], trusted: Set<DomainName>, author: DomainName, isAligned: (DomainName) -> Bool
    ) {
        let chain = sets.sorted { $0.instance > $1.instance }
        guard chain.map(\.instance) == Array(stride(from: chain.count, to: 0, by: -1)) else { return nil }
        guard let oldest = chain.prefix(while: { $0.signsFrom && trusted.contains($0.sealer) }).last else { return nil }
        guard let results = AuthenticationResults(oldest.results, isARC: true) else { return nil }
        guard results.attests(author, isAligned) else { return nil }
        self.domain = oldest.sealer
        self.instance = oldest.instance
    }
}

extension AuthenticationResults {
    /// They say that the message was its author's.
    fileprivate func attests(_ author: DomainName, _ isAligned: (DomainName) -> Bool) -> Bool {
        let dmarc = self.methods(named: "dmarc")
        let evaluated = dmarc.filter { $0.result != "none" && $0.result != "bestguesspass" }
        guard evaluated.allSatisfy({ $0.result == "pass" }) else { return false }
        let authors = evaluated.compactMap { $0.value("header", "from") }
        if !authors.isEmpty { return authors.allSatisfy { Self.domain($0) == author } }
        return self.methods.contains { method in
            guard method.result == "pass" else { return false }
            let value: String? =
                switch method.name {
                case "spf": method.value("smtp", "mailfrom") ?? method.value("smtp", "mfrom")
                case "dkim": method.value("header", "d") ?? method.value("header", "i")
                default: nil
                }
            return value.flatMap(Self.domain).map(isAligned) ?? false
        }
    }

    /// The domain of a mailbox, of `@example.com`, or of itself.
    private static func domain(_ value: String) -> DomainName? {
        DomainName(value.split(separator: "@", omittingEmptySubsequences: false).last ?? "")
    }
}
