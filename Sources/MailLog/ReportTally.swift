import Mail

/// Sums up lines of the log for a report. Memory is bounded: of names without end only those that come most are kept.
package struct ReportTally: Sendable {
    /// What a period of time saw.
    struct Totals: Sendable {
        /// Messages that clients brought, their octets and recipients.
        var received = 0
        var receivedBytes = 0
        var receivedRecipients = 0
        /// Notices and reports of ours.
        var own = 0
        /// Recipients, and octets of what was sent to them in one go.
        var delivered = 0
        var deliveredBytes = 0
        /// Attempts that were put off, and recipients given up.
        var deferred = 0
        var failed = 0
        /// Commands and connections refused for good, and for now; of the latter those of the greylist.
        var rejected = 0
        var deferredClients = 0
        var greylisted = 0
        var held = 0
        var discarded = 0
        var deleted = 0
        var rejectWarnings = 0
        var tlsFailures = 0
        var lines = 0
    }

    struct Hour: Sendable {
        var received = 0, delivered = 0, deferred = 0, failed = 0, rejected = 0
    }

    struct Alarm: Sendable {
        let time: Timestamp
        let text: String
    }

    let zone: LogZone
    var totals = Totals()
    var hours = Array(repeating: Hour(), count: 24)
    var senders: TopCounts<Volume>
    var senderDomains: TopCounts<Volume>
    var recipients: TopCounts<Volume>
    var recipientDomains: TopCounts<Fate>
    var clients: TopCounts<Volume>
    var deferrals: TopCounts<Int>
    var failures: TopCounts<Int>
    var restrictions: TopCounts<Refusals>
    var rules: TopCounts<Refusals>
    /// Refusals that no rule is the reason of: replies of the protocol.
    var replies: TopCounts<Int>
    var lists: TopCounts<Int>
    var warnings: TopCounts<Int>
    var refusedClients: TopCounts<Int>
    var screened: TopCounts<Int>
    var tests: TopCounts<Int>
    var incomingTLS: TopCounts<Int>
    var outgoingTLS: TopCounts<Int>
    var authentication: TopCounts<Int>
    var alarms: [Alarm] = []
    var alarmsLeftOut = 0
    private(set) var first: Timestamp?
    private(set) var last: Timestamp?

    /// - Parameter capacity: names of each kind that are kept for sure.
    package init(zone: LogZone, capacity: Int = 20_000) {
        self.zone = zone
        self.senders = TopCounts(capacity: capacity)
        self.senderDomains = TopCounts(capacity: capacity)
        self.recipients = TopCounts(capacity: capacity)
        self.recipientDomains = TopCounts(capacity: capacity)
        self.clients = TopCounts(capacity: capacity)
        self.deferrals = TopCounts(capacity: capacity)
        self.failures = TopCounts(capacity: capacity)
        self.restrictions = TopCounts(capacity: capacity)
        self.rules = TopCounts(capacity: capacity)
        self.replies = TopCounts(capacity: capacity)
        self.lists = TopCounts(capacity: capacity)
        self.warnings = TopCounts(capacity: capacity)
        self.refusedClients = TopCounts(capacity: capacity)
        self.screened = TopCounts(capacity: capacity)
        self.tests = TopCounts(capacity: capacity)
        self.incomingTLS = TopCounts(capacity: capacity)
        self.outgoingTLS = TopCounts(capacity: capacity)
        self.authentication = TopCounts(capacity: capacity)
    }

    package mutating func add(_ line: LogLine) {
        self.totals.lines += 1
        self.first = self.first.map { min($0, line.time) } ?? line.time
        self.last = self.last.map { max($0, line.time) } ?? line.time
        switch line.event {
        case "queued": self.addQueued(line)
        case "delivered", "attempted", "failed": self.addOutcome(line)
        case "refused": self.addRefusal(line)
        case "screened": self.addScreened(line)
        case "noted": self.addNote(line)
        case "operated":
            if line["action"] == "delete" { self.totals.deleted += 1 }
            if line["action"] == "hold" { self.totals.held += 1 }
        case "tls_failed": self.totals.tlsFailures += 1
        case "alarm":
            if line["state"] == "raised" { self.addAlarm(line, line["text"] ?? "") }
        case "damaged": self.addAlarm(line, "\(line["id"] ?? "") is damaged: \(line["detail"] ?? "")")
        case "unsigned": self.addAlarm(line, "\(line["id"] ?? "") went without a signature: \(line["detail"] ?? "")")
        case "reload_refused":
            self.addAlarm(line, "a reload was refused: \(line["detail"] ?? "")")
        case _: break
        }
    }

    /// Alarms of a period that are told one by one.
    static let maximumAlarms = 100

    private mutating func addAlarm(_ line: LogLine, _ text: String) {
        guard self.alarms.count < Self.maximumAlarms else {
            self.alarmsLeftOut += 1
            return
        }
        self.alarms.append(Alarm(time: line.time, text: text))
    }

    mutating func updateHour(_ line: LogLine, _ body: (inout Hour) -> Void) {
        body(&self.hours[self.zone.hour(line.time)])
    }
}
