import ArgumentParser
import Foundation
import Mail
import MailLog

/// What a search of the log, or a report on it, is about.
struct LogTimeArguments: ParsableArguments {
    @Option(
        help: "From this time on: RFC 3339, 2026-11-21, '2026-11-21 04:50', today, yesterday, or 2h for two hours ago.")
    var since: String?
    @Option(help: "Before this time.") var until: String?
    @Option(
        help:
            "Read this file, in the text or JSON format or of journalctl -o json, and not the journal; - for standard input."
    )
    var file: String?

    func time(_ text: String?, now: Timestamp) throws -> Timestamp? {
        guard let text else { return nil }
        guard let time = LogTime.read(text, now: now, zone: .local) else {
            throw CommandFailure(2, "'\(text)' is not \(LogTime.syntax)")
        }
        return time
    }
}

struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Search the log: what happened to whom, and why.",
        discussion: """
            A TERM is recognised by its form: an address (user@example.com, *@example.com, <> for the null sender), a \
            domain (example.com, .example.com for what is below it), an address or network of a client, a queue ID or \
            session, or the reference of a refusal. A line has to have all terms. Shown is the whole story of each line \
            found: its session, its message and notices about it, as far as they lie between --since and --until. \
            Times without a zone are those of this machine. The log is read a few times for that, with memory for \
            200000 sessions and messages of stories at most.

            Exit status: 0 found, 1 nothing found, 2 wrong usage or a log that cannot be read.
            """)

    @Argument(help: "What to search for.") var terms: [String] = []
    @Option(help: "A sender or recipient; * stands for any text.") var address: [String] = []
    @Option(help: "A sender; <> is the null sender.") var from: [String] = []
    @Option(help: "A recipient.") var to: [String] = []
    @Option(help: "A domain of a sender or recipient, or a next hop.") var domain: [String] = []
    @Option(help: "Address or network of a client.") var client: [String] = []
    @Option(name: .customLong("id"), help: "A queue ID.") var queueID: [String] = []
    @Option(help: "The reference at the end of a refusal.") var ref: [String] = []
    @Option(help: "A session.") var session: [String] = []
    @Option(help: "Events such as refused,failed, or levels of other lines: warning,error.") var event: [String] = []
    @OptionGroup var times: LogTimeArguments
    @Flag(help: "Go on with lines that are written from now on.") var follow = false
    @Flag(help: "Only the lines found, without their stories.") var only = false
    @Option(help: "Not more than so many lines.") var limit: Int?
    @Flag(help: "Print a JSON document a line.") var json = false

    func run() throws {
        let query = try self.query()
        if let limit, limit < 0 { throw CommandFailure(2, "a limit is not below 0") }
        let source = try LogSource(file: self.times.file, since: query.since, until: query.until)
        if self.follow, self.times.file == "-" { throw CommandFailure(2, "standard input cannot be followed") }
        var search = LogSearch(query: query, tellsStories: !self.only && query.isSearch, limit: self.limit) { line in
            try Output.write((self.json ? line.json : Array(line.display(.local).utf8)) + [ASCII.lineFeed])
        }
        if !self.follow || query.since != nil { try search.run(source) }
        if self.follow { try search.follow(source) }
        if search.isCut {
            Output.complain("there are too many stories: lines of some of them are missing; search for less")
        }
        guard search.hasFound else { throw CommandFailure(1) }
    }

    private func query() throws -> LogQuery {
        var query = LogQuery()
        do throws(LogTerm.SyntaxError) {
            for text in self.terms { query.terms.append(try LogTerm(recognising: text)) }
            for text in self.address { query.terms.append(.address(named: text, .either)) }
            for text in self.from { query.terms.append(.address(named: text, .from)) }
            for text in self.to { query.terms.append(.address(named: text, .to)) }
            for text in self.domain { query.terms.append(.domain(named: text)) }
            for text in self.client { query.terms.append(try .client(named: text)) }
            for text in self.queueID { query.terms.append(try .id(named: text)) }
            for text in self.ref { query.terms.append(.reference(text.uppercased())) }
            for text in self.session { query.terms.append(try .session(named: text)) }
        } catch { throw CommandFailure(2, error.text) }
        query.events = Set(self.event.flatMap { $0.split(separator: ",").map(String.init) })
        let now = WallClock.system.now()
        query.since = try self.times.time(self.times.since, now: now)
        query.until = try self.times.time(self.times.until, now: now)
        return query
    }
}

extension LogTerm.SyntaxError {
    fileprivate var text: String {
        switch self {
        case .notATerm(let text):
            "'\(text)' is no address, domain, client, queue ID, session or reference; name what it is with an option"
        case .notAnID(let text): "'\(text)' is not a queue ID or session such as \(QueueID(value: 0))"
        case .notAClient(let text): "'\(text)' is neither an address nor a network"
        case .hostBitsSet(let text, let meant): "'\(text)' has bits set behind its prefix; \(meant) was meant?"
        }
    }
}

/// Goes through the log and prints what is searched for.
struct LogSearch {
    private let query: LogQuery
    private let tellsStories: Bool
    private let limit: Int
    private let print: (LogLine) throws -> Void
    private let sieve: LogSieve
    private var story = LogStory()
    private var printed = 0
    private(set) var hasFound = false
    private var isRead = false

    /// How often the log is read to find what belongs to a story; each time goes a step further at least from what was
    /// found: from a notice to its message, from there to its session.
    private static let maximumReadings = 8

    init(query: LogQuery, tellsStories: Bool, limit: Int?, print: @escaping (LogLine) throws -> Void) {
        self.query = query
        self.sieve = LogSieve(query)
        self.tellsStories = tellsStories
        self.limit = limit ?? .max
        self.print = print
    }

    var isCut: Bool { self.story.isCut }

    mutating func run(_ source: LogSource) throws {
        guard self.limit > 0 else { return }
        var scope = self.query.scope
        if self.tellsStories {
            for _ in 0..<Self.maximumReadings {
                self.story.beginReading()
                try source.forEach(in: scope, where: { self.mayMatter($0) }) { line in
                    if self.query.matches(line) {
                        self.story.take(line)
                    } else if self.query.isInTime(line) {
                        _ = self.story.follow(line)
                    }
                    return true
                }
                scope = self.story.scope(besides: self.query.scope)
                guard self.story.hasGrown else { break }
            }
        }
        try source.forEach(in: scope, where: { self.mayMatter($0) }) { try self.show($0) }
        self.isRead = true
    }

    private func mayMatter(_ line: ArraySlice<UInt8>) -> Bool {
        self.sieve.passes(line) || self.tellsStories && self.story.mayFollow(line) || LogSieve.isEncoded(line)
    }

    /// Of lines to come; what leads to a line that is found later is not known yet.
    mutating func follow(_ source: LogSource) throws {
        try source.follow(isRead: self.isRead) { try self.show($0) }
    }

    /// - Returns: whether more may be shown.
    private mutating func show(_ line: LogLine) throws -> Bool {
        let isFound = self.query.matches(line)
        if isFound, self.tellsStories { self.story.take(line) }
        guard isFound || self.tellsStories && self.query.isInTime(line) && self.story.follow(line) else { return true }
        self.hasFound = true
        try self.print(line)
        self.printed += 1
        return self.printed < self.limit
    }
}
