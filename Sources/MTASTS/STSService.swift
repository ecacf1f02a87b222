package import Mail
package import NIOCore
package import Resolver
private import Synchronization

/// Says which policy holds for a domain, and gets and renews policies for that (RFC 8461 §3.3, §5.1).
///
/// What has been fetched counts until it expires, also when record or server are gone: else whoever stands between could
/// take it away. The record is looked up each time; the resolver keeps it as long as it holds.
///
/// From any thread; it works on the loop it is given.
package final class STSService: Sendable {
    /// Gets the policy of a domain. It fails with an ``STSFault``, and in time.
    package typealias Fetch = @Sendable (_ domain: String, _ loop: any EventLoop) -> EventLoopFuture<STSPolicy>

    /// Above it, mail does not wait for a policy: it goes as without.
    private static let mostWaiting = 100
    /// Under way and waiting for names of one organization: whoever has a domain has any number of names below it, and
    /// servers that never come to an end.
    private static let mostOfOrganization = 4
    /// Failures that are remembered.
    private static let mostFailures = 10_000

    private let cache: STSCache
    private let names: any NameService
    private let loop: any EventLoop
    private let clock: WallClock
    private let log: @Sendable (String) -> Void
    private let state: NIOLoopBoundBox<State>
    private let counts = Mutex(Counts())

    private struct State {
        var options: STSOptions
        var fetch: Fetch
        /// Those under way, and those that wait until they may be.
        var fetches: [String: EventLoopFuture<STSPolicy>] = [:]
        var running = 0
        var waiting: [@Sendable () -> Void] = []
        var failures: [String: Failure] = [:]
    }

    /// Which version of a domain's policy could not be had, and until when that is not tried again.
    private struct Failure {
        let id: String
        let fault: STSFault
        let until: Timestamp
    }

    private struct Counts {
        var fetched = 0
        var failed = 0
    }

    /// - Parameters:
    ///   - cache: closed with ``close()``.
    ///   - log: gets lines for the log, from any thread.
    package init(
        cache: STSCache, names: any NameService, loop: any EventLoop, options: STSOptions, clock: WallClock,
        log: @escaping @Sendable (String) -> Void, fetch: @escaping Fetch
    ) {
        self.cache = cache
        self.names = names
        self.loop = loop
        self.clock = clock
        self.log = log
        self.state = .makeBoxSendingValue(State(options: options, fetch: fetch), eventLoop: loop)
    }

    /// Writes what waits and ends the cache. Nobody asks any more.
    package func close() { self.cache.close() }

    /// After a reload. What is under way goes on as it began.
    package func use(_ options: STSOptions, fetch: @escaping Fetch) {
        self.loop.execute {
            self.state.value.options = options
            self.state.value.fetch = fetch
        }
    }

    package struct Statistics: Hashable, Sendable {
        /// On the disk, and that wait to be written.
        package let entries: Int
        package let waiting: Int
        package let writeFailures: Int
        /// Since the start.
        package let fetched: Int
        package let failed: Int
    }

    package var statistics: Statistics {
        let (kept, counts) = (self.cache.statistics, self.counts.withLock { $0 })
        return Statistics(
            entries: kept.entries, waiting: kept.waiting, writeFailures: kept.writeFailures, fetched: counts.fetched,
            failed: counts.failed)
    }

    // MARK: Asking

    /// - Parameter domain: the next-hop domain of mail (RFC 8461 §3.4): what is behind the `@`, not a host.
    /// - Returns: on the loop of this service; never fails.
    package func finding(of domain: String) -> EventLoopFuture<STSFinding> {
        guard let name = DomainName(domain), let owner = DNSName("_mta-sts.\(name.ascii)") else {
            return self.loop.makeSucceededFuture(.none)
        }
        let announcement = self.loop.makePromise(of: Announcement.self)
        self.names.resolve(DNSQuestion(owner, .txt), on: self.loop) { announcement.succeed(Announcement($0)) }
        return announcement.futureResult.flatMap { self.finding(of: name.ascii, $0) }
    }

    private func finding(of domain: String, _ announcement: Announcement) -> EventLoopFuture<STSFinding> {
        switch announcement {
        case .record(let record): self.finding(of: domain, version: record.id)
        // What is in force stays in force (RFC 8461 §3.3).
        case .none: self.loop.makeSucceededFuture(self.inForce(domain) ?? .none)
        case .unknown(let why):
            self.loop.makeSucceededFuture(self.inForce(domain) ?? .unknown("its MTA-STS record is not known: \(why)"))
        }
    }

    private func inForce(_ domain: String) -> STSFinding? {
        self.cache.entry(of: domain)?.policyInForce.map { .policy($0, fault: nil) }
    }

    private func finding(of domain: String, version id: String) -> EventLoopFuture<STSFinding> {
        let entry = self.cache.entry(of: domain)
        if let entry, entry.id == id {
            self.refresh(domain, entry)
            return self.loop.makeSucceededFuture(entry.policyInForce.map { .policy($0, fault: nil) } ?? .none)
        }
        if let fault = self.failure(of: domain, id) {
            return self.loop.makeSucceededFuture(self.finding(of: domain, after: fault))
        }
        guard let fetch = self.fetch(domain, id) else {
            let finding = self.inForce(domain) ?? .unknown("too many policies are being fetched")
            return self.loop.makeSucceededFuture(finding)
        }
        return fetch.map { $0.mode == .none ? .none : .policy($0, fault: nil) }
            .flatMapErrorThrowing { self.finding(of: domain, after: STSFault($0)) }
    }

    private func finding(of domain: String, after fault: STSFault) -> STSFinding {
        self.cache.entry(of: domain)?.policyInForce.map { .policy($0, fault: fault) } ?? .unavailable(fault)
    }

    /// Gets what is long known anew; nobody waits for it.
    private func refresh(_ domain: String, _ entry: STSEntry) {
        let options = self.state.value.options
        guard self.clock.now() - entry.fetched >= options.refresh, self.state.value.fetches[domain] == nil,
            self.state.value.running < options.concurrency, self.failure(of: domain, entry.id) == nil
        else { return }
        _ = self.fetch(domain, entry.id)
    }

    // MARK: Fetching

    /// The one under way, or a new one; nil if there are too many, which is no fault of the domain's.
    private func fetch(_ domain: String, _ id: String) -> EventLoopFuture<STSPolicy>? {
        if let fetch = self.state.value.fetches[domain] { return fetch }
        let isFree = self.state.value.running < self.state.value.options.concurrency
        guard isFree || self.state.value.waiting.count < Self.mostWaiting else { return nil }
        let organization = Self.organization(of: domain)
        let relatives = self.state.value.fetches.keys.count { Self.organization(of: $0) == organization }
        guard relatives < Self.mostOfOrganization else { return nil }
        let promise = self.loop.makePromise(of: STSPolicy.self)
        let result = promise.futureResult
            .map { (policy: STSPolicy) -> STSPolicy in
                self.fetched(policy, domain, id)
                return policy
            }
            .flatMapErrorThrowing { (error) throws -> STSPolicy in
                throw self.failed(STSFault(error), domain, id)
            }
        self.state.value.fetches[domain] = result
        if isFree {
            self.start(domain, promise)
        } else {
            self.state.value.waiting.append { self.start(domain, promise) }
        }
        return result
    }

    /// By the look of the name: two labels, or three where the second is one that countries have for everybody. An error
    /// here makes mail go as without a policy, and only while servers are slow.
    private static func organization(of domain: String) -> Substring {
        let shared: Set<Substring> = ["ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"]
        let labels = domain.split(separator: ".")
        let isShared = labels.count > 2 && labels.last?.utf8.count == 2 && shared.contains(labels[labels.count - 2])
        let kept = labels.suffix(isShared ? 3 : 2)
        return domain[(kept.first?.startIndex ?? domain.startIndex)...]
    }

    private func start(_ domain: String, _ promise: EventLoopPromise<STSPolicy>) {
        self.state.value.running += 1
        self.state.value.fetch(domain, self.loop).hop(to: self.loop).whenComplete { result in
            self.state.value.running -= 1
            self.state.value.fetches[domain] = nil
            promise.completeWith(result)
            let value = self.state.value
            if value.running < value.options.concurrency, !value.waiting.isEmpty {
                self.state.value.waiting.removeFirst()()
            }
        }
    }

    private func fetched(_ policy: STSPolicy, _ domain: String, _ id: String) {
        self.counts.withLock { $0.fetched += 1 }
        self.state.value.failures[domain] = nil
        self.cache.set(STSEntry(id: id, policy: policy, fetched: self.clock.now()), of: domain)
    }

    private func failed(_ fault: STSFault, _ domain: String, _ id: String) -> STSFault {
        self.counts.withLock { $0.failed += 1 }
        let isInForce = self.cache.entry(of: domain)?.policyInForce != nil
        self.log("policy of \(domain): \(fault.reason)\(isInForce ? "; the one before stays in force" : "")")
        let now = self.clock.now()
        if self.state.value.failures.count >= Self.mostFailures {
            let current = self.state.value.failures.filter { $0.value.until > now }
            // Of too many those that end first are forgotten: they are only tried again a little early.
            let kept = current.sorted { $0.value.until > $1.value.until }.prefix(Self.mostFailures * 9 / 10)
            self.state.value.failures = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
        }
        self.state.value.failures[domain] = Failure(
            id: id, fault: fault, until: now + self.state.value.options.retry)
        return fault
    }

    /// Why this version is not tried at the moment (RFC 8461 §3.3: at most every five minutes).
    private func failure(of domain: String, _ id: String) -> STSFault? {
        guard let failure = self.state.value.failures[domain], failure.id == id, failure.until > self.clock.now() else {
            return nil
        }
        return failure.fault
    }
}

extension STSEntry {
    /// Nil for mode `none`, which is kept so that it is not fetched for every mail, and is as good as no policy.
    fileprivate var policyInForce: STSPolicy? { self.policy.mode == .none ? nil : self.policy }
}

/// What a domain's record says.
private enum Announcement: Sendable {
    case record(STSRecord)
    case none
    case unknown(String)

    init(_ result: DNSResult) {
        switch result {
        case .success(let answer):
            let strings = answer.records.compactMap { record in
                if case .txt(let strings) = record { strings } else { nil }
            }
            self = STSRecord.find(in: strings).map { .record($0) } ?? .none
        case .failure(.noSuchName), .failure(.noData), .failure(.invalidName): self = .none
        case .failure(let failure): self = .unknown("\(failure)")
        }
    }
}

extension STSFault {
    fileprivate init(_ error: any Error) {
        self = error as? STSFault ?? STSFault(.stsPolicyFetchError, "\(error)")
    }
}
