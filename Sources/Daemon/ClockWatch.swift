package import Logging
package import Mail
package import Queue

/// Notices when the clock is set, which a relay must not sit out: what was put off while it was ahead would wait until
/// it has come there again.
package struct ClockWatch {
    /// Smaller steps are what clocks do, and cost less than they would if they were noticed.
    static let tolerance = Duration.seconds(60)

    private var last: (wall: Timestamp, steady: Duration)?

    package init() {}

    /// - Parameter steady: of a clock that is never set.
    /// - Returns: by how much the clock was set since the last look; nil if it was not.
    package mutating func look(wall: Timestamp, steady: Duration) -> Duration? {
        defer { self.last = (wall, steady) }
        guard let last else { return nil }
        let jump = (wall - last.wall) - (steady - last.steady)
        return jump > Self.tolerance || jump < .zero - Self.tolerance ? jump : nil
    }
}

/// Has everything tried again that would wait for longer than anything should, after the clock was set back.
package struct ClockService: Sendable {
    let queue: any MailQueue
    let clock: WallClock
    /// The longest time between two attempts, by the configuration in force.
    let longestWait: @Sendable () -> Duration
    let run: @Sendable (@escaping @Sendable () throws -> [QueueID]) async throws -> [QueueID]
    /// Tries destinations that are down.
    let flush: @Sendable () -> Void
    let logger: Logger

    package init(
        queue: any MailQueue, clock: WallClock, longestWait: @escaping @Sendable () -> Duration,
        run: @escaping @Sendable (@escaping @Sendable () throws -> [QueueID]) async throws -> [QueueID],
        flush: @escaping @Sendable () -> Void, logger: Logger
    ) {
        self.queue = queue
        self.clock = clock
        self.longestWait = longestWait
        self.run = run
        self.flush = flush
        self.logger = logger
    }

    /// Looks now and then, until it is cancelled. The first look is at what an earlier run has left, whose clock may
    /// have been wrong.
    func watch(every interval: Duration = .seconds(20)) async {
        var watch = ClockWatch()
        let start = ContinuousClock.now
        _ = watch.look(wall: self.clock.now(), steady: .zero)
        await self.bringForward(after: self.clock.now() + self.longestWait())
        while (try? await Task.sleep(for: interval)) != nil {
            let now = self.clock.now()
            let jump = watch.look(wall: now, steady: ContinuousClock.now - start)
            if let jump {
                self.logger.warning("the clock was set", metadata: ["seconds": "\(Int(jump.inSeconds.rounded()))"])
            }
            // It may have been ahead between two looks: what was put off meanwhile is told by its time.
            await self.bringForward(after: jump.map { $0 < .zero } ?? false ? now : now + self.longestWait())
        }
    }

    /// - Parameter due: what waits for a later time than this is due now.
    package func bringForward(after due: Timestamp) async {
        do {
            var count = 0
            while true {
                let ids = try await self.run { [queue] in try queue.scheduled(after: due, limit: Self.pageSize) }
                guard !ids.isEmpty else { break }
                count += ids.count
                let changed = await withCheckedContinuation { continuation in
                    self.queue.operate(.retry, on: ids) { continuation.resume(returning: $0) }
                }
                // Whatever does not change, such as what is held, would come again and again.
                guard try changed.get().count == ids.count, ids.count == Self.pageSize else { break }
            }
            guard count > 0 else { return }
            self.logger.warning(
                "messages that would have waited for an earlier clock are due", metadata: ["messages": "\(count)"])
        } catch {
            self.logger.error("messages may wait for an earlier clock", metadata: ["error": "\(error)"])
        }
        self.flush()
    }

    private static let pageSize = 500
}
