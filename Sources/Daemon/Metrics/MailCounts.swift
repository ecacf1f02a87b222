package import Mail
import Synchronization

/// Counts mail events on their way to the log.
///
/// An event costs a lock that is hardly ever taken and at most one hash; what takes more is done when somebody asks.
package final class MailCounts: Sendable {
    /// Since the start.
    package struct Values: Sendable {
        package var messages = 0
        package var messageBytes = 0
        package var recipients = 0
        /// Messages of ours that are no notices: reports.
        package var ownMessages = 0
        package var notices = 0
        package var delivered = 0
        package var deferred = 0
        package var failed = 0
        package var age = Histogram()
        package var tlsFailed = 0
        package var damaged = 0
        package var unsigned = 0
        package var destinationsDown = 0
        package var refused = BoundedCounts<RefusalKey>()
        package var noted = BoundedCounts<String>()
        /// By what authentication found, as it is in the log.
        package var authentication = BoundedCounts<String>()
        /// Messages by what they came through, and recipients by what they were delivered through.
        package var incoming = BoundedCounts<String>()
        package var outgoing = BoundedCounts<String>()

        package init() {}
    }

    /// Why something was refused, as the log has it.
    package struct RefusalKey: Hashable, Sendable {
        package let stage: String
        package let restriction: String
        package let code: Int
    }

    private let values = Mutex(Values())

    package init() {}

    package var snapshot: Values { self.values.withLock { $0 } }

    /// Counts, and hands on.
    package func counting(_ sink: EventSink) -> EventSink {
        EventSink { event in
            self.values.withLock { $0.count(event) }
            sink.record(event)
        }
    }
}

extension MailCounts.Values {
    package mutating func count(_ event: MailEvent) {
        switch event {
        case .queued(_, let queued): self.count(queued)
        case .refused(let refusal): self.refused.count(MailCounts.RefusalKey(refusal))
        case .noted(let note): self.noted.count(note.kind)
        case .tlsFailed: self.tlsFailed += 1
        case .attempted(_, let outcome, _): self.deferred += outcome.recipients.count
        case .delivered(_, let outcome): self.countDelivered(outcome)
        case .failed(_, let outcome, _): self.failed += outcome.recipients.count
        case .destinationDown: self.destinationsDown += 1
        case .damaged: self.damaged += 1
        case .unsigned: self.unsigned += 1
        // Those of the screener are counted where also those are that have no line in the log.
        case .screened, .operated, .destinationUp: break
        // Alarms and reloads are asked for when somebody looks.
        case .alarm, .started, .ended, .reloaded, .reloadRefused: break
        }
    }

    private mutating func count(_ queued: MailEvent.Queued) {
        guard queued.session != nil else {
            if queued.about == nil { self.ownMessages += 1 } else { self.notices += 1 }
            return
        }
        self.messages += 1
        self.messageBytes += queued.bytes
        self.recipients += queued.envelope.recipients.count
        self.incoming.count(queued.tls?.version ?? "none")
        if let found = queued.authentication { self.authentication.count(found) }
    }

    private mutating func countDelivered(_ outcome: MailEvent.Outcome) {
        self.delivered += outcome.recipients.count
        self.age.add(outcome.age.inSeconds, times: outcome.recipients.count)
        if let tls = outcome.tls { self.outgoing.count(tls, times: outcome.recipients.count) }
    }
}

extension MailCounts.RefusalKey {
    fileprivate init(_ refusal: MailEvent.Refusal) {
        self.init(
            stage: refusal.reason?.stage ?? "protocol", restriction: refusal.reason?.restriction ?? refusal.command,
            code: refusal.reply.code)
    }
}

/// Counts by a key of which there are not many; what comes above a bound is counted together, so that no mistake about
/// that fills the memory.
package struct BoundedCounts<Key: Hashable & Sendable>: Sendable {
    package private(set) var counts: [Key: Int] = [:]
    package private(set) var others = 0

    package static var limit: Int { 1000 }

    package init() {}

    package mutating func count(_ key: Key, times: Int = 1) {
        guard self.counts.count < Self.limit || self.counts[key] != nil else {
            self.others += times
            return
        }
        self.counts[key, default: 0] += times
    }
}
