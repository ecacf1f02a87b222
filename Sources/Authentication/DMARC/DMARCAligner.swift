import Mail

/// Compares authenticated domains with the author domain (RFC 7489 §3.1, RFC 9989 §4.4).
struct DMARCAligner {
    var finder: DMARCFinder
    let author: DomainName
    let organizational: DomainName
    /// Why an identifier that may belong to the author could not be judged.
    ///
    /// Those of others do not matter: whoever signs a forged message also with a domain of theirs, and lets its DNS fail,
    /// would otherwise save it from being refused.
    private(set) var failure: String?

    /// So many organizational domains are asked for; signatures beyond that do not count.
    private var lookupsLeft = 8

    init(finder: DMARCFinder, author: DomainName, organizational: DomainName) {
        self.finder = finder
        self.author = author
        self.organizational = organizational
    }

    mutating func align(
        _ identifiers: [DMARCEvaluation.Identifier], _ mode: DMARCRecord.AlignmentMode
    ) async -> DMARCResult.Alignment {
        var alignment = DMARCResult.Alignment()
        for identifier in identifiers where !alignment.isAligned {
            guard let domain = identifier.domain, identifier.outcome != .other else { continue }
            guard await self.belongsToAuthor(domain, mode) else { continue }
            if identifier.outcome == .pass {
                alignment.isAligned = true
                alignment.domain = domain
            } else {
                self.failure = "authentication of \(domain.ascii) failed for now"
            }
        }
        return alignment
    }

    private mutating func belongsToAuthor(_ domain: DomainName, _ mode: DMARCRecord.AlignmentMode) async -> Bool {
        if domain == self.author { return true }
        // An organizational domain is the end of every name that has it; others need no question.
        guard mode == .relaxed, domain.isWithin(self.organizational), self.lookupsLeft > 0 else { return false }
        self.lookupsLeft -= 1
        switch await self.finder.organizationalDomain(of: domain) {
        case .success(let organizational): return organizational == self.organizational
        case .failure(let failed):
            self.failure = failed.reason
            return false
        }
    }
}
