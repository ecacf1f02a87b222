import ArgumentParser
import Daemon
import Foundation
import Mail
import Queue

struct QueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "Look at the queue and work on it.",
        subcommands: [
            List.self, Show.self, Content.self, Hold.self, Release.self, Retry.self, Delete.self, Flush.self,
            Shape.self,
            Export.self, Backup.self, Fsck.self,
        ])
}

struct FilterArguments: ParsableArguments {
    @Option(help: "Sender; * stands for any text, <> for the null sender.") var from: String?
    @Option(help: "A recipient that still waits.") var to: String?
    @Option(help: "Domain of a recipient that still waits.") var domain: String?
    @Option(help: "Older than this: 4h, 10d.") var older: String?
    @Option(help: "waiting, deferred or held.") var state: String?
    @Option(help: "Text in the reason why it waits.") var reason: String?
    @Option(help: "Address or network of the client that brought it.") var client: String?
    @Option(help: "Not more than so many.") var limit: Int?

    func filter() throws -> QueueFilter {
        var filter = QueueFilter()
        for (name, value) in [
            ("from", self.from), ("to", self.to), ("domain", self.domain), ("older", self.older),
            ("state", self.state), ("reason", self.reason), ("client", self.client),
            ("limit", self.limit.map(String.init)),
        ] {
            guard let value else { continue }
            do { try filter.set(name, to: value) } catch { throw CommandFailure(2, error.message) }
        }
        return filter
    }
}

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List messages, the oldest first.")

    @OptionGroup var source: ConfigurationOption
    @OptionGroup var which: FilterArguments
    @Flag(help: "Print a JSON document a line.") var json = false

    func run() throws {
        var request = ControlRequest(.list)
        request.filter = try self.which.filter()
        try self.source.connect().require(request) { _, payload in
            if self.json { return try Output.write(payload + [ASCII.lineFeed]) }
            try Output.line(try ControlJSON.decode(QueueEntry.self, from: payload).summary)
        }
    }
}

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show envelope, recipients and attempts of messages.")

    @OptionGroup var source: ConfigurationOption
    @Argument(help: "Queue IDs.") var ids: [String]
    @Flag(help: "Print a JSON document a line.") var json = false

    func run() throws {
        var request = ControlRequest(.show)
        request.ids = self.ids
        try self.source.connect().require(request) { _, payload in
            if self.json { return try Output.write(payload + [ASCII.lineFeed]) }
            for line in try ControlJSON.decode(QueueEntry.self, from: payload).details { try Output.line(line) }
        }
    }
}

struct Content: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the stored content of a message to standard output.")

    @OptionGroup var source: ConfigurationOption
    @Argument(help: "Queue ID.") var id: String

    func run() throws {
        var request = ControlRequest(.content)
        request.ids = [self.id]
        try self.source.connect().require(request) { _, payload in try Output.write(payload) }
    }
}

/// A command that changes messages, named or picked by a filter.
protocol OperateCommand: ParsableCommand {
    static var operation: QueueOperation { get }
    var source: ConfigurationOption { get }
    var which: FilterArguments { get }
    var ids: [String] { get }
    var yes: Bool { get }
}

extension OperateCommand {
    func run() throws {
        var request = ControlRequest(.operate)
        request.operation = Self.operation.rawValue
        let filter = try self.which.filter()
        if self.ids.isEmpty {
            request.filter = filter
            try self.confirm(filter)
        } else {
            guard filter.isEmpty else { throw CommandFailure(2, "queue IDs and filters exclude each other") }
            request.ids = self.ids
        }
        try self.source.connect().change(request)
    }

    /// Many messages at once are changed only by somebody who says so.
    private func confirm(_ filter: QueueFilter) throws {
        guard !self.yes else { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure(2, "without queue IDs this changes every message that the filters pick; say --yes")
        }
        let what = filter.isEmpty ? "ALL messages of the queue" : "all messages that the filters pick"
        FileHandle.standardError.write(Data("\(Self.operation.rawValue) \(what)? [y/N] ".utf8))
        guard readLine()?.lowercased().hasPrefix("y") ?? false else { throw CommandFailure(1, "nothing was changed") }
    }
}

