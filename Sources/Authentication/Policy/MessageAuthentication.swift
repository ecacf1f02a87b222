package import Mail
internal import Synchronization

/// Authenticates one message as it comes in, or signs it, in one pass and without keeping more of it than its header.
///
/// A message of a stranger is verified as it was sent, and what was found is put in front of it and sealed; a message of
/// one of ours is signed as it will be stored. Used by one thread at a time, though not always by the same.
package final class MessageAuthentication: Sendable {
    private struct State {
        /// Of what was sent; nil if nothing is verified.
        var sent: MessageDigester?
        /// Takes results out that claim to be ours; nil if nothing is verified.
        var filter: ForgedResultsFilter?
        /// Of what is stored, which differs from what was sent where rules changed it; nil if nothing is signed.
        var stored: MessageDigester?
    }

    private let policy: AuthenticationPolicy
    /// Nil for one of ours.
    private let client: AuthenticatedClient?
    /// Whether the body may be another one than was sent.
    private let changesBody: Bool
    private let state: Mutex<State>

    /// - Parameters:
    ///   - client: who brings the message; nil for one of ours, whose message is signed and not verified.
    ///   - changesBody: whether rules may change the body between ``receive(_:)`` and ``store(_:)``.
    package init(_ policy: AuthenticationPolicy, client: AuthenticatedClient?, changesBody: Bool) {
        self.policy = policy
        self.client = client
        self.changesBody = changesBody
        guard client != nil else {
            self.state = Mutex(State(stored: MessageDigester(needing: policy.keys.hashings, isVerifying: false)))
            return
        }
        let sealing = policy.sealer.map { [$0.hashing] } ?? []
        var limits = MessageLimits()
        limits.signatures = policy.options.dkim.signatures
        self.state = Mutex(
            State(
                sent: MessageDigester(needing: changesBody ? [] : sealing, limits: limits),
                filter: ForgedResultsFilter(authservID: policy.authservID),
                stored: policy.sealer == nil
                    ? nil : MessageDigester(needing: changesBody ? sealing : [], isVerifying: false)))
    }

    /// Whether there is anything to do at all.
    package static func isNeeded(_ policy: AuthenticationPolicy, isTrusted: Bool) -> Bool {
        isTrusted ? !policy.keys.isEmpty : policy.options.enabled
    }

    /// Takes octets that were sent.
    ///
    /// - Returns: what is left of them without results that claim to be ours.
    package func receive(_ bytes: [UInt8]) -> [UInt8] {
        self.state.withLock { state in
            bytes.withUnsafeBytes { state.sent?.feed($0) }
            guard state.filter != nil else { return bytes }
            var output: [UInt8] = []
            output.reserveCapacity(bytes.count)
            bytes.withUnsafeBytes { state.filter?.filter($0, into: &output) }
            return output
        }
    }

    /// - Returns: what was held back of what was sent.
    package func receiveEnd() -> [UInt8] {
        var output: [UInt8] = []
        self.state.withLock { $0.filter?.finish(into: &output) }
        return output
    }

    /// Takes octets that will be stored.
    package func store(_ bytes: [UInt8]) {
        self.state.withLock { state in bytes.withUnsafeBytes { state.stored?.feed($0) } }
    }

    /// Signs a message of ours. To be called once, at the end.
    ///
    /// - Throws: if it should be signed and cannot be.
    package func sign(at now: Timestamp) throws -> [UInt8] {
        guard let stored = self.state.withLock({ $0.stored?.finish() }) else { return [] }
        return try self.policy.keys.fields(for: stored, at: now)
    }

    /// Finds out about a message. To be called once, at the end.
    ///
    /// - Parameters:
    ///   - spf: what SPF found, or finds now; nil gives nothing.
    ///   - sample: 0..<100, drawn for this message, for policies that want to be applied to a part of all.
    ///   - clock: by which there is an end; what SPF asks ends by itself.
    package func finish(
        spf: @Sendable () async -> SPFFinding?, names: NameSource, at now: Timestamp, sample: Int,
        clock: @escaping MonotonicClock = { ContinuousClock.now }
    ) async -> AuthenticationFinding? {
        guard let client, let sent = self.state.withLock({ $0.sent?.finish() }) else { return nil }
        let bounded = names.ending(at: clock() + MessageBudget.time, by: clock)
        // One key each.
        let keys = self.policy.options.dkim.signatures
        async let checked = spf()
        async let dkim = DKIMVerifier(names: bounded.budgeted(questions: keys), now: now).results(for: sent)
        async let arc = ARCVerifier(names: bounded.budgeted(questions: MessageBudget.arc), now: now).result(for: sent)
        guard let found = await checked else { return nil }
        let signatures = await dkim
        let dmarc = await self.policy.dmarc(
            sent, found, signatures, bounded.budgeted(questions: MessageBudget.dmarc), sample: sample)
        var finding = AuthenticationFinding(
            client: client, spf: found, dkim: signatures, arc: await arc, authors: dmarc, policy: self.policy)
        let stored = self.state.withLock { $0.stored?.finish() }
        finding.seal(stored.map { self.changesBody ? $0 : sent.with(headerOf: $0) }, self.policy, at: now)
        return finding
    }
}

/// What DKIM, ARC and DMARC of one message may ask of DNS: 150 questions with the usual ten signatures.
///
/// Each has its own part, or whoever forges a message could put so many seals on it that nothing is left to find out that
/// its author refuses it.
enum MessageBudget {
    static let time = Duration.seconds(120)
    /// A set of a chain asks for two keys; chains of real mail have fewer than ten sets.
    static let arc = 50
    /// Up to four authors, each of whose policies takes eleven questions.
    static let dmarc = 90
}

extension AuthenticationPolicy {
    /// DMARC by what SPF and DKIM found, for each author domain. One that has no record that can be used is still
    /// evaluated if there is an override for it.
    fileprivate func dmarc(
        _ message: DigestedMessage, _ spf: SPFFinding, _ dkim: [DKIMResult], _ names: NameSource, sample: Int
    ) async -> [DMARCResult] {
        let from = FromField(
            fields: message.header.fields(named: "from").map { Array($0.value) },
            isHeaderTooLarge: message.isHeaderTooLarge)
        let (spf, dkim) = (DMARCEvaluation.Identifier(spf), dkim.map { DMARCEvaluation.Identifier($0) })
        var results = await DMARCEvaluation(self.discovery, names: names)
            .results(from, spf: spf, dkim: dkim, sample: sample)
        for (index, result) in results.enumerated() where result.record == nil && result.fromFault == nil {
            guard let author = result.fromDomain, let policy = self.options.dmarc.override(of: author) else { continue }
            let known = names.answering(
                NameQuery("_dmarc.\(author.ascii)", .txt), with: "v=DMARC1; p=\(policy.rawValue)")
            results[index] = await DMARCEvaluation(self.discovery, names: known)
                .evaluate(author, spf: spf, dkim: dkim, sample: sample)
        }
        return results
    }
}

extension DMARCEvaluation.Identifier {
    /// Only MAIL FROM counts, which is HELO for the null reverse-path (RFC 7489 §4.1).
    fileprivate init(_ spf: SPFFinding) { self.init(spf.mailFrom) }
}

extension NameSource {
    /// The same with a record that is not in DNS.
    func answering(_ query: NameQuery, with text: String) -> NameSource {
        NameSource { asked in asked == query ? .texts([Array(text.utf8)]) : await self.ask(asked) }
    }
}
