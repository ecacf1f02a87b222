package import Mail
package import Polling
import Synchronization

/// Counts how sessions with the servers of domains went, and tells the domains once a day (RFC 8460).
///
/// Whether a domain wants to know is asked when its report is due. A report is finished with at a destination when it
/// has been submitted to the queue or posted, and that is on the disk before the next one is made. If the program ends
/// in between, the report is handed over again: with the same report ID, by which its reader knows.
///
/// It lives, with its thread, until ``close()``.
package final class TLSReporting: Sendable {
    /// How reports leave.
    package struct Outlets: Sendable {
        /// Sends octets of a media type; it returns when they are taken, and within minutes.
        package typealias Post = @Sendable (HTTPSDestination, [UInt8], _ contentType: String) async throws -> Void

        let texts: DestinationCheck.Texts
        let submit: ReportMessage.Submit
        let post: Post

        package init(
            texts: @escaping DestinationCheck.Texts, submit: @escaping ReportMessage.Submit, post: @escaping Post
        ) {
            self.texts = texts
            self.submit = submit
            self.post = post
        }
    }

    private typealias Group = DailyStore.Group

    /// Destinations of a domain and day. Each costs a message or a connection.
    private static let maximumDestinations = 3
    private static let complaintsPerRound = 20

    private let store: DailyStore
    private let rounds: ReportRounds<TLSReportOptions>
    private let complain: @Sendable (String) -> Void
    private let shared = Mutex(Shared())

    private struct Shared {
        /// Of which nothing is left to do, most of them because they want no reports. After a restart they are asked again.
        var finished: Set<Group> = []
        /// Of which it has been said that their report does not get away.
        var complained: Set<Group> = []
    }

    /// What is found out while reports are made, once.
    private struct Round {
        /// Domains whose name servers do not answer now, and servers that do not take reports.
        var silent: Set<String> = []
        var failing: Set<HTTPSDestination.Server> = []
        var complaints = 0
    }

    /// Opens the store in a folder that exists.
    ///
    /// - Parameters:
    ///   - hostname: ours, in lower case.
    ///   - complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, options: TLSReportOptions, hostname: String, clock: WallClock,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.rounds = ReportRounds(options, hostname: hostname, clock: clock)
        self.complain = complain
        self.store = try DailyStore(
            folder: folder, settings: options.storeSettings, clock: clock, contents: "TLS results", complain: complain)
    }

    package func close() { self.store.close() }

    /// From a reload. How much is kept at most stays as it was.
    package func use(_ options: TLSReportOptions) { self.rounds.options = options }

    package var options: TLSReportOptions { self.rounds.options }

    /// From any thread; it never waits. Sessions for reports of this kind are not to be observed (RFC 8460 §3).
    ///
    /// - Parameter organization: whom the domain belongs to; nobody gets more than some reports on names below their own.
    package func observe(_ observation: TransportObservation, organization: String? = nil) {
        guard self.options.enabled, let domain = DomainName(observation.domain),
            let group = Group(domain.ascii, on: ReportDay(self.rounds.clock.now()))
        else { return }
        self.store.add(TransportRow(observation).encoded(), to: group, about: [], family: organization)
    }

    /// Reports handed over, and observations not kept, since the start. For status.
    package var statistics: (sent: Int, lost: UInt64) { (self.rounds.sent, self.store.lost) }

    // MARK: Reporting

    /// Makes reports when they are due until the task is cancelled.
    package func run(_ outlets: Outlets) async {
        await self.rounds.run { await self.report(outlets) }
    }

    /// Makes the reports that are due now.
    ///
    /// - Returns: whether any are left that could not be made or handed over.
    @discardableResult
    package func report(_ outlets: Outlets) async -> Bool {
        var round = Round()
        let hasLeft = await self.rounds.round { day in
            await self.store.settle(on: day) { group, _ in await self.report(on: group, &round, outlets) }
        }
        let oldest = self.rounds.oldestDay
        self.shared.withLock { shared in
            shared.finished = shared.finished.filter { $0.day >= oldest }
            shared.complained = shared.complained.filter { $0.day >= oldest }
        }
        return hasLeft
    }

    /// - Returns: whether nothing of the domain is left to do.
    private func report(on group: Group, _ round: inout Round, _ outlets: Outlets) async -> Bool {
        guard !self.shared.withLock({ $0.finished.contains(group) }) else { return true }
        guard !Task.isCancelled, !round.silent.contains(group.name) else { return false }
        guard let uris = await self.destinations(of: group.name, outlets) else {
            // It would be asked for each of its days.
            round.silent.insert(group.name)
            return false
        }
        let isFinished = await self.send(group, to: uris, &round, outlets)
        if isFinished { self.shared.withLock { _ = $0.finished.insert(group) } }
        return isFinished
    }

    /// Where a domain wants its reports, as far as they can go there; nil if nobody knows now.
    private func destinations(of domain: String, _ outlets: Outlets) async -> [ReportURI]? {
        let name = "_smtp._tls.\(domain)"
        guard name.utf8.count <= 253 else { return [] }
        guard let texts = await outlets.texts(name) else { return nil }
        let uris = TLSReportRecord(among: texts)?.uris ?? []
        return uris.filter { TLSReportDestination($0) != nil }
    }

    /// - Returns: whether it has gone wherever it is wanted.
    private func send(
        _ group: Group, to uris: [ReportURI], _ round: inout Round, _ outlets: Outlets
    ) async -> Bool {
        guard !uris.isEmpty else { return true }
        let finished = await self.store.finished(of: group)
        // The record may have changed since the last time: it does not bring more reports.
        let room = max(0, Self.maximumDestinations - finished.count)
        let open = uris.filter { !finished.contains($0.text) }.prefix(room)
        guard !open.isEmpty else { return true }
        let rows = await self.rows(of: group)
        guard !rows.isEmpty else { return true }  // They were too many, and went before their time.
        guard let made = self.made(group, rows) else { return false }
        var reached = Set(finished.compactMap { TLSReportDestination(ReportURI($0)) })
        var isFinished = true
        for uri in open {
            guard let destination = TLSReportDestination(uri) else { continue }
            if !reached.contains(destination) {
                guard await self.hand(made, to: destination, &round, outlets) else {
                    isFinished = false
                    continue
                }
                reached.insert(destination)
            }
            await self.store.finish(uri, of: group)
        }
        return isFinished
    }

    private func rows(of group: Group) async -> [TLSReport.Row] {
        await self.store.rows(of: group).compactMap { row, count in
            TransportRow(record: row).map { TLSReport.Row($0, count: count) }
        }
    }

    private struct Made {
        let group: Group
        let report: TLSReport
        let packed: [UInt8]
        let author: Mailbox
    }

    /// Nil if there is no memory, or nobody to ask about it any more.
    private func made(_ group: Group, _ rows: [TLSReport.Row]) -> Made? {
        let options = self.options
        guard let reporter = options.reporter(hostname: self.rounds.hostname), let author = options.author else {
            return nil
        }
        let report = TLSReport(reporter: reporter, day: group.day, domain: group.name, rows: rows)
        return report.packed().map { Made(group: group, report: report, packed: $0, author: author) }
    }

    /// - Returns: whether it was taken.
    private func hand(
        _ made: Made, to destination: TLSReportDestination, _ round: inout Round, _ outlets: Outlets
    ) async -> Bool {
        switch destination {
        case .mailbox(let destination):
            let message = ReportMessage(
                made.report, packed: made.packed, from: made.author, to: [destination.mailbox],
                time: self.rounds.clock.now())
            do {
                try await outlets.submit(message.envelope(from: self.options.envelopeSender), message.content)
            } catch {
                self.complain(of: made.group, "cannot be queued: \(error)", &round)
                return false
            }
        case .server(let destination):
            guard !round.failing.contains(destination.server) else { return false }
            do { try await outlets.post(destination, made.packed, TLSReport.format.mediaType) } catch {
                round.failing.insert(destination.server)
                self.complain(of: made.group, "is not taken by \(destination.server): \(error)", &round)
                return false
            }
        }
        self.rounds.countSent()
        return true
    }

    /// Once for a domain and day, and not of as many as somebody can make up.
    private func complain(of group: Group, _ reason: String, _ round: inout Round) {
        guard self.shared.withLock({ $0.complained.insert(group).inserted }) else { return }
        round.complaints += 1
        if round.complaints <= Self.complaintsPerRound {
            self.complain("the TLS report on \(group.name) \(reason)")
        } else if round.complaints == Self.complaintsPerRound + 1 {
            self.complain("other TLS reports do not get away, either")
        }
    }
}
