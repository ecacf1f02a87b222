import Clocks
import Harness
import MTASTS
import Mail
import NIOCore
import NIOPosix
import Resolver
import Synchronization
import Testing
import ZoneFiles

/// Fetches what a test says, and holds it back if it says so.
final class TestFetcher: Sendable {
    private struct State {
        var answers: [String: Result<STSPolicy, STSFault>] = [:]
        var asked: [String] = []
        var isHolding = false
        var held: [@Sendable () -> Void] = []
        var waiters: [(count: Int, promise: EventLoopPromise<Void>)] = []
    }

    private let state = Mutex(State())

    /// The domains that were asked for, in order.
    var asked: [String] { self.state.withLock { $0.asked } }

    func set(_ domain: String, _ answer: Result<STSPolicy, STSFault>) {
        self.state.withLock { $0.answers[domain] = answer }
    }

    func hold() { self.state.withLock { $0.isHolding = true } }

    /// Lets the oldest that is held go.
    func releaseOne() {
        let next = self.state.withLock { $0.held.isEmpty ? nil : $0.held.removeFirst() }
        next?()
    }

    /// Fulfilled when so many have been asked for.
    func whenAsked(_ count: Int, on loop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        let isThere = self.state.withLock { state in
            if state.asked.count < count { state.waiters.append((count, promise)) }
            return state.asked.count >= count
        }
        if isThere { promise.succeed(()) }
        return promise.futureResult
    }

    var fetch: STSService.Fetch {
        { domain, loop in
            let promise = loop.makePromise(of: STSPolicy.self)
            let (answer, isHeld, done) = self.state.withLock { state in
                state.asked.append(domain)
                let done = state.waiters.filter { $0.count <= state.asked.count }.map(\.promise)
                state.waiters.removeAll { $0.count <= state.asked.count }
                let answer = state.answers[domain] ?? .failure(STSFault(.stsPolicyFetchError, "nothing there"))
                if state.isHolding { state.held.append { promise.completeWith(answer.mapError { $0 }) } }
                return (answer, state.isHolding, done)
            }
            for waiter in done { waiter.succeed(()) }
            if !isHeld { promise.completeWith(answer.mapError { $0 }) }
            return promise.futureResult
        }
    }
}

/// A service over zone files, with a clock and a fetcher of the test; its cache outlives it.
final class STSFixture: Sendable {
    let folder: TemporaryFolder
    let clock = TestClock()
    let fetcher = TestFetcher()
    let names: ZoneService
    let log = Heard<String>()
    let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()

    init() throws {
        self.folder = try TemporaryFolder()
        self.names = try ZoneService()
    }

    static func policy(_ mode: STSPolicy.Mode, _ mx: String..., age: Duration = .seconds(604_800)) -> STSPolicy {
        STSPolicy(mode: mode, mxPatterns: mx, maximumAge: age, lines: ["version: STSv1"])
    }

    /// The record of a domain; nil for a zone without one.
    func publish(_ domain: String, id: String?) throws {
        let zone = "$ORIGIN \(domain).\n@ SOA ns admin 1 1h 1h 1d 60\n"
        try self.names.set(zone + (id.map { "_mta-sts TXT \"v=STSv1; id=\($0);\"\n" } ?? ""))
    }

    /// A start of the program, on what the one before has left.
    func with(
        _ options: STSOptions = STSOptions(), entries: Int = 1000, _ body: (STSService, STSCache) async throws -> Void
    ) async throws {
        var settings = STSCache.usualSettings
        settings.entries = entries
        settings.writeInterval = .seconds(86_400)
        settings.batch = .max
        let log = self.log
        let cache = try STSCache(folder: self.folder.path, settings: settings, clock: self.clock.wallClock) {
            log.add($0)
        }
        let service = STSService(
            cache: cache, names: self.names, loop: self.loop, options: options, clock: self.clock.wallClock,
            log: { log.add($0) }, fetch: self.fetcher.fetch)
        defer { service.close() }
        try await body(service, cache)
    }
}
