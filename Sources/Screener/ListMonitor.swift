package import Mail
package import NIOCore
package import Resolver
import Synchronization

/// Health of the DNS lists in use, shared by all connections.
///
/// Everything can be called from any thread. Alarms come on the thread that causes them, self-tests on the loop.
package final class ListMonitor: Sendable {
    private let names: any NameService
    private let loop: any EventLoop
    private let isUnavailable: @Sendable (UInt32, DNSName) -> String?
    private let alarm: @Sendable (ListHealth.Change) -> Void
    private let shared = Mutex(Shared())

    private struct Shared {
        var zones: [DNSName] = []
        var lists: [DNSName: List] = [:]
        /// Nil while no self-tests are wanted.
        var schedule: Schedule?
    }

    private struct List {
        var health: ListHealth
        var nextTest: Scheduled<Void>?
    }

    private struct Schedule {
        let interval: TimeAmount
        let retry: TimeAmount
    }

    /// Queries in a row without an answer after which a self-test is made: it raises the alarm, and sees the end.
    private static let unavailableInARow = 10

    /// - Parameters:
    ///   - isUnavailable: why an address that a zone answered with is an error code and no listing; nil if it is one.
    ///   - alarms: gets what is to be logged.
    package init(
        names: any NameService, loop: any EventLoop,
        isUnavailable: @escaping @Sendable (_ address: UInt32, _ zone: DNSName) -> String?,
        alarms: @escaping @Sendable (ListHealth.Change) -> Void
    ) {
        self.names = names
        self.loop = loop
        self.isUnavailable = isUnavailable
        self.alarm = alarms
    }

    /// Sets which lists there are. What is known of those that stay is kept, others are forgotten.
    ///
    /// - Parameters:
    ///   - displayNames: what texts call a zone whose name is a secret; without one it is called by its name.
    ///   - history: what was kept of earlier runs, for lists that are new here.
    package func use(
        zones: [DNSName], displayNames: [DNSName: String] = [:], history: [DNSName: HitRateHistory] = [:]
    ) {
        let added = self.shared.withLock { shared in
            var added: [DNSName] = []
            var lists: [DNSName: List] = [:]
            shared.zones = zones.filter { zone in
                guard lists[zone] == nil else { return false }  // Listed twice.
                let name = displayNames[zone] ?? zone.text
                if shared.lists[zone] == nil { added.append(zone) }
                lists[zone] =
                    shared.lists.removeValue(forKey: zone)
                    ?? List(health: ListHealth(name: name, history: history[zone] ?? HitRateHistory()))
                lists[zone]?.health.name = name
                return true
            }
            for list in shared.lists.values { list.nextTest?.cancel() }
            shared.lists = lists
            return shared.schedule == nil ? [] : added
        }
        for zone in added { self.selfTest(zone) {} }
    }

    /// Of a list that is not in use, as that of a generation that ends: trusted.
    package func standing(of zone: DNSName) -> ListHealth.Standing {
        self.shared.withLock { $0.lists[zone]?.health.standing ?? .trusted }
    }

    /// A client was looked up.
    package func record(_ zone: DNSName, client: IPAddress, _ outcome: ListHealth.Outcome) {
        let (change, isTestWanted) = self.shared.withLock { shared in
            let change = shared.lists[zone]?.health.record(client, outcome)
            let isGone = shared.lists[zone]?.health.unavailableInARow == Self.unavailableInARow
            return (change, shared.schedule != nil && (change?.to == .suspect || isGone))
        }
        if let change { self.alarm(change) }
        if isTestWanted { self.selfTest(zone) {} }
    }

    // MARK: Showing

    /// Of each list in use, in their order.
    package var status: [ListStatus] {
        self.shared.withLock { shared in shared.zones.compactMap { shared.lists[$0].map { ListStatus($0.health) } } }
    }

    /// What is wrong now.
    package var alarms: [String] { self.status.compactMap(\.alarm) }

    /// What is worth keeping across restarts.
    package var history: [DNSName: HitRateHistory] { self.shared.withLock { $0.lists.mapValues(\.health.history) } }
}

