package import Mail

/// Asks SPF about a client and says what follows.
package struct SPFPolicy: Sendable {
    private let options: SPFOptions
    private let engine: SPFEngine
    /// Who we are, for explanations.
    private let receiver: String
    private let clock: MonotonicClock

    package init(
        _ options: SPFOptions, receiver: String, clock: @escaping MonotonicClock = { ContinuousClock.now },
        engine: SPFEngine = .postern
    ) {
        self.options = options
        self.receiver = receiver
        self.engine = engine
        self.clock = clock
    }

    /// What is taken for the record of a domain that has none.
    private static let guess = "v=spf1 a/24 mx/24 ptr -all"

    /// Both identities, at the same time.
    package func finding(on client: AuthenticatedClient, names: NameSource, at now: Timestamp) async -> SPFFinding {
        let check = self.check(client, at: now)
        async let helo = self.helo(check, client, names)
        let mailFrom = await self.bounded(check, .mailFrom, names)
        let isGuessed = self.options.bestGuess && mailFrom.result == .none
        let guess = isGuessed ? await self.guess(check, names) : nil
        return SPFFinding(helo: await helo, mailFrom: mailFrom, guess: guess)
    }

    private func helo(_ check: SPFCheck, _ client: AuthenticatedClient, _ names: NameSource) async -> SPFResult? {
        guard client.reversePath != .null else { return nil }
        return self.ofHELO(await self.bounded(check, .helo, names), client)
    }

    /// Of what is no domain name, such as an address, there is no result.
    private func ofHELO(_ result: SPFResult, _ client: AuthenticatedClient) -> SPFResult? {
        result.result == .none && DomainName(client.helo) == nil ? nil : result
    }

    private func guess(_ check: SPFCheck, _ names: NameSource) async -> SPFResult? {
        guard let domain = DomainName(check.sender(of: .mailFrom).domain) else { return nil }
        let query = NameQuery(domain.ascii, .txt)
        let guessing = NameSource { asked in
            asked == query ? .texts([Array(Self.guess.utf8)]) : await names.ask(asked)
        }
        let result = await self.bounded(check, .mailFrom, guessing)
        return result.result == .pass ? result : nil
    }

    /// Within the time that a check may take from its first question on (RFC 7208 §4.6.4); what has been asked then is still waited for.
    private func bounded(_ check: SPFCheck, _ identity: SPFCheck.Identity, _ names: NameSource) async -> SPFResult {
        await self.engine.check(
            check, identity: identity, names: names.lasting(self.options.timeout, by: self.clock))
    }

    private func check(_ client: AuthenticatedClient, at now: Timestamp) -> SPFCheck {
        SPFCheck(
            client: client.address, helo: client.helo, reversePath: client.reversePath, receiver: self.receiver,
            time: now)
    }

    // MARK: What follows

    /// The `Received-SPF` field, with its line end.
    func field(for finding: SPFFinding, _ client: AuthenticatedClient) -> String {
        ReceivedSPFField(finding.mailFrom, of: self.check(client, at: Timestamp(seconds: 0))).text
    }

    /// The refusal, if there is one, and why; the reply is without the address that it refuses.
    package func refusal(of finding: SPFFinding, _ client: AuthenticatedClient) -> (reply: Reply, why: String)? {
        // With the null reverse-path the sender is postmaster at the name in HELO (RFC 7208 §2.4), so that the one
        // result is of both identities.
        let helo = finding.helo ?? (client.reversePath == .null ? self.ofHELO(finding.mailFrom, client) : nil)
        for (result, actions) in [(helo, self.options.helo), (finding.mailFrom, self.options.mailFrom)] {
            guard let result, let reply = Self.reply(to: result, actions[result.result], client) else { continue }
            return (reply, result.summary)
        }
        return nil
    }

    /// Codes and status as RFC 7208 §8 and RFC 7372 §3.2 have them.
    private static func reply(to result: SPFResult, _ action: SPFAction, _ client: AuthenticatedClient) -> Reply? {
        let isError = result.result == .temperror || result.result == .permerror
        let detail = Reply.Detail(7, isError ? 24 : 23)
        let text = "SPF \(result.result.rawValue): \(result.verdictText(on: client.address))"
        switch action {
        case .mark: return nil
        case .defer: return Reply(451, detail, text)
        case .reject: return Reply(550, detail, text)
        }
    }
}

extension SPFActions {
    fileprivate subscript(result: SPFResult.Kind) -> SPFAction {
        switch result {
        case .pass: .mark
        case .fail: self.fail
        case .softfail: self.softfail
        case .neutral: self.neutral
        case .none: self.none
        case .temperror: self.temperror
        case .permerror: self.permerror
        }
    }
}

extension SPFResult {
    /// `fail for example.com (mailfrom) by -all`: for logs and traces.
    package var summary: String {
        let by = self.why ?? self.mechanism.map { "by \($0)" }
        return "\(self.result.rawValue) for \(self.domain) (\(self.identity.rawValue))" + (by.map { ", \($0)" } ?? "")
    }

    /// For the reply. An explanation is the domain's own text, and said to be (RFC 7208 §6.2).
    fileprivate func verdictText(on client: IPAddress) -> String {
        let name = self.domain.printable(maximumBytes: 100)
        switch self.result {
        case .fail, .softfail, .neutral, .pass, .none:
            return "[\(client)] is not designated to send mail for \(name)"
                + (self.explanation.map { "; \(name) explains: \($0)" } ?? "")
        case .temperror: return "the policy of \(name) cannot be found now"
        case .permerror: return "the policy of \(name) cannot be used"
        }
    }
}
