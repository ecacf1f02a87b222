import Mail
import Reports

/// TLS reports: what the forwarder finds out goes in, and once a day reports go to the queue or are posted.
final class TLSReportService: Sendable {
    private let parts: ReportService.Parts
    private let reporting: TLSReporting
    private let post: TLSReporting.Outlets.Post
    private let warn: @Sendable (String) -> Void

    /// - Parameter post: sends a report to a server whose certificate is good for its name. It comes to an end by itself.
    init(
        first: Generation, _ parts: ReportService.Parts, post: @escaping TLSReporting.Outlets.Post,
        warn: @escaping @Sendable (String) -> Void
    ) throws {
        let options = first.configuration.tlsReports
        let folder = first.configuration.state + "/tls-reports"
        try FolderMaker.make(folder)
        self.parts = parts
        self.post = post
        self.warn = warn
        self.reporting = try TLSReporting(
            folder: folder, options: options, hostname: first.hostname, clock: parts.clock, complain: warn)
        self.warnOfMissingSignature(first, options)
    }

    func use(_ generation: Generation) {
        let options = generation.configuration.tlsReports
        self.reporting.use(options)
        self.warnOfMissingSignature(generation, options)
    }

    /// Without one, readers have to ignore what comes by mail (RFC 8460 §3).
    private func warnOfMissingSignature(_ generation: Generation, _ options: TLSReportOptions) {
        guard options.enabled, let author = options.author else { return }
        // What hinders signing is complained of with the report.
        let head = try? generation.forwarder.sign(Array("From: <\(author)>\r\n\r\n".utf8))
        if head == [] { self.warn("no key signs TLS reports from \(author): those by mail will be ignored") }
    }

    /// After the last connection.
    func close() { self.reporting.close() }

    /// From any thread; it never waits. Not of mail that is to go whether with TLS or without.
    func observe(_ observation: TransportObservation) {
        guard self.reporting.options.enabled else { return }
        self.reporting.observe(
            observation, organization: DomainName(observation.domain).map { self.parts.organization(of: $0) })
    }

    /// Reports handed over, and observations not kept, since the start. For status.
    var statistics: (sent: Int, lost: UInt64) { self.reporting.statistics }

    /// Makes reports when they are due until the task is cancelled.
    func run() async { await self.reporting.run(self.outlets) }

    /// Makes those that are due now.
    ///
    /// - Returns: whether any are left.
    func report() async -> Bool { await self.reporting.report(self.outlets) }

    private var outlets: TLSReporting.Outlets {
        TLSReporting.Outlets(
            texts: self.parts.texts,
            submit: { [parts, warn] envelope, content in
                try await parts.submit(envelope, content) { warn("the TLS report \($0)") }
            }, post: self.post)
    }
}