/// What is shown of a list.
package struct ListStatus: Hashable, Sendable, Codable {
    package let list: String
    package let standing: ListHealth.Standing
    package let queries: Int
    package let hits: Int
    package let unavailable: Int
    package let lastProblem: String?
    package let alarm: String?

    init(_ health: ListHealth) {
        self.list = health.name
        self.standing = health.standing
        self.queries = health.queries
        self.hits = health.hits
        self.unavailable = health.unavailable
        self.lastProblem = health.lastProblem
        self.alarm = health.alarm
    }
}

// MARK: - Self-tests

extension ListMonitor {
    /// Tests every list at once, and then each again and again until ``stop()``; also whenever its hits make it suspect
    /// or it does not answer.
    ///
    /// - Parameter retry: how long after a test that was not good the next follows.
    package func startSelfTests(every interval: TimeAmount = .hours(1), retry: TimeAmount = .minutes(5)) {
        self.shared.withLock { $0.schedule = Schedule(interval: interval, retry: retry) }
        self.selfTest()
    }

    package func stop() {
        self.shared.withLock { shared in
            shared.schedule = nil
            for zone in shared.zones {
                shared.lists[zone]?.nextTest?.cancel()
                shared.lists[zone]?.nextTest = nil
            }
        }
    }

    /// Tests every list now.
    ///
    /// - Parameter completion: called when all are through, on the loop.
    package func selfTest(_ completion: @escaping @Sendable () -> Void = {}) {
        let zones = self.shared.withLock { $0.zones }
        let tests = zones.map { zone in
            let done = self.loop.makePromise(of: Void.self)
            self.selfTest(zone) { done.succeed() }
            return done.futureResult
        }
        EventLoopFuture.andAllSucceed(tests, on: self.loop).whenSuccess(completion)
    }

    /// RFC 5782 §5: a list of IPv4 addresses has 127.0.0.2 and does not have 127.0.0.1.
    private func selfTest(_ zone: DNSName, _ completion: @escaping @Sendable () -> Void) {
        self.ask("2.0.0.127", zone) { present in
            self.ask("1.0.0.127", zone) { absent in
                if let present, let absent { self.selfTested(zone, present: present, absent: absent) }
                completion()
            }
        }
    }

    private func selfTested(_ zone: DNSName, present: ListHealth.Outcome, absent: ListHealth.Outcome) {
        let change = self.shared.withLock { shared in
            guard var list = shared.lists.removeValue(forKey: zone) else { return nil as ListHealth.Change? }
            let change = list.health.selfTested(present: present, absent: absent)
            list.nextTest?.cancel()
            list.nextTest = shared.schedule.map { schedule in
                self.loop.scheduleTask(in: list.health.isSelfTestBad ? schedule.retry : schedule.interval) {
                    self.selfTest(zone) {}
                }
            }
            shared.lists[zone] = list
            return change
        }
        if let change { self.alarm(change) }
    }

    /// - Parameter completion: gets nil if nobody is there any more who could answer.
    private func ask(
        _ reversed: String, _ zone: DNSName, _ completion: @escaping @Sendable (ListHealth.Outcome?) -> Void
    ) {
        guard let name = DNSName(zone == .root ? reversed : "\(reversed).\(zone)") else {
            self.loop.execute { completion(.unavailable("its zone is too long")) }
            return
        }
        self.names.resolve(DNSQuestion(name, .a), on: self.loop) { completion(self.outcome($0, zone)) }
    }

    /// The texts that come with failures are not passed on: the zone may stand in them.
    private func outcome(_ result: DNSResult, _ zone: DNSName) -> ListHealth.Outcome? {
        switch result {
        case .success(let answer):
            for case .a(let address) in answer.records {
                if let problem = self.isUnavailable(address, zone) { return .unavailable(problem) }
            }
            return .listed
        case .failure(let failure):
            switch failure {
            case .noSuchName, .noData: return .notListed
            case .serverFailure: return .unavailable("its servers fail")
            case .timeout: return .unavailable("no answer in time")
            case .bogus: return .unavailable("DNSSEC validation fails")
            case .invalidName: return .unavailable("its zone is no name")
            case .tooManyQueries: return .unavailable("too many queries are under way here")
            case .closed, .cancelled: return nil
            }
        }
    }
}