struct Hold: OperateCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keep messages until they are released. Held mail does not expire.")
    static let operation = QueueOperation.hold
    @OptionGroup var source: ConfigurationOption
    @OptionGroup var which: FilterArguments
    @Argument(help: "Queue IDs.") var ids: [String] = []
    @Flag(help: "Do not ask.") var yes = false
}

struct Release: OperateCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let held messages go. Their age counts again: what is too old is tried once more.")
    static let operation = QueueOperation.release
    @OptionGroup var source: ConfigurationOption
    @OptionGroup var which: FilterArguments
    @Argument(help: "Queue IDs.") var ids: [String] = []
    @Flag(help: "Do not ask.") var yes = false
}

struct Retry: OperateCommand {
    static let configuration = CommandConfiguration(abstract: "Try messages now.")
    static let operation = QueueOperation.retry
    @OptionGroup var source: ConfigurationOption
    @OptionGroup var which: FilterArguments
    @Argument(help: "Queue IDs.") var ids: [String] = []
    @Flag(help: "Do not ask.") var yes = false
}

struct Delete: OperateCommand {
    static let configuration = CommandConfiguration(abstract: "Delete messages. Nobody is told.")
    static let operation = QueueOperation.delete
    @OptionGroup var source: ConfigurationOption
    @OptionGroup var which: FilterArguments
    @Argument(help: "Queue IDs.") var ids: [String] = []
    @Flag(help: "Do not ask.") var yes = false
}

struct Flush: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try everything now, also what waits for a destination that is down.")

    @OptionGroup var source: ConfigurationOption
    @Argument(help: "Only mail for this domain.") var domain: String?

    func run() throws {
        var request = ControlRequest(.flush)
        request.destination = self.domain
        try self.source.connect().change(request)
    }
}

struct Shape: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "How old the mail for each domain is.")

    @OptionGroup var source: ConfigurationOption
    @Flag(help: "Print one JSON document.") var json = false

    func run() throws {
        let (shape, json) = try self.source.connect().document(ControlRequest(.shape), as: QueueShape.self)
        if self.json { return try Output.write(json + [ASCII.lineFeed]) }
        let width = max(6, shape.rows.map(\.domain.count).max() ?? 0)
        let heads = ["T"] + shape.minutes.map(String.init) + ["\(shape.minutes.last ?? 0)+"]
        try Output.line(Self.row("", heads, width))
        let totals = shape.rows.reduce(into: [Int](repeating: 0, count: heads.count)) { sums, row in
            for (index, count) in ([row.total] + row.counts).enumerated() { sums[index] += count }
        }
        try Output.line(Self.row("TOTAL", totals.map(String.init), width))
        for row in shape.rows {
            try Output.line(Self.row(row.domain, ([row.total] + row.counts).map(String.init), width))
        }
    }

    private static func row(_ name: String, _ cells: [String], _ width: Int) -> String {
        let pad = { (text: String, width: Int) in String(repeating: " ", count: max(0, width - text.count)) + text }
        return pad(name, width) + cells.map { pad($0, 8) }.joined()
    }
}

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy messages into a folder: ID.eml with the content, ID.json with everything else.")

    @OptionGroup var source: ConfigurationOption
    @OptionGroup var which: FilterArguments
    @Argument(help: "The folder.") var folder: String

    func run() throws {
        var request = ControlRequest(.list)
        request.filter = try self.which.filter()
        let client = try self.source.connect()
        try FolderMaker.make(self.folder)
        var ids: [String] = []
        try client.require(request) { _, payload in
            let id = try ControlJSON.decode(QueueEntry.self, from: payload).id
            try OutputFile("\(self.folder)/\(id).json").write(payload)
            ids.append(id)
        }
        var count = 0
        for id in ids where try self.exportContent(id) { count += 1 }
        try Output.line("\(count)")
    }

    /// - Returns: whether the message was still there.
    private func exportContent(_ id: String) throws -> Bool {
        let file = try OutputFile("\(self.folder)/\(id).eml")
        var request = ControlRequest(.content)
        request.ids = [id]
        let end = try self.source.connect().run(request) { _, payload in try file.write(payload) }
        if end.status == 0 { return true }
        for suffix in ["eml", "json"] { try FileManager.default.removeItem(atPath: "\(self.folder)/\(id).\(suffix)") }
        return false
    }
}

struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a consistent copy of the queue to a new file, which can take the place of data.mdb.")

    @OptionGroup var source: ConfigurationOption
    @Argument(help: "The file; it must not exist.") var file: String

    func run() throws {
        var request = ControlRequest(.backup)
        request.path = self.file.hasPrefix("/") ? self.file : "\(FileManager.default.currentDirectoryPath)/\(self.file)"
        try self.source.connect().require(request) { _, _ in }
    }
}

struct Fsck: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Verify every record of the queue; also without the daemon. Changes nothing.")

    @OptionGroup var source: ConfigurationOption
    @Option(help: "Write what can be saved of damaged messages into this folder.") var salvage: String?
    @Flag(help: "Print one JSON document.") var json = false

    func run() throws {
        let state = try self.source.load().state
        guard access("\(state)/data.mdb", R_OK) == 0 else {
            throw CommandFailure(2, "\(state)/data.mdb: \(String(cString: strerror(errno)))")
        }
        let check = try QueueCheck(folder: state)
        if let salvage { try FolderMaker.make(salvage) }
        let report = try check.run { finding, rest in
            guard let salvage, let id = finding.id else { return }
            try OutputFile("\(salvage)/\(id).eml").write(rest.content)
            let envelope = SalvagedEnvelope(
                id: id.description, problem: finding.problem,
                from: rest.message?.envelope.reversePath.description,
                recipients: rest.message?.envelope.recipients.map(\.mailbox.description))
            try OutputFile("\(salvage)/\(id).json").write(try ControlJSON.encode(envelope))
        }
        try self.show(report)
        if !report.findings.isEmpty { throw CommandFailure(1) }
    }

    private struct SalvagedEnvelope: Encodable {
        let id: String
        let problem: String
        let from: String?
        let recipients: [String]?
    }

    private struct JSONReport: Encodable {
        struct Finding: Encodable {
            let id: String?
            let problem: String
        }

        let messages: Int
        let contentBytes: Int
        let findings: [Finding]
    }

    private func show(_ report: QueueCheck.Report) throws {
        if self.json {
            let findings = report.findings.map { JSONReport.Finding(id: $0.id?.description, problem: $0.problem) }
            let document = JSONReport(messages: report.messages, contentBytes: report.contentBytes, findings: findings)
            return try Output.write(try ControlJSON.encode(document) + [ASCII.lineFeed])
        }
        for finding in report.findings { try Output.line("\(finding.id?.description ?? "-"): \(finding.problem)") }
        try Output.line(
            "\(report.messages) messages, \(Amount.bytes(report.contentBytes)), \(report.findings.count) problems")
    }
}

extension QueueEntry {
    /// One line.
    fileprivate var summary: String {
        let waiting = self.recipients.filter { $0.status == "waiting" }.map(\.address)
        let more = waiting.count > 1 ? " (+\(waiting.count - 1))" : ""
        return
            "\(self.id) \(self.state.rawValue) \(Amount.duration(self.ageSeconds)) \(Amount.bytes(self.bytes)) <\(self.from)> -> <\(waiting.first ?? "")>\(more)"
            + (self.reason.map { " \($0)" } ?? "")
    }

    fileprivate var details: [String] {
        var lines = [
            "\(self.id): \(self.state.rawValue), \(Amount.bytes(self.bytes)), arrived \(self.arrival) (\(Amount.duration(self.ageSeconds)) ago)",
            "  from <\(self.from)>" + (self.client.map { " by client \($0)" } ?? "")
                + (self.helo.map { " (\($0))" } ?? ""),
        ]
        if let about = self.about { lines.append("  a notice about \(about)") }
        if let due = self.due { lines.append("  due \(due)") }
        if let reason = self.reason { lines.append("  \(reason)") }
        for recipient in self.recipients {
            var line = "  to <\(recipient.address)>: \(recipient.status), \(recipient.attempts) attempts"
            if let time = recipient.lastAttempt { line += ", last \(time)" }
            if let remote = recipient.remote { line += " at \(remote)" }
            if let reply = recipient.lastReply { line += ": \(reply)" }
            lines.append(line)
        }
        return lines
    }
}
