import Foundation
package import Mail

/// Everything that is shown at one moment.
package struct MetricsSnapshot: Sendable {
    package var version: String
    package var started: Timestamp
    package var counts: MailCounts.Values
    package var reloads: ReloadCounts
    package var status: StatusReport
    /// Age of the oldest message.
    package var oldest: Duration
    package var process: ProcessFigures

    package init(
        version: String, started: Timestamp, counts: MailCounts.Values, reloads: ReloadCounts, status: StatusReport,
        oldest: Duration, process: ProcessFigures
    ) {
        self.version = version
        self.started = started
        self.counts = counts
        self.reloads = reloads
        self.status = status
        self.oldest = oldest
        self.process = process
    }

    /// Destinations that are shown each for itself: their names can be domains that clients chose.
    package static let destinationLimit = 50

    package var exposition: String {
        var page = Exposition()
        self.addService(to: &page)
        self.addIncoming(to: &page)
        self.addScreener(to: &page)
        self.addQueue(to: &page)
        self.addOutgoing(to: &page)
        self.addDestinations(to: &page)
        self.addCertificates(to: &page)
        self.addProcess(to: &page)
        return page.text
    }

    private var startSeconds: Double { Double(self.started.microseconds) / 1_000_000 }

    private func addService(to page: inout Exposition) {
        page.add(.build, [self.version], 1)
        page.add(.start, [], self.startSeconds)
        page.add(.generation, [], self.status.generation)
        page.add(.reloads, ["applied"], self.reloads.applied)
        page.add(.reloads, ["refused"], self.reloads.refused)
        page.add(.alarms, [], self.status.alarms.count)
        page.add(.warnings, self.counts.noted) { [$0] }
    }

    private func addIncoming(to page: inout Exposition) {
        page.add(.messages, [], self.counts.messages)
        page.add(.messageBytes, [], self.counts.messageBytes)
        page.add(.recipients, [], self.counts.recipients)
        page.add(.refused, self.counts.refused) { [$0.stage, $0.name, String($0.code)] }
        var results: [[String]: Int] = [:]
        for (found, count) in self.counts.authentication.counts {
            for word in found.split(separator: " ") {
                results[word.split(separator: "=", maxSplits: 1).map(String.init), default: 0] += count
            }
        }
        page.add(.authentication, results)
        page.add(.incomingTLS, self.counts.incoming) { [$0] }
        page.add(.tlsFailed, [], self.counts.tlsFailed)
        page.add(.sessions, [], self.status.sessions)
        let screener = self.status.screener
        page.add(.connections, ["known"], screener.known)
        page.add(.connections, ["unknown"], screener.unknown)
        page.add(.gate, ["waiting"], screener.waiting)
        page.add(.gate, ["silent"], screener.silent)
        page.add(.stress, [], screener.isUnderStress ? 1 : 0)
    }

    private func addScreener(to page: inout Exposition) {
        let screener = self.status.screener
        for (result, count) in screener.results.sorted(by: { $0.key < $1.key }) {
            page.add(.screened, [result], count)
        }
        page.add(.passes, [], screener.passes)
        for list in screener.lists { page.add(.listQueries, [list.list], list.queries) }
        for list in screener.lists { page.add(.listHits, [list.list], list.hits) }
        for list in screener.lists { page.add(.listUnavailable, [list.list], list.unavailable) }
        for list in screener.lists {
            for standing in ["trusted", "suspect", "demoted"] {
                page.add(.listStanding, [list.list, standing], list.standing == standing ? 1 : 0)
            }
        }
        page.add(.greylistEntries, [], self.status.greylist.entries)
        page.add(.greylisted, ["passed"], self.status.greylist.passed)
        page.add(.greylisted, ["delayed"], self.status.greylist.delayed)
    }

    private func addQueue(to page: inout Exposition) {
        let queue = self.status.queue
        page.add(.queueMessages, [], queue.messages)
        page.add(.queueDamaged, [], queue.damaged)
        page.add(.queueReceiving, [], queue.receiving)
        page.add(.queueBytes, [], queue.usedBytes)
        page.add(.queueMaximum, [], queue.maximumBytes)
        page.add(.queueRoom, [], max(queue.roomBytes, 0))
        page.add(.queueDisk, [], queue.diskFreeBytes)
        page.add(.queueOldest, [], max(self.oldest.inSeconds, 0))
        page.add(.commits, [], queue.commits)
    }

    private func addOutgoing(to page: inout Exposition) {
        page.add(.deliveries, ["delivered"], self.counts.delivered)
        page.add(.deliveries, ["deferred"], self.counts.deferred)
        page.add(.deliveries, ["failed"], self.counts.failed)
        page.add(.age, self.counts.age)
        page.add(.outgoingTLS, self.counts.outgoing) { text in
            // `dane TLSv1.3/TLS_AES_256_GCM_SHA384/256` or `none`.
            let words = text.split(separator: " ", maxSplits: 1)
            let version = words.last?.prefix { $0 != "/" } ?? "none"
            return words.count == 2 ? [String(words[0]), String(version)] : ["none", "none"]
        }
        page.add(.notices, [], self.counts.notices)
        page.add(.ownMessages, [], self.counts.ownMessages)
        page.add(.unsigned, [], self.counts.unsigned)
    }

    private func addDestinations(to page: inout Exposition) {
        let all = self.status.destinations
        for state in ["up", "down", "probing", "unroutable", "immediate"] {
            page.add(.destinations, [state], all.count { $0.state == state })
        }
        page.add(.destinationsDown, [], self.counts.destinationsDown)
        let isDown = { (destination: StatusReport.Destination) in ["down", "probing"].contains(destination.state) }
        let shown = all.sorted { (isDown($0) ? 1 : 0, $0.waiting) > (isDown($1) ? 1 : 0, $1.waiting) }
            .prefix(Self.destinationLimit).sorted { $0.destination < $1.destination }
        for destination in shown { page.add(.destinationUp, [destination.destination], isDown(destination) ? 0 : 1) }
        for destination in shown { page.add(.destinationWaiting, [destination.destination], destination.waiting) }
    }

    private func addCertificates(to page: inout Exposition) {
        let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        var expiries: [[String]: Int] = [:]
        for certificate in self.status.certificates {
            // Our own date; what cannot be read is not shown.
            guard let expiry = try? format.parse(certificate.expires) else { continue }
            expiries[[certificate.key, certificate.names.first ?? ""]] = Int(expiry.timeIntervalSince1970)
        }
        page.add(.certificate, expiries)
        page.add(.policies, [], self.status.policies.kept)
        page.add(.policyFetches, ["fetched"], self.status.policies.fetched)
        page.add(.policyFetches, ["failed"], self.status.policies.failed)
    }

    private func addProcess(to page: inout Exposition) {
        page.add(.resident, [], self.process.residentBytes)
        if let limit = self.process.memoryLimitBytes { page.add(.memoryLimit, [], limit) }
        page.add(.openDescriptors, [], self.process.openDescriptors)
        page.add(.maximumDescriptors, [], self.process.maximumDescriptors)
        page.add(.processor, [], self.process.processorSeconds)
        page.add(.processStart, [], self.startSeconds)
    }
}

extension MailCounts.RefusalKey {
    /// The restriction without what follows it: `reject_rbl_client`. Its arguments can be many, and hold the key that a
    /// DNS list is paid with.
    fileprivate var name: String {
        let word = self.restriction.prefix { $0 != " " && $0 != "=" }
        return self.stage == "protocol" ? word.lowercased() : String(word)
    }
}

extension Exposition {
    /// Adds the samples sorted, so that two pages can be compared.
    fileprivate mutating func add(_ family: MetricFamily, _ counts: [[String]: Int]) {
        for (values, count) in counts.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            self.add(family, values, count)
        }
    }

    fileprivate mutating func add<Key>(
        _ family: MetricFamily, _ counts: BoundedCounts<Key>, labels: (Key) -> [String]
    ) {
        var sums: [[String]: Int] = [:]
        for (key, count) in counts.counts { sums[labels(key), default: 0] += count }
        if counts.others > 0 { sums[family.labels.map { _ in "other" }, default: 0] += counts.others }
        self.add(family, sums)
    }
}
