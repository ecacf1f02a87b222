import ArgumentParser
import Daemon
import Foundation
import Mail
import Resolver

struct ResolverArguments: ParsableArguments {
    @Option(name: .customLong("dns"), help: "Ask this name server only: HOST or HOST:PORT.")
    var server: String?

    @Option(help: "File with the DNSSEC trust anchor.")
    var trustAnchor: String?

    func apply(to options: inout ResolverOptions) throws {
        if let server {
            do { options.upstream = .forwarders([try NameServer(server)]) } catch {
                throw CommandFailure(2, "\(error)")
            }
        }
        if let trustAnchor { options.trustAnchorFile = trustAnchor }
    }
}

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the daemon in the foreground.")

    @OptionGroup var source: ConfigurationOption
    @OptionGroup var resolver: ResolverArguments

    @Option(
        help:
            "Make a small configuration in this folder, if there is none yet, and run it: a relay for example.test on port 2525 of the loopback."
    )
    var example: String?

    func run() async throws {
        var file = self.source.file
        if let folder = self.example { file = try ExampleConfiguration(folder: folder).make() }
        let resolver = self.resolver
        let daemon = try PosternDaemon(
            file: file, version: Version.text, resolver: { try resolver.apply(to: &$0) }, isTrial: self.example != nil)
        try await daemon.run()
    }
}

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check everything that a reload would.",
        discussion: """
            Of a daemon that runs it is checked too whether it is confined, as the service of the package is; what is \
            missing is a warning.
            """)

    @OptionGroup var source: ConfigurationOption
    @Flag(help: "Print one JSON document.") var json = false

    func run() throws {
        var (errors, warnings): ([FileError], [FileError]) = ([], [])
        do { warnings = try Generation(file: self.source.file, number: 1).warnings } catch { errors = error.list }
        let lacks = errors.isEmpty ? self.lacks() : nil
        if self.json {
            let report = CheckReport(
                errors: errors.map(\.description), warnings: warnings.map(\.description), confinement: lacks)
            try Output.write(try ControlJSON.encode(report) + [ASCII.lineFeed])
        } else {
            for warning in warnings { Output.complain("warning: \(warning)") }
            for lack in lacks ?? [] { Output.complain("warning: the daemon is not confined: \(lack)") }
            for error in errors { Output.complain("\(error)") }
            if errors.isEmpty { try Output.line("\(self.source.file): ok") }
        }
        if !errors.isEmpty { throw CommandFailure(1) }
    }

    /// What is missing of the daemon's cage; nil if it does not run, or may not be asked.
    private func lacks() -> [String]? {
        // Whether it runs is not what was asked, and whether it hangs is the watchdog's business.
        try? ControlClient(path: self.source.load().control, timeout: .seconds(10))
            .document(ControlRequest(.status), as: StatusReport.self).0.confinement.missing
    }

    private struct CheckReport: Encodable {
        let errors: [String]
        let warnings: [String]
        /// What is missing of the daemon's cage; none if it does not run.
        let confinement: [String]?
    }
}

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read configuration and tables anew: all of it or nothing.")

    @OptionGroup var source: ConfigurationOption

    func run() throws {
        let (report, _) = try self.source.connect().document(ControlRequest(.reload), as: ReloadReport.self)
        for warning in report.warnings { Output.complain("warning: \(warning)") }
        for error in report.errors { Output.complain(error) }
        guard report.errors.isEmpty else {
            throw CommandFailure(1, "refused; generation \(report.generation) stays in force")
        }
        try Output.line("generation \(report.generation)")
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show sessions, queue and destinations.")

    @OptionGroup var source: ConfigurationOption
    @Flag(help: "Print one JSON document.") var json = false

    func run() throws {
        let (report, json) = try self.source.connect().document(ControlRequest(.status), as: StatusReport.self)
        if self.json { return try Output.write(json + [ASCII.lineFeed]) }
        try Output.line(
            "\(report.hostname): generation \(report.generation), up \(Amount.duration(report.uptimeSeconds)), \(report.sessions) sessions"
        )
        try self.show(report.screener)
        for certificate in report.certificates {
            try Output.line(
                "certificate: \(certificate.key) for \(certificate.names.joined(separator: ", ")), until \(certificate.expires)"
            )
        }
        let policies = report.policies
        if policies.kept + policies.fetched + policies.failed > 0 {
            try Output.line(
                "MTA-STS policies: \(policies.kept) kept, \(policies.fetched) fetched, \(policies.failed) could not be")
        }
        let greylist = report.greylist
        // Where nobody is greylisted it would only raise questions.
        if greylist.entries + greylist.passed + greylist.delayed > 0 {
            try Output.line(
                "greylist: \(greylist.entries) remembered, \(greylist.passed) passed, \(greylist.delayed) delayed")
        }
        let queue = report.queue
        try Output.line(
            "queue: \(queue.messages) messages, \(Amount.bytes(queue.usedBytes)) of \(Amount.bytes(queue.maximumBytes)), \(Amount.bytes(queue.diskFreeBytes)) free on the disk"
        )
        for destination in report.destinations { try Output.line(self.line(destination)) }
        for lack in report.confinement.missing { try Output.line("not confined: \(lack)") }
        for alarm in report.alarms { try Output.line("ALARM \(alarm)") }
    }

    private func show(_ screener: StatusReport.Screener) throws {
        let results = screener.results.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
            "\($0.value) \($0.key)"
        }
        var parts = ["\(screener.waiting) waiting", "\(screener.silent) silent", "\(screener.passes) remembered"]
        if screener.isUnderStress { parts.append("under stress") }
        try Output.line("screener: " + (parts + results).joined(separator: ", "))
        for list in screener.lists {
            var parts = ["\(list.standing)", "\(list.hits) of \(list.queries) listed"]
            if list.unavailable > 0 { parts.append("\(list.unavailable) without answer") }
            if let problem = list.lastProblem { parts.append("last: \(problem)") }
            try Output.line("\(list.list): " + parts.joined(separator: ", "))
        }
    }

    private func line(_ destination: StatusReport.Destination) -> String {
        var parts = ["\(destination.destination): \(destination.state)", "\(destination.waiting) waiting"]
        if destination.connections > 0 { parts.append("\(destination.connections) connections") }
        if let oldest = destination.oldest { parts.append("oldest \(oldest)") }
        if let since = destination.downSince { parts.append("down since \(since)") }
        if let next = destination.nextAttempt { parts.append("next attempt \(next)") }
        if destination.deliveredPerSecond >= 0.1 {
            parts.append("\(Amount.decimal(destination.deliveredPerSecond)) messages/s")
            if let seconds = destination.drainSeconds, destination.waiting > 0 {
                parts.append("drained in \(Amount.duration(seconds))")
            }
        }
        if let reply = destination.lastReply { parts.append(reply) }
        return parts.joined(separator: ", ")
    }
}

