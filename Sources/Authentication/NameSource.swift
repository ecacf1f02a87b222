package import Mail
internal import Synchronization

/// A question that authentication asks of DNS.
package struct NameQuery: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        case a = "A", aaaa = "AAAA", mx = "MX", ptr = "PTR", txt = "TXT"
    }

    /// In presentation form, without the trailing dot, in lower case.
    package let name: String
    package let kind: Kind

    package init(_ name: some StringProtocol, _ kind: Kind) {
        self.name = name.lowercased()
        self.kind = kind
    }
}

/// What came of a ``NameQuery``.
package enum NameReply: Hashable, Sendable {
    /// Each TXT record with its strings joined, octets as they came.
    case texts([[UInt8]])
    /// Of A or AAAA.
    case addresses([IPAddress])
    /// Of MX in the order of their preference, or PTR: lower case, without the trailing dot, empty for the root.
    case hosts([String])
    /// NXDOMAIN, or what was asked for is no domain name.
    case noSuchName
    /// The name exists, but has no such record.
    case noRecords
    /// Nobody knows: a server failed, an answer was bogus, time ran out. The text is for the log.
    case failed(String)
}

/// Where authentication gets its names from. A task that has been cancelled gets none: the reply is `failed`, and nothing
/// is asked.
package struct NameSource: Sendable {
    package let ask: @Sendable (NameQuery) async -> NameReply

    package init(_ ask: @escaping @Sendable (NameQuery) async -> NameReply) {
        self.ask = { query in Task.isCancelled ? .failed("cancelled") : await ask(query) }
    }
}

/// The time since some beginning.
package typealias MonotonicClock = @Sendable () -> ContinuousClock.Instant

extension NameSource {
    /// The same that knows nothing any more from a moment on.
    package func ending(at deadline: ContinuousClock.Instant, by clock: @escaping MonotonicClock) -> NameSource {
        NameSource { query in clock() < deadline ? await self.ask(query) : .failed("out of time") }
    }

    /// The same that knows nothing any more so long after its first question: who has to wait before loses no time.
    package func lasting(_ time: Duration, by clock: @escaping MonotonicClock) -> NameSource {
        let start = FirstMoment()
        return NameSource { query in
            let now = clock()
            return now < start.first(now) + time ? await self.ask(query) : .failed("out of time")
        }
    }

    /// The same that knows nothing any more after so many questions, whoever of those who share it asks them.
    package func budgeted(questions limit: Int) -> NameSource {
        let count = QuestionCount()
        return NameSource { query in
            count.next() <= limit ? await self.ask(query) : .failed("too many questions")
        }
    }
}

private final class QuestionCount: Sendable {
    private let count = Atomic(0)

    /// Counted from 1.
    func next() -> Int { self.count.add(1, ordering: .relaxed).newValue }
}

private final class FirstMoment: Sendable {
    private let moment = Mutex<ContinuousClock.Instant?>(nil)

    /// The first that it was called with.
    func first(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        self.moment.withLock { moment in
            moment = moment ?? now
            return moment ?? now
        }
    }
}
