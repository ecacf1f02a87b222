package import Mail

/// Evaluates DMARC for messages: which record applies, and does an authenticated domain belong to the author's?
///
/// Nothing here refuses anything; see ``DMARCResult/disposition``, which stays `none` for a temporary error: it must never
/// become a refusal for good (SEMANTICS §18).
package struct DMARCEvaluation: Sendable {
    /// How organizational domains and policies are found.
    package enum Discovery: Sendable {
        /// RFC 7489 §3.2, with `np` of RFC 9091, where a record has it.
        case publicSuffixes(PublicSuffixList)
        /// RFC 9989 §4.10; `psd` and `t` count, `pct` does not.
        case treeWalk
    }

    /// What SPF or DKIM found out about a domain.
    package struct Identifier: Hashable, Sendable {
        package enum Outcome: Hashable, Sendable { case pass, temporaryError, other }

        package let outcome: Outcome
        /// Of MAIL FROM, or of HELO for the null reverse-path (RFC 7489 §3.1.2); `d=` of a signature.
        package let domain: DomainName?

        package init(_ outcome: Outcome, _ domain: DomainName?) {
            self.outcome = outcome
            self.domain = domain
        }
    }

    private let discovery: Discovery
    private let names: NameSource
    /// Asked for all authors of a message together: a policy takes eleven, and its alignment seldom more than eight.
    private static let questions = 80

    package init(_ discovery: Discovery, names: NameSource) {
        self.discovery = discovery
        self.names = names
    }

    /// What all author domains come to.
    ///
    /// - Parameter sample: 0..<100, drawn for this message: policies with a `pct` of that or less are sampled out.
    package func evaluate(
        _ from: FromField, spf: Identifier?, dkim: [Identifier], sample: Int
    ) async -> DMARCResult {
        DMARCResult.combined(await self.results(from, spf: spf, dkim: dkim, sample: sample))
    }

    /// One for each author domain, and one that says why there is nothing to evaluate, where that is so.
    package func results(
        _ from: FromField, spf: Identifier?, dkim: [Identifier], sample: Int
    ) async -> [DMARCResult] {
        switch from.use {
        case .unusable(let fault):
            var result = DMARCResult(.permerror)
            result.fromDomain = from.domains.first
            result.fromFault = fault
            result.reasons = [fault.rawValue]
            return [result]
        case .evaluate(let domains):
            var results: [DMARCResult] = []
            for domain in domains {
                // None of them can use up what another needs.
                let part = Self(self.discovery, names: self.names.budgeted(questions: Self.questions / domains.count))
                results.append(await part.evaluate(domain, spf: spf, dkim: dkim, sample: sample))
            }
            // A mailbox that cannot be evaluated keeps the others from passing for all.
            if from.hasUnusableMailbox {
                var result = DMARCResult(.permerror, from: domains.first)
                result.fromFault = .noDomain
                result.reasons = ["a mailbox in the From field has no domain name"]
                results.append(result)
            }
            return results
        }
    }

    /// Of one author domain.
    package func evaluate(
        _ domain: DomainName, spf: Identifier?, dkim: [Identifier], sample: Int
    ) async -> DMARCResult {
        var finder = DMARCFinder(self.discovery, self.names)
        let found = await finder.find(domain)
        guard case .record(let published) = found else { return DMARCResult(domain, without: found) }
        var result = DMARCResult(.fail, from: domain)
        result.policyDomain = published.domain
        result.organizationalDomain = published.organizationalDomain
        result.record = published.record

        var aligner = DMARCAligner(finder: finder, author: domain, organizational: published.organizationalDomain)
        result.spf = await aligner.align(spf.map { [$0] } ?? [], published.record.spfMode)
        result.dkim = await aligner.align(dkim, published.record.dkimMode)
        if result.spf.isAligned || result.dkim.isAligned {
            result.outcome = .pass
        } else if let failure = aligner.failure {
            result.outcome = .temperror
            result.reasons.append(failure)
        }
        await self.setPolicy(&result, published, &aligner.finder, sample: sample)
        return result
    }

    /// Of a policy that is not known the strictest is told that it may be, and nothing is asked for this message.
    private func setPolicy(
        _ result: inout DMARCResult, _ published: DMARCFinder.Published, _ finder: inout DMARCFinder, sample: Int
    ) async {
        guard let policy = await finder.policy(of: published, for: result.fromDomain) else {
            if result.outcome == .fail { result.outcome = .temperror }
            result.policy = published.record.strictestBelow
            result.reasons.append("whether the author domain exists is not known")
            return
        }
        result.policy = policy
        guard result.outcome == .fail else { return }
        result.disposition = policy
        if case .publicSuffixes = self.discovery, sample >= published.record.percentage {
            result.disposition = policy.milder
            result.reasons.append("sampled out, pct=\(published.record.percentage)")
        }
    }
}

extension DMARCRecord {
    /// What may be asked for a name below the record's.
    fileprivate var strictestBelow: DMARCPolicy {
        let subdomains = self.subdomainPolicy.policy ?? self.policy.policy ?? .none
        return max(subdomains, self.nonexistentPolicy.policy ?? .none)
    }
}

extension DMARCResult {
    /// What it is if no record applies.
    fileprivate init(_ domain: DomainName, without found: DMARCFinder.Found) {
        switch found {
        case .record, .none: self.init(.none, from: domain)
        case .notApplicable(let reason):
            self.init(.none, from: domain)
            self.reasons = [reason]
        case .malformed(let place, let error):
            self.init(.permerror, from: domain)
            self.policyDomain = place
            self.reasons = ["record of \(place.ascii): \(error)"]
        case .failed(let reason):
            self.init(.temperror, from: domain)
            self.reasons = [reason]
        }
    }
}

extension DMARCEvaluation.Identifier {
    /// - Parameter result: for MAIL FROM, or for HELO if the reverse-path is null.
    package init(_ result: SPFResult) {
        let outcome: Outcome =
            switch result.result {
            case .pass: .pass
            case .temperror: .temporaryError
            case .none, .neutral, .fail, .softfail, .permerror: .other
            }
        self.init(outcome, DomainName(result.domain))
    }

    /// A signature over a part of the body is none of the message (RFC 6376 §8.2).
    package init(_ result: DKIMResult) {
        let outcome: Outcome =
            switch result.outcome {
            case .pass: result.isTrustworthy ? .pass : .other
            case .temperror: .temporaryError
            case .fail, .policy, .neutral, .permerror: .other
            }
        self.init(outcome, result.domain.flatMap { DomainName($0) })
    }
}
