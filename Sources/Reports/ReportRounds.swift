import Mail
import Synchronization

/// When daily reports of a kind are made, and of which days there are still some to make.
final class ReportRounds<Options: ReportOptions>: Sendable {
    /// Ours, in lower case.
    let hostname: String
    let clock: WallClock
    private let state: Mutex<State>

    private struct State {
        var options: Options
        /// Days of which nothing is left to do. After a restart they are looked at once more.
        var settled: Set<ReportDay> = []
        var sent = 0
    }

    init(_ options: Options, hostname: String, clock: WallClock) {
        self.state = Mutex(State(options: options))
        self.hostname = hostname
        self.clock = clock
    }

    var options: Options {
        get { self.state.withLock { $0.options } }
        set { self.state.withLock { $0.options = newValue } }
    }

    /// Reports handed over since the start.
    var sent: Int { self.state.withLock { $0.sent } }

    func countSent() { self.state.withLock { $0.sent += 1 } }

    private var schedule: ReportSchedule { self.options.schedule(hostname: self.hostname) }

    /// The last day that is looked back to.
    var oldestDay: ReportDay { ReportDay(self.clock.now()).advanced(by: -self.options.days) }

    /// Makes reports when they are due until the task is cancelled.
    ///
    /// - Parameter round: says whether any are left that could not be made or handed over.
    func run(_ round: () async -> Bool) async {
        while !Task.isCancelled {
            let hasLeft = await round()
            let now = self.clock.now()
            let next = self.schedule.next(after: now, hasLeft: hasLeft)
            // The clock can be set meanwhile, so it is looked at every hour. Being cancelled is no error.
            try? await Task.sleep(for: max(.seconds(1), min(next - now, ReportSchedule.retryInterval)))
        }
    }

    /// Makes the reports of the days that are due now, if they are wanted.
    ///
    /// - Parameter report: says whether nothing of the day is left to do.
    /// - Returns: whether any are left.
    func round(_ report: (ReportDay) async -> Bool) async -> Bool {
        guard self.options.enabled else { return false }
        var hasLeft = false
        for day in self.schedule.dueDays(at: self.clock.now()) {
            guard !self.state.withLock({ $0.settled.contains(day) }) else { continue }
            if await report(day) {
                self.state.withLock { _ = $0.settled.insert(day) }
            } else {
                hasLeft = true
            }
            if Task.isCancelled { return true }
        }
        let oldest = self.oldestDay
        self.state.withLock { $0.settled = $0.settled.filter { $0 >= oldest } }
        return hasLeft
    }
}

extension DailyStore {
    /// Does something about each group of a day, until the task is cancelled.
    ///
    /// - Parameter report: gets the text about the group, and says whether nothing of it is left to do.
    /// - Returns: whether nothing of any is.
    func settle(on day: ReportDay, _ report: (Group, _ about: [UInt8]) async -> Bool) async -> Bool {
        let limit = 100
        var isSettled = true
        var end: Group?
        repeat {
            let page = await self.groups(on: day, after: end, limit: limit)
            end = page.count < limit ? nil : page.last?.group
            for (group, about) in page { isSettled = await report(group, about) && isSettled }
        } while end != nil && !Task.isCancelled
        return isSettled && end == nil
    }

    /// The URIs of a group with which all is done, whether they got their report or cannot have it.
    func finished(of group: Group) async -> Set<String> {
        Set(await self.marks(of: group).map { String(decoding: $0, as: UTF8.self) })
    }

    /// When it returns, that is on the disk, if the disk works.
    func finish(_ uri: ReportURI, of group: Group) async { await self.mark(Array(uri.text.utf8), of: group) }
}
