import Harness
import NIOCore
import NIOPosix
import Resolver
import Synchronization

extension UnboundResolver {
    /// Asks servers on 127.0.0.1.
    convenience init(
        ports: Int..., change: (inout ResolverOptions) -> Void = { _ in },
        clock: @escaping @Sendable () -> NIODeadline = { .now() }
    ) throws {
        var options = ResolverOptions()
        options.upstream = .forwarders(
            try ports.map { try NameServer(address: "127.0.0.1", port: UInt16(clamping: $0)) })
        change(&options)
        try self.init(options, clock: clock)
    }
}

extension NameService {
    /// What comes back, as a value to compare: the TTL is rounded up to tens of seconds, because one may pass while
    /// the question is answered.
    func outcome(_ name: String, _ type: DNSType) async -> DNSResult {
        do throws(DNSFailure) {
            let answer = try await self.resolve(name, type, on: MultiThreadedEventLoopGroup.singleton.any())
            return .success(
                DNSAnswer(
                    records: answer.records, ttl: answer.ttl.inTens, canonicalName: answer.canonicalName,
                    security: answer.security))
        } catch {
            switch error {
            case .noSuchName(let negative): return .failure(.noSuchName(negative.rounded))
            case .noData(let negative): return .failure(.noData(negative.rounded))
            default: return .failure(error)
            }
        }
    }
}

extension DNSNegative {
    fileprivate var rounded: DNSNegative {
        DNSNegative(ttl: self.ttl.inTens, canonicalName: self.canonicalName, security: self.security)
    }
}

extension Duration {
    fileprivate var inTens: Duration { .seconds((self / .seconds(10)).rounded(.up) * 10) }
}

/// A clock that moves when the test says so.
final class TestClock: Sendable {
    private let time = Mutex(NIODeadline.uptimeNanoseconds(1_000_000_000))

    var now: NIODeadline { self.time.withLock { $0 } }

    func advance(by amount: TimeAmount) { self.time.withLock { $0 = $0 + amount } }
}

/// Collects what completions are called with.
final class Results: Sendable {
    private let collected = Mutex<[DNSResult]>([])

    var all: [DNSResult] { self.collected.withLock { $0 } }

    func add(_ result: DNSResult) { self.collected.withLock { $0.append(result) } }
}

/// Remembers in which order things happened.
final class Steps: Sendable {
    private let steps = Mutex<[String]>([])

    var all: [String] { self.steps.withLock { $0 } }

    func add(_ step: String) { self.steps.withLock { $0.append(step) } }
}

/// Waits until it is so, and lets other tests work meanwhile.
///
/// - Throws: when it is not so in time.
func waitUntil(
    _ what: String, within limit: Duration = .seconds(60), _ isSo: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !isSo() {
        guard ContinuousClock.now < deadline else { throw HarnessError("waited until \(what) in vain for \(limit)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}
