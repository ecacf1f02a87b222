import Forwarder
import Mail
import NIOCore
import NIOPosix
import Queue
import Receiver
import Rules

/// Answers one request: writes documents and octets, and says how it ended.
protocol ControlOutput: Sendable {
    /// Returns when the client is ready for more.
    func write(_ kind: UInt8, _ payload: [UInt8]) async throws
}

extension ControlOutput {
    func write(_ document: some Encodable) async throws {
        try await self.write(ControlFrame.document, try ControlJSON.encode(document))
    }
}

/// What commands can have done.
struct ControlCommands: Sendable {
    let queue: any MailQueue
    let pool: NIOThreadPool
    let forwarder: Forwarder
    let server: SMTPServer
    let entrance: Entrance
    let recipients: RecipientService
    let greylist: GreylistService
    let tls: TLSService
    let policies: TransportPolicies
    let generations: GenerationKeeper
    let clock: WallClock
    let started: Timestamp
    let confinement: Confinement
    let events: EventSink
    /// Answers what an explanation asks for, as a session of the generation would get it.
    let answer: @Sendable (Generation, Lookup) async -> LookupAnswer
    /// Puts a message of ours into the queue; returns when it is on the disk.
    let submission: @Sendable (Envelope, [UInt8]) async throws -> QueueID

    /// Messages looked at between two answers.
    private static let pageSize = 500

    func run(_ request: ControlRequest, _ output: any ControlOutput) async throws -> ControlEnd {
        switch request.command {
        case .status:
            try await output.write(try await self.status())
            return ControlEnd(status: 0)
        case .reload: return try await self.reload(output)
        case .rollback: return try await self.rollback(output)
        case .explain: return try await self.explain(request.explain, output)
        case .list: return try await self.list(request.filter ?? QueueFilter(), output)
        case .show: return try await self.show(request.ids ?? [], output)
        case .content: return try await self.content(request.ids ?? [], output)
        case .operate: return try await self.operate(request)
        case .flush: return try await self.flush(request.destination)
        case .submit: return try await self.submit(request.submit, output)
        case .shape:
            try await output.write(try await self.shape())
            return ControlEnd(status: 0)
        case .backup:
            guard let path = request.path, path.hasPrefix("/") else {
                return ControlEnd(status: 2, message: "a backup needs the absolute path of a file")
            }
            let queue = self.queue
            try await self.pool.runIfActive { try queue.backup(to: path) }
            return ControlEnd(status: 0)
        }
    }

    // MARK: Showing

    private func view() async throws -> QueueView {
        let lanes = try await self.forwarder.status().flatMap(\.lanes)
        let reasons = try await self.forwarder.reasonsForDelay(inLanes: Set(lanes))
        return QueueView(now: self.clock.now(), reasons: reasons)
    }

    /// Goes through the queue page by page; `body` returns whether to go on.
    private func forEach(_ body: (QueuedMessage) async throws -> Bool) async throws {
        var end: QueueID?
        repeat {
            let (queue, after) = (self.queue, end)
            let page = try await self.pool.runIfActive { try queue.messages(after: after, limit: Self.pageSize) }
            for message in page.messages where try await !body(message) { return }
            end = page.end
        } while end != nil
    }

    private func list(_ filter: QueueFilter, _ output: any ControlOutput) async throws -> ControlEnd {
        let view = try await self.view()
        var count = 0
        let limit = filter.limit ?? .max
        guard limit > 0 else { return ControlEnd(status: 0, count: 0) }
        try await self.forEach { message in
            guard view.matches(message, filter) else { return true }
            try await output.write(view.entry(message))
            count += 1
            return count < limit
        }
        return ControlEnd(status: 0, count: count)
    }

    private func show(_ ids: [String], _ output: any ControlOutput) async throws -> ControlEnd {
        if let end = self.malformed(ids) { return end }
        let view = try await self.view()
        for id in ids.compactMap({ QueueID($0) }) {
            guard let message = try await self.message(id) else {
                return ControlEnd(status: 1, message: "there is no message \(id)")
            }
            try await output.write(view.entry(message))
        }
        return ControlEnd(status: 0)
    }

    /// How an answer to names ends of which one is no queue ID: nothing is done for the others.
    private func malformed(_ ids: [String]) -> ControlEnd? {
        let texts = ids.filter { QueueID($0) == nil }
        guard !texts.isEmpty else { return nil }
        let list = texts.map { "'\($0)'" }.joined(separator: ", ")
        return ControlEnd(status: 2, message: "not a queue ID such as \(QueueID(value: 0)): \(list)")
    }

