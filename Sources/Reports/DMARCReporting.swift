package import Mail
package import Polling
import Synchronization

/// Collects what was found out about messages, and tells the domains once a day (RFC 7489 §7.2).
///
/// A report is finished with when it has been submitted to the queue, and that is on the disk before the next one is
/// made. If the program ends in between, the report is made again: with the same report ID and Message-ID, by which its
/// reader knows.
///
/// It lives, with its thread, until ``close()``.
package final class DMARCReporting: Sendable {
    /// Puts a message into our own queue; when it returns, that is kept.
    package typealias Submit = @Sendable (Envelope, [UInt8]) async throws -> Void

    private let store: DMARCReportStore
    private let hostname: String
    private let clock: WallClock
    private let complain: @Sendable (String) -> Void
    private let shared: Mutex<Shared>

    private struct Shared {
        var options: DMARCReportOptions
        /// Days of which nothing is left to do. After a restart they are looked at once more.
        var settled: Set<ReportDay> = []
        var sent = 0
    }

    /// Opens the store in a folder that exists.
    ///
    /// - Parameters:
    ///   - hostname: ours, in lower case.
    ///   - complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, options: DMARCReportOptions, hostname: String, clock: WallClock,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.shared = Mutex(Shared(options: options))
        self.hostname = hostname
        self.clock = clock
        self.complain = complain
        self.store = try DMARCReportStore(
            folder: folder, settings: options.storeSettings, clock: clock, complain: complain)
    }

    package func close() { self.store.close() }

    /// From a reload. How much is kept at most stays as it was.
    package func use(_ options: DMARCReportOptions) { self.shared.withLock { $0.options = options } }

    package var options: DMARCReportOptions { self.shared.withLock { $0.options } }

    /// From any thread; it never waits. Of what is not to be observed see ``DMARCObservation``.
    package func observe(_ observation: DMARCObservation) {
        if self.options.enabled { self.store.add(observation) }
    }

    /// Reports submitted, and observations not kept, since the start. For status.
    package var statistics: (sent: Int, lost: UInt64) { (self.shared.withLock { $0.sent }, self.store.lost) }

    // MARK: Reporting

    /// Makes reports when they are due until the task is cancelled.
    package func run(check: DestinationCheck, submit: Submit) async {
        while !Task.isCancelled {
            let hasLeft = await self.report(check: check, submit: submit)
            let now = self.clock.now()
            let next = self.schedule.next(after: now, hasLeft: hasLeft)
            // The clock can be set meanwhile, so it is looked at every hour. Being cancelled is no error.
            try? await Task.sleep(for: max(.seconds(1), min(next - now, ReportSchedule.retryInterval)))
        }
    }

    private var schedule: ReportSchedule {
        let options = self.options
        return ReportSchedule(hour: options.hour, days: options.days, hostname: self.hostname)
    }

    /// Makes the reports that are due now.
    ///
    /// - Returns: whether any are left that could not be made or submitted.
    @discardableResult
    package func report(check: DestinationCheck, submit: Submit) async -> Bool {
        guard self.options.enabled else { return false }
        var hasLeft = false
        for day in self.schedule.dueDays(at: self.clock.now()) {
            guard !self.shared.withLock({ $0.settled.contains(day) }) else { continue }
            if await self.report(on: day, check, submit) {
                self.shared.withLock { _ = $0.settled.insert(day) }
            } else {
                hasLeft = true
            }
            if Task.isCancelled { return true }
        }
        let oldest = ReportDay(self.clock.now()).advanced(by: -self.options.days)
        self.shared.withLock { $0.settled = $0.settled.filter { $0 >= oldest } }
        return hasLeft
    }

    /// - Returns: whether nothing of the day is left to do.
    private func report(on day: ReportDay, _ check: DestinationCheck, _ submit: Submit) async -> Bool {
        var isSettled = true
        /// Hosts whose name servers do not answer now: others that report there would wait for them, too.
        var silent: Set<DomainName> = []
        var end: DailyStore.Group?
        repeat {
            let page = await self.store.policies(on: day, after: end)
            end = page.end
            for (group, policy) in page.list {
                isSettled = await self.report(on: group, policy, &silent, check, submit) && isSettled
            }
        } while end != nil && !Task.isCancelled
        return isSettled && end == nil
    }

    /// - Returns: whether nothing of the domain is left to do.
    private func report(
        on group: DailyStore.Group, _ policy: DMARCObservation.PublishedPolicy, _ silent: inout Set<DomainName>,
        _ check: DestinationCheck, _ submit: Submit
    ) async -> Bool {
        let finished = await self.store.finished(of: group)
        let open = policy.destinations.filter { !finished.contains($0.text) }
        guard !open.isEmpty, !Task.isCancelled else { return open.isEmpty }
        var isSettled = true
        let reached = finished.compactMap { ReportDestination(ReportURI($0))?.mailbox }
        var job = ReportJob(group: group, policy: policy, reached: Set(reached))
        for uri in open {
            guard await self.send(&job, to: uri, &silent, check, submit) else {
                isSettled = false
                continue
            }
            await self.store.finish(uri, of: group)
        }
        return isSettled
    }

    /// A domain of a day, and its report once it has been made.
    private struct ReportJob {
        let group: DailyStore.Group
        let policy: DMARCObservation.PublishedPolicy
        /// Who has got it under another URI, or cannot have it.
        var reached: Set<Mailbox>
        var made: (report: AggregateReport, packed: [UInt8])?
    }

    /// - Returns: whether all is done with this URI.
    private func send(
        _ job: inout ReportJob, to uri: ReportURI, _ silent: inout Set<DomainName>, _ check: DestinationCheck,
        _ submit: Submit
    ) async -> Bool {
        guard let destination = ReportDestination(uri) else { return true }
        guard !silent.contains(destination.domain) else { return false }
        let allowed: [ReportDestination]
        switch await check.verdict(on: destination, for: job.policy.domain) {
        case .allowed(let destinations): allowed = destinations
        case .unknown:
            silent.insert(destination.domain)
            return false
        case .refused(let reason):
            self.complain("no DMARC report on \(job.policy.domain) to \(destination.mailbox): \(reason)")
            return true
        }
        if job.made == nil {
            let rows = await self.store.rows(of: job.group)
            guard !rows.isEmpty else { return true }  // They were too many, and went before their time.
            job.made = self.made(job, rows)
        }
        guard let (report, packed) = job.made else { return false }
        let mailboxes = allowed.map(\.mailbox).filter { !job.reached.contains($0) }
        guard let message = self.message(report, packed, to: mailboxes) else { return true }
        let content = message.content
        let fitting = allowed.filter { content.count <= $0.limitBytes ?? .max && mailboxes.contains($0.mailbox) }
        guard !fitting.isEmpty, let message = self.message(report, packed, to: fitting.map(\.mailbox)) else {
            self.complain("the DMARC report on \(job.policy.domain) is too large for \(destination.mailbox)")
            return true
        }
        do {
            let reversePath = self.options.reversePath.map { ReversePath.mailbox($0) } ?? .null
            try await submit(message.envelope(from: reversePath), message.content)
        } catch {
            self.complain("the DMARC report on \(job.policy.domain) cannot be queued: \(error)")
            return false
        }
        job.reached.formUnion(fitting.map(\.mailbox))
        self.shared.withLock { $0.sent += 1 }
        return true
    }

    /// Nil if there is no memory, or nobody to ask about it any more.
    private func made(_ job: ReportJob, _ rows: [AggregateReport.Row]) -> (AggregateReport, [UInt8])? {
        guard let reporter = self.options.reporter(hostname: self.hostname) else { return nil }
        let report = AggregateReport(reporter: reporter, day: job.group.day, policy: job.policy, rows: rows)
        return report.packed().map { (report, $0) }
    }

    /// Nil without recipients.
    private func message(_ report: AggregateReport, _ packed: [UInt8], to recipients: [Mailbox]) -> ReportMessage? {
        let options = self.options
        guard !recipients.isEmpty, let from = options.from ?? options.email else { return nil }
        return ReportMessage(report, packed: packed, from: from, to: recipients, time: self.clock.now())
    }
}
