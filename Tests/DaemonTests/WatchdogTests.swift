import Daemon
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// Whoever hangs keeps systemd from hearing that all is well.
struct WatchdogTests {
    private final class Record: Sendable {
        private let lines = Mutex<[String]>([])

        var all: [String] { self.lines.withLock { $0 } }

        func add(_ line: String) { self.lines.withLock { $0.append(line) } }
    }

    private func watchdog(_ parts: [Watchdog.Part], _ record: Record) -> Watchdog {
        Watchdog(parts) {
            record.add("told")
        } complain: {
            record.add("silent: \($0.joined(separator: ", "))")
        }
    }

    @Test func `it is told when all have answered`() async throws {
        let record = Record()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let parts = [
            Watchdog.Part("at once") { $0() }, Watchdog.Part("a loop") { answer in loop.execute { answer() } },
        ]
        let watchdog = self.watchdog(parts, record)
        await watchdog.ask(patience: .seconds(600))
        await watchdog.ask(patience: .seconds(600))
        #expect(record.all == ["told", "told"])
        try await group.shutdownGracefully()
    }

    @Test func `a pool whose threads are all held up keeps it from being told`() async throws {
        let record = Record()
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        let way = DispatchSemaphore(value: 0)
        for _ in 0..<2 { pool.submit { _ in way.wait() } }
        let parts = [
            Watchdog.Part("the pool") { answer in pool.submit { _ in answer() } }, Watchdog.Part("other") { $0() },
        ]
        let watchdog = Watchdog(parts) {
            record.add("told")
        } complain: { silent in
            record.add("silent: \(silent.joined(separator: ", "))")
            // It was too late already: now it may go on.
            for _ in 0..<2 { way.signal() }
        }
        await watchdog.ask(patience: .milliseconds(1))
        #expect(record.all == ["silent: the pool", "told"])
        try await pool.shutdownGracefully()
    }

    @Test func `one that never answers does not keep the end from coming`() async {
        let record = Record()
        let watchdog = self.watchdog([Watchdog.Part("dead") { _ in }], record)
        let task = Task { await watchdog.ask(patience: .seconds(600)) }
        task.cancel()
        await task.value
        #expect(record.all == [])
    }

    @Test func `an answer that comes twice is one`() async {
        let record = Record()
        let parts = [
            Watchdog.Part("twice") { answer in
                answer()
                answer()
            }, Watchdog.Part("dead") { _ in },
        ]
        let watchdog = self.watchdog(parts, record)
        let task = Task { await watchdog.ask(patience: .seconds(600)) }
        task.cancel()
        await task.value
        #expect(record.all == [])
    }
}