struct DNS: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show what Postern sees in the DNS.")

    @Argument(help: "The name.") var name: String
    @Argument(help: "The type: A, AAAA, MX, TXT, ...") var type: String
    @OptionGroup var source: ConfigurationOption
    @OptionGroup var resolver: ResolverArguments
    @Flag(help: "Print one JSON document.") var json = false

    func run() async throws {
        guard let type = DNSType(text: self.type) else {
            throw CommandFailure(2, "'\(self.type)' is no type of record")
        }
        var options = try self.configuredOptions()
        try self.resolver.apply(to: &options)
        let report = try await NameLookup(options).report(self.name, type)
        if self.json {
            try Output.write(try ControlJSON.encode(report) + [ASCII.lineFeed])
        } else {
            for answer in report.answers {
                try Output.line("\(answer.name) \(answer.ttl) \(answer.type) \(answer.data)")
            }
            try Output.line(report.failure.map { "failure: \($0)" } ?? "security: \(report.security ?? "insecure")")
        }
        if report.failure != nil { throw CommandFailure(1) }
    }
}

extension DNS {
    /// Where Postern is not set up, the system's resolvers are asked.
    private func configuredOptions() throws -> ResolverOptions {
        let isSetUp = self.source.file != ConfigurationOption.standardFile || access(self.source.file, F_OK) == 0
        return isSetUp ? try self.source.load().resolver.options() : ResolverOptions()
    }
}

struct TableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table", abstract: "Work with tables.", subcommands: [Query.self])

    struct Query: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Look a key up in a table.")

        @Argument(help: "TYPE:FILE, such as texthash:/etc/postern/rules/transport or pcre:header_checks.")
        var table: String
        @Argument(help: "The key; - for keys from standard input, a line each.") var key: String

        func run() throws {
            let table = try TableQuery(self.table)
            guard self.key == "-" else {
                guard let value = self.value(of: Array(self.key.utf8), in: table) else { throw CommandFailure(1) }
                return try Output.line(value)
            }
            var keys = InputLines()
            while let key = keys.next() {
                let value = self.value(of: key, in: table) ?? ""
                try Output.write(key + [ASCII.tab] + value.utf8 + [ASCII.lineFeed])
            }
        }

        private func value(of key: [UInt8], in table: TableQuery) -> String? {
            let answer = table.answer(to: key)
            for fault in answer.faults { Output.complain("\(fault)") }
            return answer.value
        }
    }
}

/// The lines of standard input, which need not be text.
private struct InputLines {
    private var bytes: [UInt8] = []
    private var position = 0
    private var isAtEnd = false

    /// Without the line end, LF or CRLF; nil at the end.
    mutating func next() -> [UInt8]? {
        while true {
            if let end = self.bytes[self.position...].firstIndex(of: ASCII.lineFeed) {
                defer { self.position = end + 1 }
                let line = self.bytes[self.position..<end]
                return Array(line.last == ASCII.carriageReturn ? line.dropLast() : line)
            }
            guard !self.isAtEnd else { break }
            let piece = FileHandle.standardInput.availableData
            self.isAtEnd = piece.isEmpty
            self.bytes.removeSubrange(..<self.position)
            self.bytes += piece
            self.position = 0
        }
        defer { self.position = self.bytes.count }
        return self.position < self.bytes.count ? Array(self.bytes[self.position...]) : nil
    }
}
