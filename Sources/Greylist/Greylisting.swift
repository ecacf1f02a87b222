package import Mail
private import Synchronization

/// Mail that a client wants to bring.
package struct GreylistDelivery: Hashable, Sendable {
    package let client: IPAddress
    package let sender: ReversePath
    package let recipient: Mailbox
    /// The screener's DNS lists speak for the client.
    package let isAllowlisted: Bool

    package init(client: IPAddress, sender: ReversePath, recipient: Mailbox, isAllowlisted: Bool = false) {
        self.client = client
        self.sender = sender
        self.recipient = recipient
        self.isAllowlisted = isAllowlisted
    }
}

/// Who is delayed, of one generation of the configuration.
package struct GreylistPolicy: Sendable {
    package let options: GreylistOptions
    fileprivate let isExemptClient: @Sendable (IPAddress) -> Bool
    fileprivate let isExemptRecipient: @Sendable (Mailbox) -> Bool
    /// Nil if SPF exempts nobody, and need not be asked.
    fileprivate let trustsSPF: (@Sendable (DomainName) -> Bool)?

    package init(
        options: GreylistOptions = GreylistOptions(),
        isExemptClient: @escaping @Sendable (IPAddress) -> Bool = { _ in false },
        isExemptRecipient: @escaping @Sendable (Mailbox) -> Bool = { _ in false },
        trustsSPF: (@Sendable (DomainName) -> Bool)? = nil
    ) {
        self.options = options
        self.isExemptClient = isExemptClient
        self.isExemptRecipient = isExemptRecipient
        self.trustsSPF = trustsSPF
    }
}

/// Decides who has to come again, and remembers who did.
///
/// From any thread. Nothing waits for the disk's writer.
package final class Greylisting: Sendable {
    private let store: GreylistStore
    private let clock: WallClock
    /// Held from asking to telling, so that no two mails are counted as one.
    private let judging = Mutex<Void>(())
    private let counts = Mutex<Counts>(Counts())

    private struct Counts {
        var passed = 0
        var delayed = 0
    }

    /// - Parameter store: closed with ``close()``.
    package init(store: GreylistStore, clock: WallClock) {
        self.store = store
        self.clock = clock
    }

    /// Writes what waits and ends.
    package func close() { self.store.close() }

    package func use(_ options: GreylistOptions) { self.store.use(options) }

    /// Decides, and remembers it.
    ///
    /// - Parameter spfPass: the domain whose mail it is by SPF, the client's name for the null reverse-path; nil if SPF
    ///   does not say so. Asked only if the answer matters.
    package func judge(
        _ delivery: GreylistDelivery, _ policy: GreylistPolicy, spfPass: () async -> DomainName?
    ) async -> GreylistAnswer {
        let answer = await self.answer(delivery, policy, remembers: true, spfPass: spfPass)
        self.counts.withLock { counts in
            switch answer {
            case .passed: counts.passed += 1
            case .delayed: counts.delayed += 1
            }
        }
        return answer
    }

    /// What it would decide. Nothing is remembered.
    package func preview(
        _ delivery: GreylistDelivery, _ policy: GreylistPolicy, spfPass: () async -> DomainName?
    ) async -> GreylistAnswer {
        await self.answer(delivery, policy, remembers: false, spfPass: spfPass)
    }

    private func answer(
        _ delivery: GreylistDelivery, _ policy: GreylistPolicy, remembers: Bool, spfPass: () async -> DomainName?
    ) async -> GreylistAnswer {
        if policy.isExemptClient(delivery.client) { return .passed(.exemptClient) }
        if policy.isExemptRecipient(delivery.recipient) { return .passed(.exemptRecipient) }
        if delivery.isAllowlisted, policy.options.dnswl { return .passed(.allowlisted) }
        if let trusts = policy.trustsSPF, case .delayed = self.decide(delivery, policy.options, remembers: false),
            let domain = await spfPass(), trusts(domain)
        {
            return .passed(.spf(domain))
        }
        return self.decide(delivery, policy.options, remembers: remembers)
    }

    private func decide(_ delivery: GreylistDelivery, _ options: GreylistOptions, remembers: Bool) -> GreylistAnswer {
        let network = options.network(delivery.client)
        let (sender, recipient) = (delivery.sender, delivery.recipient)
        return self.judging.withLock { _ in
            let old = self.store.state(network, sender: sender, recipient: recipient)
            var new = old
            let answer = new.judge(at: self.clock.now(), options)
            if remembers { self.store.change(old, to: new, network, sender: sender, recipient: recipient) }
            return answer
        }
    }

    // MARK: Status

    package struct Statistics: Hashable, Sendable {
        /// On the disk, and that wait to be written.
        package let entries: Int
        package let waiting: Int
        package let writeFailures: Int
        /// Since the start.
        package let passed: Int
        package let delayed: Int
    }

    package var statistics: Statistics {
        let (kept, counts) = (self.store.statistics, self.counts.withLock { $0 })
        return Statistics(
            entries: kept.entries, waiting: kept.waiting, writeFailures: kept.writeFailures, passed: counts.passed,
            delayed: counts.delayed)
    }
}

// MARK: - Words

extension GreylistAnswer {
    /// Why, for the log and traces.
    package var why: String {
        switch self {
        case .passed(.exemptClient): "exempt client"
        case .passed(.exemptRecipient): "exempt recipient"
        case .passed(.allowlisted): "client on DNS allow lists"
        case .passed(.spf(let domain)): "SPF pass of \(domain.ascii)"
        case .passed(.client(let passes)): "client network that came again \(passes) times"
        case .passed(.retried(let after)): "came again after \(after.wholeSeconds) seconds"
        case .passed(.known(let since)): "known, last seen \(since.wholeSeconds) seconds ago"
        case .delayed(.new, _): "not seen before"
        case .delayed(.early(let after), _): "came again after \(after.wholeSeconds) seconds already"
        case .delayed(.expired, _): "seen too long ago"
        }
    }

    /// What a client is told who has to come again; nil for who passes.
    package func reply(_ options: GreylistOptions) -> Reply? {
        guard case .delayed(_, let remaining) = self else { return nil }
        let seconds = (remaining.microseconds + 999_999) / 1_000_000
        let text = options.text.map { "; \($0)" } ?? ""
        return Reply(450, .init(2, 0), "Greylisted, try again in \(seconds) seconds\(text)")
    }
}

extension Duration {
    fileprivate var wholeSeconds: Int64 { self.microseconds / 1_000_000 }
}
