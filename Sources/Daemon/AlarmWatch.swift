import Mail

/// Finds out which alarms are new and which are over, and says so in the log.
struct AlarmChanges: Sendable {
    /// The texts by what they are about.
    private var current: [String: String] = [:]

    /// - Returns: a line for each alarm that was not there before or is there no more.
    mutating func update(_ alarms: [String]) -> [MailEvent] {
        let new = Dictionary(alarms.map { (Self.subject($0), $0) }) { first, _ in first }
        let raised = new.filter { self.current[$0.key] == nil }
        let cleared = self.current.filter { new[$0.key] == nil }
        self.current = new
        return raised.values.sorted().map { .alarm($0, isRaised: true) }
            + cleared.values.sorted().map { .alarm($0, isRaised: false) }
    }

    /// Numbers may change while the alarm stays the same: `[192.0.2.1]:25 is down, 7 messages wait`.
    private static func subject(_ text: String) -> String {
        text.split(separator: " ").map { $0.utf8.allSatisfy(ASCII.isDigit) ? "#" : $0 }.joined(separator: " ")
    }
}

/// Looks after the alarms that `postern status` shows.
struct AlarmWatch: Sendable {
    let alarms: @Sendable () async throws -> [String]
    let events: EventSink
    let complain: @Sendable (String) -> Void
    /// Between two looks: short enough for whoever reads the log, and a look reads a page of the queue's file.
    var interval = Duration.seconds(30)

    /// Until the task is cancelled.
    func run() async {
        var changes = AlarmChanges()
        while !Task.isCancelled {
            do {
                for event in changes.update(try await self.alarms()) { self.events.record(event) }
            } catch is CancellationError { return } catch { self.complain("alarms are not known: \(error)") }
            do { try await Task.sleep(for: self.interval) } catch { return }
        }
    }
}
