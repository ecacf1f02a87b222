package import Mail
package import Polling

/// Collects what was found out about messages, and tells the domains once a day (RFC 7489 §7.2).
///
/// A report is finished with when it has been submitted to the queue, and that is on the disk before the next one is
/// made. If the program ends in between, the report is made again: with the same report ID and Message-ID, by which its
/// reader knows.
///
/// It lives, with its thread, until ``close()``.
package final class DMARCReporting: Sendable {
    private let store: DMARCReportStore
    private let rounds: ReportRounds<DMARCReportOptions>
    private let complain: @Sendable (String) -> Void

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
        self.rounds = ReportRounds(options, hostname: hostname, clock: clock)
        self.complain = complain
        self.store = try DMARCReportStore(
            folder: folder, settings: options.storeSettings, clock: clock, complain: complain)
    }

    package func close() { self.store.close() }

    /// From a reload. How much is kept at most stays as it was.
    package func use(_ options: DMARCReportOptions) { self.rounds.options = options }

    package var options: DMARCReportOptions { self.rounds.options }

    /// From any thread; it never waits. Of what is not to be observed see ``DMARCObservation``.
    package func observe(_ observation: DMARCObservation) {
        if self.options.enabled { self.store.add(observation) }
    }

    /// Reports submitted, and observations not kept, since the start. For status.
    package var statistics: (sent: Int, lost: UInt64) { (self.rounds.sent, self.store.lost) }

    // MARK: Reporting

    /// Makes reports when they are due until the task is cancelled.
    package func run(check: DestinationCheck, submit: ReportMessage.Submit) async {
        await self.rounds.run { await self.report(check: check, submit: submit) }
    }

    /// Makes the reports that are due now.
    ///
    /// - Returns: whether any are left that could not be made or submitted.
    @discardableResult
    package func report(check: DestinationCheck, submit: ReportMessage.Submit) async -> Bool {
        await self.rounds.round { await self.report(on: $0, check, submit) }
    }

    /// - Returns: whether nothing of the day is left to do.
    private func report(on day: ReportDay, _ check: DestinationCheck, _ submit: ReportMessage.Submit) async -> Bool {
        /// Hosts whose name servers do not answer now: others that report there would wait for them, too.
        var silent: Set<DomainName> = []
        return await self.store.settle(on: day) { group, policy in
            await self.report(on: group, policy, &silent, check, submit)
        }
    }

    /// - Returns: whether nothing of the domain is left to do.
    private func report(
        on group: DailyStore.Group, _ policy: DMARCObservation.PublishedPolicy, _ silent: inout Set<DomainName>,
        _ check: DestinationCheck, _ submit: ReportMessage.Submit
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
        _ submit: ReportMessage.Submit
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
            try await submit(message.envelope(from: self.options.envelopeSender), message.content)
        } catch {
            self.complain("the DMARC report on \(job.policy.domain) cannot be queued: \(error)")
            return false
        }
        job.reached.formUnion(fitting.map(\.mailbox))
        self.rounds.countSent()
        return true
    }

    /// Nil if there is no memory, or nobody to ask about it any more.
    private func made(_ job: ReportJob, _ rows: [AggregateReport.Row]) -> (AggregateReport, [UInt8])? {
        let options = self.options
        guard let reporter = options.reporter(hostname: self.rounds.hostname, extraContact: options.extraContact) else {
            return nil
        }
        let report = AggregateReport(reporter: reporter, day: job.group.day, policy: job.policy, rows: rows)
        return report.packed().map { (report, $0) }
    }

    /// Nil without recipients.
    private func message(_ report: AggregateReport, _ packed: [UInt8], to recipients: [Mailbox]) -> ReportMessage? {
        guard !recipients.isEmpty, let from = self.options.author else { return nil }
        return ReportMessage(report, packed: packed, from: from, to: recipients, time: self.rounds.clock.now())
    }
}
