import Mail
import Queue
import Synchronization

/// What the daemon shows: the answers of its commands, and what was counted.
final class DaemonMetrics: MetricsSource {
    private let commands: ControlCommands
    private let counts: MailCounts
    private let version: String
    private let isEnding = Atomic<Bool>(false)

    init(commands: ControlCommands, counts: MailCounts, version: String) {
        self.commands = commands
        self.counts = counts
        self.version = version
    }

    /// From now on nobody is asked any more.
    func end() { self.isEnding.store(true, ordering: .relaxed) }

    var ending: String? { self.isEnding.load(ordering: .relaxed) ? "the service ends" : nil }

    func metrics() async throws -> String {
        MetricsSnapshot(
            version: self.version, started: self.commands.started, counts: self.counts.snapshot,
            reloads: self.commands.generations.counts, status: try await self.report(), oldest: try await self.oldest(),
            process: ProcessFigures.now()
        ).exposition
    }

    func problem() async throws -> String? {
        let queue = self.commands.queue
        let room = try await self.commands.pool.runIfActive { try queue.statistics().roomBytes }
        return room > 0 ? nil : "the queue is full: new mail is refused with 452"
    }

    func status() async throws -> [UInt8] {
        let output = Collected()
        _ = try await self.commands.run(ControlRequest(.status), output)
        return output.bytes.withLock { $0 }
    }

    func queue(_ filter: QueueFilter, _ body: @escaping @Sendable ([UInt8]) async throws -> Void) async throws {
        var request = ControlRequest(.list)
        request.filter = filter
        _ = try await self.commands.run(request, Handed(body: body))
    }

    private func report() async throws -> StatusReport {
        try ControlJSON.decode(StatusReport.self, from: try await self.status())
    }

    /// Age of the oldest message; messages are in the order of their arrival.
    private func oldest() async throws -> Duration {
        let queue = self.commands.queue
        let page = try await self.commands.pool.runIfActive { try queue.messages(after: nil, limit: 1) }
        return page.messages.first.map { self.commands.clock.now() - $0.arrival } ?? .zero
    }

    private final class Collected: ControlOutput {
        let bytes = Mutex<[UInt8]>([])

        func write(_ kind: UInt8, _ payload: [UInt8]) async throws { self.bytes.withLock { $0 = payload } }
    }

    private struct Handed: ControlOutput {
        let body: @Sendable ([UInt8]) async throws -> Void

        func write(_ kind: UInt8, _ payload: [UInt8]) async throws { try await self.body(payload) }
    }
}
