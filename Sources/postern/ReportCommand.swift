import ArgumentParser
import Daemon
import Foundation
import Mail
import MailLog

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Sum up the log: what came, went, waited and was refused.",
        discussion: """
            Of the journal or a file, for a day or any time; by default for today. With --mail the report goes through \
            the queue to `report.to` of the configuration, as text and HTML; if that is empty, and there is no --to, \
            nothing is done.
            """)

    @OptionGroup var source: ConfigurationOption
    @Option(help: "today, yesterday, or a date such as 2026-11-20, of this machine's time.") var day: String?
    @OptionGroup var times: LogTimeArguments
    @Option(help: "Rows of each table at most; by default report.top of the configuration, or 20.") var top: Int?
    @Flag(help: "Print HTML.") var html = false
    @Flag(help: "Print one JSON document.") var json = false
    @Flag(help: "Send it by mail.") var mail = false
    @Option(help: "Who gets the mail, instead of report.to.") var to: [String] = []

    func validate() throws {
        if self.day != nil, self.times.since != nil || self.times.until != nil {
            throw ValidationError("--day goes without --since and --until")
        }
        if [self.html, self.json, self.mail].count(where: { $0 }) > 1 {
            throw ValidationError("--html, --json and --mail exclude each other")
        }
        if !self.to.isEmpty, !self.mail { throw ValidationError("--to goes with --mail") }
        if let top, !(1...1000).contains(top) { throw ValidationError("--top is between 1 and 1000") }
    }

    func run() throws {
        let now = WallClock.system.now()
        let configuration = self.mail ? try self.source.load() : try self.source.loadIfSetUp()
        let recipients = try self.recipients(configuration)
        if self.mail, recipients.isEmpty {
            return try Output.line("nobody wants a report: report.to is empty")
        }
        let period = try self.period(now)
        let report = try self.report(configuration, period, now)
        if self.mail, let configuration {
            try self.send(report, configuration, recipients, now)
        } else if self.json {
            try Output.write(report.json + [ASCII.lineFeed])
        } else {
            try Output.write(Array((self.html ? report.html : report.text).utf8))
        }
    }

    private func period(_ now: Timestamp) throws -> Range<Timestamp> {
        if self.times.since == nil, self.times.until == nil {
            let day = self.day ?? "today"
            guard let period = LogTime.day(day, now: now, zone: .local) else {
                throw CommandFailure(2, "'\(day)' is not today, yesterday or a date such as 2026-11-20")
            }
            return period
        }
        let end = try self.times.time(self.times.until, now: now) ?? now
        let start = try self.times.time(self.times.since, now: now) ?? Timestamp(seconds: 0)
        guard start < end else { throw CommandFailure(2, "--since is not before --until") }
        return start..<end
    }

    private func recipients(_ configuration: Configuration?) throws -> [Mailbox] {
        guard !self.to.isEmpty else { return configuration?.report.to ?? [] }
        return try self.to.map { text in
            guard let mailbox = Mailbox(text) else { throw CommandFailure(2, "'\(text)' is not a mail address") }
            return mailbox
        }
    }

    private func report(
        _ configuration: Configuration?, _ period: Range<Timestamp>, _ now: Timestamp
    ) throws -> MailReport {
        var tally = ReportTally(zone: .local)
        let source = try LogSource(file: self.times.file, since: period.lowerBound, until: period.upperBound)
        try source.forEach { line in
            if period.contains(line.time) { tally.add(line) }
            return true
        }
        var sections = tally.sections(top: self.top ?? configuration?.report.top ?? 20)
        sections += DaemonState(configuration).sections
        return MailReport(
            hostname: Self.hostname(configuration), period: period, zone: .local,
            sections: sections)
    }

    /// As the daemon would have it.
    private static func hostname(_ configuration: Configuration?) -> String {
        (configuration?.hostname ?? MachineName.full())?.ascii ?? ProcessInfo.processInfo.hostName
    }

    private func send(
        _ report: MailReport, _ configuration: Configuration, _ recipients: [Mailbox], _ now: Timestamp
    ) throws {
        guard let from = configuration.report.from ?? Mailbox("postmaster@\(report.hostname)") else {
            throw CommandFailure(2, "report.from is missing")
        }
        let mark = String(UInt64.random(in: 0 ... .max), radix: 36) + String(now.microseconds, radix: 36)
        let content = report.message(from: from, to: recipients, time: now, mark: mark)
        var request = ControlRequest(.submit)
        request.submit = SubmitRequest(from: "", to: recipients.map { "\($0)" }, content: content)
        let client = try ControlClient(path: configuration.control)
        let (submitted, _) = try client.document(request, as: SubmitReport.self)
        try Output.line(submitted.id)
    }
}

