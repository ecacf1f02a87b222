import Mail

/// What was found out about a message's origin, and what follows.
package struct AuthenticationFinding: Sendable {
    package let client: AuthenticatedClient
    package let spf: SPFFinding
    /// In the order of the signatures, without those that were too many to be verified; empty without any.
    package let dkim: [DKIMResult]
    package let arc: ARCResult
    /// What all author domains come to.
    package let dmarc: DMARCResult
    package let decision: DMARCDecision
    /// What the primary is told.
    package let results: AuthenticationResults
    /// Fields to put in front of the message, each with its line end.
    package private(set) var fields: String
    /// Why the message was not sealed although it should be; for the log.
    package private(set) var fault: String?

    /// - Parameter authors: DMARC's results for each author domain.
    init(
        client: AuthenticatedClient, spf: SPFFinding, dkim: [DKIMResult], arc: ARCResult, authors: [DMARCResult],
        policy: AuthenticationPolicy
    ) {
        let dmarc = DMARCResult.combined(authors)
        self.client = client
        self.spf = spf
        self.dkim = Array(dkim.prefix(policy.options.dkim.signatures))
        self.arc = arc
        self.dmarc = dmarc
        let facts = Self.facts(spf, self.dkim, arc)
        // The one that is told comes first, so that where several are as strict it is the reason too.
        let ordered = authors.filter { $0 == dmarc } + authors.filter { $0 != dmarc }
        self.decision = DMARCDecision.strictest(
            ordered.map {
                DMARCDecision($0, policy.options.dmarc, trust: policy.trust(client, $0, arc), facts: facts)
            })
        let encoding = client.resultsEncoding
        let methods = Self.methods(client, spf, arc, dmarc, self.decision)
        self.results = AuthenticationResults(policy.authservID, methods)
            .adding(self.dkim, of: dkim.count, toBytes: Self.maximumFieldBytes, encoding)
        self.fields = self.results.text(encoding)
        if policy.options.spf.field { self.fields += policy.spf.field(for: spf, client) }
    }

    mutating func seal(_ stored: DigestedMessage?, _ policy: AuthenticationPolicy, at now: Timestamp) {
        guard let sealer = policy.sealer, let stored else { return }
        // A chain that is called broken because nobody knew a key would stay broken.
        guard !self.arc.isTemporary else {
            self.fault = "not sealed: \(self.arc.reason)"
            return
        }
        do {
            let statements = self.results.statements(self.client.resultsEncoding)
            self.fields = try sealer.fields(for: stored, chain: self.arc, results: statements, at: now) + self.fields
        } catch {
            self.fault = "not sealed: \(error.message)"
        }
    }

    /// `spf=pass dkim=pass arc=none dmarc=pass`: for the log.
    package var summary: String {
        let dkim = self.dkim.first { $0.outcome == .pass } ?? self.dkim.first
        return "spf=\(self.spf.mailFrom.result.rawValue) dkim=\(dkim?.outcome.rawValue ?? "none") "
            + "arc=\(self.arc.outcome.rawValue) dmarc=\(self.dmarc.outcome.rawValue)"
    }
}

extension AuthenticationFinding {
    /// For reasons: what a decision rests on.
    private static func facts(_ spf: SPFFinding, _ dkim: [DKIMResult], _ arc: ARCResult) -> [String] {
        ["spf=\(spf.mailFrom.summary)"]
            + dkim.map {
                "dkim=\($0.outcome.rawValue) d=\($0.domain ?? "?")\($0.reason.isEmpty ? "" : ", \($0.reason)")"
            }
            + ["arc=\(arc.outcome.rawValue)"]
    }

    /// Of Authentication-Results. Primaries look at a part of a header, and a sender can add signatures as he likes.
    private static let maximumFieldBytes = 8192

    /// All but DKIM, whose list a sender can make long, so that it is the last.
    private static func methods(
        _ client: AuthenticatedClient, _ spf: SPFFinding, _ arc: ARCResult, _ dmarc: DMARCResult,
        _ decision: DMARCDecision
    ) -> [AuthenticationResults.Method] {
        var mailFrom = AuthenticationResults.Method.spf(spf.mailFrom, client.reversePath, helo: client.helo)
        if let guess = spf.guess { mailFrom.comment = "best guess: \(guess.result.rawValue)" }
        let helo = spf.helo.map { [AuthenticationResults.Method.spf($0, client.reversePath, helo: client.helo)] } ?? []
        return [mailFrom] + helo + [.dmarc(dmarc, disposition: decision.disposition)]
            + [
                .arc(
                    arc.outcome.rawValue, remote: client.address, oldestPass: arc.oldestPass,
                    comment: arc.isTemporary ? arc.reason : nil)
            ]
    }
}

extension AuthenticationResults {
    /// With so many results of signatures as fit, the last of which says how many more there are.
    ///
    /// - Parameter count: of the signatures that the message has.
    fileprivate func adding(
        _ dkim: [DKIMResult], of count: Int, toBytes limit: Int, _ encoding: Encoding
    ) -> AuthenticationResults {
        guard !dkim.isEmpty else { return AuthenticationResults(self.authservID, self.methods + [.dkimNone]) }
        let all = AuthenticationResults(self.authservID, self.methods + dkim.map { .dkim($0) })
        // Room for the comment.
        var some = all.shortened(toBytes: limit - 100, encoding)
        let left = count - (some.methods.count - self.methods.count)
        if left > 0, var last = some.methods.popLast() {
            last.comment = "\(left) more not shown" + (last.comment.map { ", \($0)" } ?? "")
            some.methods.append(last)
        }
        return some
    }
}

extension AuthenticationPolicy {
    /// Why a message is believed that fails DMARC for this author.
    fileprivate func trust(
        _ client: AuthenticatedClient, _ dmarc: DMARCResult, _ arc: ARCResult
    ) -> DMARCDecision.Override? {
        if self.isExempt(client.address) { return .init(.trustedForwarder, "exempt client") }
        let trusted = Set(self.options.arc.trustedSealers)
        guard !trusted.isEmpty, arc.outcome == .pass, dmarc.fromFault == nil, let author = dmarc.fromDomain else {
            return nil
        }
        let organization = dmarc.organizationalDomain ?? author
        let sealer = TrustedSealer(arc.sealedResults, trusted: trusted, author: author) { $0.isWithin(organization) }
        return sealer.map { .init(.localPolicy, "arc=pass as[\($0.instance)].d=\($0.domain.ascii)") }
    }
}

extension ARCResult {
    /// Whom trust is asked about; a body that is not covered whole says nothing of what was sealed.
    fileprivate var sealedResults: [SealedResults] {
        guard self.unsignedBodyBytes == 0 else { return [] }
        return self.sets.compactMap { set in
            DomainName(set.domain).map {
                SealedResults(
                    instance: set.instance, sealer: $0, results: Array("i=\(set.instance); \(set.results)".utf8),
                    signsFrom: set.signsFrom)
            }
        }
    }
}
