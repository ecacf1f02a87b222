import Mail
import Synchronization

/// What became of reloads and rollbacks since the start.
package struct ReloadCounts: Hashable, Sendable {
    package var applied = 0
    package var refused = 0

    package init() {}
}

/// Holds the generation in force, and swaps it for a new one or not at all.
package final class GenerationKeeper: Sendable {
    private let file: String
    private let shared: Mutex<Generation>
    /// The number given last. Locked while files are read: of two reloads at once, the later one has the last word.
    private let lastNumber: Mutex<Int>
    /// What was in force before, the latest last.
    private let former: Mutex<[Generation]> = Mutex([])
    private let shownCounts = Mutex(ReloadCounts())
    private let apply: Mutex<@Sendable (Generation) -> Void> = Mutex { _ in }

    private let prepare: Mutex<@Sendable (Generation) -> Void> = Mutex { _ in }

    package init(file: String, first: Generation) {
        self.file = file
        self.shared = Mutex(first)
        self.lastNumber = Mutex(first.number)
    }

    package var current: Generation { self.shared.withLock { $0 } }

    package var counts: ReloadCounts { self.shownCounts.withLock { $0 } }

    /// Who is told of each new generation.
    package func onChange(_ body: @escaping @Sendable (Generation) -> Void) {
        self.apply.withLock { $0 = body }
    }

    /// Who has to be ready for a generation before anybody works with it.
    package func beforeChange(_ body: @escaping @Sendable (Generation) -> Void) {
        self.prepare.withLock { $0 = body }
    }

    /// Reads everything anew. Any error leaves the old generation in force.
    package func reload() async -> ReloadReport {
        self.lastNumber.withLock { number in
            number += 1
            SystemdInterface.notify("RELOADING=1")
            defer { SystemdInterface.notify("READY=1") }
            return self.counted(self.reload(number: number))
        }
    }

    /// Each holds all its tables.
    private static let formerLimit = 2

    /// Puts the generation in force that was so before, without reading anything. The files stay as they are, so the
    /// next reload reads them.
    package func rollBack() async -> ReloadReport {
        self.lastNumber.withLock { _ in self.counted(self.restore()) }
    }

    private func restore() -> ReloadReport {
        guard let former = self.former.withLock({ $0.popLast() }) else {
            return ReloadReport(
                generation: self.current.number, errors: ["there is no former generation"], warnings: [])
        }
        self.prepare.withLock { $0 }(former)
        self.shared.withLock { $0 = former }
        self.apply.withLock { $0 }(former)
        return ReloadReport(generation: former.number, errors: [], warnings: [])
    }

    private func counted(_ report: ReloadReport) -> ReloadReport {
        self.shownCounts.withLock { counts in
            if report.errors.isEmpty { counts.applied += 1 } else { counts.refused += 1 }
        }
        return report
    }

    private func reload(number: Int) -> ReloadReport {
        do {
            let new = try Generation(file: self.file, number: number)
            self.prepare.withLock { $0 }(new)
            let old = self.shared.withLock { current in
                defer { current = new }
                return current
            }
            self.former.withLock { former in
                former.append(old)
                if former.count > Self.formerLimit { former.removeFirst() }
            }
            self.apply.withLock { $0 }(new)
            let warnings = new.warnings.map(\.description) + new.needsRestart(after: old)
            return ReloadReport(generation: new.number, errors: [], warnings: warnings)
        } catch {
            return ReloadReport(
                generation: self.current.number, errors: error.list.map(\.description), warnings: [])
        }
    }
}

extension Generation {
    /// Keys that were changed and take effect only at a restart.
    fileprivate func needsRestart(after former: Generation) -> [String] {
        let (new, old) = (self.configuration, former.configuration)
        let changed: [(String, Bool)] = [
            ("hostname", self.hostname != former.hostname), ("listen", new.listen != old.listen),
            ("state", new.state != old.state), ("control", new.control != old.control),
            ("resolver", new.resolver.optionsText != old.resolver.optionsText),
            ("screener.connections", new.screener.connections != old.screener.connections),
            ("screener.cache_entries", new.screener.cacheEntries != old.screener.cacheEntries),
            ("screener.cache_cleanup", new.screener.cacheCleanup != old.screener.cacheCleanup),
            ("greylist.entries", new.greylist.entries != old.greylist.entries),
            ("dmarc_reports.rows", new.dmarcReports.rows != old.dmarcReports.rows),
            ("dmarc_reports.domains", new.dmarcReports.domains != old.dmarcReports.domains),
            ("tls.listen", new.tls.listen != old.tls.listen),
            ("mta_sts.entries", new.mtaSTS.entries != old.mtaSTS.entries),
            ("tls_reports.rows", new.tlsReports.rows != old.tlsReports.rows),
            ("tls_reports.domains", new.tlsReports.domains != old.tlsReports.domains),
            ("proxy.listen", new.proxy.listen != old.proxy.listen),
            ("limits.connections", new.limits.connections != old.limits.connections),
            ("queue.maximum_size", new.queue.maximumSize != old.queue.maximumSize),
            ("queue.reserve", new.queue.reserve != old.queue.reserve),
            ("log.target", new.log.target != old.log.target), ("log.format", new.log.format != old.log.format),
            ("metrics.listen", new.metrics.listen != old.metrics.listen),
            ("metrics.socket", new.metrics.socket != old.metrics.socket),
        ]
        return changed.filter(\.1).map { "\($0.0) was changed; it takes effect at a restart" }
    }
}

extension Options {
    /// All values as text, to compare groups.
    fileprivate var optionsText: [String] { Self.fields.map { $0.defaultText(self) } }
}
