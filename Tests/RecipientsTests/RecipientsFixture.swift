import Clocks
import Harness
import Mail
import NIOCore
import NIOPosix
import Recipients
import Synchronization
import Testing

func mailbox(_ text: String) throws -> Mailbox { try #require(Mailbox(text)) }

extension ProbeResult {
    static let accepted = ProbeResult(.accepted, Reply(250, .init(1, 5), "Ok"), remote: "primary")
    static let unknown = ProbeResult(.unknown, Reply(550, .init(1, 1), "no such user"), remote: "primary")
    static let blocked = ProbeResult(.blocked, Reply(554, .init(7, 1), "you are listed"), remote: "primary")
    static let temporary = ProbeResult(.temporary, Reply(451, .init(7, 1), "greylisted"), remote: "primary")
    static let unreachable = ProbeResult(.unreachable, Reply(451, .init(4, 1), "connection refused"))
}

/// Servers that have some recipients, and can be away.
final class FakePrimary: Sendable {
    private let shared: Mutex<Shared>
    private let loop: any EventLoop

    private struct Shared {
        var recipients: Set<String>
        /// In place of what it would say; nil for silence.
        var fault: ProbeResult?
        var isSilent = false
        var asked: [String] = []
        var unanswered: [EventLoopPromise<ProbeResult>] = []
    }

    init(_ recipients: Set<String>, loop: any EventLoop) {
        self.shared = Mutex(Shared(recipients: recipients))
        self.loop = loop
    }

    func set(recipients: Set<String>) { self.shared.withLock { $0.recipients = recipients } }

    func fail(with fault: ProbeResult?) { self.shared.withLock { $0.fault = fault } }

    func fallSilent() { self.shared.withLock { $0.isSilent = true } }

    /// Answers whoever waits.
    func speak(_ result: ProbeResult) {
        let promises = self.shared.withLock { shared in
            shared.isSilent = false
            defer { shared.unanswered = [] }
            return shared.unanswered
        }
        for promise in promises { promise.succeed(result) }
    }

    /// Addresses that were asked about; the invented ones are `nobody`.
    var asked: [String] {
        self.shared.withLock { $0.asked.map { $0.hasPrefix("nobody-") ? "nobody" : $0 } }
    }

    func probe(_ mailbox: Mailbox) -> EventLoopFuture<ProbeResult> {
        self.shared.withLock { shared in
            shared.asked.append(mailbox.description)
            if shared.isSilent {
                let promise = self.loop.makePromise(of: ProbeResult.self)
                shared.unanswered.append(promise)
                return promise.futureResult
            }
            let isKnown = shared.recipients.contains(mailbox.description) || shared.recipients.contains("*")
            return self.loop.makeSucceededFuture(shared.fault ?? (isKnown ? .accepted : .unknown))
        }
    }
}

/// A verifier with its cache and a primary that a test controls.
final class VerifierFixture: Sendable {
    let folder: TemporaryFolder
    let clock = TestClock()
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let primary: FakePrimary
    let reports = Heard<VerifierReport>()
    let complaints = Heard<String>()
    let cache: VerifyCache
    let verifier: Verifier

    init(
        _ recipients: Set<String> = ["a@example.test"], kind: VerifyKey.Kind = .recipient,
        options: RecipientVerificationOptions = .patient
    ) throws {
        self.folder = try TemporaryFolder()
        let primary = FakePrimary(recipients, loop: self.loop)
        self.primary = primary
        let (complaints, reports) = (self.complaints, self.reports)
        self.cache = try VerifyCache(folder: self.folder.path, policy: options.policy, clock: self.clock.wallClock) {
            complaints.add($0)
        }
        self.verifier = Verifier(
            kind, cache: self.cache, options: options, clock: self.clock.wallClock, probe: { primary.probe($0) },
            report: { reports.add($0) })
    }

    deinit { self.cache.close() }

    func verdict(_ address: String = "a@example.test") async throws -> Verifier.Verdict {
        let answer = try await self.verifier.verify(try mailbox(address), on: self.loop).get()
        // What a probe sets off behind its answer has happened, too.
        for _ in 0..<3 { try await self.loop.submit {}.get() }
        return answer.verdict
    }
}

extension RecipientVerificationOptions {
    /// Nobody gives up while a test runs.
    static var patient: Self {
        var options = Self()
        options.wait = .seconds(3600)
        options.domains.values["example.test"] = DomainVerificationOptions()
        return options
    }
}
