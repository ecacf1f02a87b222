package import Mail
package import Polling

/// What was observed, by day and by the domain that is to be told: a ``DailyStore``.
package final class DMARCReportStore: Sendable {
    private let store: DailyStore

    /// - Throws: if there can be no thread.
    package init(
        folder: String, settings: DailyStoreSettings = DailyStoreSettings(), clock: WallClock,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.store = try DailyStore(
            folder: folder, settings: settings, clock: clock, contents: "DMARC results", complain: complain)
    }

    package func close() { self.store.close() }

    /// From any thread; it never waits. What no report can come of is not kept: nobody wants one, or the domain is none.
    package func add(_ observation: DMARCObservation) {
        var policy = observation.policy
        policy.destinations = policy.destinations.filter { ReportDestination($0) != nil }
        guard !policy.destinations.isEmpty, let domain = DomainName(policy.domain), domain.ascii == policy.domain,
            let group = DailyStore.Group(domain.ascii, on: ReportDay(observation.time))
        else { return }
        self.store.add(
            observation.result.encoded(), to: group, about: policy.encoded(), family: policy.organization)
    }

    /// Does something about each domain that is to be told of a day, with the policy it had last.
    ///
    /// - Parameter report: says whether nothing of it is left to do.
    /// - Returns: whether nothing of any is.
    func settle(
        on day: ReportDay, _ report: (DailyStore.Group, DMARCObservation.PublishedPolicy) async -> Bool
    ) async -> Bool {
        await self.store.settle(on: day) { group, about in
            guard let policy = DMARCObservation.PublishedPolicy(record: about) else { return true }
            return await report(group, policy)
        }
    }

    package func rows(of group: DailyStore.Group) async -> [AggregateReport.Row] {
        await self.store.rows(of: group).compactMap { row, count in
            DMARCObservation.Result(record: row).map { AggregateReport.Row($0, count: count) }
        }
    }

    /// The URIs of a group with which all is done, whether they got their report or cannot have it.
    package func finished(of group: DailyStore.Group) async -> Set<String> {
        await self.store.finished(of: group)
    }

    /// When it returns, that is on the disk, if the disk works.
    package func finish(_ uri: ReportURI, of group: DailyStore.Group) async {
        await self.store.finish(uri, of: group)
    }

    /// Observations that were not kept since the start. For status.
    package var lost: UInt64 { self.store.lost }

    /// Writes what waits. For tests.
    package func write() { self.store.write() }
    /// Forgets days that are too old. For tests.
    package func cleanUp() { self.store.cleanUp() }
}