    private func message(_ id: QueueID) async throws -> QueuedMessage? {
        let queue = self.queue
        return try await self.pool.runIfActive { try queue.message(id) }
    }

    private func content(_ ids: [String], _ output: any ControlOutput) async throws -> ControlEnd {
        if let end = self.malformed(ids) { return end }
        guard let text = ids.first, let id = QueueID(text), let message = try await self.message(id) else {
            return ControlEnd(status: 1, message: "there is no message \(ids.first ?? "")")
        }
        var check = ContentCheck(of: message)
        var offset = 0
        while offset < message.contentBytes {
            let (queue, start) = (self.queue, offset)
            let piece = try await self.pool.runIfActive { try queue.content(of: id, from: start, limit: 128 * 1024) }
            guard !piece.isEmpty else { break }
            check.update(piece)
            try await output.write(ControlFrame.bytes, piece)
            offset += piece.count
        }
        return check.isWhole
            ? ControlEnd(status: 0) : ControlEnd(status: 1, message: "the content is not what was stored")
    }

    private func shape() async throws -> QueueShape {
        let now = self.clock.now()
        var rows: [String: [Int]] = [:]
        try await self.forEach { message in
            let minutes = Int((now - message.arrival).inSeconds) / 60
            let column = QueueShape.minutes.firstIndex { minutes < $0 } ?? QueueShape.minutes.count
            for domain in Set(message.mailboxes(message.progress.waiting).map(\.domain.key)) {
                rows[domain, default: Array(repeating: 0, count: QueueShape.minutes.count + 1)][column] += 1
            }
            return true
        }
        let sorted = rows.map { QueueShape.Row(domain: $0.key, total: $0.value.reduce(0, +), counts: $0.value) }
        return QueueShape(rows: sorted.sorted { ($1.total, $0.domain) < ($0.total, $1.domain) })
    }

    private func status() async throws -> StatusReport {
        let queue = self.queue
        let statistics = try await self.pool.runIfActive { try queue.statistics() }
        let lanes = try await self.pool.runIfActive { try queue.lanes() }
        let oldest = Dictionary(lanes.map { ($0.name, $0.oldest) }) { min($0, $1) }
        let destinations = try await self.forwarder.status()
        let now = self.clock.now()
        return StatusReport(
            hostname: self.generations.current.hostname, generation: self.generations.current.number,
            uptimeSeconds: Int((now - self.started).inSeconds), sessions: self.entrance.openConnections,
            screener: self.entrance.status, greylist: self.greylist.status,
            confinement: StatusReport.Confinement(missing: self.confinement.missing), certificates: self.tls.status,
            policies: self.policies.status, queue: StatusReport.Queue(statistics),
            destinations: destinations.map { status in
                StatusReport.Destination(status, oldest: status.lanes.compactMap { oldest[$0] }.min())
            },
            alarms: self.alarms(statistics, destinations))
    }

    /// What somebody should do something about.
    func alarms() async throws -> [String] {
        let queue = self.queue
        let statistics = try await self.pool.runIfActive { try queue.statistics() }
        return self.alarms(statistics, try await self.forwarder.status())
    }

    private func alarms(_ statistics: QueueStatistics, _ destinations: [DestinationStatus]) -> [String] {
        var alarms: [String] = []
        if let alarm = self.roomAlarm(statistics) { alarms.append(alarm) }
        if statistics.damaged > 0 {
            alarms.append("\(statistics.damaged) damaged messages were set aside: postern queue fsck")
        }
        for status in destinations where status.state == .down || status.state == .probing {
            alarms.append("\(status.destination) is down, \(status.waiting) messages wait")
        }
        return alarms + self.entrance.alarms + self.recipients.alarms + self.tls.alarms
            + self.generations.current.warnings.map(\.description)
    }

    /// Refusals with 452 begin with the largest messages; the warning comes before the first of them.
    private func roomAlarm(_ statistics: QueueStatistics) -> String? {
        let configuration = self.generations.current.configuration
        let largest = configuration.limits.messageSize.bytes
        let room = statistics.roomBytes
        if room <= 0 { return "the queue is full: new mail is refused with 452" }
        if room < largest { return "the queue is nearly full: messages above \(room) octets are refused with 452" }
        let early = max(Self.earlyWarningMessages * largest, configuration.queue.reserve.bytes)
        return room < early ? "the queue fills up: \(room) octets more, then mail is refused with 452" : nil
    }

    /// For how many messages of the largest size there is room when the warning comes.
    private static let earlyWarningMessages = 4

    // MARK: Changing

    private func reload(_ output: any ControlOutput) async throws -> ControlEnd {
        let report = await self.generations.reload()
        self.events.record(report.event)
        try await output.write(report)
        return ControlEnd(status: report.errors.isEmpty ? 0 : 1)
    }