/// What the daemon says of now, for a report.
private struct DaemonState {
    private let status: StatusReport?
    private let shape: QueueShape?
    /// Why nothing is known.
    private let problem: String

    init(_ configuration: Configuration?) {
        var (status, shape): (StatusReport?, QueueShape?) = (nil, nil)
        var problem = "No configuration was found, so the daemon was not asked."
        if let configuration {
            do {
                status = try ControlClient(path: configuration.control)
                    .document(ControlRequest(.status), as: StatusReport.self).0
                shape = try ControlClient(path: configuration.control)
                    .document(ControlRequest(.shape), as: QueueShape.self).0
            } catch ControlClient.Failure.unreachable(let reason) {
                problem = "The daemon cannot be reached: \(reason)"
            } catch {
                problem = "The daemon did not answer: \(error)"
            }
        }
        (self.status, self.shape, self.problem) = (status, shape, problem)
    }

    var sections: [MailReport.Section] {
        [self.alarms, self.queue, self.domains, self.destinations]
    }

    private var alarms: MailReport.Section {
        var section = MailReport.Section(
            "alarms_now", "Alarms now", [.init("text", "")], (self.status?.alarms ?? []).map { [.text($0)] })
        section.isShownEmpty = self.status != nil
        return section
    }

    private var queue: MailReport.Section {
        var rows: [(String, String, MailReport.Cell)] = []
        if let status {
            rows = [
                ("messages", "messages", .count(status.queue.messages)),
                ("damaged", "damaged messages", .count(status.queue.damaged)),
                ("used_bytes", "used", .bytes(status.queue.usedBytes)),
                ("room_bytes", "room", .bytes(status.queue.roomBytes)),
                ("greylist_entries", "remembered by the greylist", .count(status.greylist.entries)),
                ("passes", "clients remembered by the screener", .count(status.screener.passes)),
            ]
        }
        var section = MailReport.Section(
            "queue", "The queue now", [.init("name", ""), .init("value", "")], rows.map { [.text($0.1), $0.2] })
        section.names = rows.map(\.0)
        section.isShownEmpty = true
        if self.status == nil { section.remark = self.problem }
        return section
    }

    /// How old the mail for each domain is, in the columns of `postern queue shape`.
    private var domains: MailReport.Section {
        let hour = QueueShape.minutes.firstIndex { $0 >= 80 } ?? 0
        let rows = (self.shape?.rows ?? []).prefix(20).map { row -> [MailReport.Cell] in
            let old = row.counts.dropFirst(hour + 1).reduce(0, +)
            return [.count(row.total), .count(old), .text(row.domain)]
        }
        return MailReport.Section(
            "queue_domains", "Mail that waits, by domain",
            [.init("messages", "messages"), .init("old", "over 80 min"), .init("domain", "domain")], rows)
    }

    private var destinations: MailReport.Section {
        let down = (self.status?.destinations ?? []).filter { $0.downSince != nil }
        return MailReport.Section(
            "destinations_down", "Destinations that do not answer now",
            [
                .init("waiting", "waiting"), .init("destination", "destination"), .init("since", "since"),
                .init("reply", "latest reply"),
            ],
            down.map { status in
                [
                    .count(status.waiting), .text(status.destination), .text(status.downSince ?? ""),
                    .text(status.lastReply ?? ""),
                ]
            })
    }
}