    private func rollback(_ output: any ControlOutput) async throws -> ControlEnd {
        let report = await self.generations.rollBack()
        self.events.record(report.event)
        try await output.write(report)
        return ControlEnd(status: report.errors.isEmpty ? 0 : 1)
    }

    private func explain(_ request: ExplainRequest?, _ output: any ControlOutput) async throws -> ControlEnd {
        guard let request else { return ControlEnd(status: 2, message: "nothing to explain") }
        let session: HypotheticalSession
        do throws(OptionProblem) { session = try request.session() } catch {
            return ControlEnd(status: 2, message: error.message)
        }
        let generation = self.generations.current
        let answer = self.answer
        let explanation = await Explainer(generation).explain(session) { await answer(generation, $0) }
        try await output.write(explanation)
        return ControlEnd(status: 0)
    }

    private func operate(_ request: ControlRequest) async throws -> ControlEnd {
        guard let operation = request.operation.flatMap(QueueOperation.init(rawValue:)) else {
            return ControlEnd(status: 2, message: "unknown operation")
        }
        var count = 0
        var unknown: [String] = []
        if let texts = request.ids {
            if let end = self.malformed(texts) { return end }
            let ids = texts.compactMap { QueueID($0) }
            let changed = Set(try await self.perform(operation, ids))
            count = changed.count
            for id in ids where !changed.contains(id) {
                if operation == .delete {
                    unknown.append(id.description)
                } else if try await self.message(id) == nil {
                    unknown.append(id.description)
                }
            }
        } else if let filter = request.filter {
            count = try await self.operate(operation, filter)
        }
        if operation == .retry || operation == .release { self.forwarder.flush(destination: nil) }
        guard unknown.isEmpty else {
            return ControlEnd(status: 1, message: "there is no message \(unknown.joined(separator: " "))", count: count)
        }
        return ControlEnd(status: 0, count: count)
    }

    private func operate(_ operation: QueueOperation, _ filter: QueueFilter) async throws -> Int {
        let view = try await self.view()
        var batch: [QueueID] = []
        var count = 0
        let limit = filter.limit ?? .max
        var taken = 0
        try await self.forEach { message in
            guard view.matches(message, filter), taken < limit else { return taken < limit }
            batch.append(message.id)
            taken += 1
            if batch.count == Self.pageSize {
                count += try await self.perform(operation, batch).count
                batch = []
            }
            return true
        }
        return count + (try await self.perform(operation, batch).count)
    }

    private func perform(_ operation: QueueOperation, _ ids: [QueueID]) async throws -> [QueueID] {
        guard !ids.isEmpty else { return [] }
        let result = await withCheckedContinuation { continuation in
            self.queue.operate(operation, on: ids) { continuation.resume(returning: $0) }
        }
        let changed = try result.get()
        for id in changed { self.events.record(.operated(id, action: operation.rawValue)) }
        return changed
    }

    /// Makes everything due that was deferred, and tries destinations that are down.
    private func flush(_ destination: String?) async throws -> ControlEnd {
        var filter = QueueFilter()
        filter.state = .deferred
        filter.domain = destination
        let count = try await self.operate(.retry, filter)
        self.forwarder.flush(destination: destination)
        return ControlEnd(status: 0, count: count)
    }
}

extension ReloadReport {
    var event: MailEvent {
        guard let error = self.errors.first else {
            return .reloaded(generation: self.generation, warnings: self.warnings.count)
        }
        return .reloadRefused(generation: self.generation, detail: error)
    }
}

extension StatusReport.Queue {
    fileprivate init(_ statistics: QueueStatistics) {
        self.init(
            messages: statistics.messages, damaged: statistics.damaged, receiving: statistics.receiving,
            usedBytes: statistics.fileBytes - statistics.freeBytes, fileBytes: statistics.fileBytes,
            maximumBytes: statistics.mapBytes, diskFreeBytes: statistics.diskFreeBytes,
            roomBytes: statistics.roomBytes, commits: statistics.commits)
    }
}

extension StatusReport.Destination {
    fileprivate init(_ status: DestinationStatus, oldest: Timestamp?) {
        self.init(
            destination: status.destination, state: status.state.rawValue, waiting: status.waiting,
            connections: status.connections, downSince: status.since?.rfc3339, nextAttempt: status.nextAttempt?.rfc3339,
            lastReply: status.lastReply?.oneLine, deliveredPerSecond: status.rate,
            drainSeconds: status.drainSeconds.map { Int($0.rounded(.up)) }, oldest: oldest?.rfc3339)
    }
}
